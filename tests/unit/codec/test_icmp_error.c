// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "codec/icmp_error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "codec/checksum.h"

#include "../addr.h"

enum { IPV4_BYTES = 20, IPV6_BYTES = 40 };

static uint8_t packet[ICMP_ERROR_BYTES_MAX];

static struct icmp_error about(const char *source, const char *destination, const char *remote)
{
	struct icmp_error error = {.cause = ICMP_CAUSE_PORT, .udp = !remote};

	error.packet.source = addr(source, 61000);
	error.packet.destination = addr(destination, remote ? 6824 : 53);
	error.packet.remote = remote ? addr(remote, 53) : error.packet.destination;
	return error;
}

static size_t ip_bytes(const char *from)
{
	return strchr(from, ':') ? IPV6_BYTES : IPV4_BYTES;
}

/* Read again, it is what was written. */
static void expect_kept(const struct icmp_error *error, const char *from)
{
	struct plait_addr sender = addr(from, 0);
	size_t header = ip_bytes(from), len = icmp_error_write(error, &sender, packet);
	struct icmp_error got;

	cr_assert_leq(len, sizeof(packet));
	cr_assert_eq(icmp_error_read(packet + header, len - header, sender.family, &got), 0);
	cr_expect_eq(got.cause, error->cause);
	cr_expect_eq(got.udp, error->udp);
	expect_same(&got.packet.source, &error->packet.source);
	expect_same(&got.packet.destination, &error->packet.destination);
	expect_same(&got.packet.remote, &error->packet.remote);
	cr_expect_eq(got.packet.from_concentrator, error->packet.from_concentrator);
}

Test(icmp_error, about_udp)
{
	struct icmp_error v4 = about("192.168.1.2", "203.0.113.2", NULL);
	struct icmp_error v6 = about("fd00:1::2", "2001:db8:f::2", NULL);

	for (v4.cause = 0; v4.cause <= ICMP_CAUSE_TTL; v4.cause++) {
		v6.cause = v4.cause;
		expect_kept(&v4, "203.0.113.2");
		expect_kept(&v6, "2001:db8:f::2");
	}
}

Test(icmp_error, about_tcp_formatted_packets_of_all_families)
{
	static const char *const remotes[] = {"203.0.113.2", "2001:db8:f::2"};

	for (unsigned int i = 0; i < 4; i++) {
		const char *from = i / 2 ? "fd10:1::1" : "10.1.0.1";
		struct icmp_error error =
			about(i / 2 ? "fd10:1::2" : "10.1.0.2", from, remotes[i % 2]);

		error.packet.from_concentrator = i % 2;
		expect_kept(&error, from);
	}
}

Test(icmp_error, checksums_are_right)
{
	struct icmp_error v4 = about("10.1.0.2", "10.1.0.1", "203.0.113.2");
	struct icmp_error v6 = about("fd10:1::2", "fd10:1::1", "203.0.113.2");
	struct plait_addr from = addr("10.1.0.1", 0);
	size_t len = icmp_error_write(&v4, &from, packet) - IPV4_BYTES;
	uint32_t sum;

	cr_expect_eq(checksum_fold(checksum_add(0, packet, IPV4_BYTES)), 0xffff);
	cr_expect_eq(checksum_fold(checksum_add(0, packet + IPV4_BYTES, len)), 0xffff);
	from = addr("fd10:1::1", 0);
	len = icmp_error_write(&v6, &from, packet) - IPV6_BYTES;
	sum = checksum_pseudo_header(&from, &v6.packet.source, IPPROTO_ICMPV6, len);
	cr_expect_eq(checksum_fold(checksum_add(sum, packet + IPV6_BYTES, len)), 0xffff);
}

static int read_with(size_t at, uint8_t octet, size_t cut)
{
	struct icmp_error error = about("10.1.0.2", "10.1.0.1", "203.0.113.2"), got;
	struct plait_addr from = addr("10.1.0.1", 0);
	size_t len = icmp_error_write(&error, &from, packet) - IPV4_BYTES;

	packet[IPV4_BYTES + at] = octet;
	return icmp_error_read(packet + IPV4_BYTES, len - cut, AF_INET, &got);
}

Test(icmp_error, what_is_none_is_refused)
{
	cr_expect_eq(read_with(1, 3, 0), 0);
	cr_expect_eq(read_with(0, 8, 0), -EBADMSG, "an echo request");
	cr_expect_eq(read_with(1, 4, 0), -EBADMSG, "fragmentation needed");
	cr_expect_eq(read_with(8 + 9, 47, 0), -EBADMSG, "about another protocol");
	cr_expect_eq(read_with(8 + 20 + 20 + 2, 0xe0, 0), -EBADMSG, "no U");
	for (size_t cut = 1; cut < 8 + 20 + 32; cut++)
		cr_expect_eq(read_with(1, 3, cut), -EBADMSG, "cut by %zu", cut);
}
