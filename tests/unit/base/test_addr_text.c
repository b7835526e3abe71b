// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/addr_text.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
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

Test(addr_to_sockaddr, fills_ipv4)
{
	struct plait_addr addr = with_port(v4, 0x1234);
	struct sockaddr_storage out;
	const unsigned char *octets = (const unsigned char *)&out;

	memset(&out, 0xee, sizeof(out));
	cr_assert_eq(addr_to_sockaddr(&addr, &out), sizeof(struct sockaddr_in));
	cr_assert_eq(out.ss_family, AF_INET);
	cr_assert_arr_eq(octets + 2, "\x12\x34\xc0\x00\x02\x01\0\0\0\0\0\0\0\0", 14);
}

Test(addr_to_sockaddr, fills_ipv6)
{
	struct plait_addr addr = with_port(v6, 443);
	struct sockaddr_storage out;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&out;

	memset(&out, 0xee, sizeof(out));
	cr_assert_eq(addr_to_sockaddr(&addr, &out), sizeof(struct sockaddr_in6));
	cr_assert_eq(in6->sin6_family, AF_INET6);
	cr_assert_eq(in6->sin6_port, htons(443));
	cr_assert_eq(in6->sin6_flowinfo, 0);
	cr_assert_eq(in6->sin6_scope_id, 0);
	cr_assert_arr_eq(in6->sin6_addr.s6_addr, v6.ip, 16);
}

Test(addr_to_sockaddr, knows_no_other_family)
{
	struct sockaddr_storage out;

	cr_assert_eq(addr_to_sockaddr(&unset, &out), 0);
}

Test(addr_from_sockaddr, undoes_addr_to_sockaddr)
{
	const struct plait_addr addrs[] = {with_port(v4, 1), with_port(v6, 2)};

	for (size_t i = 0; i < 2; i++) {
		struct sockaddr_storage stored;
		struct plait_addr out;

		memset(&out, 0xee, sizeof(out));
		addr_to_sockaddr(&addrs[i], &stored);
		cr_assert(addr_from_sockaddr(&stored, &out));
		cr_assert_eq(memcmp(&out, &addrs[i], sizeof(out)), 0);
	}
}

Test(addr_from_sockaddr, an_ipv4_mapped_address_becomes_ipv4)
{
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
	struct plait_addr expected = with_port(v4, 80), out;
	struct sockaddr_storage in = {0};

	inet_pton(AF_INET6, "::ffff:192.0.2.1", &mapped.sin6_addr);
	memcpy(&in, &mapped, sizeof(mapped));
	cr_assert(addr_from_sockaddr(&in, &out));
	cr_assert_eq(memcmp(&out, &expected, sizeof(out)), 0);
}

Test(addr_from_sockaddr, refuses_other_families)
{
	struct sockaddr_storage in = {.ss_family = AF_UNIX};
	struct plait_addr out;

	cr_assert_not(addr_from_sockaddr(&in, &out));
}

Test(addr_same_ip, does_not_look_at_ports)
{
	struct plait_addr same = with_port(v4, 80), other = v4;
	struct plait_addr family = v4;

	other.ip[3] = 2;
	family.family = AF_INET6;
	cr_assert(addr_same_ip(&v4, &same));
	cr_assert_not(addr_same_ip(&v4, &other));
	cr_assert_not(addr_same_ip(&v4, &family));
}

static bool in(const char *ip, const char *prefix, uint8_t bits)
{
	int family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	struct plait_prefix p = {.family = strchr(prefix, ':') ? AF_INET6 : AF_INET, .bits = bits};
	struct plait_addr addr = {.family = (__u8)family};

	cr_assert_eq(inet_pton(family, ip, addr.ip), 1);
	cr_assert_eq(inet_pton(p.family, prefix, p.ip), 1);
	return addr_in_prefix(&addr, &p);
}

Test(addr_in_prefix, looks_at_the_first_bits_only)
{
	cr_assert(in("10.1.0.255", "10.1.0.0", 24));
	cr_assert_not(in("10.1.1.0", "10.1.0.0", 24));
	cr_assert(in("10.1.127.1", "10.1.64.0", 18));
	cr_assert_not(in("10.1.128.0", "10.1.64.0", 18));
	cr_assert(in("255.255.255.255", "0.0.0.0", 0));
	cr_assert(in("192.0.2.1", "192.0.2.1", 32));
	cr_assert_not(in("192.0.2.0", "192.0.2.1", 32));
	cr_assert(in("fd10:1:ffff::1", "fd10:1::", 32));
	cr_assert_not(in("fd10:2::1", "fd10:1::", 32));
	cr_assert(in("2001:db8::1", "2001:db8::1", 128));
	cr_assert_not(in("2001:db8::", "2001:db8::1", 128));
	cr_assert(in("fe80::1", "ff80::", 7));
	cr_assert_not(in("fe80::1", "ff80::", 8));
}

Test(addr_in_prefix, families_do_not_mix_but_family_0_holds_all)
{
	static const struct plait_prefix any;

	cr_assert_not(in("::1", "0.0.0.0", 0));
	cr_assert_not(in("10.0.0.1", "::", 0));
	cr_assert(addr_in_prefix(&v4, &any));
	cr_assert(addr_in_prefix(&v6, &any));
}

Test(addr_v4_mapped, maps_ipv4_keeps_its_port_and_comes_back)
{
	struct plait_addr v4_port = with_port(v4, 80), v6_port = with_port(v6, 443), back;
	struct plait_addr mapped = addr_v4_mapped(&v4_port), same = addr_v4_mapped(&v6_port);
	struct sockaddr_storage address;

	cr_assert_str_eq(addr_text(&mapped).text, "[::ffff:192.0.2.1]:80");
	cr_assert_arr_eq(&same, &v6_port, sizeof(same));
	addr_to_sockaddr(&mapped, &address);
	cr_assert(addr_from_sockaddr(&address, &back));
	cr_assert_arr_eq(&back, &v4_port, sizeof(back));
}
