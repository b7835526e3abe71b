/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "document.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config.h"

enum {
	MAX_DEPTH = 16,
	MAX_NODES = 65536, /* the fullest useful configuration has about 15,000 */
};

/* The tree under construction: open lists and mappings, the innermost last. */
struct builder {
	struct document *document;
	struct config_error *error;
	unsigned int documents;
	unsigned int depth;
	struct node *open[MAX_DEPTH];
};

__attribute__((format(printf, 3, 4))) static int fail(struct builder *builder, yaml_mark_t at,
						      const char *format, ...)
{
	va_list arguments;

	builder->error->line = at.line + 1;
	builder->error->column = at.column + 1;
	va_start(arguments, format);
	vsnprintf(builder->error->text, sizeof(builder->error->text), format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static void attach(struct builder *builder, struct node *node)
{
	struct node *parent;

	if (builder->depth == 0) {
		builder->document->root = node;
		return;
	}
	parent = builder->open[builder->depth - 1];
	if (parent->last)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
}

static int add_node(struct builder *builder, enum node_kind kind, const yaml_event_t *event,
		    struct node **out)
{
	struct document *document = builder->document;
	struct node *node;

	if (document->nodes == MAX_NODES)
		return fail(builder, event->start_mark, "more than %d values", MAX_NODES);
	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	document->nodes++;
	node->older = document->newest;
	document->newest = node;
	node->kind = kind;
	node->line = event->start_mark.line + 1;
	node->column = event->start_mark.column + 1;
	attach(builder, node);
	*out = node;
	return 0;
}

static int add_scalar(struct builder *builder, const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;
	struct node *node;
	int err;

	if (memchr(value, '\0', event->data.scalar.length))
		return fail(builder, event->start_mark, "a zero octet in a value");
	err = add_node(builder, NODE_SCALAR, event, &node);
	if (err < 0)
		return err;
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	node->text = strdup(value);
	return node->text ? 0 : -ENOMEM;
}

static int open_node(struct builder *builder, enum node_kind kind, const yaml_event_t *event)
{
	struct node *node;
	int err;

	if (builder->depth == MAX_DEPTH)
		return fail(builder, event->start_mark, "nested more than %d deep", MAX_DEPTH);
	err = add_node(builder, kind, event, &node);
	if (err < 0)
		return err;
	builder->open[builder->depth++] = node;
	return 0;
}

/* An alias can make a small file mean a large one, and a tag another type. */
static int refuse_extras(struct builder *builder, const yaml_event_t *event,
			 const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		return fail(builder, event->start_mark, "anchors and aliases are not supported");
	if (tag)
		return fail(builder, event->start_mark, "tags are not supported");
	return 0;
}

static int take_event(struct builder *builder, const yaml_event_t *event)
{
	int err;

	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (builder->documents++ > 0)
			return fail(builder, event->start_mark, "a second document in the file");
		return 0;
	case YAML_ALIAS_EVENT:
		return refuse_extras(builder, event, event->data.alias.anchor, NULL);
	case YAML_SCALAR_EVENT:
		err = refuse_extras(builder, event, event->data.scalar.anchor,
				    event->data.scalar.tag);
		return err < 0 ? err : add_scalar(builder, event);
	case YAML_SEQUENCE_START_EVENT:
		err = refuse_extras(builder, event, event->data.sequence_start.anchor,
				    event->data.sequence_start.tag);
		return err < 0 ? err : open_node(builder, NODE_LIST, event);
	case YAML_MAPPING_START_EVENT:
		err = refuse_extras(builder, event, event->data.mapping_start.anchor,
				    event->data.mapping_start.tag);
		return err < 0 ? err : open_node(builder, NODE_MAPPING, event);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		builder->depth--;
		return 0;
	default:
		return 0;
	}
}

/* libyaml gives the place of a bad octet as an offset. */
static yaml_mark_t mark_at(const char *text, size_t offset)
{
	yaml_mark_t mark = {};

	for (; mark.index < offset; mark.index++) {
		/* a column is a character, which has one octet that does not continue it */
		if ((text[mark.index] & 0xc0) != 0x80)
			mark.column++;
		if (text[mark.index] == '\n') {
			mark.line++;
			mark.column = 0;
		}
	}
	return mark;
}

static int syntax_error(struct builder *builder, const yaml_parser_t *parser, const char *text,
			size_t len)
{
	size_t offset = parser->problem_offset < len ? parser->problem_offset : len;

	switch (parser->error) {
	case YAML_MEMORY_ERROR:
		return -ENOMEM;
	case YAML_READER_ERROR:
		return fail(builder, mark_at(text, offset), "not a plain text in UTF-8: %s",
			    parser->problem);
	default:
		return fail(builder, parser->problem_mark, "not YAML: %s%s%s",
			    parser->context ? parser->context : "", parser->context ? ", " : "",
			    parser->problem ? parser->problem : "syntax error");
	}
}

int document_read(const char *text, size_t len, struct document *out, struct config_error *error)
{
	__attribute__((cleanup(yaml_parser_delete))) yaml_parser_t parser = {};
	struct builder builder = {.document = out, .error = error};
	bool at_end = false;

	/* libyaml would count a byte order mark as indentation */
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	*out = (struct document){};
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);

	while (!at_end) {
		__attribute__((cleanup(yaml_event_delete))) yaml_event_t event = {};
		int err;

		if (!yaml_parser_parse(&parser, &event))
			return syntax_error(&builder, &parser, text, len);
		err = take_event(&builder, &event);
		if (err < 0)
			return err;
		at_end = event.type == YAML_STREAM_END_EVENT;
	}
	if (!out->root) {
		*error = (struct config_error){.text = "the file is empty"};
		return -EINVAL;
	}
	return 0;
}

void document_free(struct document *document)
{
	while (document->newest) {
		struct node *node = document->newest;

		document->newest = node->older;
		free(node->text);
		free(node);
	}
}

const struct node *node_element(const struct node *list, unsigned int index)
{
	const struct node *node = list->first;

	while (node && index--)
		node = node->next;
	return node;
}

const struct node *node_value(const struct node *mapping, const char *key)
{
	for (const struct node *at = mapping->first; at; at = at->next->next)
		if (at->kind == NODE_SCALAR && strcmp(at->text, key) == 0)
			return at->next;
	return NULL;
}
