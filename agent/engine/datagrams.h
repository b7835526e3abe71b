/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The datagrams of a UDP session (plain-mode-08 §5.1): those of the plain side are queued as
 * records for the leg, those of the leg are sent one by one. Where the plain side is the one
 * that was accepted, they come from a socket that all share, and leave by another; where it
 * was dialled, it has a socket of its own.
 */
#ifndef PLAIT_ENGINE_DATAGRAMS_H
#define PLAIT_ENGINE_DATAGRAMS_H

#include "pump.h"
#include "table/queue_age.h"
#include "table/record_stream.h"

struct datagrams {
	uint8_t *out; /* records for the leg; NULL while there are none */
	uint32_t out_begin, out_end, out_room;
	struct record_stream in; /* from the leg */
	struct queue_age age; /* of what is for the leg */
	uint64_t judged_ns; /* the turn in which it was seen whether that is too old */
	bool too_old;
};

struct datagrams *datagrams_new(void); /* NULL: no memory */
void datagrams_free(struct datagrams *datagrams);

/*
 * Queue it for the leg, or drop and count it where what waits is older than udp_queue or
 * larger than there may be; of several each for itself.
 */
void datagrams_queue(struct worker *worker, struct session *session,
		     const struct datagram *datagram);

/* What waits for the leg. */
size_t datagrams_waiting(const struct datagrams *datagrams, const uint8_t **out);

/* The first octets of what waits have gone another way: in the SYN. */
void datagrams_sent(struct datagrams *datagrams, size_t octets);

/* Move them one way. half[SIDE_LEG].ended is set by a FIN. */
enum pumped datagrams_pump(struct worker *worker, struct session *session, enum which_side from);

#endif
