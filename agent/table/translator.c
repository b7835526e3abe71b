// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "translator.h"

#include <netinet/in.h>
#include <string.h>

static bool has_address(const struct translator *translator, unsigned int number,
			const struct plait_addr *addr)
{
	return pool_index_of(&translator->pools[number], addr) != POOL_NOBODY;
}

/* Which pool an address is of; if of none, one that will not know it. */
static unsigned int pool_number_of(const struct translator *translator,
				   const struct plait_addr *external)
{
	unsigned int end = TRANSLATOR_DETERMINISTIC + translator->subscribers.deterministic_count;
	unsigned int set_aside = translator_pool_number(external->family, true);

	for (unsigned int number = TRANSLATOR_DETERMINISTIC; number < end; number++)
		if (has_address(translator, number, external))
			return number;
	return has_address(translator, set_aside, external)
		       ? set_aside
		       : translator_pool_number(external->family, false);
}

/* NULL: none is computed for it. */
static const struct plait_addr *computed_of(const struct translator *translator, int32_t subscriber,
					    uint8_t family)
{
	const struct plait_addr *computed =
		&translator->subscribers.slots[subscriber].computed[subscriber_family(family)];

	return computed->family ? computed : NULL;
}

/* Which pool a subscriber gets addresses of a family from. */
static unsigned int pool_number(const struct translator *translator, int32_t subscriber,
				uint8_t family)
{
	const struct plait_addr *computed = computed_of(translator, subscriber, family);
	unsigned int number = translator_pool_number(family, true);

	if (computed)
		return pool_number_of(translator, computed);
	if (translator->subscribers.slots[subscriber].name[0] &&
	    translator->pools[number].address_count)
		return number;
	return translator_pool_number(family, false);
}

static struct holding *holding_of(struct translator *translator, int32_t subscriber,
				  unsigned int number, uint8_t family)
{
	return &subscribers_at(&translator->subscribers, subscriber)
			->holding[translator_holding_number(number, family)];
}

static enum pool_protocol port_space(uint8_t protocol)
{
	return protocol == IPPROTO_TCP ? POOL_TCP : POOL_UDP;
}

bool translator_has_pool(const struct translator *translator, uint8_t family)
{
	return translator->pools[translator_pool_number(family, false)].address_count != 0;
}

/* Blocks */

static void tell(const struct translator *translator, const struct pool *pool,
		 const struct block *block, bool lent)
{
	struct translator_event event = {
		.lent = lent,
		.subscriber = &translator->subscribers.slots[block->owner],
		.external = pool_address_at(pool, block->address),
		.last_port = (uint16_t)(block_first_port(pool, block) + pool->block_ports - 1),
		.since_ns = block->since_ns,
	};

	event.external.port = htons(block_first_port(pool, block));
	if (translator->on_block && pool < &translator->pools[TRANSLATOR_DETERMINISTIC])
		translator->on_block(translator->context, &event);
}

static bool may_have_more(const struct translator *translator, unsigned int number,
			  const struct holding *holding)
{
	uint32_t most = translator->subscribers.limits.blocks;

	if (number >= TRANSLATOR_DETERMINISTIC)
		most = 1;
	return !most || holding->block_count < most;
}

static struct block *lend_any(struct translator *translator, struct pool *pool, int32_t subscriber,
			      const struct holding *holding,
			      const struct translator_request *request)
{
	int32_t address = holding->address;

	if (!holding->block_count)
		address = pool_pick_address(pool,
					    subscribers_wish(&translator->subscribers, subscriber),
					    request->random[0]);
	if (address == POOL_NOBODY)
		return NULL;
	return pool_lend_block(pool, (uint32_t)address, subscriber, request->random[1],
			       request->now_ns);
}

static struct block *lend_computed(struct pool *pool, int32_t subscriber,
				   const struct plait_addr *computed, uint64_t now_ns)
{
	const struct block *block = pool_block_of(pool, computed);

	return block ? pool_lend_this(pool, block->address, block->number, subscriber, now_ns)
		     : NULL;
}

static void hold(const struct translator *translator, struct pool *pool, struct holding *holding,
		 struct block *block)
{
	holding->address = (int32_t)block->address;
	TAILQ_INSERT_HEAD(&holding->blocks, block, by_holder);
	holding->block_count++;
	tell(translator, pool, block, true);
}

