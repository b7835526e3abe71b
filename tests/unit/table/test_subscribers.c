// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table/subscribers.h"

#include <criterion/criterion.h>

#include "../addr.h"
#include "base/clock.h"

#define S  NS_PER_S
#define MS NS_PER_MS

static struct subscribers all;

static void open_with(uint32_t size, uint32_t sources, struct subscriber_limits limits)
{
	cr_assert_eq(subscribers_open(&all, size, sources, &limits), 0);
}

static void open_of(uint32_t size)
{
	open_with(size, size, (struct subscriber_limits){});
}

static int32_t who(uint32_t number)
{
	struct plait_addr source = numbered(number, 0);

	return subscribers_of(&all, &source);
}

static int32_t add(const char *name, uint32_t first, unsigned int count)
{
	struct plait_addr sources[4];

	for (unsigned int i = 0; i < count; i++)
		sources[i] = numbered(first + i, 0);
	return subscribers_add(&all, name, sources, count);
}

/* How many of count attempts at once are fine. */
static unsigned int begin(int32_t index, unsigned int count, uint64_t now_ns)
{
	unsigned int fine = 0;

	for (unsigned int i = 0; i < count; i++)
		fine += subscribers_begin(&all, index, now_ns) == SUBSCRIBER_FINE;
	return fine;
}

Test(subscribers, are_one_for_each_source)
{
	struct plait_addr four = addr("10.1.0.2", 0), other_port = addr("10.1.0.2", 5000);
	struct plait_addr six = addr("0a01:2::", 0); /* the octets of 10.1.0.2 */
	int32_t mine;

	open_of(8);
	mine = subscribers_of(&all, &four);
	cr_assert_geq(mine, 0);
	cr_expect_eq(subscribers_of(&all, &other_port), mine);
	cr_expect_neq(subscribers_of(&all, &six), mine);
	cr_expect_neq(who(9), mine);
	cr_expect_eq(all.count, 3);
	cr_expect_eq(subscribers_of(&all, &four), mine);
	cr_expect_eq(all.count, 3);
	expect_same(&subscribers_at(&all, mine)->source, &four);
	cr_expect_str_eq(subscribers_at(&all, mine)->name, "");
	subscribers_close(&all);
	subscribers_close(&all);
}

Test(subscribers, that_are_configured_have_several_sources)
{
	int32_t home;

	open_with(4, 8, (struct subscriber_limits){});
	home = add("home-1", 10, 3);
	cr_assert_geq(home, 0);
	cr_expect_str_eq(subscribers_at(&all, home)->name, "home-1");
	for (uint32_t i = 10; i < 13; i++)
		cr_expect_eq(who(i), home);
	cr_expect_neq(who(13), home);
	subscribers_close(&all);
}

Test(subscribers, long_names_are_cut)
{
	int32_t home;

	open_of(1);
	home = add("0123456789012345678901234567890123456789", 1, 1);
	cr_expect_str_eq(subscribers_at(&all, home)->name, "0123456789012345678901234567890");
	subscribers_close(&all);
}

Test(subscribers, do_not_share_a_source)
{
	int32_t home, idle;

	open_with(2, 8, (struct subscriber_limits){});
	home = add("home-1", 10, 2);
	idle = who(20);
	cr_expect_eq(add("home-2", 11, 2), POOL_NOBODY, "11 is home-1's");
	cr_expect_eq(add("home-2", 20, 2), POOL_NOBODY, "20 is somebody's");
	cr_expect_eq(all.count, 2);
	cr_expect_eq(who(20), idle, "nobody was forgotten for nothing");
	cr_expect_eq(who(10), home);
	subscribers_close(&all);
}

Test(subscribers, with_sessions_are_kept_and_full_is_full)
{
	int32_t index[3];

	open_of(3);
	for (uint32_t i = 0; i < 3; i++) {
		index[i] = who(i);
		cr_expect_eq(begin(index[i], 2, 0), 2);
	}
	cr_expect_eq(who(3), POOL_NOBODY);
	subscribers_end(&all, index[1]);
	cr_expect_eq(who(3), POOL_NOBODY, "it has another one");
	subscribers_end(&all, index[1]);
	cr_expect_eq(who(1), index[1], "until another one needs the room");
	cr_expect_eq(who(3), index[1]);
	cr_expect_eq(all.count, 3);
	cr_expect_eq(begin(index[1], 1, 0), 1);
	cr_expect_eq(who(1), POOL_NOBODY, "forgotten");
	for (uint32_t i = 0; i < 3; i += 2)
		cr_expect_eq(who(i), index[i]);
	subscribers_close(&all);
}

