// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/hash.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static unsigned int buckets_for(size_t entries)
{
	struct hash hash;
	unsigned int buckets;

	cr_assert_eq(hash_open(&hash, entries), 0);
	buckets = hash.mask + 1;
	for (unsigned int i = 0; i < buckets; i++)
		cr_assert_null(hash.buckets[i]);
	hash_close(&hash);
	return buckets;
}

Test(hash, has_a_power_of_two_of_buckets)
{
	cr_expect_eq(buckets_for(0), 16);
	cr_expect_eq(buckets_for(16), 16);
	cr_expect_eq(buckets_for(17), 32);
	cr_expect_eq(buckets_for(1000), 1024);
	cr_expect_eq(buckets_for(65536), 65536);
}

Test(hash, closes_twice)
{
	struct hash hash;

	cr_assert_eq(hash_open(&hash, 1), 0);
	hash_close(&hash);
	hash_close(&hash);
}

/* Once in 2^32 runs they are equal all the same; once in 2^96 that three are. */
Test(hash, every_table_has_its_own_seed)
{
	struct hash tables[4];
	bool differ = false;

	for (int i = 0; i < 4; i++) {
		cr_assert_eq(hash_open(&tables[i], 1), 0);
		differ |= tables[i].seed != tables[0].seed;
	}
	cr_expect(differ);
	for (int i = 0; i < 4; i++)
		hash_close(&tables[i]);
}

static uint32_t with_seed(uint32_t seed, const void *bytes, size_t len)
{
	struct hash hash = {.seed = seed};

	return hash_of(&hash, bytes, len);
}

/* Empty input: the published MurmurHash3_x86_32 vectors. The rest: worked out separately. */
Test(hash, hashes_to_known_values)
{
	cr_expect_eq(with_seed(0, "", 0), 0);
	cr_expect_eq(with_seed(1, "", 0), 0x514e28b7);
	cr_expect_eq(with_seed(0xffffffff, "", 0), 0x81f16f39);
	cr_expect_eq(with_seed(0, "\0\0\0\0", 4), 0xff19274a);
	cr_expect_eq(with_seed(0, "a", 1), 0x9049ae23);
	cr_expect_eq(with_seed(0, "abcd", 4), 0x8c6334eb);
	cr_expect_eq(with_seed(0, "abcde", 5), 0x01c8720d);
	cr_expect_eq(with_seed(0x9747b28c, "Hello, world!", 13), 0x920f3fb6);
}

Test(hash, reads_exactly_the_octets_given_at_any_alignment)
{
	char room[64];

	for (size_t len = 0; len < 24; len++) {
		char *exact = malloc(len ? len : 1); /* ASan watches its end */
		uint32_t expected;

		memset(exact, 'x', len);
		expected = with_seed(7, exact, len);
		for (size_t offset = 0; offset < 8; offset++) {
			memset(room, 'y', sizeof(room));
			memset(room + offset, 'x', len);
			cr_expect_eq(with_seed(7, room + offset, len), expected);
		}
		free(exact);
	}
}

/* Ports and addresses that follow one another must not share buckets. */
Test(hash, spreads_similar_keys)
{
	enum { KEYS = 4096, BUCKETS = 256 };
	unsigned int in[BUCKETS] = {}, fullest = 0;

	for (uint32_t key = 0; key < KEYS; key++) {
		unsigned int *bucket = &in[with_seed(3, &key, sizeof(key)) % BUCKETS];

		if (++*bucket > fullest)
			fullest = *bucket;
	}
	/* 16 on average */
	cr_expect_leq(fullest, 40);
}

static unsigned int count(const struct hash *hash, uint32_t value)
{
	unsigned int found = 0;

	for (struct hash_node *node = hash_first(hash, value); node; node = hash_next(node)) {
		cr_assert_eq(node->hash, value);
		found++;
	}
	return found;
}

Test(hash, finds_nodes_of_one_value_only)
{
	struct hash_node one, same, neighbour;
	struct hash hash;

	cr_assert_eq(hash_open(&hash, 16), 0);
	cr_expect_null(hash_first(&hash, 5));
	hash_insert(&hash, &one, 5);
	hash_insert(&hash, &neighbour, 5 + 16); /* same bucket */
	hash_insert(&hash, &same, 5);
	cr_expect_eq(count(&hash, 5), 2);
	cr_expect_eq(hash_first(&hash, 5 + 16), &neighbour);
	cr_expect_eq(count(&hash, 5 + 32), 0);
	cr_expect_eq(count(&hash, 6), 0);
	hash_remove(&hash, &one);
	cr_expect_eq(hash_first(&hash, 5), &same);
	cr_expect_eq(count(&hash, 5), 1);
	hash_remove(&hash, &same);
	cr_expect_eq(count(&hash, 5), 0);
	cr_expect_eq(count(&hash, 5 + 16), 1);
	hash_close(&hash);
}

/* An absent node may still point at what once followed it. */
Test(hash, removing_an_absent_node_changes_nothing)
{
	struct hash_node present, followed = {.hash = 5};
	struct hash_node absent = {.next = &followed, .hash = 5};
	struct hash_node elsewhere = {.next = &followed, .hash = 6};
	struct hash hash;

	cr_assert_eq(hash_open(&hash, 16), 0);
	hash_insert(&hash, &present, 5);
	hash_remove(&hash, &absent);
	hash_remove(&hash, &elsewhere);
	cr_expect_eq(hash_first(&hash, 5), &present);
	cr_expect_eq(count(&hash, 5), 1);
	hash_remove(&hash, &present);
	hash_remove(&hash, &present);
	cr_expect_null(hash_first(&hash, 5));
	hash_close(&hash);
}

/* xorshift32: the same run every time */
static uint32_t any(uint32_t below)
{
	static uint32_t state = 0x68617368;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % below;
}

enum { NODES = 300, VALUES = 64 };

struct model {
	struct hash hash;
	struct hash_node nodes[NODES];
	bool present[NODES];
};

/* Each value's nodes, by the table and by looking at all. */
static void compare(const struct model *model, uint32_t value)
{
	unsigned int expected = 0;

	for (int i = 0; i < NODES; i++)
		expected += model->present[i] && model->nodes[i].hash == value;
	cr_assert_eq(count(&model->hash, value), expected);
	for (const struct hash_node *node = hash_first(&model->hash, value); node;
	     node = hash_next(node))
		cr_assert(model->present[node - model->nodes]);
}

Test(hash, behaves_as_a_list_does)
{
	static struct model model;

	cr_assert_eq(hash_open(&model.hash, 16), 0);
	for (int step = 0; step < 20000; step++) {
		uint32_t i = any(NODES);

		if (model.present[i])
			hash_remove(&model.hash, &model.nodes[i]);
		else
			hash_insert(&model.hash, &model.nodes[i], any(VALUES));
		model.present[i] = !model.present[i];
		compare(&model, model.nodes[i].hash);
		compare(&model, any(VALUES));
	}
	hash_close(&model.hash);
}
