/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "walk.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "value.h"

enum { QUOTE_CHARS = 40 };

/* A stranger's text for one line of a log: short, and nothing a terminal obeys. */
static void quote(const char *text, char out[QUOTE_CHARS + 1])
{
	size_t len = strnlen(text, QUOTE_CHARS);

	for (size_t i = 0; i < len; i++)
		out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	out[len] = '\0';
	if (text[len])
		memcpy(out + QUOTE_CHARS - 3, "...", 3);
}

static size_t append_to_path(struct walk *walk, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static size_t append_to_path(struct walk *walk, const char *format, ...)
{
	size_t before = strlen(walk->path);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(walk->path + before, sizeof(walk->path) - before, format, arguments);
	va_end(arguments);
	return before;
}

size_t walk_enter_key(struct walk *walk, const char *key)
{
	char quoted[QUOTE_CHARS + 1];

	quote(key, quoted);
	return append_to_path(walk, "%s%s", walk->path[0] ? "." : "", quoted);
}

size_t walk_enter_index(struct walk *walk, unsigned int index)
{
	return append_to_path(walk, "[%u]", index);
}

void walk_leave(struct walk *walk, size_t path_chars)
{
	walk->path[path_chars] = '\0';
}

int walk_fail(struct walk *walk, const struct node *at, const char *format, ...)
{
	struct config_error *error = walk->error;
	va_list arguments;
	int len;

	error->line = at->line;
	error->column = at->column;
	len = snprintf(error->text, sizeof(error->text), "%s%s", walk->path,
		       walk->path[0] ? ": " : "");
	va_start(arguments, format);
	vsnprintf(error->text + len, sizeof(error->text) - len, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

int walk_expected(struct walk *walk, const struct node *at, const char *what)
{
	char quoted[QUOTE_CHARS + 1];

	if (at->kind == NODE_LIST)
		return walk_fail(walk, at, "expected %s, not a list", what);
	if (at->kind == NODE_MAPPING)
		return walk_fail(walk, at, "expected %s, not a mapping", what);
	if (!at->text[0] && !at->quoted)
		return walk_fail(walk, at, "expected %s, not nothing", what);
	quote(at->text, quoted);
	return walk_fail(walk, at, "expected %s, not %s\"%s\"", what, at->quoted ? "the text " : "",
			 quoted);
}

static const struct key *find_key(const struct mapping *mapping, const char *name)
{
	for (size_t i = 0; i < mapping->key_count; i++)
		if (strcmp(mapping->keys[i].name, name) == 0)
			return &mapping->keys[i];
	return NULL;
}

static bool for_this_role(const struct walk *walk, const struct key *key)
{
	return key->flags & 1u << walk->config->role;
}

static int read_entry(struct walk *walk, const struct node *node, const struct node *name,
		      void *into, const struct mapping *mapping)
{
	const struct key *key = find_key(mapping, name->text);

	if (!key)
		return walk_fail(walk, name, "unknown key");
	if (!for_this_role(walk, key))
		return walk_fail(walk, name, "only for role: %s",
				 walk->config->role == ROLE_CPE ? "concentrator" : "cpe");
	for (const struct node *other = node->first; other != name; other = other->next->next)
		if (strcmp(other->text, name->text) == 0)
			return walk_fail(walk, name, "given before, in line %u", other->line);
	return key->read(walk, name->next, (char *)into + key->offset, key->with);
}

static int find_missing(struct walk *walk, const struct node *node, const struct mapping *mapping)
{
	for (size_t i = 0; i < mapping->key_count; i++) {
		const struct key *key = &mapping->keys[i];

		if (!(key->flags & REQUIRED) || !for_this_role(walk, key) ||
		    node_value(node, key->name))
			continue;
		walk_enter_key(walk, key->name);
		return walk_fail(walk, node, "missing");
	}
	return 0;
}

int walk_mapping(struct walk *walk, const struct node *node, void *into, const void *with)
{
	const struct mapping *mapping = with;
	int err;

	if (node->kind != NODE_MAPPING)
		return walk_expected(walk, node, "a mapping");
	for (const struct node *name = node->first; name; name = name->next->next) {
		size_t path_chars;

		if (name->kind != NODE_SCALAR)
			return walk_expected(walk, name, "a key");
		path_chars = walk_enter_key(walk, name->text);
		err = read_entry(walk, node, name, into, mapping);
		if (err < 0)
			return err;
		walk_leave(walk, path_chars);
	}
	err = find_missing(walk, node, mapping);
	if (err < 0 || !mapping->check)
		return err;
	return mapping->check(walk, node, into, NULL);
}

int walk_list(struct walk *walk, const struct node *node, void *into, const void *with)
{
	const struct list *list = with;
	unsigned int *count = (unsigned int *)((char *)into + list->count);

	if (node->kind != NODE_LIST)
		return walk_expected(walk, node, "a list");
	for (const struct node *at = node->first; at; at = at->next) {
		size_t path_chars = walk_enter_index(walk, *count);
		void *element = (char *)into + list->first + *count * list->stride;
		int err;

		if (*count == list->max)
			return walk_fail(walk, at, "at most %u are possible", list->max);
		err = list->read(walk, at, element, list->with);
		if (err < 0)
			return err;
		walk_leave(walk, path_chars);
		(*count)++;
	}
	if (*count < list->min)
		return walk_fail(walk, node, "expected at least %u in the list", list->min);
	return 0;
}

/* "always, overflow or backup" */
static void join_words(const char *const *words, char *out, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; words[i] && len < size; i++)
		len += snprintf(out + len, size - len, "%s%s",
				i == 0         ? ""
				: words[i + 1] ? ", "
					       : " or ",
				words[i]);
}

int walk_word(struct walk *walk, const struct node *node, void *into, const void *with)
{
	const char *const *words = with;
	char all[80];

	for (unsigned int i = 0; node->kind == NODE_SCALAR && words[i]; i++) {
		if (strcmp(node->text, words[i]) == 0) {
			*(unsigned int *)into = i;
			return 0;
		}
	}
	join_words(words, all, sizeof(all));
	return walk_expected(walk, node, all);
}

int walk_bool(struct walk *walk, const struct node *node, void *into, const void *with)
{
	bool plain = node->kind == NODE_SCALAR && !node->quoted;

	if (!plain || (strcmp(node->text, "true") != 0 && strcmp(node->text, "false") != 0))
		return walk_expected(walk, node, "true or false");
	*(bool *)into = node->text[0] == 't';
	return 0;
}

int walk_number(struct walk *walk, const struct node *node, void *into, const void *with)
{
	const struct range *range = with;
	char what[64];

	if (node->kind == NODE_SCALAR && !node->quoted &&
	    value_number(node->text, range->min, range->max, into) == 0)
		return 0;
	snprintf(what, sizeof(what), "a number from %u to %u", range->min, range->max);
	return walk_expected(walk, node, what);
}

int walk_duration(struct walk *walk, const struct node *node, void *into, const void *with)
{
	const uint32_t *min_ms = with;
	char what[64];
	uint32_t ms;

	if (node->kind != NODE_SCALAR || value_duration(node->text, &ms) < 0)
		return walk_expected(walk, node,
				     "a time of up to 49 days such as 500ms, 90s, 5min or 2h");
	if (min_ms && ms < *min_ms) {
		bool seconds = *min_ms % 1000 == 0;

		snprintf(what, sizeof(what), "a time of at least %u%s",
			 seconds ? *min_ms / 1000 : *min_ms, seconds ? "s" : "ms");
		return walk_expected(walk, node, what);
	}
	*(uint32_t *)into = ms;
	return 0;
}
