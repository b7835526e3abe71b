/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Subscribers: who is behind a source address, what of the pools they hold, and
 * what they may have (RFC 6888 REQ-4, plain-mode-08 §9.2). Sources that configuration
 * does not tie together are a subscriber each. Time is an argument.
 */
#ifndef PLAIT_TABLE_SUBSCRIBERS_H
#define PLAIT_TABLE_SUBSCRIBERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/hash.h"
#include "deterministic.h"
#include "plait_addr.h"
#include "pool.h"

enum {
	SUBSCRIBER_NAME_BYTES = 32,
	SUBSCRIBER_FAMILIES = 2, /* of external addresses */
	SUBSCRIBER_POOLS = 6, /* that it may hold blocks of */
};

/* Of each one; 0: none. */
struct subscriber_limits {
	uint32_t sessions, ports;
	uint32_t blocks; /* of each pool */
	uint32_t new_per_s; /* sessions; as many at once */
};

/* What it holds of one pool. Paired: all of it on one address (RFC 6888 REQ-2). */
struct holding {
	int32_t address; /* index in the pool; POOL_NOBODY: none yet */
	unsigned int block_count;
	TAILQ_HEAD(held_blocks, block) blocks; /* the first ones have free ports, likely */
};

struct subscriber {
	char name[SUBSCRIBER_NAME_BYTES]; /* empty: not configured */
	struct plait_addr source; /* the first one, port 0 */
	bool used; /* else it is a free slot */
	bool idle; /* on the list: may be forgotten, the one that has been longest first */
	TAILQ_ENTRY(subscriber) by_idleness;
	uint32_t sessions, ports;
	uint64_t spent_until_ns; /* what it may have of new sessions, at its rate */
	struct holding holding[SUBSCRIBER_POOLS]; /* by translator_holding_number() */
	/*
	 * External address and first port of its block of a deterministic pool, by
	 * subscriber_family(); family 0: it has none, and gets what is free.
	 */
	struct plait_addr computed[SUBSCRIBER_FAMILIES];
};

struct source {
	struct hash_node by_addr;
	struct plait_addr addr;
	int32_t subscriber;
};

struct subscribers {
	struct subscriber_limits limits;
	uint32_t size, count;
	struct subscriber *slots;
	struct source *sources;
	uint32_t source_size;
	int32_t *free_slots, *free_sources;
	uint32_t free_slot_count, free_source_count;
	TAILQ_HEAD(idle_subscribers, subscriber) idle;
	struct hash by_addr;
	const struct deterministic *deterministic; /* borrowed; set before any is added */
	unsigned int deterministic_count;
};

enum subscriber_verdict {
	SUBSCRIBER_FINE,
	SUBSCRIBER_SESSIONS, /* has as many as it may */
	SUBSCRIBER_RATE, /* too many new ones a second */
};

static inline unsigned int subscriber_family(uint8_t family)
{
	return family == AF_INET ? 0 : 1;
}

/* Room for size subscribers with sources addresses in all. 0 or -ENOMEM. */
int subscribers_open(struct subscribers *subscribers, uint32_t size, uint32_t sources,
		     const struct subscriber_limits *limits);
void subscribers_close(struct subscribers *subscribers);

/*
 * One that configuration names, with its sources (ports are not looked at). Returns
 * its index, or POOL_NOBODY: no room, or a source is somebody's.
 */
int32_t subscribers_add(struct subscribers *subscribers, const char *name,
			const struct plait_addr *sources, unsigned int count);

/* Who has this source address, made if it is nobody's; POOL_NOBODY: no room. */
int32_t subscribers_of(struct subscribers *subscribers, const struct plait_addr *source);

/* A new session, which is counted if that is fine. */
enum subscriber_verdict subscribers_begin(struct subscribers *subscribers, int32_t index,
					  uint64_t now_ns);
/*
 * One has ended. A subscriber that is not configured and has none is kept for what it
 * has used of its rate, until another one needs the room.
 */
void subscribers_end(struct subscribers *subscribers, int32_t index);

/* To be told when its ports have changed. */
void subscribers_settle(struct subscribers *subscribers, int32_t index);

/* A number that is its own, and the same again when it comes back. */
uint32_t subscribers_wish(const struct subscribers *subscribers, int32_t index);

static inline struct subscriber *subscribers_at(struct subscribers *subscribers, int32_t index)
{
	return &subscribers->slots[index];
}

#endif
