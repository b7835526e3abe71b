/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * SYN frames and the answers to them (T4, T5). The octets, checksums included,
 * were made by scapy 2.5 with
 *   pm = bytes.fromhex("1e0ae006cb007150005000")
 *   e = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")
 *   syn4 = e/IP(src="192.168.1.2", dst="203.0.113.80", id=0x1234, flags="DF")
 *     /TCP(sport=40000, dport=80, seq=0x01020304, flags="S", window=64240, options=
 *     [("MSS",1460), ("SAckOK",b""), ("NOP",None), ("WScale",7), (30,bytes.fromhex("0100"))])
 *     /Raw(pm)
 *   syn6 = e/IPv6(src="fd00:1::2", dst="2001:db8:f::80")
 *     /IPv6ExtHdrHopByHop(options=[RouterAlert()])
 *     /IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(12))])
 *     /TCP(sport=40001, dport=443, seq=0xfffffffe, flags="S", window=64800,
 *     options=[("MSS",1440), (30,bytes.fromhex("100211223344aabbccdd"))])
 *   rst4 = IP(src="203.0.113.80", dst="192.168.1.2", id=0, flags="DF")
 *     /TCP(sport=80, dport=40000, seq=0, ack=0x01020304+1+11, flags="RA", window=0)
 *   rst6 = IPv6(src="2001:db8:f::80", dst="fd00:1::2")
 *     /TCP(sport=443, dport=40001, seq=0, ack=0xffffffff, flags="RA", window=0)
 *   icmp4 = IP(src="192.168.1.1", dst="192.168.1.2", tos=0xc0, id=0, flags="DF")
 *     /ICMP(type=3, code=...)/Raw(bytes(syn4)[14:-11])
 *   icmp6 = IPv6(src="fd00:1::1", dst="fd00:1::2")
 *     /ICMPv6DestUnreach(code=...)/Raw(bytes(syn6)[14:])
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/segment.h"

static const uint8_t syn4[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00,
	0x45, 0x00, 0x00, 0x43, 0x12, 0x34, 0x40, 0x00, 0x40, 0x06, 0x2a, 0x86, 0xc0, 0xa8,
	0x01, 0x02, 0xcb, 0x00, 0x71, 0x50, 0x9c, 0x40, 0x00, 0x50, 0x01, 0x02, 0x03, 0x04,
	0x00, 0x00, 0x00, 0x00, 0x90, 0x02, 0xfa, 0xf0, 0x6c, 0xca, 0x00, 0x00, 0x02, 0x04,
	0x05, 0xb4, 0x04, 0x02, 0x01, 0x03, 0x03, 0x07, 0x1e, 0x04, 0x01, 0x00, 0x00, 0x00,
	0x1e, 0x0a, 0xe0, 0x06, 0xcb, 0x00, 0x71, 0x50, 0x00, 0x50, 0x00,
};

static const uint8_t syn6[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x86, 0xdd, 0x60,
	0x00, 0x00, 0x00, 0x00, 0x3c, 0x00, 0x40, 0xfd, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x0f, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x3c, 0x00, 0x05, 0x02, 0x00, 0x00,
	0x01, 0x00, 0x06, 0x01, 0x01, 0x0c, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x9c, 0x41, 0x01, 0xbb, 0xff, 0xff, 0xff, 0xfe, 0x00, 0x00, 0x00, 0x00,
	0x90, 0x02, 0xfd, 0x20, 0xb7, 0xb8, 0x00, 0x00, 0x02, 0x04, 0x05, 0xa0, 0x1e, 0x0c, 0x10,
	0x02, 0x11, 0x22, 0x33, 0x44, 0xaa, 0xbb, 0xcc, 0xdd,
};

