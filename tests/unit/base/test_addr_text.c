// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/addr_text.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const struct plait_addr unset;
static const struct plait_addr v4 = {.family = AF_INET, .ip = {192, 0, 2, 1}};
static const struct plait_addr v6 = {.family = AF_INET6, .ip = {0x20, 1, 0x0d, 0xb8, [15] = 1}};

static struct plait_addr with_port(struct plait_addr addr, uint16_t port)
{
	addr.port = htons(port);
	return addr;
}

Test(addr_text, prints_addresses_with_and_without_port)
{
	struct plait_addr v4_port = with_port(v4, 80), v6_port = with_port(v6, 65535);

	cr_assert_str_eq(addr_text(&v4).text, "192.0.2.1");
	cr_assert_str_eq(addr_text(&v4_port).text, "192.0.2.1:80");
	cr_assert_str_eq(addr_text(&v6).text, "2001:db8::1");
	cr_assert_str_eq(addr_text(&v6_port).text, "[2001:db8::1]:65535");
}

Test(addr_text, prints_a_dash_for_no_address)
{
	struct plait_addr odd = v4;

	odd.family = 77;
	cr_assert_str_eq(addr_text(&unset).text, "-");
	cr_assert_str_eq(addr_text(&odd).text, "-");
}

static void expect_read(const char *text, struct plait_addr expected)
{
	struct plait_addr got;

	cr_assert(addr_from_text(text, &got), "%s", text);
	cr_expect_arr_eq(&got, &expected, sizeof(got), "%s", text);
}

Test(addr_text, is_read_as_it_is_printed)
{
	expect_read("192.0.2.1", v4);
	expect_read("192.0.2.1:80", with_port(v4, 80));
	expect_read("192.0.2.1:65535", with_port(v4, 65535));
	expect_read("2001:db8::1", v6);
	expect_read("2001:0db8:0::0.0.0.1", v6);
	expect_read("[2001:db8::1]:1", with_port(v6, 1));
}

Test(addr_text, reads_nothing_else)
{
	static const char *const texts[] = {
		"",
		"-",
		":",
		":80",
		"[",
		"[]",
		"[:",
		"[]:80",
		"]:80",
		"192.0.2.1:",
		"192.0.2.1:0",
		"192.0.2.1:080",
		"192.0.2.1:65536",
		"192.0.2.1:4294967297",
		"192.0.2.1:80 ",
		"192.0.2.1:+80",
		" 192.0.2.1",
		"192.0.2",
		"192.0.2.1.",
		"[192.0.2.1]:80",
		"[2001:db8::1]",
		"[2001:db8::1]:",
		"2001:db8::1]:80",
		"[2001:db8::1:80",
		"2001:db8:1",
		"localhost",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc",
	};
	struct plait_addr got = v4;

	for (unsigned int i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		cr_expect_not(addr_from_text(texts[i], &got), "%s", texts[i]);
	cr_expect_arr_eq(&got, &v4, sizeof(got));
}

Test(addr_text, prints_prefixes)
{
	struct plait_prefix prefix = {.family = AF_INET, .ip = {192, 0, 2, 0}, .bits = 24};

	cr_assert_str_eq(prefix_text(&prefix).text, "192.0.2.0/24");
	prefix =
		(struct plait_prefix){.family = AF_INET6, .ip = {0x20, 1, 0x0d, 0xb8}, .bits = 128};
	cr_assert_str_eq(prefix_text(&prefix).text, "2001:db8::/128");
	prefix.family = 0;
	cr_assert_str_eq(prefix_text(&prefix).text, "-");
}

Test(addr_text, has_room_for_the_longest_text)
{
	struct plait_addr longest = {.family = AF_INET6, .port = htons(65535)};

	memset(longest.ip, 0xff, sizeof(longest.ip));
	cr_assert_str_eq(addr_text(&longest).text,
			 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}
