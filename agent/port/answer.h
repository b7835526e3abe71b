/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Sending whole IP packets in another's name: RST and ICMP answers to held SYNs. */
#ifndef PLAIT_PORT_ANSWER_H
#define PLAIT_PORT_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "plait_addr.h"

struct answer {
	int fd_v4, fd_v6;
};

/* 0 or negative errno. */
int answer_open(struct answer *answer);
void answer_close(struct answer *answer);

/* Send the IP packet to to's address. 0 or negative errno. */
int answer_send(const struct answer *answer, const struct plait_addr *to, const uint8_t *packet,
		size_t len);

#endif
