/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A YAML text as a tree in which every node knows its place. Only what a
 * configuration needs: one document, no anchors, aliases or tags, little depth.
 */
#ifndef PLAIT_CONFIG_DOCUMENT_H
#define PLAIT_CONFIG_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

struct config_error;

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAPPING };

struct node {
	enum node_kind kind;
	unsigned int line, column; /* from 1 */
	bool quoted; /* a scalar that YAML calls a string, whatever is in it */
	char *text; /* of a scalar, else NULL */
	struct node *first, *last; /* entries; a mapping's are key, value, key, value ... */
	struct node *next; /* in the same list or mapping */
	struct node *older; /* in order of allocation: for document_free() */
};

struct document {
	struct node *root;
	struct node *newest;
	unsigned int nodes;
};

/*
 * Read text into *out, which document_free() frees, also after a failure.
 * Returns 0; -EINVAL and fills *error; -ENOMEM.
 */
int document_read(const char *text, size_t len, struct document *out, struct config_error *error);
void document_free(struct document *document);

/* The element of list with that index, or NULL. */
const struct node *node_element(const struct node *list, unsigned int index);

/* The value of key in mapping, or NULL. */
const struct node *node_value(const struct node *mapping, const char *key);

#endif
