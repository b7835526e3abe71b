// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "codec/formatted.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../addr.h"

#define ETHER_V4 "\2\0\0\0\0\1\2\0\0\0\0\2\x08\0"
#define ETHER_V6 "\2\0\0\0\0\1\2\0\0\0\0\2\x86\xdd"
#define IPV4(protocol)                      \
	"\x45\0\0\x40\0\1\0\0\x40" protocol \
	"\0\0\xc0\0\2\1\xcb\0\x71\1" /* 192.0.2.1, 203.0.113.1 */
#define IPV6(protocol)                           \
	"\x60\0\0\0\0\x40" protocol "\x40"       \
	"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1" \
	"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2"
#define UDP         "\x13\x88\0\x35\0\x0a\0\0hi"
#define TCP(octets) "\xee\x48\x1a\xa8\0\0\0\1\0\0\0\1" octets "\x18\xff\xff\0\0\0\0"
#define OPTION_V4   "\x1e\x0a\xe4\0\xc6\x33\x64\7\0\x50\1\1"
#define OPTION_V6   "\x1e\x16\xec\0\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7\0\x50\1\1"

static struct formatted out;

static int read_udp(const char *frame, size_t len)
{
	return udp_frame_read((const uint8_t *)frame, len, &out);
}

static int read_tcp(const char *frame, size_t len)
{
	return formatted_frame_read((const uint8_t *)frame, len, &out);
}

#define READ(read, frame) read(frame, sizeof(frame) - 1)

static void expect_addr(const struct plait_addr *got, const char *text, uint16_t port)
{
	struct plait_addr wanted = addr(text, port);

	expect_same(got, &wanted);
}

Test(formatted, udp_of_both_families)
{
	cr_assert_eq(READ(read_udp, ETHER_V4 IPV4("\x11") UDP), 0);
	expect_addr(&out.source, "192.0.2.1", 5000);
	expect_addr(&out.destination, "203.0.113.1", 53);
	expect_addr(&out.remote, "203.0.113.1", 53);
	cr_assert_eq(READ(read_udp, ETHER_V6 IPV6("\x11") UDP), 0);
	expect_addr(&out.source, "2001:db8::1", 5000);
	expect_addr(&out.remote, "2001:db8::2", 53);
}

Test(formatted, tcp_of_both_families_with_options_of_both)
{
	cr_assert_eq(READ(read_tcp, ETHER_V4 IPV4("\6") TCP("\x80") OPTION_V4), 0);
	expect_addr(&out.source, "192.0.2.1", 61000);
	expect_addr(&out.destination, "203.0.113.1", 6824);
	expect_addr(&out.remote, "198.51.100.7", 80);
	cr_expect_not(out.from_concentrator);
	cr_assert_eq(READ(read_tcp, ETHER_V6 IPV6("\6") TCP("\xb0") OPTION_V6), 0);
	expect_addr(&out.remote, "2001:db8::7", 80);
	cr_expect(out.from_concentrator);
}

/* Each in memory of its own, so that a look beyond its end is seen. */
static void expect_refused_when_cut(const char *frame, size_t whole,
				    int (*read)(const char *frame, size_t len))
{
	for (size_t len = 0; len < whole; len++) {
		char *cut = malloc(len + 1);

		memcpy(cut + 1, frame, len);
		cr_expect_eq(read(cut + 1, len), -EBADMSG, "%zu", len);
		free(cut);
	}
}

Test(formatted, what_is_cut_is_refused)
{
	static const char udp[] = ETHER_V4 IPV4("\x11") UDP,
			  tcp[] = ETHER_V6 IPV6("\6") TCP("\xb0") OPTION_V6;

	expect_refused_when_cut(udp, sizeof(udp) - 3, read_udp); /* its payload may be */
	expect_refused_when_cut(tcp, sizeof(tcp) - 1, read_tcp);
}

Test(formatted, what_is_something_else_is_refused)
{
	cr_expect_eq(READ(read_udp, ETHER_V4 IPV4("\6") UDP), -EBADMSG);
	cr_expect_eq(READ(read_tcp, ETHER_V4 IPV4("\x11") TCP("\x80") OPTION_V4), -EBADMSG);
	cr_expect_eq(READ(read_udp, "\2\0\0\0\0\1\2\0\0\0\0\2\x08\6" IPV4("\x11") UDP), -EBADMSG);
	cr_expect_eq(READ(read_tcp, ETHER_V4 IPV4("\6") TCP("\x50") OPTION_V4), -EBADMSG);
	cr_expect_eq(READ(read_tcp,
			  ETHER_V4 IPV4("\6") TCP("\x80") "\x1e\x0a\xe0\0\xc6\x33\x64\7\0\x50\1\1"),
		     -EBADMSG, "no U");
	cr_expect_eq(READ(read_tcp,
			  ETHER_V4 IPV4("\6") TCP("\x80") "\x1e\x08\xe4\0\xc6\x33\x64\7\0\x50\1\1"),
		     -EBADMSG, "no port");
	cr_expect_eq(READ(read_tcp,
			  ETHER_V4 IPV4("\6") TCP("\x80") "\x1e\x16\xe4\0\xc6\x33\x64\7\0\x50\1\1"),
		     -EBADMSG, "too long");
}

Test(formatted, fragments_are_refused)
{
	cr_expect_eq(READ(read_udp,
			  ETHER_V4 "\x45\0\0\x40\0\1\x20\0\x40\x11\0\0\xc0\0\2\1\xcb\0\x71\1" UDP),
		     -EBADMSG);
}
