// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "plait_datagram.h"
#include "table/early.h"

static struct early early;

static void setup(void)
{
	memset(&early, 0, sizeof(early));
}

static void teardown(void)
{
	early_close(&early);
}

TestSuite(early, .init = setup, .fini = teardown);

static enum early_fate came(uint64_t datagram, const char *text, uint64_t now_ns)
{
	return early_came(&early, datagram, (const uint8_t *)text, strlen(text), now_ns);
}

static void expect_next(uint64_t datagram, const char *text)
{
	size_t len = 0;
	uint8_t *bytes = early_next(&early, datagram, &len);

	cr_assert(bytes);
	cr_expect_eq(len, strlen(text));
	cr_expect_arr_eq(bytes, text, len);
	free(bytes);
}

static void expect_none(uint64_t datagram)
{
	size_t len;

	cr_expect_null(early_next(&early, datagram, &len));
}

Test(early, go_in_the_order_they_came_each_with_its_own_datagram)
{
	cr_expect_eq(came(1, "third", 0), EARLY_KEPT);
	cr_expect_eq(came(2, "other", 0), EARLY_KEPT);
	cr_expect_eq(came(1, "second", 0), EARLY_KEPT);
	early_first_came(&early, 1, 0);
	expect_next(1, "third");
	expect_next(1, "second");
	expect_none(1);
	expect_next(2, "other");
}

Test(early, places_are_used_again_and_the_order_stays)
{
	came(1, "a", 0);
	came(2, "b", 0);
	expect_next(1, "a");
	came(2, "c", 0); /* in the place of a */
	expect_next(2, "b");
	expect_next(2, "c");
}

Test(early, what_comes_late_goes_at_once)
{
	early_first_came(&early, 7, 0);
	cr_expect_eq(came(7, "on its way already", PLAIT_FRAGMENT_LIFE_NS - 1), EARLY_GOES);
	cr_expect_eq(came(8, "not this one", 0), EARLY_KEPT);
	cr_expect_eq(came(7, "another time", PLAIT_FRAGMENT_LIFE_NS), EARLY_KEPT);
}

Test(early, wait_no_longer_than_fragments_do)
{
	came(1, "a", 0);
	came(1, "b", 1);
	cr_expect_eq(early_expire(&early, PLAIT_FRAGMENT_LIFE_NS - 1), 0);
	cr_expect_eq(early_expire(&early, PLAIT_FRAGMENT_LIFE_NS), 1);
	expect_next(1, "b");
}

Test(early, are_bounded_in_number)
{
	for (unsigned int i = 0; i < EARLY_FRAMES; i++)
		cr_assert_eq(came(i, "x", 0), EARLY_KEPT);
	cr_expect_eq(came(1, "x", 0), EARLY_NO_ROOM);
	expect_next(1, "x");
	cr_expect_eq(came(1, "x", 0), EARLY_KEPT);
}
