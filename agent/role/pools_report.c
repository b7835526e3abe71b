// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What the translator has lent, as plain copies. Tables may be long and workers
 * share their lock: it is held for a portion, and between two of them let go for
 * long enough that whoever waits gets it. Slots do not move, so what comes or
 * goes meanwhile is in the report or not, but nothing is in it twice.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr_text.h"
#include "base/clock.h"
#include "pools.h"

enum { PORTION = 1024, PAUSE_US = 50 };

/* One table: how many slots it has, and a copy of one, made under the lock. */
struct table_walk {
	size_t element_bytes;
	uint32_t (*slots)(const struct pools *pools);
	/* False: the slot is free. */
	bool (*copy)(struct pools *pools, uint32_t slot, void *out);
};

static void pause_for_others(void)
{
	static const struct timespec pause = {.tv_nsec = PAUSE_US * 1000};

	nanosleep(&pause, NULL);
}

/* Adds what is in slots from first on; returns the slot to go on with. */
static uint32_t copy_portion(struct pools *pools, const struct table_walk *walk, uint32_t first,
			     char *elements, size_t *count)
{
	uint32_t end, slot;

	pthread_mutex_lock(&pools->lock);
	end = walk->slots(pools);
	if (end > first + PORTION)
		end = first + PORTION;
	for (slot = first; slot < end; slot++)
		*count += walk->copy(pools, slot, elements + *count * walk->element_bytes);
	pthread_mutex_unlock(&pools->lock);
	return slot;
}

static bool make_room(void **elements, size_t element_bytes, size_t count, size_t *room)
{
	void *larger;

	if (count + PORTION <= *room)
		return true;
	*room = 2 * *room + PORTION;
	larger = reallocarray(*elements, *room, element_bytes);
	if (larger)
		*elements = larger;
	return larger;
}

static long walk_table(struct pools *pools, const struct table_walk *walk, void **out)
{
	uint32_t slot = 0, before;
	size_t count = 0, room = 0;
	void *elements = NULL;

	do {
		if (slot)
			pause_for_others();
		if (!make_room(&elements, walk->element_bytes, count, &room)) {
			free(elements);
			return -ENOMEM;
		}
		before = slot;
		slot = copy_portion(pools, walk, slot, elements, &count);
	} while (slot == before + PORTION);
	*out = elements;
	return (long)count;
}

/* Bindings */

static uint32_t binding_slots(const struct pools *pools)
{
	return pools->translator.bindings.touched;
}

static const char *state_of(const struct binding *binding)
{
	if (binding->sessions)
		return "in use";
	return binding->configured ? "configured" : "resting";
}

static bool copy_binding(struct pools *pools, uint32_t slot, void *out)
{
	const struct binding *binding = &pools->translator.bindings.slots[slot];
	const struct subscriber *subscriber;
	struct binding_report *report = out;

	if (!binding->protocol)
		return false;
	subscriber = subscribers_at(&pools->translator.subscribers, binding->subscriber);
	*report = (struct binding_report){.inside = binding->inside,
					  .external = binding->external,
					  .state = state_of(binding),
					  .since_ns = binding->since_ns,
					  .sessions = binding->sessions,
					  .protocol = binding->protocol};
	snprintf(report->subscriber, sizeof(report->subscriber), "%s",
		 subscriber->name[0] ? subscriber->name : addr_text(&subscriber->source).text);
	return true;
}

long pools_report_bindings(struct pools *pools, struct binding_report **out)
{
	static const struct table_walk walk = {sizeof(struct binding_report), binding_slots,
					       copy_binding};
	void *elements = NULL;
	long count = walk_table(pools, &walk, &elements);

	*out = elements;
	return count;
}

/* Subscribers */

static uint32_t subscriber_slots(const struct pools *pools)
{
	return pools->translator.subscribers.size;
}

/* What it has of a family: of one pool or of the other. */
static struct plait_addr external_of(const struct translator *translator,
				     const struct subscriber *subscriber, uint8_t family)
{
	struct plait_addr computed = subscriber->computed[subscriber_family(family)];

	computed.port = 0;
	if (computed.family)
		return computed;
	for (unsigned int i = 0; i < 2; i++) {
		unsigned int number = translator_pool_number(family, i);
		int32_t address = subscriber->holding[number].address;

		if (address != POOL_NOBODY)
			return pool_address_at(&translator->pools[number], (uint32_t)address);
	}
	return (struct plait_addr){};
}

static unsigned int blocks_of(const struct subscriber *subscriber)
{
	unsigned int blocks = 0;

	for (unsigned int i = 0; i < SUBSCRIBER_POOLS; i++)
		blocks += subscriber->holding[i].block_count;
	return blocks;
}

static bool copy_subscriber(struct pools *pools, uint32_t slot, void *out)
{
	const struct translator *translator = &pools->translator;
	const struct subscriber *subscriber = &translator->subscribers.slots[slot];
	const struct subscriber_limits *limits = &translator->subscribers.limits;
	struct subscriber_report *report = out;

	if (!subscriber->used)
		return false;
	*report = (struct subscriber_report){
		.number = slot,
		.source = subscriber->source,
		.sessions = subscriber->sessions,
		.ports = subscriber->ports,
		.blocks = blocks_of(subscriber),
		.external_v4 = external_of(translator, subscriber, AF_INET),
		.external_v6 = external_of(translator, subscriber, AF_INET6),
		.max_sessions = limits->sessions,
		.max_ports = limits->ports,
		.max_blocks = limits->blocks,
		.max_new_per_s = limits->new_per_s};
	memcpy(report->name, subscriber->name, sizeof(report->name));
	return true;
}

long pools_report_subscribers(struct pools *pools, struct subscriber_report **out)
{
	static const struct table_walk walk = {sizeof(struct subscriber_report), subscriber_slots,
					       copy_subscriber};
	void *elements = NULL;
	long count = walk_table(pools, &walk, &elements);

	*out = elements;
	return count;
}

/* Pools */

/* By prefix nothing is lent. */
static void copy_pool(const struct pools *pools, unsigned int number, struct pool_report *out)
{
	static const char *const words[] = {[TRANSLATION_SHARED] = "shared",
					    [TRANSLATION_ONE_TO_ONE] = "one-to-one",
					    [TRANSLATION_PREFIX] = "prefix",
					    [TRANSLATION_DETERMINISTIC] = "deterministic"};
	const struct pool *pool = &pools->translator.pools[number];
	bool lends = pool->address_count;

	*out = (struct pool_report){.translation = words[pools->translation[number]],
				    .prefix_count = pools->prefix_counts[number],
				    .addresses = pool->address_count,
				    .block_ports = lends ? pool->block_ports : 0,
				    .blocks_lent = pool->blocks_lent,
				    .blocks = (uint64_t)pool->address_count * pool->blocks_each,
				    .ports_lent = pool->ports_lent};
	memcpy(out->prefixes, pools->prefixes[number],
	       out->prefix_count * sizeof(out->prefixes[0]));
}

size_t pools_report(struct pools *pools, struct pool_report *out, size_t max)
{
	size_t count = 0;

	pthread_mutex_lock(&pools->lock);
	for (unsigned int i = 0; i < TRANSLATOR_POOLS && count < max; i++)
		if (pools->prefix_counts[i])
			copy_pool(pools, i, &out[count++]);
	pthread_mutex_unlock(&pools->lock);
	return count;
}