static struct block *another_block(struct translator *translator, int32_t subscriber,
				   const struct translator_request *request)
{
	unsigned int number = pool_number(translator, subscriber, request->family);
	struct holding *holding = holding_of(translator, subscriber, number, request->family);
	const struct plait_addr *computed = computed_of(translator, subscriber, request->family);
	struct pool *pool = &translator->pools[number];
	struct block *block = computed ? lend_computed(pool, subscriber, computed, request->now_ns)
				       : lend_any(translator, pool, subscriber, holding, request);

	if (block)
		hold(translator, pool, holding, block);
	return block;
}

static void return_block(struct translator *translator, struct pool *pool, struct block *block)
{
	struct holding *holding =
		holding_of(translator, block->owner, (unsigned int)(pool - translator->pools),
			   pool->ranges.prefixes[0].family);

	tell(translator, pool, block, false);
	TAILQ_REMOVE(&holding->blocks, block, by_holder);
	if (!--holding->block_count)
		holding->address = POOL_NOBODY;
	pool_take_back(pool, block);
}

/* Ports */

static enum parity parity_of(const struct translator *translator,
			     const struct translator_request *request)
{
	if (!translator->keep_parity)
		return PARITY_ANY;
	return ntohs(request->inside.port) % 2 ? PARITY_ODD : PARITY_EVEN;
}

static uint16_t lend_from(struct translator *translator, struct block *block,
			  const struct translator_request *request)
{
	return block_lend_port(
		&translator->pools[pool_number(translator, block->owner, request->family)], block,
		port_space(request->protocol), parity_of(translator, request), request->random[2]);
}

/* Blocks that have none left go behind the others. 0: none has. */
static uint16_t lend_held(struct translator *translator, struct holding *holding,
			  const struct translator_request *request)
{
	for (unsigned int i = 0; i < holding->block_count; i++) {
		struct block *block = TAILQ_FIRST(&holding->blocks);
		uint16_t port = lend_from(translator, block, request);

		if (port)
			return port;
		TAILQ_REMOVE(&holding->blocks, block, by_holder);
		TAILQ_INSERT_TAIL(&holding->blocks, block, by_holder);
	}
	return 0;
}

/* 0: there is no block, or no memory. */
static uint16_t lend_of_another(struct translator *translator, int32_t subscriber,
				const struct translator_request *request)
{
	struct block *block = another_block(translator, subscriber, request);
	uint16_t port = block ? lend_from(translator, block, request) : 0;

	if (block && !port)
		return_block(
			translator,
			&translator->pools[pool_number(translator, subscriber, request->family)],
			block);
	return port;
}

static enum translated lend_port(struct translator *translator, int32_t subscriber,
				 const struct translator_request *request, struct plait_addr *out)
{
	struct subscriber *owner = subscribers_at(&translator->subscribers, subscriber);
	unsigned int number = pool_number(translator, subscriber, request->family);
	struct holding *holding = holding_of(translator, subscriber, number, request->family);
	uint32_t most = translator->subscribers.limits.ports;
	uint16_t port;

	if (!translator->pools[number].address_count)
		return TRANSLATED_NO_POOL;
	if (most && owner->ports >= most)
		return TRANSLATED_PORT_LIMIT;
	port = lend_held(translator, holding, request);
	if (!port && !may_have_more(translator, number, holding))
		return TRANSLATED_PORT_LIMIT;
	if (!port)
		port = lend_of_another(translator, subscriber, request);
	if (!port)
		return TRANSLATED_EXHAUSTED;
	owner->ports++;
	*out = pool_address_at(&translator->pools[number], (uint32_t)holding->address);
	out->port = htons(port);
	return TRANSLATED;
}

static bool is_low(const struct plait_addr *external)
{
	return ntohs(external->port) < POOL_FIRST_PORT;
}

/* Low ports are in no block; those of an address that is lent whole go with it. */
static struct block *block_around(struct pool *pool, const struct plait_addr *external)
{
	struct plait_addr first = *external;

	if (!is_low(external))
		return pool_block_of(pool, external);
	first.port = htons(POOL_FIRST_PORT);
	return pool->blocks_each == 1 ? pool_block_of(pool, &first) : NULL;
}

