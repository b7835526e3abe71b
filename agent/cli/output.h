/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#ifndef PLAIT_CLI_OUTPUT_H
#define PLAIT_CLI_OUTPUT_H

#include <jansson.h>
#include <stdio.h>

#include "show.h"

/* reply as indented JSON in pure ASCII without control characters; a show function. */
show_fn show_json;

/*
 * Let show() print reply, and only if it succeeds, write that to standard output.
 * A reader that has seen enough (EPIPE) is no error. Returns the exit status, after
 * complaining if need be.
 */
int report(show_fn *show, const json_t *reply, const struct show_options *options);

#endif
