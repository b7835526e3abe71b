/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What a path has lost, from the counts of its receiver (plait_datagram.h). */
#ifndef PLAIT_TABLE_PATH_LOSS_H
#define PLAIT_TABLE_PATH_LOSS_H

#include <stdbool.h>
#include <stdint.h>

#include "plait_datagram.h"

struct path_loss {
	bool known; /* there was an earlier look */
	uint32_t highest, restarts;
	uint64_t received;
	int64_t missing; /* packets that are lost or late, as things stand */
};

/*
 * Look again. What was missing and comes late is missing no more. After the sender began
 * anew, what it has lost meanwhile is not known.
 */
void path_loss_look(struct path_loss *loss, const struct plait_path_traffic *now);

/* Packets lost since the first look. */
static inline uint64_t path_loss_lost(const struct path_loss *loss)
{
	return loss->missing > 0 ? (uint64_t)loss->missing : 0;
}

#endif
