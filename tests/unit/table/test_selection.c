// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table/selection.h"

#include <criterion/criterion.h>

enum { KEYS = 3000 };

static const uint32_t none[] = {0, 0, 0}, equal[] = {1, 1, 1}, without_second[] = {1, 0, 1};

Test(selection, none_if_nothing_may_be_picked)
{
	cr_expect_eq(selection_by_weight(none, 3, 7), -1);
	cr_expect_eq(selection_by_key(none, 3, 7), -1);
	cr_expect_eq(selection_by_weight(equal, 0, 7), -1);
	cr_expect_eq(selection_by_key(equal, 0, 7), -1);
}

Test(selection, by_weight_follows_the_ratio)
{
	static const uint32_t weights[] = {5, 0, 3, 2};
	unsigned int picked[4] = {};

	for (uint32_t hash = 0; hash < 1000; hash++)
		picked[selection_by_weight(weights, 4, hash)]++;
	cr_expect_eq(picked[0], 500);
	cr_expect_eq(picked[1], 0);
	cr_expect_eq(picked[2], 300);
	cr_expect_eq(picked[3], 200);
}

Test(selection, by_key_spreads_evenly)
{
	unsigned int picked[3] = {};

	for (uint32_t key = 0; key < KEYS; key++)
		picked[selection_by_key(equal, 3, key)]++;
	for (unsigned int i = 0; i < 3; i++) /* 1000 is the mean, 26 the deviation */
		cr_expect(picked[i] > 870 && picked[i] < 1130, "%u: %u", i, picked[i]);
}

Test(selection, only_the_keys_of_what_is_gone_move)
{
	unsigned int moved_to[3] = {};

	for (uint32_t key = 0; key < KEYS; key++) {
		int before = selection_by_key(equal, 3, key);
		int after = selection_by_key(without_second, 3, key);

		if (before != 1)
			cr_assert_eq(after, before);
		else
			moved_to[after]++;
	}
	cr_expect(moved_to[0] > 300 && moved_to[2] > 300);
	cr_expect_eq(moved_to[1], 0);
}
