/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "config/value.h"

enum { UNTOUCHED = 4711 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

Test(value, number)
{
	static const struct {
		const char *text;
		unsigned int number;
	} good[] = {{"1", 1}, {"0", 0}, {"10", 10}, {"1000", 1000}};
	static const char *const bad[] = {"",    "-1",  "+1",         " 1",
					  "1 ",  "01",  "0x1",        "1001",
					  "1.0", "1e2", "4294967297", "18446744073709551617"};
	unsigned int number;

	for (size_t i = 0; i < COUNT(good); i++) {
		cr_expect_eq(value_number(good[i].text, 0, 1000, &number), 0, "%s", good[i].text);
		cr_expect_eq(number, good[i].number, "%s", good[i].text);
	}
	number = UNTOUCHED;
	for (size_t i = 0; i < COUNT(bad); i++)
		cr_expect_eq(value_number(bad[i], 0, 1000, &number), -EINVAL, "%s", bad[i]);
	cr_expect_eq(value_number("4", 5, 1000, &number), -EINVAL);
	cr_expect_eq(number, UNTOUCHED);
}

Test(value, duration)
{
	static const struct {
		const char *text;
		uint32_t ms;
	} good[] = {
		{"5ms", 5},
		{"7440s", 7440000},
		{"2h", 7200000},
		{"4min", 240000},
		{"0s", 0},
		{"4294967295ms", UINT32_MAX},
		{"4294967s", 4294967000},
		{"1193h", 1193u * 3600000},
	};
	static const char *const bad[] = {"",
					  "5",
					  "s",
					  "5 s",
					  "-5s",
					  "5m",
					  "5d",
					  "5sec",
					  "5S",
					  "05s",
					  "5ss",
					  "1.5s",
					  "1194h",
					  "4294968s",
					  "4294967296ms",
					  "99999999999999999999h"};
	uint32_t ms;

	for (size_t i = 0; i < COUNT(good); i++) {
		cr_expect_eq(value_duration(good[i].text, &ms), 0, "%s", good[i].text);
		cr_expect_eq(ms, good[i].ms, "%s", good[i].text);
	}
	ms = UNTOUCHED;
	for (size_t i = 0; i < COUNT(bad); i++)
		cr_expect_eq(value_duration(bad[i], &ms), -EINVAL, "%s", bad[i]);
	cr_expect_eq(ms, UNTOUCHED);
}

Test(value, port_range)
{
	static const struct {
		const char *text;
		uint16_t first, last;
	} good[] = {{"53", 53, 53}, {"1-65535", 1, 65535}, {"7-7", 7, 7}, {"65535", 65535, 65535}};
	static const char *const bad[] = {"",      "0",     "65536",   "1-", "-1",  "2-1", "0-5",
					  "1-2-3", "1 - 2", "1-65536", "a",  "1:2", "01",  "1-02"};
	uint16_t first, last;

	for (size_t i = 0; i < COUNT(good); i++) {
		cr_expect_eq(value_port_range(good[i].text, &first, &last), 0, "%s", good[i].text);
		cr_expect_eq(first, good[i].first, "%s", good[i].text);
		cr_expect_eq(last, good[i].last, "%s", good[i].text);
	}
	first = last = UNTOUCHED;
	for (size_t i = 0; i < COUNT(bad); i++)
		cr_expect_eq(value_port_range(bad[i], &first, &last), -EINVAL, "%s", bad[i]);
	cr_expect_eq(first, UNTOUCHED);
	cr_expect_eq(last, UNTOUCHED);
}

Test(value, address)
{
	static const uint8_t ip4[16] = {10, 1, 0, 1};
	static const uint8_t ip6[16] = {0xfd, 0x10, 0, 1, [15] = 2};
	static const char *const bad[] = {"",    "10.1.0",    "10.1.0.256", "10.1.0.1/24", "fd10",
					  "::g", "10.01.0.1", "fe80::1%lo", "localhost",   "1"};
	struct plait_addr addr;

	cr_assert_eq(value_address("10.1.0.1", &addr), 0);
	cr_expect_eq(addr.family, AF_INET);
	cr_expect_eq(addr.port, 0);
	cr_expect_arr_eq(addr.ip, ip4, 16);
	cr_assert_eq(value_address("fd10:1::2", &addr), 0);
	cr_expect_eq(addr.family, AF_INET6);
	cr_expect_arr_eq(addr.ip, ip6, 16);
	for (size_t i = 0; i < COUNT(bad); i++)
		cr_expect_eq(value_address(bad[i], &addr), -EINVAL, "%s", bad[i]);
	cr_expect_arr_eq(addr.ip, ip6, 16);
}

Test(value, prefix)
{
	static const struct {
		const char *text;
		uint8_t family, bits;
	} good[] = {
		{"10.1.0.0/24", AF_INET, 24}, {"10.1.0.7", AF_INET, 32},
		{"0.0.0.0/0", AF_INET, 0},    {"10.1.0.7/32", AF_INET, 32},
		{"fd10::/16", AF_INET6, 16},  {"::/0", AF_INET6, 0},
		{"fd10::1", AF_INET6, 128},   {"fd10::1/128", AF_INET6, 128},
	};
	static const char *const bad[] = {
		"",
		"/",
		"10.1.0.0/",
		"10.1.0.0/33",
		"10.1.0.0/-1",
		"fd10::/129",
		"10.1.0.0/024",
		"10.1.0.0/24/24",
		"10.1.0/24",
		"/24",
		"10.1.0.0 /24",
		"fd10:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/64",
	};
	struct plait_prefix prefix = {};

	for (size_t i = 0; i < COUNT(good); i++) {
		cr_expect_eq(value_prefix(good[i].text, &prefix), 0, "%s", good[i].text);
		cr_expect_eq(prefix.family, good[i].family, "%s", good[i].text);
		cr_expect_eq(prefix.bits, good[i].bits, "%s", good[i].text);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		cr_expect_eq(value_prefix(bad[i], &prefix), -EINVAL, "%s", bad[i]);
	cr_expect_eq(prefix.bits, 128);
}

static struct plait_prefix make_prefix(const char *text)
{
	struct plait_prefix prefix;

	cr_assert_eq(value_prefix(text, &prefix), 0, "%s", text);
	return prefix;
}

Test(value, network_of_a_prefix)
{
	static const struct {
		const char *prefix, *network;
	} pairs[] = {
		{"10.1.2.3/32", "10.1.2.3/32"},     {"10.1.2.3/31", "10.1.2.2/31"},
		{"10.1.2.255/25", "10.1.2.128/25"}, {"10.1.2.3/8", "10.0.0.0/8"},
		{"10.1.2.3/0", "0.0.0.0/0"},        {"fd10:1:2:3::1/64", "fd10:1:2:3::/64"},
		{"fd10::ff/121", "fd10::80/121"},   {"fd10::ff/128", "fd10::ff/128"},
	};

	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct plait_prefix prefix = make_prefix(pairs[i].prefix);
		struct plait_prefix want = make_prefix(pairs[i].network);
		struct plait_prefix network = prefix_network(&prefix);

		cr_expect_eq(memcmp(&network, &want, sizeof(want)), 0, "%s", pairs[i].prefix);
	}
}

Test(value, overlapping_prefixes)
{
	static const struct {
		const char *one, *other;
		bool overlap;
	} pairs[] = {
		{"10.1.0.0/24", "10.1.0.0/24", true},  {"10.1.0.0/16", "10.1.7.0/24", true},
		{"10.1.0.0/24", "10.1.1.0/24", false}, {"10.1.0.0/25", "10.1.0.128/25", false},
		{"0.0.0.0/0", "10.1.0.0/24", true},    {"0.0.0.0/0", "::/0", false},
		{"fd10::/16", "fd10:1::/64", true},    {"fd10::/64", "fd10:0:0:1::/64", false},
	};

	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct plait_prefix one = make_prefix(pairs[i].one);
		struct plait_prefix other = make_prefix(pairs[i].other);

		cr_expect_eq(prefix_overlaps(&one, &other), pairs[i].overlap, "%s %s", pairs[i].one,
			     pairs[i].other);
		cr_expect_eq(prefix_overlaps(&other, &one), pairs[i].overlap, "%s %s",
			     pairs[i].other, pairs[i].one);
	}
}