static const uint8_t rst4[] = {
	0x45, 0x00, 0x00, 0x28, 0x00, 0x00, 0x40, 0x00, 0x40, 0x06, 0x3c, 0xd5, 0xcb, 0x00,
	0x71, 0x50, 0xc0, 0xa8, 0x01, 0x02, 0x00, 0x50, 0x9c, 0x40, 0x00, 0x00, 0x00, 0x00,
	0x01, 0x02, 0x03, 0x10, 0x50, 0x14, 0x00, 0x00, 0x11, 0x33, 0x00, 0x00,
};

static const uint8_t rst6[] = {
	0x60, 0x00, 0x00, 0x00, 0x00, 0x14, 0x06, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x0f, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0xfd, 0x00, 0x00, 0x01, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x01, 0xbb, 0x9c, 0x41, 0x00,
	0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x50, 0x14, 0x00, 0x00, 0xe6, 0x88, 0x00, 0x00,
};

static const uint8_t icmp4_code0[] = {
	0x45, 0xc0, 0x00, 0x54, 0x00, 0x00, 0x40, 0x00, 0x40, 0x01, 0xb6, 0x95, 0xc0, 0xa8,
	0x01, 0x01, 0xc0, 0xa8, 0x01, 0x02, 0x03, 0x00, 0x35, 0xe3, 0x00, 0x00, 0x00, 0x00,
	0x45, 0x00, 0x00, 0x43, 0x12, 0x34, 0x40, 0x00, 0x40, 0x06, 0x2a, 0x86, 0xc0, 0xa8,
	0x01, 0x02, 0xcb, 0x00, 0x71, 0x50, 0x9c, 0x40, 0x00, 0x50, 0x01, 0x02, 0x03, 0x04,
	0x00, 0x00, 0x00, 0x00, 0x90, 0x02, 0xfa, 0xf0, 0x6c, 0xca, 0x00, 0x00, 0x02, 0x04,
	0x05, 0xb4, 0x04, 0x02, 0x01, 0x03, 0x03, 0x07, 0x1e, 0x04, 0x01, 0x00, 0x00, 0x00,
};

static const uint8_t icmp4_code1[] = {
	0x45, 0xc0, 0x00, 0x54, 0x00, 0x00, 0x40, 0x00, 0x40, 0x01, 0xb6, 0x95, 0xc0, 0xa8,
	0x01, 0x01, 0xc0, 0xa8, 0x01, 0x02, 0x03, 0x01, 0x35, 0xe2, 0x00, 0x00, 0x00, 0x00,
	0x45, 0x00, 0x00, 0x43, 0x12, 0x34, 0x40, 0x00, 0x40, 0x06, 0x2a, 0x86, 0xc0, 0xa8,
	0x01, 0x02, 0xcb, 0x00, 0x71, 0x50, 0x9c, 0x40, 0x00, 0x50, 0x01, 0x02, 0x03, 0x04,
	0x00, 0x00, 0x00, 0x00, 0x90, 0x02, 0xfa, 0xf0, 0x6c, 0xca, 0x00, 0x00, 0x02, 0x04,
	0x05, 0xb4, 0x04, 0x02, 0x01, 0x03, 0x03, 0x07, 0x1e, 0x04, 0x01, 0x00, 0x00, 0x00,
};

static const uint8_t icmp6_code0[] = {
	0x60, 0x00, 0x00, 0x00, 0x00, 0x6c, 0x3a, 0x40, 0xfd, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xfd, 0x00, 0x00, 0x01, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x01, 0x00, 0x5a, 0xf1, 0x00,
	0x00, 0x00, 0x00, 0x60, 0x00, 0x00, 0x00, 0x00, 0x3c, 0x00, 0x40, 0xfd, 0x00, 0x00, 0x01,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x20, 0x01, 0x0d,
	0xb8, 0x00, 0x0f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x3c, 0x00,
	0x05, 0x02, 0x00, 0x00, 0x01, 0x00, 0x06, 0x01, 0x01, 0x0c, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x41, 0x01, 0xbb, 0xff, 0xff, 0xff, 0xfe,
	0x00, 0x00, 0x00, 0x00, 0x90, 0x02, 0xfd, 0x20, 0xb7, 0xb8, 0x00, 0x00, 0x02, 0x04, 0x05,
	0xa0, 0x1e, 0x0c, 0x10, 0x02, 0x11, 0x22, 0x33, 0x44, 0xaa, 0xbb, 0xcc, 0xdd,
};

