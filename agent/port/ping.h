/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ICMP and ICMPv6 echo from one of our addresses to see whether its link carries anything. */
#ifndef PLAIT_PORT_PING_H
#define PLAIT_PORT_PING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plait_addr.h"

enum { PING_KEPT = 8 }; /* requests whose answers still count */

struct ping {
	int fd; /* -1: not open */
	bool deaf; /* nobody wants to know the answers; set before it is aimed */
	struct plait_addr local, remote;
	uint16_t sequence; /* of the last request */
	uint64_t sent_ns; /* 0: it is answered, or there is none */
	uint64_t asked_ns[PING_KEPT]; /* by sequence; 0: answered */
};

/*
 * Whatever it was open for, it is now for this pair; family 0 only closes it.
 * 0 or negative errno.
 */
int ping_aim(struct ping *ping, const struct plait_addr *local, const struct plait_addr *remote);

/* Ask. 0 or negative errno. */
int ping_send(struct ping *ping, uint64_t now_ns);

/* Send something along, and wait for no answer. 0 or negative errno. */
int ping_tell(struct ping *ping, const void *payload, size_t len);

/* Reads answers: true if there is one to a recent request, and how long it took. */
bool ping_answered(struct ping *ping, uint64_t now_ns, uint32_t *rtt_us);

#endif
