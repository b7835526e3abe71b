/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A UDP flow on an MPTCP stream: records of a length, 16 bits in network byte order, and
 * that many octets (plain-mode-08 §5.1.1). Pure functions.
 */
#ifndef PLAIT_CODEC_UDP_RECORD_H
#define PLAIT_CODEC_UDP_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "plait_addr.h"

enum {
	UDP_RECORD_HEADER_BYTES = 2,
	UDP_RECORD_PAYLOAD_MAX = 65535,
	UDP_RECORD_MAX = UDP_RECORD_HEADER_BYTES + UDP_RECORD_PAYLOAD_MAX,
	UDP_HEADER_BYTES = 8,
};

/* The header of a record with payload_len octets, 65535 at most. */
void udp_record_write_header(size_t payload_len, uint8_t out[UDP_RECORD_HEADER_BYTES]);

/*
 * The first record of len octets of the stream: its payload's length, which begins after
 * the header; or -EAGAIN if it is not whole.
 */
int udp_record_read(const uint8_t *bytes, size_t len);

/* The UDP header (RFC 768) of a datagram, with its checksum; payload at most 65527 octets. */
void udp_header_write(const struct plait_addr *from, const struct plait_addr *to,
		      const uint8_t *payload, size_t payload_len, uint8_t out[UDP_HEADER_BYTES]);

#endif