static const uint8_t icmp6_code3[] = {
	0x60, 0x00, 0x00, 0x00, 0x00, 0x6c, 0x3a, 0x40, 0xfd, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xfd, 0x00, 0x00, 0x01, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x01, 0x03, 0x5a, 0xee, 0x00,
	0x00, 0x00, 0x00, 0x60, 0x00, 0x00, 0x00, 0x00, 0x3c, 0x00, 0x40, 0xfd, 0x00, 0x00, 0x01,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x20, 0x01, 0x0d,
	0xb8, 0x00, 0x0f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x3c, 0x00,
	0x05, 0x02, 0x00, 0x00, 0x01, 0x00, 0x06, 0x01, 0x01, 0x0c, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x41, 0x01, 0xbb, 0xff, 0xff, 0xff, 0xfe,
	0x00, 0x00, 0x00, 0x00, 0x90, 0x02, 0xfd, 0x20, 0xb7, 0xb8, 0x00, 0x00, 0x02, 0x04, 0x05,
	0xa0, 0x1e, 0x0c, 0x10, 0x02, 0x11, 0x22, 0x33, 0x44, 0xaa, 0xbb, 0xcc, 0xdd,
};

/*
 * The one's complement sums of the pseudo-headers alone, in Python:
 *   s = sum(struct.unpack("!16H", src + dst + struct.pack("!IHH", len, 0, 6))), folded
 * (IPv4: "!6H" over src + dst + struct.pack("!HH", 6, len)); len is 47 and 36.
 */
static const uint8_t partial4[] = {0xfe, 0x30};
static const uint8_t partial6[] = {0x2b, 0x76};

enum {
	L3 = 14,
	L4_OF_SYN4 = L3 + 20,
	L4_OF_SYN6 = L3 + 40 + 8 + 16,
	CHECKSUM = 16, /* in the TCP header */
};

/* A copy that ends where it ends, for AddressSanitizer to see. */
static uint8_t *exactly(const void *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	cr_assert(copy);
	memcpy(copy, bytes, len);
	return copy;
}

static int read_exactly(const void *frame, size_t len, struct syn_segment *syn)
{
	uint8_t *copy = exactly(frame, len);
	int err = syn_segment_read(copy, len, syn);

	free(copy);
	return err;
}

static struct plait_addr make_addr(int family, const char *text, uint16_t port)
{
	struct plait_addr addr = {.family = family, .port = htons(port)};

	cr_assert_eq(inet_pton(family, text, addr.ip), 1);
	return addr;
}

static void expect_addr(const struct plait_addr *addr, int family, const char *text, uint16_t port)
{
	struct plait_addr want = make_addr(family, text, port);

	cr_expect_eq(memcmp(addr, &want, sizeof(want)), 0, "not %s port %u", text, port);
}

Test(segment, reads_an_ipv4_syn)
{
	struct syn_segment syn;

	cr_assert_eq(read_exactly(syn4, sizeof(syn4), &syn), 0);
	expect_addr(&syn.source, AF_INET, "192.168.1.2", 40000);
	expect_addr(&syn.destination, AF_INET, "203.0.113.80", 80);
	cr_expect_eq(syn.seq, 0x01020304);
	cr_expect(syn.mp_capable);
	cr_expect_not(syn.mp_join);
	cr_expect_eq(syn.l3_offset, L3);
	cr_expect_eq(syn.l4_offset, L4_OF_SYN4);
	cr_expect_eq(syn.payload_offset, L4_OF_SYN4 + 36);
	cr_expect_eq(syn.payload_len, 11);
}

