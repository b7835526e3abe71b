// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/timers.h"

#include <criterion/criterion.h>
#include <stdbool.h>

static uint64_t take_first(struct timers *timers)
{
	struct timer *first = timers_first(timers);

	cr_assert_not_null(first);
	timers_disarm(timers, first);
	return first->due_ns;
}

Test(timers, none_is_first_of_none)
{
	struct timers timers;

	cr_assert_eq(timers_open(&timers, 0), 0);
	cr_expect_null(timers_first(&timers));
	timers_close(&timers);
	timers_close(&timers);
}

Test(timers, come_in_order)
{
	static const uint64_t due[] = {50, 10, 40, 0, UINT64_MAX, 30, 20, 10};
	static const uint64_t sorted[] = {0, 10, 10, 20, 30, 40, 50, UINT64_MAX};
	struct timer all[8] = {};
	struct timers timers;

	cr_assert_eq(timers_open(&timers, 8), 0);
	for (int i = 0; i < 8; i++)
		timers_arm(&timers, &all[i], due[i]);
	cr_expect_eq(timers.count, 8);
	for (int i = 0; i < 8; i++)
		cr_expect_eq(take_first(&timers), sorted[i]);
	cr_expect_null(timers_first(&timers));
	timers_close(&timers);
}

Test(timers, armed_anew_move_both_ways)
{
	struct timer a = {}, b = {}, c = {};
	struct timers timers;

	cr_assert_eq(timers_open(&timers, 3), 0);
	timers_arm(&timers, &a, 10);
	timers_arm(&timers, &b, 20);
	timers_arm(&timers, &c, 30);
	timers_arm(&timers, &c, 5);
	cr_expect_eq(timers_first(&timers), &c);
	timers_arm(&timers, &c, 15);
	cr_expect_eq(timers_first(&timers), &a);
	timers_arm(&timers, &a, 40);
	cr_expect_eq(timers_first(&timers), &c);
	timers_arm(&timers, &c, 15);
	cr_expect_eq(timers.count, 3);
	cr_expect_eq(take_first(&timers), 15);
	cr_expect_eq(take_first(&timers), 20);
	cr_expect_eq(take_first(&timers), 40);
	timers_close(&timers);
}

Test(timers, disarmed_are_gone)
{
	struct timer a = {}, b = {}, c = {};
	struct timers timers;

	cr_assert_eq(timers_open(&timers, 3), 0);
	timers_disarm(&timers, &a);
	cr_expect_null(timers_first(&timers));
	timers_arm(&timers, &a, 10);
	timers_arm(&timers, &b, 20);
	timers_arm(&timers, &c, 30);
	timers_disarm(&timers, &c);
	timers_disarm(&timers, &c);
	timers_disarm(&timers, &a);
	cr_expect_eq(timers.count, 1);
	cr_expect_eq(timers_first(&timers), &b);
	cr_expect_eq(a.position, 0);
	timers_arm(&timers, &a, 15);
	cr_expect_eq(timers_first(&timers), &a);
	timers_close(&timers);
}

/*
 * The last timer of the heap takes the place of one in the other branch, and must
 * go up from there: heap 1; 10, 2; 11, 12, 3, 4. Disarm 11: 4 belongs above 10.
 */
Test(timers, disarming_mends_the_heap_upwards)
{
	static const uint64_t due[] = {1, 10, 2, 11, 12, 3, 4};
	struct timer all[7] = {};
	struct timers timers;

	cr_assert_eq(timers_open(&timers, 7), 0);
	for (int i = 0; i < 7; i++)
		timers_arm(&timers, &all[i], due[i]);
	cr_assert_eq(all[3].position, 4);
	timers_disarm(&timers, &all[3]);
	cr_expect_eq(all[6].position, 2);
	cr_expect_eq(all[1].position, 4);
	timers_close(&timers);
}

/* xorshift32: the same run every time */
static uint32_t any(uint32_t below)
{
	static uint32_t state = 0x74696d65;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % below;
}

enum { TIMERS = 100 };

struct model {
	struct timers timers;
	struct timer all[TIMERS];
	bool armed[TIMERS];
	uint64_t due_ns[TIMERS];
};

static void compare(const struct model *model)
{
	const struct timer *first = timers_first(&model->timers);
	uint64_t earliest = UINT64_MAX;
	uint32_t armed = 0;

	for (int i = 0; i < TIMERS; i++) {
		cr_assert_eq(!!model->all[i].position, model->armed[i]);
		if (!model->armed[i])
			continue;
		armed++;
		cr_assert_eq(model->timers.heap[model->all[i].position], &model->all[i]);
		cr_assert_eq(model->all[i].due_ns, model->due_ns[i]);
		if (model->due_ns[i] < earliest)
			earliest = model->due_ns[i];
	}
	cr_assert_eq(model->timers.count, armed);
	cr_assert_eq(!!first, !!armed);
	if (first)
		cr_assert_eq(first->due_ns, earliest);
}

Test(timers, behave_as_a_list_does)
{
	static struct model model;

	cr_assert_eq(timers_open(&model.timers, TIMERS), 0);
	for (int step = 0; step < 20000; step++) {
		/* now nearly empty, now nearly full; few values, so that many are equal */
		bool fill = step / 1000 % 2;
		uint32_t i = any(TIMERS);

		if (any(10) < (fill ? 8 : 3)) {
			model.due_ns[i] = any(200);
			timers_arm(&model.timers, &model.all[i], model.due_ns[i]);
			model.armed[i] = true;
		} else {
			timers_disarm(&model.timers, &model.all[i]);
			model.armed[i] = false;
		}
		compare(&model);
	}
	timers_close(&model.timers);
}

/* As a run of the event loop takes them: always the first, until none is due. */
Test(timers, drain_in_order)
{
	static struct timer all[1000];
	struct timers timers;
	uint64_t before = 0;

	cr_assert_eq(timers_open(&timers, 1000), 0);
	for (int i = 0; i < 1000; i++)
		timers_arm(&timers, &all[i], any(1000000));
	for (int i = 0; i < 1000; i++) {
		uint64_t due = take_first(&timers);

		cr_assert_geq(due, before);
		before = due;
	}
	cr_expect_null(timers_first(&timers));
	timers_close(&timers);
}
