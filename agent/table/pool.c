// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "pool.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct pool_address {
	struct block *blocks; /* NULL: never used, all are free */
	uint16_t *free; /* numbers of the free ones, in no order */
	uint16_t free_count;
	uint32_t available_at; /* where it stands in available, if any are free */
};

static void add_available(struct pool *pool, uint32_t index)
{
	pool->addresses[index].available_at = pool->available_count;
	pool->available[pool->available_count++] = index;
}

static void remove_available(struct pool *pool, uint32_t index)
{
	uint32_t at = pool->addresses[index].available_at;
	uint32_t last = pool->available[--pool->available_count];

	pool->available[at] = last;
	pool->addresses[last].available_at = at;
}

int pool_open(struct pool *pool, const struct plait_prefix *prefixes, unsigned int prefix_count,
	      uint16_t block_ports)
{
	return pool_open_part(pool, prefixes, prefix_count, block_ports, POOL_FIRST_PORT,
			      POOL_PORTS);
}

int pool_open_part(struct pool *pool, const struct plait_prefix *prefixes,
		   unsigned int prefix_count, uint16_t block_ports, uint16_t first,
		   unsigned int size)
{
	memset(pool, 0, sizeof(*pool));
	pool->ranges = (struct ranges){prefixes, prefix_count, POOL_HOST_BITS_MAX};
	pool->block_ports = block_ports;
	pool->first_port = first;
	pool->blocks_each = (uint16_t)(size / block_ports);
	pool->address_count = (uint32_t)ranges_size(&pool->ranges);
	pool->addresses = calloc(pool->address_count + 1, sizeof(*pool->addresses));
	pool->available = calloc(pool->address_count + 1, sizeof(*pool->available));
	if (!pool->addresses || !pool->available) {
		pool_close(pool);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < pool->address_count; i++)
		add_available(pool, i);
	return 0;
}

void pool_close(struct pool *pool)
{
	for (uint32_t i = 0; pool->addresses && i < pool->address_count; i++) {
		struct pool_address *address = &pool->addresses[i];

		for (unsigned int j = 0; address->blocks && j < pool->blocks_each; j++)
			for (unsigned int k = 0; k < POOL_PROTOCOLS; k++)
				free(address->blocks[j].ports[k]);
		free(address->blocks);
		free(address->free);
	}
	free(pool->addresses);
	free(pool->available);
	memset(pool, 0, sizeof(*pool));
}

struct plait_addr pool_address_at(const struct pool *pool, uint32_t index)
{
	return ranges_at(&pool->ranges, index);
}

int32_t pool_index_of(const struct pool *pool, const struct plait_addr *addr)
{
	return (int32_t)ranges_number_of(&pool->ranges, addr);
}

static int make_blocks(const struct pool *pool, uint32_t index)
{
	struct pool_address *address = &pool->addresses[index];

	if (address->blocks)
		return 0;
	address->blocks = calloc(pool->blocks_each, sizeof(*address->blocks));
	address->free = calloc(pool->blocks_each, sizeof(*address->free));
	if (!address->blocks || !address->free) {
		free(address->blocks);
		free(address->free);
		address->blocks = NULL;
		address->free = NULL;
		return -ENOMEM;
	}
	for (uint16_t i = 0; i < pool->blocks_each; i++) {
		address->blocks[i] =
			(struct block){.address = index, .number = i, .owner = POOL_NOBODY};
		address->free[i] = i;
	}
	address->free_count = pool->blocks_each;
	return 0;
}

struct block *pool_block_of(struct pool *pool, const struct plait_addr *external)
{
	int32_t index = pool_index_of(pool, external);
	unsigned int number = (ntohs(external->port) - pool->first_port) / pool->block_ports;

	if (index < 0 || ntohs(external->port) < pool->first_port || number >= pool->blocks_each ||
	    make_blocks(pool, (uint32_t)index))
		return NULL;
	return &pool->addresses[index].blocks[number];
}

static bool has_free_block(const struct pool *pool, uint32_t index)
{
	const struct pool_address *address = &pool->addresses[index];

	return !address->blocks || address->free_count;
}

int32_t pool_pick_address(const struct pool *pool, uint32_t wish, uint32_t random)
{
	if (!pool->available_count)
		return POOL_NOBODY;
	if (has_free_block(pool, wish % pool->address_count))
		return (int32_t)(wish % pool->address_count);
	return (int32_t)pool->available[random % pool->available_count];
}

static struct block *lend(struct pool *pool, uint32_t index, uint16_t at, int32_t owner,
			  uint64_t now_ns)
{
	struct pool_address *address = &pool->addresses[index];
	struct block *block = &address->blocks[address->free[at]];

	address->free[at] = address->free[--address->free_count];
	if (!address->free_count)
		remove_available(pool, index);
	block->owner = owner;
	block->since_ns = now_ns;
	pool->blocks_lent++;
	return block;
}

struct block *pool_lend_block(struct pool *pool, uint32_t address, int32_t owner, uint32_t random,
			      uint64_t now_ns)
{
	struct pool_address *from = &pool->addresses[address];

	if (make_blocks(pool, address) || !from->free_count)
		return NULL;
	return lend(pool, address, (uint16_t)(random % from->free_count), owner, now_ns);
}

struct block *pool_lend_this(struct pool *pool, uint32_t address, uint16_t number, int32_t owner,
			     uint64_t now_ns)
{
	struct pool_address *from = &pool->addresses[address];

	if (make_blocks(pool, address))
		return NULL;
	for (uint16_t i = 0; i < from->free_count; i++)
		if (from->free[i] == number)
			return lend(pool, address, i, owner, now_ns);
	return NULL;
}

void pool_take_back(struct pool *pool, struct block *block)
{
	struct pool_address *address = &pool->addresses[block->address];

	for (unsigned int i = 0; i < POOL_PROTOCOLS; i++) {
		free(block->ports[i]);
		block->ports[i] = NULL;
	}
	block->owner = POOL_NOBODY;
	if (!address->free_count)
		add_available(pool, block->address);
	address->free[address->free_count++] = block->number;
	pool->blocks_lent--;
}

uint16_t block_first_port(const struct pool *pool, const struct block *block)
{
	return (uint16_t)(pool->first_port + block->number * pool->block_ports);
}

static struct ports *ports_of(const struct pool *pool, struct block *block,
			      enum pool_protocol protocol)
{
	struct ports **ports = &block->ports[protocol];

	if (!*ports)
		*ports = ports_new(block_first_port(pool, block), pool->block_ports);
	return *ports;
}

uint16_t block_lend_port(struct pool *pool, struct block *block, enum pool_protocol protocol,
			 enum parity parity, uint32_t random)
{
	struct ports *ports = ports_of(pool, block, protocol);
	uint16_t port = ports ? ports_take(ports, parity, random) : 0;

	if (port) {
		block->lent++;
		pool->ports_lent++;
	}
	return port;
}

bool block_lend_this(struct pool *pool, struct block *block, enum pool_protocol protocol,
		     uint16_t port)
{
	struct ports *ports = ports_of(pool, block, protocol);

	if (!ports || !ports_take_this(ports, port))
		return false;
	block->lent++;
	pool->ports_lent++;
	return true;
}

void block_take_back(struct pool *pool, struct block *block, enum pool_protocol protocol,
		     uint16_t port)
{
	ports_give_back(block->ports[protocol], port);
	block->lent--;
	pool->ports_lent--;
}
