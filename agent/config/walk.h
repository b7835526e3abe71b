/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * From nodes to structs by tables: a table says which keys a mapping has, how
 * each is read and where it goes. The walk goes through a mapping in the file's
 * order and stops at the first error, which it places and words.
 */
#ifndef PLAIT_CONFIG_WALK_H
#define PLAIT_CONFIG_WALK_H

#include <stddef.h>

#include "config.h"
#include "document.h"

struct walk {
	struct config *config; /* what was read so far */
	struct config_error *error;
	char path[96]; /* of the node that is read: "links[1].weight" */
};

/*
 * Read node into what `into` points to; `with` is the reader's own table.
 * Returns 0, or -EINVAL with walk->error filled.
 */
typedef int (*walk_reader)(struct walk *walk, const struct node *node, void *into,
			   const void *with);

enum key_flags {
	FOR_CPE = 1 << ROLE_CPE,
	FOR_CONCENTRATOR = 1 << ROLE_CONCENTRATOR,
	FOR_BOTH = FOR_CPE | FOR_CONCENTRATOR,
	REQUIRED = 1 << 7,
};

struct key {
	const char *name;
	walk_reader read;
	const void *with;
	size_t offset; /* of the value in what the mapping is read into */
	unsigned int flags;
};

struct mapping {
	const struct key *keys;
	size_t key_count;
	walk_reader check; /* of the whole once all keys are read, or NULL */
};

struct list {
	walk_reader read; /* an element */
	const void *with;
	size_t count; /* offsets in what the list is read into: of the number, */
	size_t first; /* of the first element */
	size_t stride;
	unsigned int min, max;
};

struct range {
	unsigned int min, max;
};

int walk_mapping(struct walk *walk, const struct node *node, void *into, const void *mapping);
/* Counts each element once it is whole, so that its reader can look at those before it. */
int walk_list(struct walk *walk, const struct node *node, void *into, const void *list);
/* One of the words of a NULL-terminated array, as an unsigned int: the word's index. */
int walk_word(struct walk *walk, const struct node *node, void *into, const void *words);
int walk_bool(struct walk *walk, const struct node *node, void *into, const void *unused);
int walk_number(struct walk *walk, const struct node *node, void *into, const void *range);
/* Milliseconds in a uint32_t; the least possible one as a uint32_t, or NULL. */
int walk_duration(struct walk *walk, const struct node *node, void *into, const void *min_ms);

/* A step down to a key or an index; walk_leave() undoes it. */
size_t walk_enter_key(struct walk *walk, const char *key);
size_t walk_enter_index(struct walk *walk, unsigned int index);
void walk_leave(struct walk *walk, size_t path_chars);

/* Both return -EINVAL. */
__attribute__((format(printf, 3, 4))) int walk_fail(struct walk *walk, const struct node *at,
						    const char *format, ...);
/* "PATH: expected WHAT, not ..." */
int walk_expected(struct walk *walk, const struct node *at, const char *what);

#endif
