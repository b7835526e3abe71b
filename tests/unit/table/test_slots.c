// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table/slots.h"

#include <criterion/criterion.h>

static uint8_t slot[PLAIT_PATH_SLOTS];

static unsigned int share(uint8_t path)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < PLAIT_PATH_SLOTS; i++)
		count += slot[i] == path;
	return count;
}

Test(slots, follow_the_weights)
{
	slots_fill((uint32_t[]){3, 1}, 2, slot);
	cr_expect_eq(share(0), 48);
	cr_expect_eq(share(1), 16);
	slots_fill((uint32_t[]){1, 1, 1, 1, 1, 1, 1, 1}, PLAIT_PATHS_MAX, slot);
	for (uint8_t i = 0; i < PLAIT_PATHS_MAX; i++)
		cr_expect_eq(share(i), 8);
}

Test(slots, are_spread_evenly)
{
	slots_fill((uint32_t[]){3, 1}, 2, slot);
	for (unsigned int i = 0; i + 4 <= PLAIT_PATH_SLOTS; i++) {
		unsigned int of_one = 0;

		for (unsigned int j = i; j < i + 4; j++)
			of_one += slot[j];
		cr_expect_eq(of_one, 1, "from %u on", i);
	}
}

Test(slots, leave_nobody_with_a_weight_out)
{
	slots_fill((uint32_t[]){1000, 1, 1, 0}, 4, slot);
	cr_expect_geq(share(1), 1);
	cr_expect_geq(share(2), 1);
	cr_expect_eq(share(3), 0);
	cr_expect_eq(share(0) + share(1) + share(2), PLAIT_PATH_SLOTS);
	cr_expect_geq(share(0), 60);
}

Test(slots, have_no_path_where_nobody_has_a_weight)
{
	slots_fill((uint32_t[]){0, 0}, 2, slot);
	cr_expect_eq(share(PLAIT_NO_PATH), PLAIT_PATH_SLOTS);
	slots_fill((uint32_t[]){1}, 0, slot);
	cr_expect_eq(share(PLAIT_NO_PATH), PLAIT_PATH_SLOTS);
}

Test(slots, are_the_only_path_s)
{
	slots_fill((uint32_t[]){0, 7, 0}, 3, slot);
	cr_expect_eq(share(1), PLAIT_PATH_SLOTS);
}
