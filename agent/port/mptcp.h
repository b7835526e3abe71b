/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What is particular to an MPTCP socket: state, subflows, ending (RFC 8684). */
#ifndef PLAIT_PORT_MPTCP_H
#define PLAIT_PORT_MPTCP_H

#include <stdbool.h>
#include <stdint.h>

#include "plait_addr.h"

struct mptcp_subflow {
	struct plait_addr local, remote;
	uint64_t sent_bytes; /* acknowledged by the peer */
	uint64_t received_bytes;
	uint32_t rtt_us, rtt_min_us; /* smoothed, and least of some minutes */
	uint32_t retransmits;
	bool first; /* the one with MP_CAPABLE: its address id is 0 */
	bool established; /* false: its handshake is not over */
};

/* Token of the connection, or 0 if it fell back to plain TCP. */
uint32_t mptcp_token(int fd);

/*
 * Whether an accepted connection's third ACK has come, which has the other's key
 * (RFC 8684 §3.1); true for one that fell back to plain TCP.
 */
bool mptcp_is_confirmed(int fd);

/*
 * Fill at most max subflows; returns their number, or negative errno
 * (-EOPNOTSUPP after a fallback).
 */
int mptcp_subflows(int fd, struct mptcp_subflow *out, unsigned int max);

/*
 * Send what waits for nothing. What was written to a leg that was accepted with its SYN's
 * data waits for a subflow until the handshake is over, and then on (docs/kernel.md).
 */
void mptcp_push(int fd);

/* End the connection by MP_FASTCLOSE (RFC 8684 §3.5) and close fd. */
void mptcp_fastclose(int fd);

#endif
