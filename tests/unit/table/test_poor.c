// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table/poor.h"

#include <criterion/criterion.h>

#define MS     1000000ULL
#define SECOND (1000 * MS)

/* 1 beside 50 Mbit/s for 50 ms */
static const struct poor_load starved = {
	.received = 300, .moved = 6000, .all_moved = 300000, .late = true};
static const struct poor_load prompt = {.received = 300, .moved = 6000, .all_moved = 300000};
static const struct poor_load fair = {
	.received = 300, .moved = 30000, .all_moved = 300000, .late = true};
static const struct poor_load idle = {
	.received = 200, .moved = 200, .all_moved = 300000, .late = true};
static const struct poor_load silent = {.moved = 6000, .all_moved = 300000, .late = true};

/* Updates each 50 ms; the time of the change, or 0 if there is none up to `to`. */
static uint64_t change(struct poor *poor, const struct poor_load *load, uint64_t from, uint64_t to)
{
	for (uint64_t now = from; now <= to; now += 50 * MS)
		if (poor_update(poor, load, now))
			return now;
	return 0;
}

Test(poor, is_what_carries_next_to_nothing_and_is_late)
{
	struct poor poor = {};

	cr_expect_eq(change(&poor, &prompt, SECOND, 2 * SECOND), 0);
	cr_expect_eq(change(&poor, &fair, 2 * SECOND, 3 * SECOND), 0);
	cr_expect_eq(change(&poor, &idle, 3 * SECOND + 500 * MS, 4 * SECOND), 0,
		     "nothing was asked of it");
	cr_expect_eq(change(&poor, &silent, 4 * SECOND, 5 * SECOND), 0);
	poor = (struct poor){};
	cr_expect_eq(change(&poor, &starved, 6 * SECOND, 7 * SECOND), 6050 * MS);
	cr_expect(poor.is);
}

Test(poor, is_worth_asking_before_it_is_late)
{
	struct poor poor = {};

	poor_update(&poor, &fair, SECOND);
	cr_expect_not(poor.suspected);
	poor_update(&poor, &prompt, SECOND + 50 * MS);
	cr_expect(poor.suspected);
	poor_update(&poor, &idle, SECOND + 200 * MS);
	cr_expect(poor.suspected);
	poor_update(&poor, &idle, SECOND + 300 * MS);
	cr_expect_not(poor.suspected);
}

Test(poor, is_not_what_was_so_for_a_moment)
{
	struct poor poor = {};

	for (uint64_t now = SECOND; now < 10 * SECOND; now += 100 * MS) {
		cr_expect_not(poor_update(&poor, &starved, now));
		cr_expect_not(poor_update(&poor, &fair, now + 50 * MS));
	}
}

Test(poor, is_tried_again_later_each_time)
{
	static const uint64_t holds[] = {10, 20, 40, 80, 120, 120};
	struct poor poor = {};
	uint64_t now = SECOND;

	for (unsigned int i = 0; i < sizeof(holds) / sizeof(*holds); i++) {
		uint64_t found = change(&poor, &starved, now, now + SECOND), tried;

		tried = change(&poor, &idle, found + 50 * MS, found + 200 * SECOND);
		cr_expect_eq(tried - found, holds[i] * SECOND);
		cr_expect_not(poor.is);
		now = tried + SECOND;
	}
}

Test(poor, begins_anew_after_a_good_time)
{
	struct poor poor = {};
	uint64_t found = change(&poor, &starved, SECOND, 2 * SECOND), tried;

	tried = change(&poor, &idle, found + 50 * MS, found + 20 * SECOND);
	found = change(&poor, &starved, tried + 130 * SECOND, tried + 140 * SECOND);
	cr_expect_eq(change(&poor, &idle, found, found + 200 * SECOND) - found, 10 * SECOND);
}

Test(poor, was_the_beginning_of_a_failure)
{
	struct poor poor = {};
	uint64_t at = change(&poor, &starved, SECOND, 2 * SECOND);

	cr_expect(poor_failed(&poor, at + 2 * SECOND));
	cr_expect_not(poor.is);
	cr_expect_not(poor_failed(&poor, at + 2 * SECOND + 50 * MS), "told once");
	cr_expect(change(&poor, &starved, 10 * SECOND, 11 * SECOND), "as ever when it is back");
}

Test(poor, goes_on_over_a_failure_later)
{
	struct poor poor = {};
	uint64_t at = change(&poor, &starved, SECOND, 2 * SECOND);

	cr_expect_not(poor_failed(&poor, at + 2 * SECOND + MS));
	cr_expect(poor.is);
	cr_expect_eq(change(&poor, &starved, at + 9 * SECOND, at + 12 * SECOND), at + 10 * SECOND);
}
