// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table/nptv6.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct plait_addr address(const char *text)
{
	struct plait_addr addr = {.family = AF_INET6, .port = htons(4711)};

	cr_assert_eq(inet_pton(AF_INET6, text, addr.ip), 1, "%s", text);
	return addr;
}

static struct plait_prefix prefix(const char *text, unsigned int bits)
{
	struct plait_prefix made = {.family = AF_INET6, .bits = (uint8_t)bits};

	cr_assert_eq(inet_pton(AF_INET6, text, made.ip), 1, "%s", text);
	return made;
}

static uint16_t sum(const struct plait_addr *addr)
{
	uint32_t all = 0;

	for (unsigned int i = 0; i < 16; i += 2)
		all += (uint32_t)addr->ip[i] << 8 | addr->ip[i + 1];
	all = (all & 0xffff) + (all >> 16);
	all = (all & 0xffff) + (all >> 16);
	return all == 0xffff ? 0 : (uint16_t)all; /* two zeros, in ones' complement */
}

/* RFC 6296 §3.1 (figure 1) and appendix B give these. */
Test(nptv6, example_of_the_rfc)
{
	struct plait_prefix outside = prefix("2001:db8:1::", 48);
	struct plait_prefix inside = prefix("fd01:203:405::", 48);
	struct plait_addr addr = address("fd01:203:405:1::1234");
	struct plait_addr outer = address("2001:db8:1:d550::1234"), inner = addr;

	cr_assert_eq(nptv6_translate(&addr, &outside), 0);
	cr_expect_arr_eq(&addr, &outer, sizeof(addr));
	cr_assert_eq(nptv6_translate(&addr, &inside), 0);
	cr_expect_arr_eq(&addr, &inner, sizeof(addr));
}

Test(nptv6, checksum_stays_and_the_way_back_leads_home)
{
	srandom(1);
	for (unsigned int i = 0; i < 100000; i++) {
		unsigned int bits = (unsigned int)random() % 65;
		struct plait_prefix outside = prefix("2001:db8:77:8800::", bits);
		struct plait_prefix inside = prefix("fd00:1:2:3300::", bits);
		struct plait_addr addr = address("fd00:1:2:3300::"), before;

		for (unsigned int j = (bits + 7) / 8; j < 16; j++)
			addr.ip[j] = (uint8_t)random();
		before = addr;
		if (nptv6_translate(&addr, &outside))
			continue;
		cr_assert_eq(sum(&addr), sum(&before));
		cr_assert_eq(addr.port, before.port);
		cr_assert_eq(nptv6_translate(&addr, &inside), 0);
		cr_assert_arr_eq(&addr, &before, sizeof(addr));
	}
}

Test(nptv6, what_has_no_counterpart)
{
	struct plait_prefix outside = prefix("2001:db8:1::", 48), longer = prefix("2001:db8::", 64);
	struct plait_addr subnet = address("fd01:203:405:ffff::1");
	struct plait_addr iid = address("fd01:203:405:1:ffff:ffff:ffff:ffff");

	cr_expect_eq(nptv6_translate(&subnet, &outside), -EADDRNOTAVAIL);
	cr_expect_eq(nptv6_translate(&iid, &longer), -EADDRNOTAVAIL);
}
