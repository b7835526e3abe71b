// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "computed.h"

#include <netinet/in.h>

#include "base/addr_text.h"
#include "table/deterministic.h"

const struct config_subscriber *computed_subscriber(const struct config *config,
						    const struct plait_addr *source)
{
	for (unsigned int i = 0; i < config->subscriber_count; i++)
		for (unsigned int j = 0; j < config->subscribers[i].source_count; j++)
			if (addr_same_ip(&config->subscribers[i].sources[j], source))
				return &config->subscribers[i];
	return NULL;
}

const struct config_pool *computed_pool(const struct config *config, const struct plait_addr *addr)
{
	for (unsigned int i = 0; i < config->pool_count; i++)
		if (addr_in_prefix(addr, &config->pools[i].prefix))
			return &config->pools[i];
	return NULL;
}

static struct deterministic computation(const struct config_pool *pool)
{
	return deterministic_make(&pool->prefix, pool->inside, pool->inside_count,
				  (uint16_t)pool->block_ports);
}

bool computed_block_of(const struct config *config, const struct plait_addr *source, uint8_t family,
		       struct computed_block *out)
{
	const struct config_subscriber *subscriber = computed_subscriber(config, source);
	struct deterministic pools[CONFIG_MAX_PREFIXES];
	const struct deterministic *found;
	unsigned int count = 0;

	for (unsigned int i = 0; i < config->pool_count; i++)
		if (config->pools[i].translation == TRANSLATION_DETERMINISTIC)
			pools[count++] = computation(&config->pools[i]);
	found = deterministic_find(pools, count, family, subscriber ? subscriber->sources : source,
				   subscriber ? subscriber->source_count : 1, &out->external);
	if (!found)
		return false;
	out->last_port = (uint16_t)(ntohs(out->external.port) + found->block_ports - 1);
	return deterministic_inside_of(found, &out->external, &out->inside);
}

bool computed_inside_of(const struct config *config, const struct plait_addr *external,
			struct plait_addr *inside)
{
	const struct config_pool *configured = computed_pool(config, external);
	struct deterministic pool;

	if (!configured || configured->translation != TRANSLATION_DETERMINISTIC)
		return false;
	pool = computation(configured);
	return deterministic_inside_of(&pool, external, inside);
}

bool computed_block_has(const struct computed_block *block, const struct plait_addr *external)
{
	uint16_t port = ntohs(external->port);

	return addr_same_ip(external, &block->external) && port >= ntohs(block->external.port) &&
	       port <= block->last_port;
}
