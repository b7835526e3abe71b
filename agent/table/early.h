/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Fragments that came before the first one of their datagram, until that comes
 * (plain-mode-08 §5.3.2); all of them bounded in number and time.
 */
#ifndef PLAIT_TABLE_EARLY_H
#define PLAIT_TABLE_EARLY_H

#include <stddef.h>
#include <stdint.h>

enum { EARLY_FRAMES = 256, EARLY_FIRSTS = 64 };

struct early_frame {
	uint64_t datagram, until_ns;
	uint32_t number; /* in the order they came */
	size_t len;
	uint8_t *bytes; /* NULL: free */
};

/* A datagram whose first fragment has come. */
struct early_first {
	uint64_t datagram, until_ns; /* 0: free */
};

struct early {
	struct early_frame frame[EARLY_FRAMES];
	struct early_first first[EARLY_FIRSTS];
	unsigned int next_first;
	uint32_t next_number;
};

enum early_fate { EARLY_KEPT, EARLY_GOES, EARLY_NO_ROOM };

/* One came: it is copied, unless the first one of its datagram has come already. */
enum early_fate early_came(struct early *early, uint64_t datagram, const uint8_t *bytes, size_t len,
			   uint64_t now_ns);

/* The first one of a datagram has come; early_next() has those that were before it. */
void early_first_came(struct early *early, uint64_t datagram, uint64_t now_ns);

/* The one of a datagram that came first of those kept; the caller frees it. NULL: none. */
uint8_t *early_next(struct early *early, uint64_t datagram, size_t *len);

/* Forget what has waited for PLAIT_FRAGMENT_LIFE_NS; returns how many fragments those were. */
unsigned int early_expire(struct early *early, uint64_t now_ns);

void early_close(struct early *early);

#endif
