// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "verb.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "report_json.h"

void outcome_say(struct outcome *outcome, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(outcome->line, sizeof(outcome->line), format, arguments);
	va_end(arguments);
}

/* Without one of them, facts would be wrong by what they leave out. */
static void lose_facts(struct outcome *outcome)
{
	json_decref(outcome->facts);
	outcome->facts = NULL;
}

static void put(struct outcome *outcome, const char *key, json_t *value)
{
	if (json_object_set_new(outcome->facts, key, value))
		lose_facts(outcome);
}

void outcome_number(struct outcome *outcome, const char *key, uint64_t number)
{
	put(outcome, key, json_integer((json_int_t)number));
}

void outcome_flag(struct outcome *outcome, const char *key, bool flag)
{
	put(outcome, key, json_boolean(flag));
}

void outcome_text(struct outcome *outcome, const char *key, const char *text)
{
	put(outcome, key, json_string(text));
}

void outcome_item(struct outcome *outcome, const char *key, const char *text)
{
	if (!json_object_get(outcome->facts, key))
		put(outcome, key, json_array());
	if (text && json_array_append_new(json_object_get(outcome->facts, key), json_string(text)))
		lose_facts(outcome);
}

static const struct verb *find(const struct verbs *verbs, const char *name)
{
	for (size_t i = 0; i < verbs->count; i++)
		if (!strcmp(verbs->verb[i].name, name))
			return &verbs->verb[i];
	return NULL;
}

static bool takes(const struct verb *verb, const char *name)
{
	for (size_t i = 0; i < REQUEST_ARGUMENTS_MAX && verb->arguments[i].name; i++)
		if (!strcmp(verb->arguments[i].name, name))
			return true;
	return false;
}

static bool has_its_arguments(const struct verb *verb, const struct request *request,
			      struct outcome *outcome)
{
	for (size_t i = 0; i < request->argument_count; i++) {
		const char *name = request->arguments[i].name;

		if (takes(verb, name))
			continue;
		outcome_say(outcome, "%s: unknown argument: %s", verb->name, name);
		return false;
	}
	for (size_t i = 0; i < REQUEST_ARGUMENTS_MAX && verb->arguments[i].name; i++) {
		const struct verb_argument *argument = &verb->arguments[i];

		if (!argument->required || request_value(request, argument->name))
			continue;
		outcome_say(outcome, "%s: missing argument: %s", verb->name, argument->name);
		return false;
	}
	return true;
}

static bool run(const struct verbs *verbs, const struct request *request, struct outcome *outcome)
{
	const struct verb *verb = find(verbs, request->word);

	if (verb)
		return has_its_arguments(verb, request, outcome) &&
		       verb->run(verbs->owner, request, outcome);
	outcome_say(outcome, "unknown verb: %s", request->word);
	return false;
}

char *verbs_run(const struct verbs *verbs, const struct request *request, size_t *bytes)
{
	struct outcome outcome = {.facts = json_object()};
	char *text;

	if (run(verbs, request, &outcome))
		text = report_json_done(outcome.line, outcome.facts, bytes);
	else
		text = report_json_error(outcome.line, bytes);
	json_decref(outcome.facts);
	return text;
}
