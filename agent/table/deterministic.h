/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Deterministic pools (RFC 7422): which external address and block of ports a
 * subscriber has follows from the configuration alone, and who has a port does too.
 * Inside addresses and blocks are numbered; a block is that of the inside address with
 * its number. Blocks go round the external addresses: the first one of each, then the
 * second one of each (§2, algorithm 0, "sequential").
 */
#ifndef PLAIT_TABLE_DETERMINISTIC_H
#define PLAIT_TABLE_DETERMINISTIC_H

#include <stdbool.h>
#include <stdint.h>

#include "plait_addr.h"
#include "ranges.h"

struct deterministic {
	struct ranges external; /* of one family */
	struct ranges inside; /* of any */
	uint16_t block_ports; /* even */
};

/*
 * What is configured; prefixes are borrowed. block_ports 0: as many as the sharing ratio
 * leaves to each inside address, rounded down to even, and two at least.
 */
struct deterministic deterministic_make(const struct plait_prefix *external,
					const struct plait_prefix *inside,
					unsigned int inside_count, uint16_t block_ports);

/* How many blocks there are; if the inside addresses are more, it must not be used. */
uint64_t deterministic_blocks(const struct deterministic *pool);

/*
 * The block of an inside address: its external address and first port. False: it is none
 * of the pool's.
 */
bool deterministic_block_of(const struct deterministic *pool, const struct plait_addr *inside,
			    struct plait_addr *external);

/* The inside address, port 0, that has an external address and port. False: none has. */
bool deterministic_inside_of(const struct deterministic *pool, const struct plait_addr *external,
			     struct plait_addr *inside);

/*
 * The block that a subscriber with these sources has of the pools with external addresses
 * of that family: the one of its first source that is inside of any. Returns the pool, or
 * NULL if it has none.
 */
const struct deterministic *deterministic_find(const struct deterministic *pools,
					       unsigned int pool_count, uint8_t family,
					       const struct plait_addr *sources,
					       unsigned int source_count,
					       struct plait_addr *external);

#endif
