/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What plaitctl can be told: nouns, which read, and verbs, which change. */
#ifndef PLAIT_CLI_COMMAND_H
#define PLAIT_CLI_COMMAND_H

#include "control/request.h"
#include "show.h"

enum command_argument_kind {
	ARGUMENT_WORD, /* stands behind the command */
	ARGUMENT_WORD_IF_ANY, /* the same, or not; behind those that must be there */
	ARGUMENT_OPTION, /* --name, as getopt_long() knows it */
};

struct command_argument {
	const char *name; /* as the request has it */
	enum command_argument_kind kind;
};

struct command {
	const char *word, *help;
	show_fn *show; /* NULL: a verb */
	struct command_argument arguments[REQUEST_ARGUMENTS_MAX];
	unsigned int least; /* that must be given, whichever */
};

/*
 * Complete *request, which has the options that were given, by words: the command and
 * what stands behind it, up to NULL. Returns the command, or NULL after complaining.
 */
const struct command *command_take(char *const *words, struct request *request);

/* A list of them, with what they do. */
void command_print_all(FILE *stream);

#endif
