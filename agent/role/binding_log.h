/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The binding log: whoever lends or takes back puts a record into a queue, and a
 * thread of its own writes them, so that a slow disk or a reader that has stopped
 * holds up no connection. A record that finds the queue full is dropped and counted.
 */
#ifndef PLAIT_ROLE_BINDING_LOG_H
#define PLAIT_ROLE_BINDING_LOG_H

#include <stdint.h>

#include "codec/binding_record.h"

struct binding_log;

/* file as for journal_open(). 0 or negative errno. */
int binding_log_open(struct binding_log **out, const char *file);

/* Write what is queued, for two seconds at most, and free everything; NULL is fine. */
void binding_log_close(struct binding_log *log);

/* Any thread; never waits. */
void binding_log_put(struct binding_log *log, const struct binding_record *record);

/* How many were dropped since this was last asked. */
uint64_t binding_log_dropped(struct binding_log *log);

#endif
