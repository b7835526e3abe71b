// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/wheel.h"

#include <criterion/criterion.h>
#include <stdbool.h>

#include "base/clock.h"
#include "../addr.h"

#define S  NS_PER_S
#define MS NS_PER_MS

enum { ENTRIES = 200 };

static struct wheel wheel;
static struct wheel_link links[ENTRIES];

static void start(uint64_t now_ns)
{
	memset(links, 0, sizeof(links));
	wheel_init(&wheel, links, now_ns);
}

static void expect_due(uint64_t now_ns, int32_t entry)
{
	cr_expect_eq(wheel_due(&wheel, now_ns), entry, "at %llu ms", now_ns / MS);
}

Test(wheel, tells_none_of_none)
{
	start(0);
	expect_due(0, WHEEL_NOBODY);
	expect_due(100000 * S, WHEEL_NOBODY);
}

/* Never early, and less than a turn late. */
Test(wheel, meets_deadlines_in_their_turn)
{
	static const uint64_t due_ms[] = {1, 999, 1000, 1001, 1999, 2000, 16383000, 16384000};

	for (unsigned int i = 0; i < sizeof(due_ms) / sizeof(*due_ms); i++) {
		uint64_t told_ms = (due_ms[i] + 999) / 1000 * 1000;

		start(0);
		wheel_arm(&wheel, 0, due_ms[i] * MS);
		expect_due(told_ms * MS - 1, WHEEL_NOBODY);
		expect_due(told_ms * MS, 0);
		expect_due(told_ms * MS, WHEEL_NOBODY);
		cr_expect_eq(links[0].due_s, 0);
	}
}

Test(wheel, starts_at_any_time)
{
	start(123456789 * S + 5);
	wheel_arm(&wheel, 3, 123456790 * S);
	expect_due(123456789 * S + 999 * MS, WHEEL_NOBODY);
	expect_due(123456790 * S, 3);
}

Test(wheel, meets_what_is_over_in_the_next_turn)
{
	start(100 * S);
	wheel_arm(&wheel, 0, 100 * S);
	wheel_arm(&wheel, 1, 50 * S);
	wheel_arm(&wheel, 2, 0);
	expect_due(100 * S + 999 * MS, WHEEL_NOBODY);
	for (int i = 0; i < 3; i++)
		cr_expect_neq(wheel_due(&wheel, 101 * S), WHEEL_NOBODY);
	expect_due(101 * S, WHEEL_NOBODY);
}

/* Of three in one slot, whichever goes, the other two are told. */
Test(wheel, disarms_first_middle_and_last_of_a_slot)
{
	for (uint32_t gone = 0; gone < 3; gone++) {
		bool told[3] = {};

		start(0);
		for (uint32_t i = 0; i < 3; i++)
			wheel_arm(&wheel, i, 5 * S);
		wheel_disarm(&wheel, gone);
		wheel_disarm(&wheel, gone);
		for (int i = 0; i < 2; i++) {
			int32_t entry = wheel_due(&wheel, 5 * S);

			cr_assert(entry >= 0 && entry < 3 && !told[entry]);
			told[entry] = true;
		}
		cr_expect_not(told[gone]);
		expect_due(100 * S, WHEEL_NOBODY);
	}
}

Test(wheel, disarms_what_was_never_armed)
{
	start(0);
	wheel_arm(&wheel, 1, 5 * S);
	wheel_disarm(&wheel, 0);
	expect_due(5 * S, 1);
}

Test(wheel, armed_anew_moves_both_ways)
{
	start(0);
	wheel_arm(&wheel, 0, 10 * S);
	wheel_arm(&wheel, 0, 20 * S);
	expect_due(19 * S, WHEEL_NOBODY);
	wheel_arm(&wheel, 0, 30 * S);
	wheel_arm(&wheel, 0, 25 * S);
	wheel_arm(&wheel, 0, 25 * S);
	expect_due(24 * S, WHEEL_NOBODY);
	expect_due(25 * S, 0);
	expect_due(100 * S, WHEEL_NOBODY);
}

/* While the others of its second are being told; and its turn must not be missed. */
Test(wheel, an_entry_just_told_can_be_armed_again)
{
	start(0);
	wheel_arm(&wheel, 0, 5 * S);
	wheel_arm(&wheel, 1, 5 * S);
	expect_due(5 * S, 1);
	wheel_arm(&wheel, 1, 6 * S);
	expect_due(5 * S, 0);
	expect_due(5 * S, WHEEL_NOBODY);
	expect_due(6 * S, 1);
}

