/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Log lines to stderr in journald's form ("<6>text"), one write() a line. Workers log,
 * so none waits for who reads it: a line for which there is no room is lost and counted.
 * Any thread.
 */
#ifndef PLAIT_BASE_LOG_H
#define PLAIT_BASE_LOG_H

#include <syslog.h>

/* priority is syslog's LOG_ERR ... LOG_DEBUG; lines above the level are dropped. */
void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_set_level(int priority);

/*
 * A line of any length up to a pipe's PIPE_BUF, whatever the level; text has no control
 * characters. 0, -EAGAIN if there is no room now, or another negative errno.
 */
int log_try(int priority, const char *text);

#define log_error(...)   log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_DEBUG, __VA_ARGS__)

#endif