Test(subscribers, idle_longest_are_forgotten_first)
{
	int32_t index[3];

	open_of(3);
	for (uint32_t i = 0; i < 3; i++) {
		index[i] = who(i);
		begin(index[i], 1, 0);
	}
	subscribers_end(&all, index[2]);
	subscribers_end(&all, index[0]);
	begin(index[2], 1, 0); /* so that 0 is the longest idle */
	subscribers_end(&all, index[2]);
	cr_expect_eq(who(7), index[0]);
	begin(index[0], 1, 0);
	cr_expect_eq(who(8), index[2]);
	cr_expect_eq(who(1), index[1]);
	subscribers_close(&all);
}

Test(subscribers, that_are_configured_are_never_forgotten)
{
	int32_t home;

	open_of(2);
	home = add("home-1", 1, 1);
	for (uint32_t i = 10; i < 20; i++)
		cr_expect_neq(who(i), home);
	begin(home, 1, 0);
	subscribers_end(&all, home);
	for (uint32_t i = 10; i < 20; i++)
		cr_expect_neq(who(i), home);
	cr_expect_eq(who(1), home);
	cr_expect_eq(all.count, 2);
	subscribers_close(&all);
}

Test(subscribers, idle_make_room_for_sources)
{
	open_with(10, 5, (struct subscriber_limits){});
	cr_assert_geq(add("home-1", 1, 3), 0);
	cr_expect_geq(who(10), 0);
	cr_expect_geq(who(11), 0);
	cr_expect_geq(who(12), 0, "10 is idle and has a source");
	cr_expect_eq(all.count, 3);
	cr_expect_geq(add("home-2", 20, 2), 0);
	cr_expect_eq(all.count, 2);
	cr_expect_eq(who(13), POOL_NOBODY, "all sources are configured");
	cr_expect_eq(add("home-3", 30, 1), POOL_NOBODY);
	subscribers_close(&all);
}

/* RFC 6888 REQ-5: what one has is no other's loss. */
Test(subscribers, have_as_many_sessions_as_they_may)
{
	int32_t me, neighbour;

	open_with(2, 2, (struct subscriber_limits){.sessions = 5});
	me = who(1);
	neighbour = who(2);
	cr_expect_eq(begin(me, 8, 0), 5);
	cr_expect_eq(subscribers_begin(&all, me, 0), SUBSCRIBER_SESSIONS);
	cr_expect_eq(subscribers_at(&all, me)->sessions, 5);
	cr_expect_eq(begin(neighbour, 5, 0), 5);
	subscribers_end(&all, me);
	cr_expect_eq(subscribers_begin(&all, me, 0), SUBSCRIBER_FINE);
	cr_expect_eq(subscribers_begin(&all, me, 0), SUBSCRIBER_SESSIONS);
	subscribers_close(&all);
}

Test(subscribers, without_limits_have_any_number)
{
	open_of(1);
	cr_expect_eq(begin(who(1), 100000, 0), 100000);
	subscribers_close(&all);
}

Test(subscribers, begin_as_many_a_second_as_they_may)
{
	int32_t me, neighbour;

	open_with(2, 2, (struct subscriber_limits){.new_per_s = 10});
	me = who(1);
	neighbour = who(2);
	cr_expect_eq(begin(me, 15, 50 * S), 10, "as many at once");
	cr_expect_eq(subscribers_begin(&all, me, 50 * S), SUBSCRIBER_RATE);
	cr_expect_eq(begin(neighbour, 15, 50 * S), 10);
	cr_expect_eq(subscribers_begin(&all, me, 50 * S + 99 * MS), SUBSCRIBER_RATE);
	cr_expect_eq(begin(me, 5, 50 * S + 100 * MS), 1);
	cr_expect_eq(begin(me, 5, 50 * S + 400 * MS), 3);
	cr_expect_eq(begin(me, 50, 51 * S + 400 * MS), 10);
	cr_expect_eq(begin(me, 50, 5000 * S), 10, "unused seconds are lost");
	subscribers_close(&all);
}

static unsigned int begun(uint32_t rate, uint64_t every_ns, uint64_t during_ns)
{
	unsigned int fine = 0;
	int32_t me;

	open_with(1, 1, (struct subscriber_limits){.new_per_s = rate});
	me = who(1);
	for (uint64_t now = 100 * S; now < 100 * S + during_ns; now += every_ns)
		fine += begin(me, 1, now);
	subscribers_close(&all);
	return fine;
}

/* rate at once, and rate a second from then on; attempts that are refused cost nothing. */
Test(subscribers, get_their_rate_however_often_they_try)
{
	cr_expect_eq(begun(1, 1900000, 100 * S), 1 + 99);
	cr_expect_eq(begun(1, 999999, 100 * S), 1 + 99);
	cr_expect_eq(begun(7, 1 * MS, 10 * S), 7 + 69);
	cr_expect_eq(begun(1000, 700, 100 * MS), 1000 + 99);
	cr_expect_eq(begun(1000000, 500, 1100 * MS), 1000000 + 1099999);
}
