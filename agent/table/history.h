/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Who had external ports at a time in the past: records of the binding log go in, in
 * their order, and those that held then stay. What was lent and not returned before the
 * log ends is held still; after a crash nothing is returned, but what is lent anew was
 * nobody's any more.
 */
#ifndef PLAIT_TABLE_HISTORY_H
#define PLAIT_TABLE_HISTORY_H

#include <stddef.h>

#include "codec/binding_record.h"

/* By a port, or else by a subscriber. */
struct history_question {
	struct plait_addr external; /* with its port; family 0: not asked */
	struct plait_addr source; /* family 0: not known */
	char subscriber[BINDING_SUBSCRIBER_BYTES]; /* empty: it has no name */
	uint64_t at_ns; /* CLOCK_REALTIME */
};

struct history {
	struct history_question question;
	struct binding_record *records; /* that held then */
	size_t count, room;
	uint64_t begins_ns; /* what was noted first; UINT64_MAX: nothing was */
};

void history_open(struct history *history, const struct history_question *question);
void history_close(struct history *history);

/* 0 or -ENOMEM. */
int history_add(struct history *history, const struct binding_record *record);

#endif