Test(segment, reads_an_ipv6_syn_behind_extension_headers)
{
	struct syn_segment syn;

	cr_assert_eq(read_exactly(syn6, sizeof(syn6), &syn), 0);
	expect_addr(&syn.source, AF_INET6, "fd00:1::2", 40001);
	expect_addr(&syn.destination, AF_INET6, "2001:db8:f::80", 443);
	cr_expect_eq(syn.seq, 0xfffffffe);
	cr_expect_not(syn.mp_capable);
	cr_expect(syn.mp_join);
	cr_expect_eq(syn.l3_offset, L3);
	cr_expect_eq(syn.l4_offset, L4_OF_SYN6);
	cr_expect_eq(syn.payload_offset, sizeof(syn6));
	cr_expect_eq(syn.payload_len, 0);
}

static uint16_t sum_of_ipv4_header(const uint8_t *ip)
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += ip[i] << 8 | ip[i + 1];
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* The bits of keep stand beside the DSCP, in the header's second octet. */
static void set_and_read_every_dscp(const uint8_t *frame, size_t len, uint8_t keep)
{
	uint8_t *copy = exactly(frame, len);
	struct syn_segment syn, again;

	copy[L3 + 1] |= keep;
	cr_assert_eq(syn_segment_read(copy, len, &syn), 0);
	cr_expect_eq(syn.dscp, 0);
	if (syn.source.family == AF_INET) /* a header that is right to begin with */
		copy[L3 + 11] = (uint8_t)(copy[L3 + 11] - keep);
	for (unsigned int i = 0; i <= 64; i++) {
		uint8_t dscp = i * 5 % 64; /* every one, and 0 again */

		syn_segment_set_dscp(copy, &syn, dscp);
		cr_assert_eq(syn_segment_read(copy, len, &again), 0);
		cr_expect_eq(again.dscp, dscp);
		if (syn.source.family == AF_INET)
			cr_expect_eq(sum_of_ipv4_header(copy + L3), 0xffff);
	}
	cr_expect_eq(copy[L3 + 1], keep);
	copy[L3 + 1] = 0;
	if (syn.source.family == AF_INET)
		copy[L3 + 11] = (uint8_t)(copy[L3 + 11] + keep);
	cr_expect_arr_eq(copy, frame, len, "nothing else has changed");
	free(copy);
}

Test(segment, sets_the_dscp_and_nothing_else)
{
	set_and_read_every_dscp(syn4, sizeof(syn4), 0);
	set_and_read_every_dscp(syn4, sizeof(syn4), 0x03);
	set_and_read_every_dscp(syn6, sizeof(syn6), 0);
	set_and_read_every_dscp(syn6, sizeof(syn6), 0x3f); /* and some of the flow label */
}

Test(segment, does_not_count_padding)
{
	uint8_t frame[1500] = {};
	struct syn_segment syn;

	memcpy(frame, syn4, sizeof(syn4));
	cr_assert_eq(syn_segment_read(frame, sizeof(frame), &syn), 0);
	cr_expect_eq(syn.payload_len, 11);
	memcpy(frame, syn6, sizeof(syn6));
	cr_assert_eq(syn_segment_read(frame, sizeof(frame), &syn), 0);
	cr_expect_eq(syn.payload_len, 0);
}

Test(segment, refuses_every_truncation)
{
	struct syn_segment syn, before;

	memset(&syn, 0xa5, sizeof(syn));
	before = syn;
	for (size_t len = 0; len < sizeof(syn4); len++)
		cr_expect_eq(read_exactly(syn4, len, &syn), -EBADMSG, "%zu octets", len);
	for (size_t len = 0; len < sizeof(syn6); len++)
		cr_expect_eq(read_exactly(syn6, len, &syn), -EBADMSG, "%zu octets", len);
	cr_expect_eq(memcmp(&syn, &before, sizeof(syn)), 0);
}

