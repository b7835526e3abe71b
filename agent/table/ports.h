/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The free ports of one block of one protocol: any of them at random, until none is
 * left (RFC 6056 §3.3.1 on why at random). A bit each, so that a block of few lent
 * ports costs little; and a bit for each word of them and parity that has any, so that
 * a full block is no slower than an empty one.
 */
#ifndef PLAIT_TABLE_PORTS_H
#define PLAIT_TABLE_PORTS_H

#include <stdbool.h>
#include <stdint.h>

enum parity { PARITY_EVEN, PARITY_ODD, PARITY_ANY };

struct ports {
	uint16_t first, size; /* the block; both even; host byte order */
	uint16_t count[2]; /* of free ones, by parity */
	uint64_t words[]; /* free ports, then words with even ones, then with odd ones */
};

/* All of size ports from first on, both even, are free. NULL if memory runs out. */
struct ports *ports_new(uint16_t first, uint16_t size);

static inline unsigned int ports_free_count(const struct ports *ports)
{
	return ports->count[PARITY_EVEN] + ports->count[PARITY_ODD];
}

/* Take one that random picks; 0 if there is none of that parity. */
uint16_t ports_take(struct ports *ports, enum parity parity, uint32_t random);

/* Take this very one: false if it is taken, or not of this block. */
bool ports_take_this(struct ports *ports, uint16_t port);

/* It must be one that was taken. */
void ports_give_back(struct ports *ports, uint16_t port);

#endif
