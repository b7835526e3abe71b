// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "table/order.h"

enum { WAIT_NS = 20 };

static struct order order;

static void setup(void)
{
	cr_assert_eq(order_open(&order, WAIT_NS), 0);
}

static void teardown(void)
{
	order_close(&order);
}

TestSuite(order, .init = setup, .fini = teardown);

/* A frame of one octet, which says who it is. */
static bool came(uint16_t binding, uint32_t number, uint32_t next, uint64_t now_ns)
{
	struct plait_reordered record = {.inner.port = binding,
					 .number = number,
					 .frame_bytes = 1,
					 .frame = {(uint8_t)number}};

	return order_came(&order, &record, next, now_ns);
}

static void passed_by(uint16_t binding, uint32_t number, uint32_t next, uint64_t now_ns)
{
	struct plait_reordered record = {.inner.port = binding, .number = number};

	cr_assert(order_came(&order, &record, next, now_ns));
}

/* The numbers of all that may go now. */
static void expect_going(uint64_t now_ns, const char *expected)
{
	const struct order_packet *packet;
	char numbers[256] = "";

	while ((packet = order_next(&order, now_ns))) {
		char *end = numbers + strlen(numbers);

		cr_expect_eq(packet->frame_bytes, 1);
		cr_expect_eq(packet->frame[0], (uint8_t)packet->number);
		snprintf(end, sizeof(numbers) - (size_t)(end - numbers), "%s%u",
			 end == numbers ? "" : " ", packet->number);
	}
	cr_expect_str_eq(numbers, expected);
}

Test(order, waits_for_what_is_before_it)
{
	came(1, 3, 1, 0);
	expect_going(1, "");
	came(1, 2, 1, 2);
	expect_going(2, "");
	came(1, 1, 1, 3);
	expect_going(3, "1 2 3");
	cr_expect_eq(order_due_ns(&order), 0);
}

Test(order, waits_no_longer_than_it_may)
{
	came(1, 3, 1, 0);
	came(1, 5, 1, 10);
	expect_going(WAIT_NS - 1, "");
	cr_expect_eq(order_due_ns(&order), WAIT_NS);
	expect_going(WAIT_NS, "3");
	cr_expect_eq(order_due_ns(&order), 10 + WAIT_NS);
	expect_going(10 + WAIT_NS, "5");
	cr_expect_eq(order_due_ns(&order), 0);
}

Test(order, one_that_has_waited_takes_along_what_is_before_it_and_next_to_it)
{
	came(1, 5, 1, 0);
	came(1, 3, 1, 1);
	came(1, 6, 1, 2);
	came(1, 8, 1, 3);
	expect_going(WAIT_NS, "3 5 6");
	expect_going(3 + WAIT_NS, "8");
}

Test(order, bindings_wait_each_for_its_own)
{
	came(1, 3, 2, 0);
	expect_going(0, "");
	came(2, 7, 6, 1);
	expect_going(1, "");
	came(2, 6, 6, 2);
	expect_going(2, "6 7");
	came(1, 2, 2, 3);
	expect_going(3, "2 3");
}

Test(order, what_has_gone_on_without_it_is_heeded)
{
	came(1, 3, 1, 0);
	expect_going(0, "");
	came(1, 6, 3, 1); /* 1 and 2 have gone past */
	expect_going(1, "3");
}

Test(order, number_that_has_passed_by_is_not_waited_for)
{
	passed_by(1, 3, 2, 0);
	came(1, 4, 2, 1);
	expect_going(1, "");
	came(1, 2, 2, 2);
	expect_going(2, "2 4");
	passed_by(1, 9, 8, 3);
	expect_going(3 + WAIT_NS, "");
	cr_expect_eq(order_due_ns(&order), 0);
}

/* The last that waited had gone on, so that nobody could say that its number has. */
Test(order, number_that_has_passed_by_last_is_remembered)
{
	passed_by(1, 3, 2, 0);
	expect_going(0, "");
	came(1, 2, 2, 1);
	expect_going(1, "2");
	came(1, 4, 3, 2);
	expect_going(2, "4");
	came(2, 4, 3, 3);
	expect_going(3, "");
	came(1, 90000, 80000, 4);
	expect_going(4, "");
}

Test(order, copies_go_too)
{
	came(1, 2, 1, 0);
	came(1, 2, 1, 0);
	came(1, 1, 1, 0);
	expect_going(0, "1 2 2");
}

Test(order, numbers_go_round)
{
	came(1, 0, UINT32_MAX, 0);
	came(1, 1, UINT32_MAX, 0);
	came(1, UINT32_MAX, UINT32_MAX, 0);
	expect_going(0, "4294967295 0 1");
}

Test(order, full_table_lets_go_who_has_waited_longest)
{
	for (uint32_t i = 0; i < ORDER_PACKETS; i++) {
		cr_assert(came((uint16_t)i, 10 + i % 2, 1, i));
		cr_assert_null(order_next(&order, 0));
	}
	cr_expect_not(came(9, 99, 1, ORDER_PACKETS));
	order_push(&order);
	expect_going(0, "10");
	cr_expect(came(9, 99, 1, ORDER_PACKETS));
	cr_expect_eq(order_due_ns(&order), 1 + WAIT_NS);
}

Test(order, one_binding_has_a_share_of_the_room)
{
	for (uint32_t i = 0; i < ORDER_PACKETS_OF_ONE; i++) {
		cr_assert(came(1, 2 + i, 1, i));
		cr_assert_null(order_next(&order, 0));
	}
	cr_assert(came(2, 9, 8, 0));
	expect_going(0, "");
	cr_assert(came(1, 2 * ORDER_PACKETS_OF_ONE, 1, 0));
	cr_expect_eq(order_next(&order, 0)->number, 2, "it waits for 1 no longer");
	for (uint32_t i = 1; i < ORDER_PACKETS_OF_ONE; i++)
		cr_assert_eq(order_next(&order, 0)->number, 2 + i);
	expect_going(0, "");
}

/* Each of so many, whatever the order, comes out once; in order if none had to hurry. */
Test(order, any_order_becomes_the_right_one)
{
	enum { COUNT = 200 };
	uint32_t numbers[COUNT], next = 1;
	const struct order_packet *packet;

	srand(1);
	for (uint32_t i = 0; i < COUNT; i++) {
		uint32_t j = (uint32_t)rand() % (i + 1);

		numbers[i] = numbers[j];
		numbers[j] = i + 1;
	}
	for (uint32_t i = 0; i < COUNT; i++) {
		cr_assert(came(1, numbers[i], next, 0));
		for (; (packet = order_next(&order, 0)); next++)
			cr_assert_eq(packet->number, next);
	}
	cr_expect_eq(next, COUNT + 1);
}
