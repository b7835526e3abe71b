// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table/ranges.h"

#include <criterion/criterion.h>

#include "../addr.h"

static struct plait_prefix prefixes[3];

static struct ranges ranges(unsigned int count, unsigned int host_bits_max)
{
	return (struct ranges){prefixes, count, host_bits_max};
}

static void expect_number(const struct ranges *of, const char *text, int64_t number)
{
	struct plait_addr expected = addr(text, 0), with_port = addr(text, 80);

	cr_expect_eq(ranges_number_of(of, &with_port), number, "%s", text);
	if (number >= 0) {
		struct plait_addr got = ranges_at(of, (uint64_t)number);

		expect_same(&got, &expected);
	}
}

Test(ranges, number_both_families_in_turn)
{
	struct ranges all = ranges(3, 32);

	prefixes[0] = prefix("10.2.0.0", 15);
	prefixes[1] = prefix("fd10:1::fff0", 124);
	prefixes[2] = prefix("192.0.2.1", 32);
	cr_expect_eq(ranges_size(&all), 131072 + 16 + 1);
	expect_number(&all, "10.2.0.0", 0);
	expect_number(&all, "10.2.1.0", 256);
	expect_number(&all, "10.3.0.0", 65536);
	expect_number(&all, "fd10:1::fff0", 131072);
	expect_number(&all, "fd10:1::ffff", 131087);
	expect_number(&all, "192.0.2.1", 131088);
	expect_number(&all, "10.1.255.255", -1);
	expect_number(&all, "10.4.0.0", -1);
	expect_number(&all, "fd10:1::1:0", -1);
	expect_number(&all, "fd10:2::fff0", -1);
	expect_number(&all, "a02::", -1); /* the octets of 10.2.0.0 */
}

Test(ranges, of_a_larger_prefix_the_first_addresses_count)
{
	struct ranges all = ranges(2, 16);

	prefixes[0] = prefix("10.0.0.0", 8);
	prefixes[1] = prefix("fd10::", 64);
	cr_expect_eq(ranges_size(&all), 2 * 65536);
	expect_number(&all, "10.0.255.255", 65535);
	expect_number(&all, "10.1.0.0", -1);
	expect_number(&all, "fd10::ffff", 131071);
	expect_number(&all, "fd10::1:0", -1);
}

Test(ranges, may_be_as_large_as_ipv4)
{
	struct ranges all = ranges(1, 32), none = ranges(0, 32);

	prefixes[0] = prefix("0.0.0.0", 0);
	cr_expect_eq(ranges_size(&all), 1ULL << 32);
	cr_expect_eq(ranges_size(&none), 0);
	expect_number(&all, "255.255.255.255", UINT32_MAX);
	expect_number(&all, "0.0.0.0", 0);
	expect_number(&none, "0.0.0.0", -1);
}