static void corrupt_every_octet(const uint8_t *frame, size_t len)
{
	uint8_t *copy = exactly(frame, len);

	for (size_t at = 0; at < len; at++) {
		for (int octet = 0; octet < 256; octet++) {
			struct syn_segment syn;
			uint8_t was[2];

			copy[at] = octet;
			if (syn_segment_read(copy, len, &syn) < 0)
				continue;
			cr_assert_leq(syn.payload_offset + syn.payload_len, len);
			memcpy(was, copy + syn.l4_offset + CHECKSUM, 2);
			syn_segment_complete_checksum(copy, len, &syn);
			memcpy(copy + syn.l4_offset + CHECKSUM, was, 2);
		}
		copy[at] = frame[at];
	}
	free(copy);
}

Test(segment, survives_every_corrupted_octet)
{
	corrupt_every_octet(syn4, sizeof(syn4));
	corrupt_every_octet(syn6, sizeof(syn6));
}

/* One octet of a good frame changed, and what is to become of it. */
struct change {
	char name[40];
	bool ipv6;
	int at;
	uint8_t octet;
	int result;
};

ParameterizedTestParameters(segment, judges)
{
	static struct change changes[] = {
		{"ARP", false, 13, 0x06, -EBADMSG},
		{"IPv6 that says IPv4", true, 13, 0x00, -EBADMSG},
		{"VLAN", false, 12, 0x81, -EBADMSG},
		{"IPv4 version 5", false, L3, 0x55, -EBADMSG},
		{"IPv4 header of 16 octets", false, L3, 0x44, -EBADMSG},
		{"IPv4 header of 60 octets", false, L3, 0x4f, -EBADMSG},
		{"IPv4 one octet longer than the frame", false, L3 + 3, 0x44, -EBADMSG},
		{"IPv4 without the payload", false, L3 + 3, 0x38, 0},
		{"IPv4 that ends in the TCP header", false, L3 + 3, 0x37, -EBADMSG},
		{"IPv4 with more fragments", false, L3 + 6, 0x60, -EBADMSG},
		{"IPv4 fragment at 8", false, L3 + 7, 0x01, -EBADMSG},
		{"IPv4 fragment at 2048", false, L3 + 6, 0x01, -EBADMSG},
		{"IPv4 without DF", false, L3 + 6, 0x00, 0},
		{"UDP", false, L3 + 9, 17, -EBADMSG},
		{"IPv6 version 4", true, L3, 0x40, -EBADMSG},
		{"IPv6 longer than the frame", true, L3 + 5, 0x3d, -EBADMSG},
		{"IPv6 of no payload", true, L3 + 5, 0x00, -EBADMSG},
		{"IPv6 fragment header", true, L3 + 6, 44, -EBADMSG},
		{"IPv6 routing header", true, L3 + 6, 43, -EBADMSG},
		{"IPv6 fragment behind hop-by-hop", true, L3 + 40, 44, -EBADMSG},
		{"IPv6 hop-by-hop without end", true, L3 + 41, 0xff, -EBADMSG},
		{"IPv6 UDP behind options", true, L3 + 48, 17, -EBADMSG},
		{"TCP header of 16 octets", false, L4_OF_SYN4 + 12, 0x40, -EBADMSG},
		{"TCP header of 60 octets", false, L4_OF_SYN4 + 12, 0xf0, -EBADMSG},
		{"SYN and ACK", false, L4_OF_SYN4 + 13, 0x12, -EBADMSG},
		{"SYN and RST", false, L4_OF_SYN4 + 13, 0x06, -EBADMSG},
		{"SYN and FIN", false, L4_OF_SYN4 + 13, 0x03, -EBADMSG},
		{"no flag", false, L4_OF_SYN4 + 13, 0x00, -EBADMSG},
		{"SYN with ECE and CWR", false, L4_OF_SYN4 + 13, 0xc2, 0},
		{"SYN with PSH and URG", false, L4_OF_SYN4 + 13, 0x2a, 0},
		{"option of length 0", false, L4_OF_SYN4 + 21, 0, -EBADMSG},
		{"option of length 1", false, L4_OF_SYN4 + 21, 1, -EBADMSG},
		{"option longer than the header", false, L4_OF_SYN4 + 31, 7, -EBADMSG},
		{"MPTCP option without sub-type", false, L4_OF_SYN4 + 31, 2, -EBADMSG},
		{"option that ends after its kind", true, L4_OF_SYN6 + 25, 11, -EBADMSG},
		{"EOL first", false, L4_OF_SYN4 + 20, 0, 0},
	};

	return cr_make_param_array(struct change, changes, sizeof(changes) / sizeof(changes[0]));
}

