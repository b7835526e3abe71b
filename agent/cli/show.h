/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One function a noun, and one for all verbs: print reply, a document of plaitctl(8), as text. Returns 0,
 * -EPROTO if the document is not one of its noun, or -ENOMEM; errors of stream
 * are for the caller to look at.
 */
#ifndef PLAIT_CLI_SHOW_H
#define PLAIT_CLI_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct show_options {
	bool all; /* counters: also those that are zero */
};

typedef int show_fn(const json_t *reply, const struct show_options *options, FILE *stream);

show_fn show_status;
show_fn show_sessions;
show_fn show_links;
show_fn show_concentrators;
show_fn show_bindings;
show_fn show_pools;
show_fn show_subscribers;
show_fn show_counters;
show_fn show_done;

#endif
