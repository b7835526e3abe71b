/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * An intrusive hash table of fixed size. It holds nodes, not keys: the caller
 * compares keys among the nodes of equal hash. Not thread-safe.
 */
#ifndef PLAIT_BASE_HASH_H
#define PLAIT_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_node {
	struct hash_node *next;
	uint32_t hash;
};

struct hash {
	struct hash_node **buckets;
	uint32_t mask;
	uint32_t seed; /* random, so that nobody can aim at one bucket */
};

/* Room for about entries nodes. 0 or -ENOMEM. */
int hash_open(struct hash *hash, size_t entries);
void hash_close(struct hash *hash);

/* Every bit of value counts for every bit of the result (MurmurHash3's last step). */
uint32_t hash_mix(uint32_t value);

/* A hash that is the same in every run. */
uint32_t hash_stable(const void *bytes, size_t len);

/* The hash of bytes under this table's seed. */
uint32_t hash_of(const struct hash *hash, const void *bytes, size_t len);

void hash_insert(struct hash *hash, struct hash_node *node, uint32_t value);
/* node may be absent. */
void hash_remove(struct hash *hash, struct hash_node *node);

/* All nodes of one hash value: hash_first(), then hash_next() until NULL. */
struct hash_node *hash_first(const struct hash *hash, uint32_t value);
struct hash_node *hash_next(const struct hash_node *node);

#endif
