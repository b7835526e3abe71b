/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What datagram mode's held frames are about: a host's UDP, and TCP-formatted packets
 * (plain-mode-03, "UDP Traffic"; docs/datagram.md). Pure functions; programs judge the
 * rest of a packet once it is let go.
 */
#ifndef PLAIT_CODEC_FORMATTED_H
#define PLAIT_CODEC_FORMATTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plait_addr.h"

struct formatted {
	struct plait_addr source, destination; /* of the packet, with ports */
	struct plait_addr remote; /* of UDP: the destination; else the PM option's */
	bool from_concentrator; /* the option's D bit: remote is where it came from */
};

/*
 * Read an Ethernet frame that holds UDP, whole or its first octets, over IPv4 or IPv6,
 * without extension headers and no fragment. 0, or -EBADMSG with *out untouched.
 */
int udp_frame_read(const uint8_t *frame, size_t len, struct formatted *out);

/* The same of TCP whose options begin with a PM option that has the U bit. */
int formatted_frame_read(const uint8_t *frame, size_t len, struct formatted *out);

#endif