Test(value, unusable_addresses)
{
	static const char *const bad[] = {
		"0.0.0.0",    "0.255.255.255",   "127.0.0.0",       "127.255.255.255",
		"224.0.0.0",  "239.255.255.255", "255.255.255.255", "::",
		"::1",        "ff00::",          "ff02::1",         "::ffff:10.1.0.1",
		"::10.1.0.1",
	};
	static const char *const good[] = {
		"1.0.0.0",   "126.255.255.255", "128.0.0.0",         "223.255.255.255",
		"240.0.0.0", "255.255.255.254", "10.1.0.1",          "fe80::1",
		"fd10:1::1", "feff::1",         "64:ff9b::10.1.0.1",
	};
	struct plait_addr addr;

	for (size_t i = 0; i < COUNT(bad); i++) {
		cr_assert_eq(value_address(bad[i], &addr), 0, "%s", bad[i]);
		cr_expect_not_null(address_unusable(&addr), "%s", bad[i]);
	}
	for (size_t i = 0; i < COUNT(good); i++) {
		cr_assert_eq(value_address(good[i], &addr), 0, "%s", good[i]);
		cr_expect_null(address_unusable(&addr), "%s", good[i]);
	}
}

Test(value, names)
{
	static const char *const good[] = {"a", "9", "home-1", "A_b.c-d",
					   "1234567890123456789012345678901"};
	static const char *const bad[] = {"",
					  ".",
					  "..",
					  "-a",
					  "_a",
					  "a/b",
					  "a b",
					  "a\n",
					  "\xc3\xa9",
					  "a\xc3\xa9",
					  "12345678901234567890123456789012"};

	for (size_t i = 0; i < COUNT(good); i++)
		cr_expect(name_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < COUNT(bad); i++)
		cr_expect_not(name_valid(bad[i]), "%s", bad[i]);
}

