/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Verbs, as they are handed in by who has something to change: the view finds the one
 * that is asked for, looks at the arguments' names and tells what came of it. It knows
 * none of them itself.
 */
#ifndef PLAIT_VIEW_VERB_H
#define PLAIT_VIEW_VERB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/request.h"

struct json_t;

/* What came of it: a line for people, and facts under stable keys for programs. */
struct outcome {
	char line[512];
	struct json_t *facts; /* NULL: memory ran out */
};

struct verb_argument {
	const char *name;
	bool required;
};

struct verb {
	const char *name;
	struct verb_argument arguments[REQUEST_ARGUMENTS_MAX];
	/*
	 * Do it, and say what was done; or do nothing, return false and say why. Only
	 * arguments that are listed are there, and all that are required.
	 */
	bool (*run)(void *owner, const struct request *request, struct outcome *outcome);
};

struct verbs {
	void *owner;
	const struct verb *verb;
	size_t count;
};

/* One line, without a full stop. */
void outcome_say(struct outcome *outcome, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

void outcome_number(struct outcome *outcome, const char *key, uint64_t number);
void outcome_flag(struct outcome *outcome, const char *key, bool flag);
void outcome_text(struct outcome *outcome, const char *key, const char *text);
/* A list of text: one more in it, or none if text is NULL. */
void outcome_item(struct outcome *outcome, const char *key, const char *text);

/* The answer as JSON, as in report_json.h. */
char *verbs_run(const struct verbs *verbs, const struct request *request, size_t *bytes);

#endif
