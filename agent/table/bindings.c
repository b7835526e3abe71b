// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "bindings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/container.h"

/* What a binding is found by from inside, octet by octet. */
struct inside_key {
	struct plait_addr inside;
	int32_t subscriber;
	uint16_t protocol, external_family;
};

struct external_key {
	struct plait_addr external;
	uint32_t protocol;
};

/* Of a large table each look-up is a page of its own: in huge ones fewer are walked to. */
static void prefer_huge_pages(void *at, size_t bytes)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE),
		  from = ((uintptr_t)at + page - 1) & -page;
	uintptr_t to = ((uintptr_t)at + bytes) & -page;

	if (to > from)
		madvise((void *)from, to - from, MADV_HUGEPAGE);
}

int bindings_open(struct bindings *bindings, uint32_t size, uint64_t now_ns)
{
	size_t buckets = (size_t)size * 2; /* whoever is looked at for nothing is a cache miss */

	memset(bindings, 0, sizeof(*bindings));
	bindings->size = size;
	bindings->slots = calloc(size, sizeof(*bindings->slots));
	bindings->links = calloc(size, sizeof(*bindings->links));
	if (!bindings->slots || !bindings->links || hash_open(&bindings->by_inside, buckets) ||
	    hash_open(&bindings->by_external, buckets)) {
		bindings_close(bindings);
		return -ENOMEM;
	}
	prefer_huge_pages(bindings->slots, size * sizeof(*bindings->slots));
	prefer_huge_pages(bindings->by_inside.buckets, buckets * sizeof(struct hash_node *));
	prefer_huge_pages(bindings->by_external.buckets, buckets * sizeof(struct hash_node *));
	wheel_init(&bindings->wheel, bindings->links, now_ns);
	return 0;
}

void bindings_close(struct bindings *bindings)
{
	free(bindings->slots);
	free(bindings->links);
	hash_close(&bindings->by_inside);
	hash_close(&bindings->by_external);
	memset(bindings, 0, sizeof(*bindings));
}

static uint32_t hash_inside(const struct bindings *bindings, uint8_t protocol, int32_t subscriber,
			    const struct plait_addr *inside, uint8_t external_family)
{
	const struct inside_key key = {.inside = *inside,
				       .subscriber = subscriber,
				       .protocol = protocol,
				       .external_family = external_family};

	return hash_of(&bindings->by_inside, &key, sizeof(key));
}

static uint32_t hash_external(const struct bindings *bindings, uint8_t protocol,
			      const struct plait_addr *external)
{
	const struct external_key key = {.external = *external, .protocol = protocol};

	return hash_of(&bindings->by_external, &key, sizeof(key));
}

static bool same(const struct plait_addr *a, const struct plait_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

struct binding *bindings_of_inside(const struct bindings *bindings, uint8_t protocol,
				   int32_t subscriber, const struct plait_addr *inside,
				   uint8_t external_family)
{
	uint32_t hash = hash_inside(bindings, protocol, subscriber, inside, external_family);
	struct hash_node *node = hash_first(&bindings->by_inside, hash);

	for (; node; node = hash_next(node)) {
		struct binding *binding = container_of(node, struct binding, by_inside);

		if (binding->protocol == protocol && binding->subscriber == subscriber &&
		    binding->external.family == external_family && same(&binding->inside, inside))
			return binding;
	}
	return NULL;
}

struct binding *bindings_of_external(const struct bindings *bindings, uint8_t protocol,
				     const struct plait_addr *external)
{
	uint32_t hash = hash_external(bindings, protocol, external);
	struct hash_node *node = hash_first(&bindings->by_external, hash);

	for (; node; node = hash_next(node)) {
		struct binding *binding = container_of(node, struct binding, by_external);

		if (binding->protocol == protocol && same(&binding->external, external))
			return binding;
	}
	return NULL;
}

static struct binding *new_slot(struct bindings *bindings)
{
	struct binding *binding = bindings->free;

	if (!binding)
		return bindings->touched < bindings->size ? &bindings->slots[bindings->touched++]
							  : NULL;
	bindings->free = binding->by_inside.next
				 ? container_of(binding->by_inside.next, struct binding, by_inside)
				 : NULL;
	return binding;
}

struct binding *bindings_add(struct bindings *bindings, uint8_t protocol, int32_t subscriber,
			     const struct plait_addr *inside, const struct plait_addr *external,
			     uint64_t now_ns)
{
	struct binding *binding = new_slot(bindings);

	if (!binding)
		return NULL;
	*binding = (struct binding){.inside = *inside,
				    .external = *external,
				    .subscriber = subscriber,
				    .since_ns = now_ns,
				    .protocol = protocol};
	hash_insert(&bindings->by_inside, &binding->by_inside,
		    hash_inside(bindings, protocol, subscriber, inside, external->family));
	hash_insert(&bindings->by_external, &binding->by_external,
		    hash_external(bindings, protocol, external));
	bindings->count++;
	return binding;
}

static uint32_t index_of(const struct bindings *bindings, const struct binding *binding)
{
	return (uint32_t)(binding - bindings->slots);
}

void bindings_remove(struct bindings *bindings, struct binding *binding)
{
	wheel_disarm(&bindings->wheel, index_of(bindings, binding));
	hash_remove(&bindings->by_inside, &binding->by_inside);
	hash_remove(&bindings->by_external, &binding->by_external);
	binding->protocol = 0;
	binding->by_inside.next = bindings->free ? &bindings->free->by_inside : NULL;
	bindings->free = binding;
	bindings->count--;
}

void bindings_keep_until(struct bindings *bindings, struct binding *binding, uint64_t due_ns)
{
	if (due_ns == UINT64_MAX)
		wheel_disarm(&bindings->wheel, index_of(bindings, binding));
	else
		wheel_arm(&bindings->wheel, index_of(bindings, binding), due_ns);
}

struct binding *bindings_expired(struct bindings *bindings, uint64_t now_ns)
{
	int32_t index = wheel_due(&bindings->wheel, now_ns);

	return index == WHEEL_NOBODY ? NULL : &bindings->slots[index];
}
