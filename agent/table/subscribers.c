// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "subscribers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/container.h"

static void fill_free(int32_t *free_list, uint32_t *count, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		free_list[i] = (int32_t)(size - 1 - i);
	*count = size;
}

int subscribers_open(struct subscribers *subscribers, uint32_t size, uint32_t sources,
		     const struct subscriber_limits *limits)
{
	memset(subscribers, 0, sizeof(*subscribers));
	subscribers->limits = *limits;
	subscribers->size = size;
	subscribers->source_size = sources;
	subscribers->slots = calloc(size, sizeof(*subscribers->slots));
	subscribers->sources = calloc(sources, sizeof(*subscribers->sources));
	subscribers->free_slots = calloc(size, sizeof(*subscribers->free_slots));
	subscribers->free_sources = calloc(sources, sizeof(*subscribers->free_sources));
	if (!subscribers->slots || !subscribers->sources || !subscribers->free_slots ||
	    !subscribers->free_sources || hash_open(&subscribers->by_addr, sources)) {
		subscribers_close(subscribers);
		return -ENOMEM;
	}
	TAILQ_INIT(&subscribers->idle);
	fill_free(subscribers->free_slots, &subscribers->free_slot_count, size);
	fill_free(subscribers->free_sources, &subscribers->free_source_count, sources);
	return 0;
}

void subscribers_close(struct subscribers *subscribers)
{
	free(subscribers->slots);
	free(subscribers->sources);
	free(subscribers->free_slots);
	free(subscribers->free_sources);
	hash_close(&subscribers->by_addr);
	memset(subscribers, 0, sizeof(*subscribers));
}

static uint32_t hash_addr(const struct subscribers *subscribers, const struct plait_addr *addr)
{
	return hash_of(&subscribers->by_addr, addr, sizeof(*addr));
}

static struct source *find_source(const struct subscribers *subscribers,
				  const struct plait_addr *addr)
{
	struct hash_node *node = hash_first(&subscribers->by_addr, hash_addr(subscribers, addr));

	for (; node; node = hash_next(node)) {
		struct source *source = container_of(node, struct source, by_addr);

		if (!memcmp(&source->addr, addr, sizeof(*addr)))
			return source;
	}
	return NULL;
}

static struct plait_addr without_port(const struct plait_addr *addr)
{
	struct plait_addr host = *addr;

	host.port = 0;
	return host;
}

static void add_source(struct subscribers *subscribers, int32_t index,
		       const struct plait_addr *addr)
{
	int32_t at = subscribers->free_sources[--subscribers->free_source_count];
	struct source *source = &subscribers->sources[at];

	source->addr = *addr;
	source->subscriber = index;
	hash_insert(&subscribers->by_addr, &source->by_addr, hash_addr(subscribers, addr));
}

/* Whether it may be forgotten follows from what it has. */
static void settle(struct subscribers *subscribers, struct subscriber *subscriber)
{
	bool idle = !subscriber->name[0] && !subscriber->sessions && !subscriber->ports;

	if (idle == subscriber->idle)
		return;
	if (idle)
		TAILQ_INSERT_TAIL(&subscribers->idle, subscriber, by_idleness);
	else
		TAILQ_REMOVE(&subscribers->idle, subscriber, by_idleness);
	subscriber->idle = idle;
}

void subscribers_settle(struct subscribers *subscribers, int32_t index)
{
	settle(subscribers, subscribers_at(subscribers, index));
}

uint32_t subscribers_wish(const struct subscribers *subscribers, int32_t index)
{
	const struct plait_addr *source = &subscribers->slots[index].source;

	return hash_stable(source, sizeof(*source));
}

static void forget(struct subscribers *subscribers, struct subscriber *subscriber)
{
	struct source *source = find_source(subscribers, &subscriber->source);

	hash_remove(&subscribers->by_addr, &source->by_addr);
	subscribers->free_sources[subscribers->free_source_count++] =
		(int32_t)(source - subscribers->sources);
	TAILQ_REMOVE(&subscribers->idle, subscriber, by_idleness);
	subscriber->idle = subscriber->used = false;
	subscribers->free_slots[subscribers->free_slot_count++] =
		(int32_t)(subscriber - subscribers->slots);
	subscribers->count--;
}

