/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#ifndef PLAIT_CLI_AGENT_H
#define PLAIT_CLI_AGENT_H

#include <jansson.h>

#include "control/request.h"

enum { EXIT_USAGE = 2 };

/*
 * The answer of the instance of that name, or of the only one that runs (NULL), to request.
 * Returns 0 and the document, which the caller json_decref()s; else the exit status, after
 * complaining.
 */
int agent_ask(const char *name, const struct request *request, json_t **reply);
/* noun: of a request without arguments. */
int agent_ask_about(const char *name, const char *noun, json_t **reply);

#endif