static void return_port(struct translator *translator, const struct binding *binding)
{
	struct pool *pool = &translator->pools[pool_number_of(translator, &binding->external)];
	struct block *block = block_around(pool, &binding->external);

	subscribers_at(&translator->subscribers, binding->subscriber)->ports--;
	if (!block)
		return;
	if (is_low(&binding->external))
		block->lent--;
	else
		block_take_back(pool, block, port_space(binding->protocol),
				ntohs(binding->external.port));
	if (!block->lent)
		return_block(translator, pool, block);
}

/* Sessions */

static enum translated bind_inside(struct translator *translator, int32_t subscriber,
				   const struct translator_request *request, struct binding **out)
{
	struct plait_addr external;
	enum translated result;

	*out = bindings_of_inside(&translator->bindings, request->protocol, subscriber,
				  &request->inside, request->family);
	if (*out) {
		bindings_keep_until(&translator->bindings, *out, UINT64_MAX);
		return TRANSLATED;
	}
	if (translator->bindings.count == translator->bindings.size)
		return TRANSLATED_NO_ROOM;
	result = lend_port(translator, subscriber, request, &external);
	if (result == TRANSLATED)
		*out = bindings_add(&translator->bindings, request->protocol, subscriber,
				    &request->inside, &external, request->now_ns);
	return result;
}

static enum translated begin(struct translator *translator, int32_t subscriber, uint64_t now_ns)
{
	switch (subscribers_begin(&translator->subscribers, subscriber, now_ns)) {
	case SUBSCRIBER_SESSIONS:
		return TRANSLATED_SESSION_LIMIT;
	case SUBSCRIBER_RATE:
		return TRANSLATED_RATE_LIMIT;
	default:
		return TRANSLATED;
	}
}

enum translated translator_begin(struct translator *translator,
				 const struct translator_request *request, struct binding **out)
{
	int32_t subscriber = subscribers_of(&translator->subscribers, &request->source);
	struct binding *binding = NULL;
	enum translated result;

	if (subscriber == POOL_NOBODY)
		return TRANSLATED_NO_ROOM;
	result = begin(translator, subscriber, request->now_ns);
	if (result != TRANSLATED)
		return result;
	result = bind_inside(translator, subscriber, request, &binding);
	if (result != TRANSLATED) {
		subscribers_end(&translator->subscribers, subscriber);
		return result;
	}
	binding->sessions++;
	*out = binding;
	return TRANSLATED;
}

static void end_binding(struct translator *translator, struct binding *binding)
{
	if (translator->on_end)
		translator->on_end(translator->context, binding);
	return_port(translator, binding);
	bindings_remove(&translator->bindings, binding);
}

void translator_end(struct translator *translator, struct binding *binding)
{
	int32_t subscriber = binding->subscriber;

	if (!--binding->sessions && !binding->configured)
		end_binding(translator, binding);
	subscribers_end(&translator->subscribers, subscriber);
}

void translator_rest(struct translator *translator, struct binding *binding, uint64_t until_ns)
{
	if (!--binding->sessions && !binding->configured)
		bindings_keep_until(&translator->bindings, binding, until_ns);
	subscribers_end(&translator->subscribers, binding->subscriber);
}

void translator_sweep(struct translator *translator, uint64_t now_ns)
{
	struct binding *binding;

	while ((binding = bindings_expired(&translator->bindings, now_ns))) {
		int32_t subscriber = binding->subscriber;

		end_binding(translator, binding);
		subscribers_settle(&translator->subscribers, subscriber);
	}
}

/* What was lent by another configuration is not lent again against this one's computation. */
static bool may_have_again(struct translator *translator, int32_t subscriber, unsigned int number,
			   const struct block *block)
{
	struct pool *pool = &translator->pools[number];
	struct plait_addr first = pool_address_at(pool, block->address);
	const struct plait_addr *computed = computed_of(translator, subscriber, first.family);

	first.port = htons(block_first_port(pool, block));
	if (computed)
		return !memcmp(computed, &first, sizeof(first));
	return number < TRANSLATOR_DETERMINISTIC;
}