static bool make_room(struct subscribers *subscribers, unsigned int sources)
{
	while (!subscribers->free_slot_count || subscribers->free_source_count < sources) {
		if (TAILQ_EMPTY(&subscribers->idle))
			return false;
		forget(subscribers, TAILQ_FIRST(&subscribers->idle));
	}
	return true;
}

static bool any_taken(const struct subscribers *subscribers, const struct plait_addr *sources,
		      unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		struct plait_addr host = without_port(&sources[i]);

		if (find_source(subscribers, &host))
			return true;
	}
	return false;
}

static void compute_blocks(const struct subscribers *subscribers, struct subscriber *subscriber,
			   const struct plait_addr *sources, unsigned int count)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};

	for (unsigned int i = 0; i < SUBSCRIBER_FAMILIES; i++)
		deterministic_find(subscribers->deterministic, subscribers->deterministic_count,
				   families[i], sources, count,
				   &subscriber->computed[subscriber_family(families[i])]);
}

int32_t subscribers_add(struct subscribers *subscribers, const char *name,
			const struct plait_addr *sources, unsigned int count)
{
	struct subscriber *subscriber;
	int32_t index;

	if (any_taken(subscribers, sources, count) || !make_room(subscribers, count))
		return POOL_NOBODY;
	index = subscribers->free_slots[--subscribers->free_slot_count];
	subscriber = &subscribers->slots[index];
	*subscriber = (struct subscriber){.used = true, .source = without_port(&sources[0])};
	snprintf(subscriber->name, sizeof(subscriber->name), "%s", name);
	for (unsigned int i = 0; i < SUBSCRIBER_POOLS; i++) {
		subscriber->holding[i].address = POOL_NOBODY;
		TAILQ_INIT(&subscriber->holding[i].blocks);
	}
	compute_blocks(subscribers, subscriber, sources, count);
	for (unsigned int i = 0; i < count; i++) {
		struct plait_addr host = without_port(&sources[i]);

		add_source(subscribers, index, &host);
	}
	subscribers->count++;
	settle(subscribers, subscriber);
	return index;
}

int32_t subscribers_of(struct subscribers *subscribers, const struct plait_addr *source)
{
	struct plait_addr host = without_port(source);
	struct source *found = find_source(subscribers, &host);

	return found ? found->subscriber : subscribers_add(subscribers, "", &host, 1);
}

/* Each new session spends its part of a second: up to one ahead, and none saved up. */
static bool within_rate(const struct subscribers *subscribers, struct subscriber *subscriber,
			uint64_t now_ns)
{
	uint64_t spent_ns = subscriber->spent_until_ns;

	if (spent_ns < now_ns)
		spent_ns = now_ns;
	spent_ns += NS_PER_S / subscribers->limits.new_per_s;
	if (spent_ns > now_ns + NS_PER_S)
		return false;
	subscriber->spent_until_ns = spent_ns;
	return true;
}

enum subscriber_verdict subscribers_begin(struct subscribers *subscribers, int32_t index,
					  uint64_t now_ns)
{
	struct subscriber *subscriber = subscribers_at(subscribers, index);

	if (subscribers->limits.sessions && subscriber->sessions >= subscribers->limits.sessions)
		return SUBSCRIBER_SESSIONS;
	if (subscribers->limits.new_per_s && !within_rate(subscribers, subscriber, now_ns))
		return SUBSCRIBER_RATE;
	subscriber->sessions++;
	settle(subscribers, subscriber);
	return SUBSCRIBER_FINE;
}

void subscribers_end(struct subscribers *subscribers, int32_t index)
{
	struct subscriber *subscriber = subscribers_at(subscribers, index);

	subscriber->sessions--;
	settle(subscribers, subscriber);
}
