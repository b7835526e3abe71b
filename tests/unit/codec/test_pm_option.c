/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* W1: plain-mode-08 §4.1, Figure 3. All octets here are written from the figure. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/pm_option.h"

struct sample {
	const char *name;
	uint8_t bytes[22];
	int length;
	struct pm_option option;
};

static const struct sample samples[] = {
	{"IPv4 destination, TCP",
	 {30, 8, 0xe0, 6, 203, 0, 113, 80},
	 8,
	 {.protocol = 6, .addr = {.family = AF_INET, .ip = {203, 0, 113, 80}}}},
	{"IPv4 source with port, UDP",
	 {30, 10, 0xe8, 17, 192, 168, 1, 2, 0x9c, 0x40},
	 10,
	 {.is_source = true,
	  .has_port = true,
	  .protocol = 17,
	  .addr = {.family = AF_INET, .ip = {192, 168, 1, 2}, .port = 0}}},
	{"IPv6 destination",
	 {30, 20, 0xe0, 6, 0x20, 0x01, 0x0d, 0xb8, 0, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80},
	 20,
	 {.protocol = 6,
	  .addr = {.family = AF_INET6,
		   .ip = {0x20, 0x01, 0x0d, 0xb8, 0, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80}}}},
	{"IPv6 source with port",
	 {30, 22, 0xe8, 6, 0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x9c, 0x40},
	 22,
	 {.is_source = true,
	  .has_port = true,
	  .protocol = 6,
	  .addr = {.family = AF_INET6, .ip = {0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}}}},
};

enum { SAMPLES = sizeof(samples) / sizeof(samples[0]) };

/* htons() is no constant, so the tables leave the port to this. */
static struct pm_option expected(const struct sample *sample)
{
	struct pm_option option = sample->option;

	if (option.has_port)
		option.addr.port = htons(40000);
	return option;
}

static bool same(const struct pm_option *a, const struct pm_option *b)
{
	return a->is_source == b->is_source && a->has_port == b->has_port &&
	       a->protocol == b->protocol && memcmp(&a->addr, &b->addr, sizeof(a->addr)) == 0;
}

/* A copy that ends where it ends, for AddressSanitizer to see. */
static uint8_t *exactly(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	cr_assert(copy);
	memcpy(copy, bytes, len);
	return copy;
}

Test(pm_option, reads_every_form)
{
	for (size_t i = 0; i < SAMPLES; i++) {
		uint8_t *bytes = exactly(samples[i].bytes, samples[i].length);
		struct pm_option want = expected(&samples[i]), option;

		memset(&option, 0xa5, sizeof(option));
		cr_expect_eq(pm_option_read(bytes, samples[i].length, &option), samples[i].length,
			     "%s", samples[i].name);
		cr_expect(same(&option, &want), "%s", samples[i].name);
		free(bytes);
	}
}

Test(pm_option, writes_every_form)
{
	for (size_t i = 0; i < SAMPLES; i++) {
		struct pm_option option = expected(&samples[i]);
		uint8_t bytes[24];

		memset(bytes, 0xa5, sizeof(bytes));
		cr_expect_eq(pm_option_write(&option, bytes, sizeof(bytes)), samples[i].length,
			     "%s", samples[i].name);
		cr_expect_arr_eq(bytes, samples[i].bytes, samples[i].length, "%s", samples[i].name);
		cr_expect_eq(bytes[samples[i].length], 0xa5, "%s: behind its end", samples[i].name);
	}
}

Test(pm_option, ignores_what_follows)
{
	const uint8_t bytes[] = {30, 8, 0xe0, 6, 203, 0, 113, 80, 0xff, 0xff, 0xff};
	struct pm_option option;

	cr_expect_eq(pm_option_read(bytes, sizeof(bytes), &option), 8);
	cr_expect_eq(option.addr.ip[4], 0);
	cr_expect_eq(option.addr.port, 0);
}

Test(pm_option, waits_at_every_truncation)
{
	for (size_t i = 0; i < SAMPLES; i++) {
		for (int len = 0; len < samples[i].length; len++) {
			uint8_t *bytes = exactly(samples[i].bytes, len);
			struct pm_option option, before;

			memset(&option, 0xa5, sizeof(option));
			before = option;
			cr_expect_eq(pm_option_read(bytes, len, &option), -EAGAIN, "%s, %d octets",
				     samples[i].name, len);
			cr_expect_eq(memcmp(&option, &before, sizeof(option)), 0);
			free(bytes);
		}
	}
}

