// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table/bindings.h"

#include <criterion/criterion.h>
#include <netinet/in.h>

#include "../addr.h"
#include "base/clock.h"

#define S NS_PER_S

enum { ME = 0, NEIGHBOUR = 1 };

static struct bindings bindings;

static void open_of(uint32_t size)
{
	cr_assert_eq(bindings_open(&bindings, size, 1000 * S), 0);
}

static struct binding *add(uint8_t protocol, int32_t subscriber, struct plait_addr inside,
			   struct plait_addr external)
{
	return bindings_add(&bindings, protocol, subscriber, &inside, &external, 5 * S);
}

static struct binding *of_inside(uint8_t protocol, int32_t subscriber, struct plait_addr inside)
{
	return bindings_of_inside(&bindings, protocol, subscriber, &inside, AF_INET);
}

static struct binding *of_external(uint8_t protocol, struct plait_addr external)
{
	return bindings_of_external(&bindings, protocol, &external);
}

Test(bindings, are_found_from_either_side)
{
	const struct plait_addr inside = addr("10.1.0.2", 40000);
	const struct plait_addr external = addr("203.0.113.1", 1024);
	struct binding *binding;

	open_of(4);
	cr_expect_null(of_inside(IPPROTO_TCP, ME, inside));
	cr_expect_null(of_external(IPPROTO_TCP, external));
	binding = add(IPPROTO_TCP, ME, inside, external);
	cr_assert_not_null(binding);
	expect_same(&binding->inside, &inside);
	expect_same(&binding->external, &external);
	cr_expect(binding->protocol == IPPROTO_TCP && binding->subscriber == ME);
	cr_expect(binding->since_ns == 5 * S && !binding->sessions && !binding->configured);
	cr_expect_eq(of_inside(IPPROTO_TCP, ME, inside), binding);
	cr_expect_eq(of_external(IPPROTO_TCP, external), binding);
	bindings_remove(&bindings, binding);
	cr_expect_null(of_inside(IPPROTO_TCP, ME, inside));
	cr_expect_null(of_external(IPPROTO_TCP, external));
	cr_expect_eq(bindings.count, 0);
	bindings_close(&bindings);
	bindings_close(&bindings);
}

/* Any one thing being another makes it another binding. */
Test(bindings, are_told_apart)
{
	const struct plait_addr inside = addr("10.1.0.2", 40000);
	const struct plait_addr external = addr("203.0.113.1", 1024);
	struct binding *tcp, *udp, *neighbour;

	open_of(4);
	tcp = add(IPPROTO_TCP, ME, inside, external);
	cr_expect_null(of_inside(IPPROTO_UDP, ME, inside));
	cr_expect_null(of_inside(IPPROTO_TCP, NEIGHBOUR, inside));
	cr_expect_null(of_inside(IPPROTO_TCP, ME, addr("10.1.0.2", 40001)));
	cr_expect_null(of_inside(IPPROTO_TCP, ME, addr("10.1.0.3", 40000)));
	cr_expect_null(of_external(IPPROTO_UDP, external));
	cr_expect_null(of_external(IPPROTO_TCP, addr("203.0.113.1", 1025)));
	cr_expect_null(of_external(IPPROTO_TCP, addr("203.0.113.2", 1024)));
	cr_expect_null(of_external(IPPROTO_TCP, inside));
	udp = add(IPPROTO_UDP, ME, inside, external);
	neighbour = add(IPPROTO_TCP, NEIGHBOUR, inside, addr("203.0.113.1", 1025));
	cr_expect_eq(of_inside(IPPROTO_TCP, ME, inside), tcp);
	cr_expect_eq(of_inside(IPPROTO_UDP, ME, inside), udp);
	cr_expect_eq(of_inside(IPPROTO_TCP, NEIGHBOUR, inside), neighbour);
	cr_expect_eq(of_external(IPPROTO_TCP, external), tcp);
	cr_expect_eq(of_external(IPPROTO_UDP, external), udp);
	bindings_close(&bindings);
}

/* A leg over IPv6 whose servers have both families. */
Test(bindings, of_an_inside_are_one_for_each_family_outside)
{
	const struct plait_addr inside = addr("2001:db8:1::2", 40000);
	struct binding *four, *six;

	open_of(4);
	four = add(IPPROTO_TCP, ME, inside, addr("203.0.113.1", 1024));
	cr_expect_null(bindings_of_inside(&bindings, IPPROTO_TCP, ME, &inside, AF_INET6));
	six = add(IPPROTO_TCP, ME, inside, addr("2001:db8::1", 1024));
	cr_expect_eq(bindings_of_inside(&bindings, IPPROTO_TCP, ME, &inside, AF_INET6), six);
	cr_expect_eq(bindings_of_inside(&bindings, IPPROTO_TCP, ME, &inside, AF_INET), four);
	bindings_close(&bindings);
}

