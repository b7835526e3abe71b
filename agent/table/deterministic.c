// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "deterministic.h"

#include <netinet/in.h>
#include <stddef.h>

#include "pool.h"

enum { INSIDE_HOST_BITS_MAX = 32 }; /* more than there can be blocks */

/* RFC 7422 §2: each has its part of the ports that are not reserved. */
static uint16_t ports_of_ratio(uint64_t inside, uint64_t external)
{
	uint64_t ratio = (inside + external - 1) / external;

	return ratio < POOL_PORTS / 2 ? (uint16_t)(POOL_PORTS / ratio & ~1ULL) : 2;
}

struct deterministic deterministic_make(const struct plait_prefix *external,
					const struct plait_prefix *inside,
					unsigned int inside_count, uint16_t block_ports)
{
	struct deterministic pool = {
		.external = {external, 1, POOL_HOST_BITS_MAX},
		.inside = {inside, inside_count, INSIDE_HOST_BITS_MAX},
		.block_ports = block_ports,
	};

	if (!block_ports)
		pool.block_ports =
			ports_of_ratio(ranges_size(&pool.inside), ranges_size(&pool.external));
	return pool;
}

static uint64_t blocks_each(const struct deterministic *pool)
{
	return POOL_PORTS / pool->block_ports;
}

uint64_t deterministic_blocks(const struct deterministic *pool)
{
	return ranges_size(&pool->external) * blocks_each(pool);
}

bool deterministic_block_of(const struct deterministic *pool, const struct plait_addr *inside,
			    struct plait_addr *external)
{
	int64_t number = ranges_number_of(&pool->inside, inside);
	uint64_t addresses = ranges_size(&pool->external);
	uint64_t block = (uint64_t)number / addresses;

	if (number < 0)
		return false;
	*external = ranges_at(&pool->external, (uint64_t)number % addresses);
	external->port = htons((uint16_t)(POOL_FIRST_PORT + block * pool->block_ports));
	return true;
}

bool deterministic_inside_of(const struct deterministic *pool, const struct plait_addr *external,
			     struct plait_addr *inside)
{
	int64_t address = ranges_number_of(&pool->external, external);
	unsigned int port = ntohs(external->port);
	uint64_t block, number;

	if (address < 0 || port < POOL_FIRST_PORT)
		return false;
	block = (port - POOL_FIRST_PORT) / pool->block_ports;
	number = block * ranges_size(&pool->external) + (uint64_t)address;
	if (block >= blocks_each(pool) || number >= ranges_size(&pool->inside))
		return false;
	*inside = ranges_at(&pool->inside, number);
	return true;
}

const struct deterministic *deterministic_find(const struct deterministic *pools,
					       unsigned int pool_count, uint8_t family,
					       const struct plait_addr *sources,
					       unsigned int source_count,
					       struct plait_addr *external)
{
	for (unsigned int i = 0; i < source_count; i++)
		for (unsigned int j = 0; j < pool_count; j++)
			if (pools[j].external.prefixes[0].family == family &&
			    deterministic_block_of(&pools[j], &sources[i], external))
				return &pools[j];
	return NULL;
}
