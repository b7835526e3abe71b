/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * TCP SYNs as frames, and the answers a proxy gives in another's name: RST and
 * ICMP unreachable (design T4, T5). Pure functions.
 */
#ifndef PLAIT_CODEC_SEGMENT_H
#define PLAIT_CODEC_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plait_addr.h"

struct syn_segment {
	struct plait_addr source, destination; /* with ports */
	uint32_t seq; /* host byte order */
	bool mp_capable, mp_join;
	uint8_t dscp;
	uint16_t l3_offset, l4_offset; /* into the frame */
	uint16_t payload_offset, payload_len;
};

/*
 * Read an Ethernet frame that holds a whole TCP SYN (SYN set, ACK, RST and FIN
 * unset) over IPv4 or IPv6 (no fragment; IPv6 destination options and hop-by-hop
 * headers are stepped over). Frames may be longer than the IP packet (padding).
 * Returns 0, or -EBADMSG. TCP options are walked by their lengths; a broken
 * option list is -EBADMSG. *out is untouched on failure.
 */
int syn_segment_read(const uint8_t *frame, size_t len, struct syn_segment *out);

/*
 * Check the TCP checksum of a frame syn_segment_read() accepted and make it
 * whole: a frame from a virtual device may carry only the pseudo-header's sum
 * (CHECKSUM_PARTIAL), which is completed in place. Returns 0, or -EBADMSG if the
 * checksum is neither.
 */
int syn_segment_complete_checksum(uint8_t *frame, size_t len, const struct syn_segment *syn);

/* Put another DSCP into such a frame; ECN stays, an IPv4 header's checksum is put right. */
void syn_segment_set_dscp(uint8_t *frame, const struct syn_segment *syn, uint8_t dscp);

/*
 * Write the RST+ACK that refuses syn (RFC 9293 §3.5.2), an IP packet from
 * syn->destination to syn->source with correct checksums. Returns its length,
 * -ENOSPC.
 */
int rst_for_syn_write(const struct syn_segment *syn, uint8_t *packet, size_t size);

/*
 * Write an ICMP (type 3) or ICMPv6 (type 1) destination unreachable about the
 * SYN in frame, from `from` (same family, port ignored) to its source, quoting
 * as much as is usual (IP header and 8 octets / up to 1232 octets for v6 is not
 * needed: quote header and TCP header). net: network unreachable / no route,
 * else host / address unreachable. Returns its length, -ENOSPC, -EAFNOSUPPORT if
 * from is of the other family.
 */
int icmp_unreachable_write(const uint8_t *frame, const struct syn_segment *syn,
			   const struct plait_addr *from, bool net, uint8_t *packet, size_t size);

#endif