/* The subscriber's block that an external port lies in, lent now if it was not. */
static struct block *block_again(struct translator *translator, int32_t subscriber,
				 const struct plait_addr *external, uint64_t now_ns)
{
	unsigned int number = pool_number_of(translator, external);
	struct pool *pool = &translator->pools[number];
	struct holding *holding = holding_of(translator, subscriber, number, external->family);
	struct block *block = block_around(pool, external);

	if (!block || !may_have_again(translator, subscriber, number, block))
		return NULL;
	if (block->owner == subscriber)
		return block;
	if (block->owner != POOL_NOBODY ||
	    (holding->address != POOL_NOBODY && (uint32_t)holding->address != block->address))
		return NULL;
	if (!pool_lend_this(pool, block->address, block->number, subscriber, now_ns))
		return NULL;
	hold(translator, pool, holding, block);
	return block;
}

/* That very port, and its block if need be. */
static bool lend_again(struct translator *translator, int32_t subscriber,
		       const struct translator_request *request, const struct plait_addr *external)
{
	struct pool *pool = &translator->pools[pool_number_of(translator, external)];
	struct block *block = block_again(translator, subscriber, external, request->now_ns);
	bool low = is_low(external);

	if (!block)
		return low && pool->blocks_each > 1 && pool_index_of(pool, external) != POOL_NOBODY;
	if (low)
		block->lent++;
	else if (!block_lend_this(pool, block, port_space(request->protocol),
				  ntohs(external->port))) {
		if (!block->lent)
			return_block(translator, pool, block);
		return false;
	}
	return true;
}

/* A binding of exactly these. NULL: that cannot be. */
static struct binding *bind_this(struct translator *translator, int32_t subscriber,
				 const struct translator_request *request,
				 const struct plait_addr *external)
{
	if (bindings_of_inside(&translator->bindings, request->protocol, subscriber,
			       &request->inside, request->family) ||
	    bindings_of_external(&translator->bindings, request->protocol, external) ||
	    !lend_again(translator, subscriber, request, external))
		return NULL;
	subscribers_at(&translator->subscribers, subscriber)->ports++;
	subscribers_settle(&translator->subscribers, subscriber);
	return bindings_add(&translator->bindings, request->protocol, subscriber, &request->inside,
			    external, request->now_ns);
}

bool translator_adopt(struct translator *translator, const struct translator_request *request,
		      const struct plait_addr *external, uint64_t until_ns)
{
	int32_t subscriber = subscribers_of(&translator->subscribers, &request->source);
	struct binding *binding;

	if (subscriber == POOL_NOBODY || is_low(external) ||
	    translator->bindings.count == translator->bindings.size)
		return false;
	binding = bind_this(translator, subscriber, request, external);
	if (binding)
		bindings_keep_until(&translator->bindings, binding, until_ns);
	return binding;
}

/* Bindings that are configured */

enum translated translator_configure(struct translator *translator,
				     const struct translator_request *request,
				     const struct plait_addr *external, struct binding **out)
{
	int32_t subscriber = subscribers_of(&translator->subscribers, &request->source);
	struct binding *binding;

	if (subscriber == POOL_NOBODY || translator->bindings.count == translator->bindings.size)
		return TRANSLATED_NO_ROOM;
	binding = bind_this(translator, subscriber, request, external);
	if (!binding)
		return TRANSLATED_TAKEN;
	binding->configured = true;
	bindings_keep_until(&translator->bindings, binding, UINT64_MAX);
	*out = binding;
	return TRANSLATED;
}

static struct binding *configured(const struct translator *translator, uint8_t protocol,
				  const struct plait_addr *external)
{
	struct binding *binding = bindings_of_external(&translator->bindings, protocol, external);

	return binding && binding->configured ? binding : NULL;
}

bool translator_unconfigure(struct translator *translator, uint8_t protocol,
			    const struct plait_addr *external)
{
	struct binding *binding = configured(translator, protocol, external);
	int32_t subscriber;

	if (!binding)
		return false;
	subscriber = binding->subscriber;
	binding->configured = false;
	if (!binding->sessions)
		end_binding(translator, binding);
	subscribers_settle(&translator->subscribers, subscriber);
	return true;
}

enum translated translator_let_in(struct translator *translator, uint8_t protocol,
				  const struct plait_addr *external, uint64_t now_ns,
				  struct binding **out)
{
	struct binding *binding = configured(translator, protocol, external);
	enum translated result;

	if (!binding)
		return TRANSLATED_NOT_BOUND;
	result = begin(translator, binding->subscriber, now_ns);
	if (result != TRANSLATED)
		return result;
	binding->sessions++;
	*out = binding;
	return TRANSLATED;
}
