// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "request.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

/* 0, or -EINVAL: it has no room, is empty, or would not be safe to print. */
static int copy(char *to, size_t size, const char *from)
{
	size_t length = strlen(from);

	if (!length || length >= size)
		return -EINVAL;
	for (size_t i = 0; i < length; i++)
		if (from[i] < ' ' || from[i] > '~')
			return -EINVAL;
	memcpy(to, from, length + 1);
	return 0;
}

int request_add(struct request *request, const char *name, const char *value)
{
	struct request_argument argument = {};

	if (request->argument_count == REQUEST_ARGUMENTS_MAX || request_value(request, name) ||
	    copy(argument.name, sizeof(argument.name), name) ||
	    (value && copy(argument.value, sizeof(argument.value), value)))
		return -EINVAL;
	request->arguments[request->argument_count++] = argument;
	return 0;
}

const char *request_value(const struct request *request, const char *name)
{
	for (unsigned int i = 0; i < request->argument_count; i++)
		if (!strcmp(request->arguments[i].name, name))
			return request->arguments[i].value;
	return NULL;
}

static const char *kind_of(bool is_verb)
{
	return is_verb ? "verb" : "noun";
}

char *request_encode(const struct request *request)
{
	json_t *document = json_pack("{s:s}", kind_of(request->is_verb), request->word);
	bool whole = document;
	char *text = NULL;

	for (unsigned int i = 0; whole && i < request->argument_count; i++) {
		const struct request_argument *argument = &request->arguments[i];
		json_t *value = *argument->value ? json_string(argument->value) : json_true();

		whole = !json_object_set_new(document, argument->name, value);
	}
	if (whole)
		text = json_dumps(document, JSON_COMPACT);
	json_decref(document);
	return text;
}

static int decode_arguments(json_t *document, struct request *out)
{
	const char *name;
	json_t *value;
	int error = 0;

	json_object_foreach(document, name, value)
	{
		if (!strcmp(name, kind_of(true)))
			continue;
		if (!json_is_true(value) && !json_is_string(value))
			return -EINVAL;
		error = request_add(out, name, json_string_value(value));
		if (error)
			return error;
	}
	return 0;
}

static int decode_document(json_t *document, struct request *out)
{
	const char *noun = json_string_value(json_object_get(document, kind_of(false)));
	const char *verb = json_string_value(json_object_get(document, kind_of(true)));
	const char *word = verb ? verb : noun;

	if (!word || (noun && verb) || strlen(word) >= sizeof(out->word))
		return -EINVAL;
	out->is_verb = verb;
	strcpy(out->word, word);
	return verb ? decode_arguments(document, out) : 0;
}

int request_decode(const char *body, size_t body_bytes, struct request *out)
{
	json_t *document = json_loadb(body, body_bytes, JSON_REJECT_DUPLICATES, NULL);
	struct request request = {};
	int error = decode_document(document, &request);

	json_decref(document);
	if (!error)
		*out = request;
	return error;
}
