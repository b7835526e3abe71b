/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * When links with `use: overflow` take part: while the links before them are full.
 * Pure state; times are in ns, rates in octets a second, both directions together.
 */
#ifndef PLAIT_TABLE_OVERFLOW_H
#define PLAIT_TABLE_OVERFLOW_H

#include <stdbool.h>
#include <stdint.h>

struct overflow {
	bool open;
	uint64_t since_ns; /* full if closed, calm if open, without a break; 0: not */
	uint64_t capacity; /* what the links before carried while full */
};

/* What was measured since the last call. */
struct overflow_load {
	bool full; /* all links before have a queue, or there are none in use */
	uint64_t before_rate; /* of the links before */
	uint64_t all_rate; /* with those that overflow */
};

/* True if it opens or closes by this. */
bool overflow_update(struct overflow *overflow, const struct overflow_load *load, uint64_t now_ns);

#endif