Test(value, interfaces)
{
	static const char *const good[] = {"w1", "eth0.100", "a", "123456789012345", "..."};
	static const char *const bad[] = {"",    ".",   "..",   "a/b",      "a:1",
					  "a b", "a\t", "\x7f", "\xc3\xa9", "1234567890123456"};

	for (size_t i = 0; i < COUNT(good); i++)
		cr_expect(interface_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < COUNT(bad); i++)
		cr_expect_not(interface_valid(bad[i]), "%s", bad[i]);
}

Test(value, host_names)
{
	static const char *const good[] = {"k1",      "k1.example", "3com.example",
					   "a-b.c-d", "1.a",        "10.1.0.x"};
	static const char *const bad[] = {"",    ".",    "k1.", ".k1",         "k1..example",
					  "-a",  "a-",   "a_b", "10.1.0.256",  "10.1.0.1",
					  "::1", "a.-b", "a b", "k1.\xc3\xa9", "k1.3"};
	char longest[260] = "";

	for (size_t i = 0; i < COUNT(good); i++)
		cr_expect(host_name_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < COUNT(bad); i++)
		cr_expect_not(host_name_valid(bad[i]), "%s", bad[i]);
	memset(longest, 'a', 253);
	longest[63] = longest[127] = longest[191] = '.';
	cr_expect(host_name_valid(longest));
	longest[253] = 'a';
	cr_expect_not(host_name_valid(longest));
	longest[253] = '\0';
	longest[63] = 'a';
	cr_expect_not(host_name_valid(longest));
}
