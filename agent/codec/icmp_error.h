/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ICMP errors about datagrams, from the side where they are TCP-formatted to the side where
 * they are UDP, and back. Pure functions. That a packet is too long is not among them.
 */
#ifndef PLAIT_CODEC_ICMP_ERROR_H
#define PLAIT_CODEC_ICMP_ERROR_H

#include "formatted.h"

/* What ICMP and ICMPv6 have alike (RFC 7915 §4.2, §5.2). */
enum icmp_cause {
	ICMP_CAUSE_NET, /* no route */
	ICMP_CAUSE_HOST,
	ICMP_CAUSE_PORT,
	ICMP_CAUSE_PROHIBITED,
	ICMP_CAUSE_TTL,
};

struct icmp_error {
	enum icmp_cause cause;
	bool udp; /* about UDP; else about a TCP-formatted packet */
	struct formatted packet; /* the one that it is about */
};

enum { ICMP_ERROR_BYTES_MAX = 160 };

/*
 * Read an ICMP message of that family, from its type on. 0; -EBADMSG if it is no error with
 * such a cause, or not about UDP or a TCP-formatted packet whose option is quoted. *out is
 * untouched on failure.
 */
int icmp_error_read(const uint8_t *icmp, size_t len, uint8_t family, struct icmp_error *out);

/*
 * Write an IP packet with an ICMP error from an address to the source of the packet that it
 * is about (of one family, ports of from not looked at), and quote that one's headers:
 * IP and UDP, or IP, TCP and the PM option. Returns its length, at most
 * ICMP_ERROR_BYTES_MAX.
 */
size_t icmp_error_write(const struct icmp_error *error, const struct plait_addr *from,
			uint8_t packet[ICMP_ERROR_BYTES_MAX]);

#endif