ParameterizedTest(struct change *change, segment, judges)
{
	size_t len = change->ipv6 ? sizeof(syn6) : sizeof(syn4);
	uint8_t *frame = exactly(change->ipv6 ? syn6 : syn4, len);
	struct syn_segment syn;

	frame[change->at] = change->octet;
	cr_expect_eq(syn_segment_read(frame, len, &syn), change->result, "%s", change->name);
	free(frame);
}

Test(segment, finds_no_mptcp_behind_eol)
{
	uint8_t frame[sizeof(syn4)];
	struct syn_segment syn;

	memcpy(frame, syn4, sizeof(syn4));
	frame[L4_OF_SYN4 + 20] = 0;
	cr_assert_eq(syn_segment_read(frame, sizeof(frame), &syn), 0);
	cr_expect_not(syn.mp_capable);
}

Test(segment, tells_mptcp_subtypes_apart)
{
	uint8_t frame[sizeof(syn4)];

	memcpy(frame, syn4, sizeof(syn4));
	for (int subtype = 0; subtype < 16; subtype++) {
		struct syn_segment syn;

		frame[L4_OF_SYN4 + 32] = subtype << 4 | 1;
		cr_assert_eq(syn_segment_read(frame, sizeof(frame), &syn), 0);
		cr_expect_eq(syn.mp_capable, subtype == 0, "%x", subtype);
		cr_expect_eq(syn.mp_join, subtype == 1, "%x", subtype);
	}
}

struct summed {
	bool ipv6;
};

static struct summed families[] = {{false}, {true}};

ParameterizedTestParameters(segment, leaves_a_whole_checksum)
{
	return cr_make_param_array(struct summed, families, 2);
}

ParameterizedTest(struct summed *summed, segment, leaves_a_whole_checksum)
{
	const uint8_t *frame = summed->ipv6 ? syn6 : syn4;
	size_t len = summed->ipv6 ? sizeof(syn6) : sizeof(syn4);
	uint8_t *copy = exactly(frame, len);
	struct syn_segment syn;

	cr_assert_eq(syn_segment_read(copy, len, &syn), 0);
	cr_expect_eq(syn_segment_complete_checksum(copy, len, &syn), 0);
	cr_expect_arr_eq(copy, frame, len);
	free(copy);
}

ParameterizedTestParameters(segment, completes_a_partial_checksum)
{
	return cr_make_param_array(struct summed, families, 2);
}

ParameterizedTest(struct summed *summed, segment, completes_a_partial_checksum)
{
	const uint8_t *frame = summed->ipv6 ? syn6 : syn4;
	size_t len = summed->ipv6 ? sizeof(syn6) : sizeof(syn4);
	uint8_t *copy = exactly(frame, len);
	struct syn_segment syn;

	cr_assert_eq(syn_segment_read(copy, len, &syn), 0);
	memcpy(copy + syn.l4_offset + CHECKSUM, summed->ipv6 ? partial6 : partial4, 2);
	cr_expect_eq(syn_segment_complete_checksum(copy, len, &syn), 0);
	cr_expect_arr_eq(copy, frame, len);
	free(copy);
}

ParameterizedTestParameters(segment, refuses_every_other_checksum)
{
	return cr_make_param_array(struct summed, families, 2);
}

