/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Reports as JSON text. The keys are a promise to the operator's scripts and
 * stand in plaitctl(8). Each function returns malloc()ed text and its length
 * without the NUL, or NULL if memory ran out. Text that is not UTF-8 is given
 * with a question mark for each octet that is not ASCII.
 */
#ifndef PLAIT_VIEW_REPORT_JSON_H
#define PLAIT_VIEW_REPORT_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "engine/report.h"

struct json_t;

char *report_json_status(const struct status_report *status, size_t *bytes);

/* now_ns is CLOCK_MONOTONIC, as in the sessions' own stamps. */
char *report_json_sessions(const struct session_report *sessions, size_t count, uint64_t now_ns,
			   size_t *bytes);
char *report_json_links(const struct link_report *links, size_t count, size_t *bytes);
char *report_json_concentrators(const struct concentrator_report *concentrators, size_t count,
				size_t *bytes);
/* now_ns as for sessions. */
char *report_json_bindings(const struct binding_report *bindings, size_t count, uint64_t now_ns,
			   size_t *bytes);
char *report_json_pools(const struct pool_report *pools, size_t count, size_t *bytes);
char *report_json_subscribers(const struct subscriber_report *subscribers, size_t count,
			      size_t *bytes);
char *report_json_counters(const uint64_t counters[PLAIT_REASON_COUNT], size_t *bytes);
/* What a verb has done, in a line, and the members of facts; NULL: memory ran out. */
char *report_json_done(const char *line, struct json_t *facts, size_t *bytes);
char *report_json_error(const char *text, size_t *bytes);

#endif
