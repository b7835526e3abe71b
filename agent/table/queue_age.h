/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * How long the oldest octet has waited in a queue of which only the length is known: what
 * was appended when is noted now and then. Pure state; times are in ns.
 */
#ifndef PLAIT_TABLE_QUEUE_AGE_H
#define PLAIT_TABLE_QUEUE_AGE_H

#include <stdint.h>

enum { QUEUE_AGE_NOTES = 16 };

struct queue_age {
	uint64_t appended; /* octets, ever */
	unsigned int latest; /* note */
	struct {
		uint64_t end; /* octets appended up to then */
		uint64_t at_ns; /* the first of them at or after this */
	} note[QUEUE_AGE_NOTES];
};

/* Octets were appended; a note covers step_ns. */
void queue_age_append(struct queue_age *queue, uint64_t octets, uint64_t now_ns, uint64_t step_ns);

/*
 * How long the oldest of the last `waiting` octets has waited, exact to a step; no more
 * than what the notes cover, which is QUEUE_AGE_NOTES steps.
 */
uint64_t queue_age(const struct queue_age *queue, uint64_t waiting, uint64_t now_ns);

#endif