ParameterizedTest(struct summed *summed, segment, refuses_every_other_checksum)
{
	const uint8_t *frame = summed->ipv6 ? syn6 : syn4;
	const uint8_t *partial = summed->ipv6 ? partial6 : partial4;
	size_t len = summed->ipv6 ? sizeof(syn6) : sizeof(syn4);
	uint8_t *copy = exactly(frame, len);
	struct syn_segment syn;

	cr_assert_eq(syn_segment_read(copy, len, &syn), 0);
	for (int checksum = 0; checksum < 65536; checksum++) {
		uint8_t octets[] = {checksum >> 8, checksum & 0xff};

		if (memcmp(octets, frame + syn.l4_offset + CHECKSUM, 2) == 0 ||
		    memcmp(octets, partial, 2) == 0)
			continue;
		memcpy(copy + syn.l4_offset + CHECKSUM, octets, 2);
		cr_expect_eq(syn_segment_complete_checksum(copy, len, &syn), -EBADMSG, "%04x",
			     checksum);
	}
	free(copy);
}

/* every octet of a segment counts, the last odd one and the addresses too */
Test(segment, checksum_covers_everything)
{
	uint8_t frame[sizeof(syn4)];
	struct syn_segment syn;

	memcpy(frame, syn4, sizeof(syn4));
	for (size_t at = L3 + 12; at < sizeof(syn4); at++) {
		frame[at] ^= 0x20;
		if (syn_segment_read(frame, sizeof(frame), &syn) == 0)
			cr_expect_eq(syn_segment_complete_checksum(frame, sizeof(frame), &syn),
				     -EBADMSG, "octet %zu", at);
		frame[at] ^= 0x20;
	}
}

Test(segment, checksum_stays_in_the_frame)
{
	uint8_t *copy = exactly(syn4, sizeof(syn4) - 1);
	struct syn_segment syn;

	cr_assert_eq(read_exactly(syn4, sizeof(syn4), &syn), 0);
	cr_expect_eq(syn_segment_complete_checksum(copy, sizeof(syn4) - 1, &syn), -EBADMSG);
	free(copy);
}

/* RFC 9293 §3.5.2: SEQ 0, ACK what the SYN and its payload take */
Test(segment, refuses_a_syn_by_rst)
{
	struct syn_segment syn;
	uint8_t packet[128];

	cr_assert_eq(read_exactly(syn4, sizeof(syn4), &syn), 0);
	cr_expect_eq(rst_for_syn_write(&syn, packet, sizeof(packet)), sizeof(rst4));
	cr_expect_arr_eq(packet, rst4, sizeof(rst4));

	/* here the acknowledgement comes to the end of the sequence space */
	cr_assert_eq(read_exactly(syn6, sizeof(syn6), &syn), 0);
	cr_expect_eq(rst_for_syn_write(&syn, packet, sizeof(packet)), sizeof(rst6));
	cr_expect_arr_eq(packet, rst6, sizeof(rst6));
}

Test(segment, acknowledges_past_the_end_of_sequence_space)
{
	struct syn_segment syn;
	uint8_t packet[40];
	const uint8_t want[] = {0, 0, 0, 11};

	cr_assert_eq(read_exactly(syn4, sizeof(syn4), &syn), 0);
	syn.seq = 0xffffffff;
	cr_assert_eq(rst_for_syn_write(&syn, packet, sizeof(packet)), 40);
	cr_expect_arr_eq(packet + 20 + 8, want, 4);
}

Test(segment, rst_needs_room)
{
	struct syn_segment syn;
	uint8_t *packet = exactly(rst4, sizeof(rst4));

	cr_assert_eq(read_exactly(syn4, sizeof(syn4), &syn), 0);
	for (size_t size = 0; size < sizeof(rst4); size++)
		cr_expect_eq(rst_for_syn_write(&syn, packet, size), -ENOSPC, "%zu", size);
	cr_expect_eq(rst_for_syn_write(&syn, packet, sizeof(rst4)), sizeof(rst4));
	cr_assert_eq(read_exactly(syn6, sizeof(syn6), &syn), 0);
	cr_expect_eq(rst_for_syn_write(&syn, packet, sizeof(rst6) - 1), -ENOSPC);
	free(packet);
}

