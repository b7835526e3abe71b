// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table/link_state.h"

#include <criterion/criterion.h>

#define MS 1000000ULL
#define S  (1000 * MS)

static const struct link_limits none;

/* A link that has been good since time 1 s. */
static struct link_state good_link(const struct link_limits *limits)
{
	struct link_state link;

	link_state_init(&link, limits);
	cr_assert(link_state_path(&link, true, 1 * S));
	cr_assert_not(link_state_answer(&link, 10000, 1 * S));
	return link;
}

/* Probes each 200 ms from `from`, until its use changes; the time it did, or 0. */
static uint64_t answers_until_change(struct link_state *link, uint64_t from, uint64_t to)
{
	for (uint64_t now = from; now <= to; now += 200 * MS)
		if (link_state_answer(link, 10000, now))
			return now;
	return 0;
}

Test(link_state, is_not_in_use_without_a_path)
{
	struct link_state link;

	link_state_init(&link, &none);
	cr_expect_not(link_state_in_use(&link));
	cr_expect_eq(link.why, LINK_NO_PATH);
	cr_expect_not(link_state_path(&link, false, 1 * S), "nothing new");
}

Test(link_state, is_taken_at_once_the_first_time)
{
	struct link_state link;

	link_state_init(&link, &none);
	cr_expect(link_state_path(&link, true, 1 * S));
	cr_expect(link_state_in_use(&link));
	cr_expect_not(link_state_path(&link, true, 2 * S), "told twice");
}

Test(link_state, is_left_at_once_without_a_path)
{
	struct link_state link = good_link(&none);

	cr_expect(link_state_path(&link, false, 2 * S));
	cr_expect_eq(link.why, LINK_NO_PATH);
}

Test(link_state, comes_back_after_half_a_second)
{
	struct link_state link = good_link(&none);

	link_state_path(&link, false, 2 * S);
	cr_expect_not(link_state_path(&link, true, 10 * S));
	cr_expect_eq(link.why, LINK_SETTLING);
	cr_expect_eq(answers_until_change(&link, 10 * S + 100 * MS, 20 * S), 10 * S + 500 * MS);
	cr_expect(link_state_in_use(&link));
}

Test(link_state, that_fails_again_soon_is_left_longer_each_time)
{
	static const uint64_t holds[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
	struct link_state link = good_link(&none);
	uint64_t now = 10 * S;

	for (int i = 0; i < 8; i++) {
		uint64_t back;

		cr_assert(link_state_path(&link, false, now));
		link_state_path(&link, true, now + 100 * MS);
		back = answers_until_change(&link, now + 100 * MS, now + 60 * S);
		cr_expect_geq(back, now + (100 + holds[i]) * MS, "after failure %d", i);
		cr_expect_leq(back, now + (100 + holds[i] + 200) * MS, "after failure %d", i);
		now = back + 1 * S;
	}
}

Test(link_state, is_forgiven_after_a_minute)
{
	struct link_state link = good_link(&none);

	link_state_path(&link, false, 10 * S);
	link_state_path(&link, true, 10 * S);
	cr_assert_neq(answers_until_change(&link, 10 * S, 20 * S), 0);
	link_state_path(&link, false, 80 * S);
	link_state_path(&link, true, 80 * S);
	cr_expect_leq(answers_until_change(&link, 80 * S, 90 * S), 80 * S + 600 * MS);
}

Test(link_state, that_does_not_settle_begins_again)
{
	struct link_state link = good_link(&none);

	link_state_path(&link, false, 10 * S);
	link_state_path(&link, true, 11 * S);
	link_state_answer(&link, 10000, 11 * S + 400 * MS);
	cr_expect_not(link_state_path(&link, false, 11 * S + 450 * MS), "it was not in use");
	link_state_path(&link, true, 12 * S);
	cr_expect_eq(answers_until_change(&link, 12 * S, 20 * S), 12 * S + 600 * MS);
}

Test(link_state, is_silent_after_four_probes)
{
	struct link_state link = good_link(&none);

	for (int i = 0; i < 3; i++)
		cr_expect_not(link_state_miss(&link, false, 2 * S + (uint64_t)i * 200 * MS));
	cr_expect(link_state_miss(&link, false, 2 * S + 600 * MS));
	cr_expect_eq(link.why, LINK_SILENT);
}

Test(link_state, on_which_something_else_arrives_is_not_silent)
{
	struct link_state link = good_link(&none);

	for (int i = 0; i < 50; i++)
		cr_expect_not(link_state_miss(&link, i % 3 == 0, 2 * S + (uint64_t)i * 200 * MS));
}

Test(link_state, that_never_answered_probes_is_not_judged_by_them)
{
	struct link_state link;

	link_state_init(&link, &none);
	link_state_path(&link, true, 1 * S);
	for (int i = 0; i < 50; i++)
		cr_expect_not(link_state_miss(&link, false, 2 * S + (uint64_t)i * 200 * MS));
	cr_expect_eq(link.loss_permille, 0);
}

Test(link_state, is_lossy_beyond_its_limit_until_below_half_of_it)
{
	static const struct link_limits limits = {.loss_permille = 200};
	struct link_state link = good_link(&limits);
	uint64_t now = 2 * S;

	while (!link_state_miss(&link, true, now += 200 * MS))
		cr_assert_lt(now, 10 * S);
	cr_expect_eq(link.why, LINK_LOSSY);
	cr_expect_gt(link.loss_permille, 200);
	now = answers_until_change(&link, now, 60 * S);
	cr_assert_neq(now, 0);
	cr_expect_leq(link.loss_permille, 100);
}

Test(link_state, is_slow_beyond_its_limit)
{
	static const struct link_limits limits = {.rtt_us = 50000};
	struct link_state link = good_link(&limits);
	uint64_t now = 2 * S;

	cr_expect_not(link_state_answer(&link, 300000, now), "once is nothing");
	while (!link_state_answer(&link, 300000, now += 200 * MS))
		cr_assert_lt(now, 10 * S);
	cr_expect_eq(link.why, LINK_SLOW);
	cr_expect_eq(link.rtt_min_us, 10000);
	cr_expect_neq(answers_until_change(&link, now, 60 * S), 0);
	cr_expect_leq(link.rtt_us, 25000);
}

Test(link_state, has_a_text_for_every_condition)
{
	for (enum link_why why = LINK_IN_USE; why <= LINK_SLOW; why++)
		cr_expect_not_null(link_why_text(why));
}