Test(pm_option, has_one_of_four_lengths)
{
	uint8_t bytes[256] = {30, 0, 0xe0, 6, 203, 0, 113, 80};

	for (int length = 0; length < 256; length++) {
		bool known = length == 8 || length == 10 || length == 20 || length == 22;
		struct pm_option option;

		bytes[1] = length;
		cr_expect_eq(pm_option_read(bytes, sizeof(bytes), &option),
			     known ? length : -EBADMSG, "length %d", length);
		/* and a wrong one is known to be wrong as soon as it is there */
		cr_expect_eq(pm_option_read(bytes, 2, &option), known ? -EAGAIN : -EBADMSG,
			     "length %d", length);
	}
}

Test(pm_option, refuses_other_kinds_and_subtypes_at_once)
{
	struct pm_option option;

	for (int octet = 0; octet < 256; octet++) {
		const uint8_t kind[] = {octet};
		const uint8_t subtype[] = {30, 8, octet};

		cr_expect_eq(pm_option_read(kind, 1, &option), octet == 30 ? -EAGAIN : -EBADMSG,
			     "kind %d", octet);
		cr_expect_eq(pm_option_read(subtype, 3, &option),
			     octet >> 4 == 0xe ? -EAGAIN : -EBADMSG, "octet 2 is %#x", octet);
	}
}

Test(pm_option, ignores_unknown_flags)
{
	uint8_t bytes[] = {30, 8, 0xe0, 6, 203, 0, 113, 80};
	struct pm_option option;

	for (int flags = 0; flags < 16; flags++) {
		bytes[2] = 0xe0 | flags;
		cr_expect_eq(pm_option_read(bytes, sizeof(bytes), &option), 8, "flags %x", flags);
		cr_expect_eq(option.is_source, (flags & 8) != 0, "flags %x", flags);
	}
}

Test(pm_option, passes_on_every_protocol)
{
	uint8_t bytes[] = {30, 8, 0xe0, 0, 203, 0, 113, 80}, copy[8];
	struct pm_option option;

	for (int protocol = 0; protocol < 256; protocol++) {
		bytes[3] = protocol;
		cr_assert_eq(pm_option_read(bytes, sizeof(bytes), &option), 8);
		cr_expect_eq(option.protocol, protocol);
		cr_expect_eq(pm_option_write(&option, copy, sizeof(copy)), 8);
		cr_expect_eq(copy[3], protocol);
	}
}

Test(pm_option, writes_port_zero_as_a_port)
{
	const struct pm_option option = {
		.has_port = true, .protocol = 6, .addr = {.family = AF_INET, .ip = {1, 2, 3, 4}}};
	const uint8_t want[] = {30, 10, 0xe0, 6, 1, 2, 3, 4, 0, 0};
	uint8_t bytes[10] = {};

	cr_expect_eq(pm_option_write(&option, bytes, sizeof(bytes)), 10);
	cr_expect_arr_eq(bytes, want, sizeof(want));
}

Test(pm_option, needs_room)
{
	for (size_t i = 0; i < SAMPLES; i++) {
		struct pm_option option = expected(&samples[i]);

		for (int size = 0; size < samples[i].length; size++) {
			uint8_t *bytes = exactly(samples[i].bytes, size);

			cr_expect_eq(pm_option_write(&option, bytes, size), -ENOSPC, "%s, %d",
				     samples[i].name, size);
			free(bytes);
		}
	}
}

Test(pm_option, writes_no_other_family)
{
	struct pm_option option = {.protocol = 6};
	uint8_t bytes[22];

	cr_expect_eq(pm_option_write(&option, bytes, sizeof(bytes)), -EAFNOSUPPORT);
	option.addr.family = AF_UNIX;
	cr_expect_eq(pm_option_write(&option, bytes, sizeof(bytes)), -EAFNOSUPPORT);
}

