// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table/overflow.h"

#include <criterion/criterion.h>

#define MS 1000000ULL

static const struct overflow_load full = {.full = true, .before_rate = 1000, .all_rate = 1000};
static const struct overflow_load light = {.before_rate = 300, .all_rate = 300};

/* Updates each 200 ms; the time of the change, or 0 if there is none up to `to`. */
static uint64_t change(struct overflow *overflow, const struct overflow_load *load, uint64_t from,
		       uint64_t to)
{
	for (uint64_t now = from; now <= to; now += 200 * MS)
		if (overflow_update(overflow, load, now))
			return now;
	return 0;
}

Test(overflow, opens_when_the_links_before_stay_full)
{
	struct overflow overflow = {};

	cr_expect_eq(change(&overflow, &light, 1000 * MS, 9000 * MS), 0);
	cr_expect_eq(change(&overflow, &full, 10000 * MS, 20000 * MS), 10600 * MS);
	cr_expect(overflow.open);
}

Test(overflow, does_not_open_for_a_moment)
{
	struct overflow overflow = {};

	for (uint64_t now = 1000 * MS; now < 20000 * MS; now += 600 * MS) {
		cr_expect_not(overflow_update(&overflow, &full, now));
		cr_expect_not(overflow_update(&overflow, &full, now + 200 * MS));
		cr_expect_not(overflow_update(&overflow, &light, now + 400 * MS));
	}
}

Test(overflow, closes_when_all_would_fit_the_links_before)
{
	static const struct overflow_load shared = {.before_rate = 500, .all_rate = 1300};
	static const struct overflow_load nearly = {.before_rate = 500, .all_rate = 850};
	struct overflow overflow = {};

	cr_assert_neq(change(&overflow, &full, 1000 * MS, 3000 * MS), 0);
	cr_expect_eq(change(&overflow, &shared, 4000 * MS, 20000 * MS), 0,
		     "more than the links before can carry");
	cr_expect_eq(change(&overflow, &nearly, 20000 * MS, 40000 * MS), 0, "a margin");
	cr_expect_eq(change(&overflow, &light, 40000 * MS, 60000 * MS), 43000 * MS);
	cr_expect_not(overflow.open);
}

Test(overflow, learns_a_larger_capacity_while_open)
{
	static const struct overflow_load faster = {
		.full = true, .before_rate = 2000, .all_rate = 3000};
	static const struct overflow_load fits = {.before_rate = 1000, .all_rate = 1500};
	struct overflow overflow = {};

	cr_assert_neq(change(&overflow, &full, 1000 * MS, 3000 * MS), 0);
	cr_expect_eq(change(&overflow, &faster, 3000 * MS, 4000 * MS), 0);
	cr_expect_neq(change(&overflow, &fits, 5000 * MS, 9000 * MS), 0);
}
