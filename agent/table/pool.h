/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * External addresses and their ports, lent in blocks: one log line a block instead
 * of one a session (RFC 6888 §4, RFC 7753 §3). A block holds the same ports for TCP
 * and for UDP. Ports below 1024 are never lent.
 */
#ifndef PLAIT_TABLE_POOL_H
#define PLAIT_TABLE_POOL_H

#include <stdint.h>
#include <sys/queue.h>

#include "plait_addr.h"
#include "ports.h"
#include "ranges.h"

enum {
	POOL_FIRST_PORT = 1024,
	POOL_PORTS = 65536 - POOL_FIRST_PORT, /* of an address */
	POOL_HOST_BITS_MAX = 16, /* of a larger prefix the first 65536 addresses */
	POOL_NOBODY = -1,
};

enum pool_protocol { POOL_TCP, POOL_UDP, POOL_PROTOCOLS };

struct block {
	uint32_t address; /* index in the pool */
	uint16_t number; /* on that address */
	int32_t owner; /* subscriber; POOL_NOBODY: free */
	uint32_t lent; /* ports, of both protocols */
	uint64_t since_ns;
	TAILQ_ENTRY(block) by_holder; /* the owner's */
	struct ports *ports[POOL_PROTOCOLS]; /* NULL until the first one is wanted */
};

struct pool_address;

struct pool {
	struct ranges ranges; /* of one family */
	uint16_t first_port; /* of an address; host byte order */
	uint16_t block_ports, blocks_each; /* ports of a block, blocks of an address */
	uint32_t address_count;
	struct pool_address *addresses;
	uint32_t *available; /* addresses with free blocks, in no order */
	uint32_t available_count;
	uint64_t blocks_lent, ports_lent;
};

/* prefixes: borrowed. block_ports: even, 2 to POOL_PORTS. 0 or -ENOMEM. Without prefixes there is nothing to lend. */
int pool_open(struct pool *pool, const struct plait_prefix *prefixes, unsigned int prefix_count,
	      uint16_t block_ports);
/* The same with some of each address's ports: size of them, from first on, both even. */
int pool_open_part(struct pool *pool, const struct plait_prefix *prefixes,
		   unsigned int prefix_count, uint16_t block_ports, uint16_t first,
		   unsigned int size);
void pool_close(struct pool *pool);

/* The address with that index, port 0; and the index of an address, POOL_NOBODY if it is none. */
struct plait_addr pool_address_at(const struct pool *pool, uint32_t index);
int32_t pool_index_of(const struct pool *pool, const struct plait_addr *addr);

/* The block that a port lies in, lent or not; NULL if it lies in none. */
struct block *pool_block_of(struct pool *pool, const struct plait_addr *external);

/*
 * An address with a free block: the one that wish stands for, so that who comes back
 * gets the address it had, or else one that random picks. POOL_NOBODY if there is none.
 */
int32_t pool_pick_address(const struct pool *pool, uint32_t wish, uint32_t random);

/* A free block of that address, lent to owner; NULL: none, or no memory. */
struct block *pool_lend_block(struct pool *pool, uint32_t address, int32_t owner, uint32_t random,
			      uint64_t now_ns);
/* This very block, for what was lent in an earlier life or is computed; NULL if it is taken. */
struct block *pool_lend_this(struct pool *pool, uint32_t address, uint16_t number, int32_t owner,
			     uint64_t now_ns);
/* All of its ports must be back. */
void pool_take_back(struct pool *pool, struct block *block);

/* A port of the block that random picks, host byte order; 0: none left, or no memory. */
uint16_t block_lend_port(struct pool *pool, struct block *block, enum pool_protocol protocol,
			 enum parity parity, uint32_t random);
/* This very one; false if it is lent. */
bool block_lend_this(struct pool *pool, struct block *block, enum pool_protocol protocol,
		     uint16_t port);
void block_take_back(struct pool *pool, struct block *block, enum pool_protocol protocol,
		     uint16_t port);

/* The first port of the block; it has pool->block_ports of them. */
uint16_t block_first_port(const struct pool *pool, const struct block *block);

#endif