Test(pm_option, survives_every_corrupted_octet)
{
	for (size_t i = 0; i < SAMPLES; i++) {
		uint8_t *bytes = exactly(samples[i].bytes, samples[i].length);

		for (int at = 0; at < samples[i].length; at++) {
			for (int octet = 0; octet < 256; octet++) {
				struct pm_option option;
				int err;

				bytes[at] = octet;
				err = pm_option_read(bytes, samples[i].length, &option);
				cr_expect(err == -EBADMSG || err == -EAGAIN || err == 8 ||
						  err == 10 || err == 20 || err == 22,
					  "%s: octet %d is %d: %d", samples[i].name, at, octet,
					  err);
				if (at > 2)
					cr_expect_eq(err, samples[i].length);
			}
			bytes[at] = samples[i].bytes[at];
		}
		free(bytes);
	}
}

struct judged {
	char address[48];
	bool forbidden;
};

ParameterizedTestParameters(pm_option, forbids)
{
	static struct judged addresses[] = {
		/* IPv4, each with its neighbours */
		{"0.0.0.0", true},
		{"0.0.0.1", true},
		{"0.255.255.255", true},
		{"1.0.0.0", false},
		{"126.255.255.255", false},
		{"127.0.0.0", true},
		{"127.0.0.1", true},
		{"127.255.255.255", true},
		{"128.0.0.0", false},
		{"223.255.255.255", false},
		{"224.0.0.0", true},
		{"232.1.2.3", true},
		{"239.255.255.255", true},
		{"240.0.0.0", false},
		{"255.255.255.254", false},
		{"255.255.255.255", true},
		{"10.0.0.1", false},
		{"192.168.1.1", false},
		{"169.254.1.1", false},
		{"203.0.113.80", false},
		/* IPv6 */
		{"::", true},
		{"::1", true},
		{"::2", true}, /* v4-compatible 0.0.0.2 */
		{"ff00::", true},
		{"ff02::1", true},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
		{"feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
		{"fe80::1", false},
		{"fd00:1::2", false},
		{"2001:db8:f::80", false},
		{"2002:7f00:1::1", false},
		{"1::", false},
		{"100::1", false},
		/* v4-mapped */
		{"::ffff:0.0.0.0", true},
		{"::ffff:0.0.0.1", true},
		{"::ffff:127.0.0.1", true},
		{"::ffff:126.255.255.255", false},
		{"::ffff:128.0.0.0", false},
		{"::ffff:223.255.255.255", false},
		{"::ffff:224.0.0.1", true},
		{"::ffff:239.255.255.255", true},
		{"::ffff:240.0.0.0", false},
		{"::ffff:255.255.255.255", true},
		{"::ffff:255.255.255.254", false},
		{"::ffff:203.0.113.80", false},
		{"::fffe:127.0.0.1", false},
		{"::ffff:0:127.0.0.1", false},
		{"1::ffff:127.0.0.1", false},
		/* v4-compatible */
		{"::127.0.0.1", true},
		{"::224.0.0.1", true},
		{"::239.255.255.255", true},
		{"::255.255.255.255", true},
		{"::0.1.2.3", true},
		{"::1.0.0.0", false},
		{"::126.255.255.255", false},
		{"::128.0.0.0", false},
		{"::203.0.113.80", false},
		{"::1:127.0.0.1", false},
		/* NAT64, RFC 6052 */
		{"64:ff9b::", true},
		{"64:ff9b::0.0.0.1", true},
		{"64:ff9b::127.0.0.1", true},
		{"64:ff9b::224.0.0.1", true},
		{"64:ff9b::255.255.255.255", true},
		{"64:ff9b::1.0.0.0", false},
		{"64:ff9b::203.0.113.80", false},
		{"64:ff9a::127.0.0.1", false},
		{"64:ff9c::127.0.0.1", false},
		{"64:ff9b::1:127.0.0.1", false},
		/* local-use NAT64, RFC 8215: IPv4 after 96 bits */
		{"64:ff9b:1::", true},
		{"64:ff9b:1::127.0.0.1", true},
		{"64:ff9b:1::224.0.0.1", true},
		{"64:ff9b:1::239.255.255.255", true},
		{"64:ff9b:1::255.255.255.255", true},
		{"64:ff9b:1::0.0.0.1", true},
		{"64:ff9b:1::127.0.0.0", true},
		{"64:ff9b:1::224.0.0.0", true},
		{"64:ff9b:1:fffe::127.0.0.1", true},
		{"64:ff9b:1::203.0.113.80", false},
		{"64:ff9b:1:fffe::203.0.113.80", false},
		{"64:ff9b:1::128.0.0.1", false},
		/* after 48 bits: octets 6, 7, 9, 10 */
		{"64:ff9b:1:7f00:0:100::", true}, /* 127.0.0.1 */
		{"64:ff9b:1:e000:0:100::", true}, /* 224.0.0.1 */
		{"64:ff9b:1:ffff:ff:ff00::", true}, /* 255.255.255.255 */
		{"64:ff9b:1:cb00:71:5000::", false}, /* 203.0.113.80 */
		{"64:ff9b:1:808:8:800::", false}, /* 8.8.8.8 */
		/* after 56: octets 7, 9, 10, 11 */
		{"64:ff9b:1:127f:0:1::", true}, /* 127.0.0.1 */
		{"64:ff9b:1:12ef:ff:ffff::", true}, /* 239.255.255.255 */
		{"64:ff9b:1:12cb:0:7150::", false}, /* 203.0.113.80 */
		/* after 64: octets 9 to 12 */
		{"64:ff9b:1:1234:7f:0:100::", true}, /* 127.0.0.1 */
		{"64:ff9b:1:1234:e0:0:100::", true}, /* 224.0.0.1 */
		{"64:ff9b:1:1234:cb:71:5000::", false}, /* 203.0.113.80 */
		{"64:ff9b:1:1234:8:808:800::", false}, /* 8.8.8.8 */
		/* beside the prefix */
		{"64:ff9b:2::127.0.0.1", false},
		{"64:ff9b:0:1::127.0.0.1", false},
		{"64:ff9a:1::127.0.0.1", false},
	};

	return cr_make_param_array(struct judged, addresses,
				   sizeof(addresses) / sizeof(addresses[0]));
}

ParameterizedTest(struct judged *judged, pm_option, forbids)
{
	struct plait_addr addr = {.port = htons(80)};

	addr.family = strchr(judged->address, ':') ? AF_INET6 : AF_INET;
	cr_assert_eq(inet_pton(addr.family, judged->address, addr.ip), 1);
	cr_expect_eq(pm_addr_forbidden(&addr), judged->forbidden, "%s", judged->address);
}

Test(pm_option, forbids_what_has_no_family)
{
	const struct plait_addr addr = {.ip = {10, 0, 0, 1}};

	cr_expect(pm_addr_forbidden(&addr));
}

Test(pm_option, embedded_v4_is_found_in_each_disguise)
{
	/* 10.1.0.1 as v4-mapped, v4-compatible, and NAT64 (RFC 6052, RFC 8215 /48) */
	static const struct plait_addr disguised[] = {
		{.family = AF_INET6, .ip = {[10] = 0xff, 0xff, 10, 1, 0, 1}},
		{.family = AF_INET6, .ip = {[12] = 10, 1, 0, 1}},
		{.family = AF_INET6, .ip = {0, 0x64, 0xff, 0x9b, [12] = 10, 1, 0, 1}},
		{.family = AF_INET6, .ip = {0, 0x64, 0xff, 0x9b, 0, 1, 10, 1, 0, 0, 1}},
	};
	const uint8_t expected[16] = {10, 1, 0, 1};

	for (size_t i = 0; i < sizeof(disguised) / sizeof(disguised[0]); i++) {
		struct plait_addr out = {};

		cr_assert(pm_addr_embedded_v4(&disguised[i], &out), "form %zu", i);
		cr_assert_eq(out.family, AF_INET);
		cr_assert_arr_eq(out.ip, expected, sizeof(expected));
	}
}

Test(pm_option, ordinary_addresses_embed_nothing)
{
	const struct plait_addr v6 = {.family = AF_INET6, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
	const struct plait_addr v4 = {.family = AF_INET, .ip = {10, 1, 0, 1}};
	struct plait_addr out = {.family = 77};

	cr_assert_not(pm_addr_embedded_v4(&v6, &out));
	cr_assert_not(pm_addr_embedded_v4(&v4, &out));
	cr_assert_eq(out.family, 77);
}
