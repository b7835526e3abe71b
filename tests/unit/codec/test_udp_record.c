// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "codec/udp_record.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct plait_addr addr(const char *text, uint16_t port)
{
	struct plait_addr out = {.family = strchr(text, ':') ? AF_INET6 : AF_INET,
				 .port = htons(port)};

	cr_assert_eq(inet_pton(out.family, text, out.ip), 1);
	return out;
}

/* plain-mode-08 §5.1.1: 16 bits in network byte order. */
Test(udp_record, header)
{
	uint8_t out[UDP_RECORD_HEADER_BYTES];

	udp_record_write_header(0, out);
	cr_expect_arr_eq(out, ((uint8_t[]){0, 0}), 2);
	udp_record_write_header(0x1234, out);
	cr_expect_arr_eq(out, ((uint8_t[]){0x12, 0x34}), 2);
	udp_record_write_header(UDP_RECORD_PAYLOAD_MAX, out);
	cr_expect_arr_eq(out, ((uint8_t[]){0xff, 0xff}), 2);
}

Test(udp_record, is_read_once_it_is_whole)
{
	static const uint8_t stream[] = {0, 3, 'a', 'b', 'c', 0, 0, 0, 1, 'd'};

	for (size_t len = 0; len < 5; len++)
		cr_expect_eq(udp_record_read(stream, len), -EAGAIN, "%zu", len);
	for (size_t len = 5; len <= sizeof(stream); len++)
		cr_expect_eq(udp_record_read(stream, len), 3, "%zu", len);
	cr_expect_eq(udp_record_read(stream + 5, 5), 0, "an empty datagram");
	cr_expect_eq(udp_record_read(stream + 7, 2), -EAGAIN);
	cr_expect_eq(udp_record_read(stream + 7, 3), 1);
}

Test(udp_record, of_the_longest_payload)
{
	static uint8_t stream[UDP_RECORD_MAX] = {0xff, 0xff};

	cr_expect_eq(udp_record_read(stream, UDP_RECORD_MAX - 1), -EAGAIN);
	cr_expect_eq(udp_record_read(stream, UDP_RECORD_MAX), UDP_RECORD_PAYLOAD_MAX);
}

/* Sums worked out by hand. */
Test(udp_record, header_of_a_datagram)
{
	struct plait_addr from = addr("192.0.2.1", 1), to = addr("192.0.2.2", 2);
	uint8_t out[UDP_HEADER_BYTES];

	/* c000+0201+c000+0202+0011+000a + 0001+0002+000a+0000 + 6869 = 1ec94, folded ec95 */
	udp_header_write(&from, &to, (const uint8_t *)"hi", 2, out);
	cr_expect_arr_eq(out, ((uint8_t[]){0, 1, 0, 2, 0, 10, 0x13, 0x6a}), 8);
	/* odd: c000+0201+c000+0202+0011+0009 + 0001+0002+0009 + 6800 = 1ec29, folded ec2a */
	udp_header_write(&from, &to, (const uint8_t *)"h", 1, out);
	cr_expect_arr_eq(out, ((uint8_t[]){0, 1, 0, 2, 0, 9, 0x13, 0xd5}), 8);
}

/* RFC 768: a sum that comes to zero is sent as all ones. */
Test(udp_record, checksum_is_never_zero)
{
	struct plait_addr from = addr("192.0.2.1", 1), to = addr("192.0.2.2", 2);
	uint8_t out[UDP_HEADER_BYTES];

	/* c000+0201+c000+0202+0011+000a + 0001+0002+000a = 1842b; with 7bd3: 1fffe, folded ffff */
	udp_header_write(&from, &to, (const uint8_t *)"\x7b\xd3", 2, out);
	cr_expect_arr_eq(out + 6, ((uint8_t[]){0xff, 0xff}), 2);
}

Test(udp_record, header_of_an_ipv6_datagram)
{
	struct plait_addr from = addr("2001:db8::1", 1), to = addr("2001:db8::2", 2);
	uint8_t out[UDP_HEADER_BYTES];

	/* 2001+0db8+0001+2001+0db8+0002+0011+0008 + 0001+0002+0008 = 5b99 */
	udp_header_write(&from, &to, NULL, 0, out);
	cr_expect_arr_eq(out, ((uint8_t[]){0, 1, 0, 2, 0, 8, 0xa4, 0x66}), 8);
}
