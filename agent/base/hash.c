// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

int hash_open(struct hash *hash, size_t entries)
{
	size_t buckets = 16;

	while (buckets < entries)
		buckets *= 2;
	hash->buckets = calloc(buckets, sizeof(*hash->buckets));
	if (!hash->buckets)
		return -ENOMEM;
	hash->mask = (uint32_t)(buckets - 1);
	if (getrandom(&hash->seed, sizeof(hash->seed), 0) != sizeof(hash->seed))
		hash->seed = 0x9e3779b9;
	return 0;
}

void hash_close(struct hash *hash)
{
	free(hash->buckets);
	hash->buckets = NULL;
}

/* This and the next: MurmurHash3, public domain by its author. */
uint32_t hash_mix(uint32_t value)
{
	value = (value ^ value >> 16) * 0x85ebca6b;
	value = (value ^ value >> 13) * 0xc2b2ae35;
	return value ^ value >> 16;
}

static uint32_t hash_from(uint32_t h, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (; len; len -= len < 4 ? len : 4, at += 4) {
		uint32_t k = 0;

		memcpy(&k, at, len < 4 ? len : 4);
		k *= 0xcc9e2d51;
		k = k << 15 | k >> 17;
		h ^= k * 0x1b873593;
		h = (h << 13 | h >> 19) * 5 + 0xe6546b64;
	}
	return hash_mix(h);
}

uint32_t hash_stable(const void *bytes, size_t len)
{
	return hash_from(0, bytes, len);
}

uint32_t hash_of(const struct hash *hash, const void *bytes, size_t len)
{
	return hash_from(hash->seed, bytes, len);
}

void hash_insert(struct hash *hash, struct hash_node *node, uint32_t value)
{
	struct hash_node **bucket = &hash->buckets[value & hash->mask];

	node->hash = value;
	node->next = *bucket;
	*bucket = node;
}

void hash_remove(struct hash *hash, struct hash_node *node)
{
	struct hash_node **at = &hash->buckets[node->hash & hash->mask];

	while (*at && *at != node)
		at = &(*at)->next;
	if (*at)
		*at = node->next;
}

static struct hash_node *of_hash(struct hash_node *node, uint32_t value)
{
	while (node && node->hash != value)
		node = node->next;
	return node;
}

struct hash_node *hash_first(const struct hash *hash, uint32_t value)
{
	return of_hash(hash->buckets[value & hash->mask], value);
}

struct hash_node *hash_next(const struct hash_node *node)
{
	return of_hash(node->next, node->hash);
}
