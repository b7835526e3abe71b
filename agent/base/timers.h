/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Timers as a binary heap of fixed size: arming costs O(log n), asking which is
 * next O(1). Time is an argument; nothing here looks at a clock.
 */
#ifndef PLAIT_BASE_TIMERS_H
#define PLAIT_BASE_TIMERS_H

#include <stddef.h>
#include <stdint.h>

struct timer {
	uint64_t due_ns;
	uint32_t position; /* in the heap, from 1; 0: not armed */
};

struct timers {
	struct timer **heap; /* [1 .. count] */
	uint32_t count, size;
};

/* Room for size timers at once. 0 or -ENOMEM. */
int timers_open(struct timers *timers, uint32_t size);
void timers_close(struct timers *timers);

/* Arm, or arm anew. There must be room. */
void timers_arm(struct timers *timers, struct timer *timer, uint64_t due_ns);
/* timer may be unarmed. */
void timers_disarm(struct timers *timers, struct timer *timer);

/* The earliest timer, or NULL. */
struct timer *timers_first(const struct timers *timers);

#endif
