/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whether a link carries so little beside the others that it costs more than it gives:
 * whatever the scheduler hands to it, 32 KB at a time, the whole connection waits for.
 * Pure state; times are in ns, octets those of both directions since the last call.
 */
#ifndef PLAIT_TABLE_POOR_H
#define PLAIT_TABLE_POOR_H

#include <stdbool.h>
#include <stdint.h>

struct poor {
	bool is;
	bool suspected; /* it would be, were it late: worth asking */
	unsigned int looks; /* in a row at which it seemed so */
	uint64_t received; /* in them */
	uint64_t busy_ns; /* when it last carried something */
	uint64_t since_ns; /* when it was found so; 0: never */
	uint64_t hold_ns; /* until it is given another chance */
};

struct poor_load {
	uint64_t received, moved; /* by this link, one way and both */
	uint64_t all_moved; /* by all links */
	bool late; /* what it is asked takes much longer than at best */
};

/* True if it becomes poor by this, or is to be tried again. */
bool poor_update(struct poor *poor, const struct poor_load *load, uint64_t now_ns);

/*
 * The link is not used for now, and begins anew when it is back; but if it had been poor for
 * a while, that still holds then. True if it is poor no more: it had only begun to fail.
 */
bool poor_failed(struct poor *poor, uint64_t now_ns);

#endif
