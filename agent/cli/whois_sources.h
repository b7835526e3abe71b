/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Where plaitctl whois finds its answers, one file each. They return 0, having added what
 * they know, maybe nothing, or the exit status after complaining.
 */
#ifndef PLAIT_CLI_WHOIS_SOURCES_H
#define PLAIT_CLI_WHOIS_SOURCES_H

#include <stdbool.h>

#include "config/config.h"
#include "table/history.h"

struct whois_request {
	const char *text; /* what is asked for, as it was given */
	struct history_question question;
	bool is_past; /* else: now, and question.at_ns means nothing */
	const char *config_path, *log_path; /* NULL: not given */
	const char *instance; /* likewise */
};

struct whois_answer {
	const char *from; /* "configuration", "log", "agent" */
	/* times are CLOCK_REALTIME, 0 if not known; so is source with family 0 */
	struct binding_record *records;
	size_t count;
};

/* Complain that there is no answer. Returns the exit status. */
int whois_nobody(const struct whois_request *request);

/* Exit status 1 if memory runs out. */
int whois_add(struct whois_answer *answer, const struct binding_record *record);

/*
 * What is computed, of deterministic pools. What follows for the others from the
 * configuration goes into *request: a name, the log's path, the instance.
 */
int whois_from_config(struct whois_request *request, const struct config *config,
		      struct whois_answer *answer);
int whois_from_log(const struct whois_request *request, struct whois_answer *answer);
int whois_from_agent(const struct whois_request *request, struct whois_answer *answer);

#endif