Test(bindings, full_evict_nobody)
{
	enum { SIZE = 100 };
	struct binding *all[SIZE];

	open_of(SIZE);
	for (uint16_t i = 0; i < SIZE; i++) {
		all[i] = add(IPPROTO_TCP, ME, numbered(1, i), numbered(2, i));
		cr_assert_not_null(all[i]);
	}
	cr_expect_null(add(IPPROTO_TCP, ME, numbered(1, SIZE), numbered(2, SIZE)));
	cr_expect_eq(bindings.count, SIZE);
	cr_expect_null(of_external(IPPROTO_TCP, numbered(2, SIZE)));
	for (uint16_t i = 0; i < SIZE; i++) {
		cr_expect_eq(of_inside(IPPROTO_TCP, ME, numbered(1, i)), all[i]);
		cr_expect_eq(of_external(IPPROTO_TCP, numbered(2, i)), all[i]);
	}
	bindings_remove(&bindings, all[50]);
	bindings_remove(&bindings, all[7]);
	cr_expect_not_null(add(IPPROTO_TCP, ME, numbered(1, SIZE), numbered(2, SIZE)));
	cr_expect_not_null(add(IPPROTO_TCP, ME, numbered(3, SIZE), numbered(4, SIZE)));
	cr_expect_null(add(IPPROTO_TCP, ME, numbered(5, SIZE), numbered(6, SIZE)));
	bindings_close(&bindings);
}

Test(bindings, expire_when_told_and_not_before)
{
	struct binding *early, *late, *never, *kept;

	open_of(8);
	early = add(IPPROTO_TCP, ME, numbered(1, 1), numbered(2, 1));
	late = add(IPPROTO_TCP, ME, numbered(1, 2), numbered(2, 2));
	never = add(IPPROTO_TCP, ME, numbered(1, 3), numbered(2, 3));
	kept = add(IPPROTO_TCP, ME, numbered(1, 4), numbered(2, 4));
	cr_expect_null(bindings_expired(&bindings, 2000 * S), "not told, never");
	bindings_keep_until(&bindings, early, 2240 * S); /* RFC 7857 §2.1: 4 minutes */
	bindings_keep_until(&bindings, late, 9440 * S); /* RFC 5382 REQ-5: 2 h 4 min */
	bindings_keep_until(&bindings, never, 2240 * S);
	bindings_keep_until(&bindings, never, UINT64_MAX);
	bindings_keep_until(&bindings, kept, 2240 * S);
	bindings_keep_until(&bindings, kept, 3000 * S);
	cr_expect_null(bindings_expired(&bindings, 2240 * S - 1));
	cr_expect_eq(bindings_expired(&bindings, 2241 * S), early);
	cr_expect_null(bindings_expired(&bindings, 2241 * S));
	cr_expect_eq(of_external(IPPROTO_TCP, numbered(2, 1)), early, "the caller removes it");
	bindings_remove(&bindings, early);
	cr_expect_eq(bindings_expired(&bindings, 3001 * S), kept);
	bindings_remove(&bindings, kept);
	cr_expect_eq(bindings_expired(&bindings, 100000 * S), late);
	cr_expect_null(bindings_expired(&bindings, 100000 * S));
	cr_expect_eq(bindings.count, 2);
	bindings_close(&bindings);
}

/* Its deadline must not meet whoever has its slot next. */
Test(bindings, removed_take_their_deadline_along)
{
	struct binding *first, *second;

	open_of(1);
	first = add(IPPROTO_TCP, ME, numbered(1, 1), numbered(2, 1));
	bindings_keep_until(&bindings, first, 1010 * S);
	bindings_remove(&bindings, first);
	second = add(IPPROTO_TCP, ME, numbered(1, 2), numbered(2, 2));
	cr_expect_eq(second, first, "there is one slot");
	cr_expect_null(bindings_expired(&bindings, 2000 * S));
	cr_expect_eq(of_inside(IPPROTO_TCP, ME, numbered(1, 2)), second);
	cr_expect_null(of_inside(IPPROTO_TCP, ME, numbered(1, 1)));
	bindings_close(&bindings);
}

Test(bindings, behave_as_a_list_does)
{
	enum { KEYS = 300, SIZE = 200 };
	struct binding *present[KEYS] = {};
	uint32_t state = 0x62696e64, count = 0;

	open_of(SIZE);
	for (int step = 0; step < 50000; step++) {
		uint16_t key = (uint16_t)(chance(&state) % KEYS);
		struct plait_addr inside = numbered(key, key), external = numbered(99, key);

		cr_assert_eq(of_inside(IPPROTO_UDP, key % 3, inside), present[key]);
		cr_assert_eq(of_external(IPPROTO_UDP, external), present[key]);
		if (present[key]) {
			bindings_remove(&bindings, present[key]);
			present[key] = NULL;
			count--;
		} else {
			present[key] = add(IPPROTO_UDP, key % 3, inside, external);
			cr_assert_eq(!!present[key], count < SIZE);
			count += !!present[key];
		}
		cr_assert_eq(bindings.count, count);
	}
	bindings_close(&bindings);
}