Test(wheel, tells_apart_who_shares_a_slot)
{
	static const uint64_t rounds[] = {3, 0, 2, 1, 61}; /* 61: more than 11 days */

	start(0);
	for (uint32_t i = 0; i < 5; i++)
		wheel_arm(&wheel, i, (7 + rounds[i] * WHEEL_SLOTS) * S);
	for (uint64_t round = 0; round <= 61; round++) {
		expect_due((6 + round * WHEEL_SLOTS) * S, WHEEL_NOBODY);
		for (int32_t i = 0; i < 5; i++)
			if (rounds[i] == round)
				expect_due((7 + round * WHEEL_SLOTS) * S, i);
		expect_due((7 + round * WHEEL_SLOTS) * S, WHEEL_NOBODY);
	}
}

Test(wheel, disarms_and_rearms_what_is_far_off)
{
	start(0);
	wheel_arm(&wheel, 0, 100000 * S);
	wheel_arm(&wheel, 1, 100000 * S);
	wheel_arm(&wheel, 2, 90000 * S);
	expect_due(50000 * S, WHEEL_NOBODY);
	wheel_disarm(&wheel, 1);
	wheel_arm(&wheel, 0, 50001 * S);
	expect_due(50001 * S, 0);
	expect_due(200000 * S, 2);
	expect_due(200000 * S, WHEEL_NOBODY);
}

Test(wheel, the_furthest_deadline_never_comes)
{
	start(0);
	wheel_arm(&wheel, 0, UINT64_MAX);
	wheel_arm(&wheel, 1, UINT64_MAX - S);
	expect_due(1000000 * S, WHEEL_NOBODY);
}

/* Each is told once, in the order of seconds, though nobody looked for a month. */
Test(wheel, after_a_long_pause_all_are_told_in_order)
{
	uint32_t state = 0x77686565, before = 0;
	uint32_t due_s[ENTRIES];

	start(0);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		due_s[i] = 1 + chance(&state) % (30 * 86400);
		wheel_arm(&wheel, i, due_s[i] * S);
	}
	for (int i = 0; i < ENTRIES; i++) {
		int32_t entry = wheel_due(&wheel, 31 * 86400 * S);

		cr_assert(entry >= 0 && due_s[entry] >= before);
		before = due_s[entry];
		due_s[entry] = 0; /* a second time would be out of order */
	}
	expect_due(31 * 86400 * S, WHEEL_NOBODY);
}

/* 100,000 who stay must not be passed by for each of 100,000 who go: that takes minutes. */
Test(wheel, does_not_look_at_the_same_entry_for_each_that_is_due, .timeout = 20)
{
	enum { MANY = 100000 };
	static struct wheel_link many[2 * MANY];

	wheel_init(&wheel, many, 0);
	for (uint32_t i = 0; i < MANY; i++)
		wheel_arm(&wheel, i, 5 * S);
	for (uint32_t i = MANY; i < 2 * MANY; i++)
		wheel_arm(&wheel, i, (5 + WHEEL_SLOTS) * S);
	for (int i = 0; i < MANY; i++)
		cr_assert_lt(wheel_due(&wheel, 5 * S), MANY);
	expect_due(5 * S, WHEEL_NOBODY);
}

/* What is due, of a plain list of turns; 0: not armed. */
static unsigned int count_due(const uint64_t *turns, uint64_t now_s)
{
	unsigned int count = 0;

	for (int i = 0; i < ENTRIES; i++)
		count += turns[i] && turns[i] <= now_s;
	return count;
}

Test(wheel, behaves_as_a_list_does)
{
	static uint64_t turns[ENTRIES];
	uint32_t state = 0x6c697374;
	uint64_t now_s = 1000;

	start(now_s * S);
	for (int step = 0; step < 50000; step++) {
		uint32_t i = chance(&state) % ENTRIES, what = chance(&state) % 100;

		if (what < 60) {
			uint64_t due_s = now_s + chance(&state) % (what < 30 ? 100 : 50000);

			wheel_arm(&wheel, i, due_s * S - chance(&state) % S);
			turns[i] = due_s > now_s ? due_s : now_s + 1;
		} else if (what < 90) {
			wheel_disarm(&wheel, i);
			turns[i] = 0;
		} else {
			now_s += chance(&state) % (what < 99 ? 20 : 40000);
			for (unsigned int due = count_due(turns, now_s); due; due--) {
				int32_t entry = wheel_due(&wheel, now_s * S);

				cr_assert(entry >= 0 && turns[entry] && turns[entry] <= now_s);
				turns[entry] = 0;
			}
			cr_assert_eq(wheel_due(&wheel, now_s * S), WHEEL_NOBODY);
		}
	}
}