Test(segment, says_unreachable_in_ipv4)
{
	struct plait_addr from = make_addr(AF_INET, "192.168.1.1", 0);
	struct syn_segment syn;
	uint8_t packet[256];

	cr_assert_eq(read_exactly(syn4, sizeof(syn4), &syn), 0);
	cr_expect_eq(icmp_unreachable_write(syn4, &syn, &from, true, packet, sizeof(packet)),
		     sizeof(icmp4_code0));
	cr_expect_arr_eq(packet, icmp4_code0, sizeof(icmp4_code0));
	cr_expect_eq(icmp_unreachable_write(syn4, &syn, &from, false, packet, sizeof(packet)),
		     sizeof(icmp4_code1));
	cr_expect_arr_eq(packet, icmp4_code1, sizeof(icmp4_code1));
}

Test(segment, says_unreachable_in_ipv6)
{
	struct plait_addr from = make_addr(AF_INET6, "fd00:1::1", 7);
	struct syn_segment syn;
	uint8_t packet[256];

	cr_assert_eq(read_exactly(syn6, sizeof(syn6), &syn), 0);
	cr_expect_eq(icmp_unreachable_write(syn6, &syn, &from, true, packet, sizeof(packet)),
		     sizeof(icmp6_code0));
	cr_expect_arr_eq(packet, icmp6_code0, sizeof(icmp6_code0));
	cr_expect_eq(icmp_unreachable_write(syn6, &syn, &from, false, packet, sizeof(packet)),
		     sizeof(icmp6_code3));
	cr_expect_arr_eq(packet, icmp6_code3, sizeof(icmp6_code3));
}

Test(segment, unreachable_needs_room_and_one_family)
{
	struct plait_addr from = make_addr(AF_INET, "192.168.1.1", 0);
	uint8_t *packet = exactly(icmp4_code0, sizeof(icmp4_code0));
	struct syn_segment syn;

	cr_assert_eq(read_exactly(syn4, sizeof(syn4), &syn), 0);
	for (size_t size = 0; size < sizeof(icmp4_code0); size++)
		cr_expect_eq(icmp_unreachable_write(syn4, &syn, &from, true, packet, size), -ENOSPC,
			     "%zu", size);
	cr_expect_gt(icmp_unreachable_write(syn4, &syn, &from, true, packet, sizeof(icmp4_code0)),
		     0);
	from = make_addr(AF_INET6, "fd00:1::1", 0);
	cr_expect_eq(icmp_unreachable_write(syn4, &syn, &from, true, packet, sizeof(icmp4_code0)),
		     -EAFNOSUPPORT);
	free(packet);
}

/* RFC 4443 §2.4 (c): with its quotation no longer than the least IPv6 MTU */
Test(segment, icmpv6_quotes_no_more_than_fits)
{
	enum { EXTENSION = 2048, FRAME = L3 + 40 + EXTENSION + 20 };
	struct plait_addr from = make_addr(AF_INET6, "fd00:1::1", 0);
	uint8_t *frame = calloc(1, FRAME);
	struct syn_segment syn;
	uint8_t packet[1500];

	cr_assert(frame);
	memcpy(frame, syn6, L3 + 40);
	frame[L3 + 4] = (EXTENSION + 20) >> 8;
	frame[L3 + 5] = (EXTENSION + 20) & 0xff;
	frame[L3 + 6] = 60; /* destination options, the longest there can be */
	frame[L3 + 40] = 6;
	frame[L3 + 41] = 255;
	frame[L3 + 40 + EXTENSION + 12] = 0x50;
	frame[L3 + 40 + EXTENSION + 13] = 0x02;
	cr_assert_eq(syn_segment_read(frame, FRAME, &syn), 0);
	cr_expect_eq(icmp_unreachable_write(frame, &syn, &from, true, packet, sizeof(packet)),
		     1280);
	free(frame);
}
