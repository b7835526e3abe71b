/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Answers plaitctl over a Unix stream socket, one JSON document a request.
 * It reads through the functions below; what changes something is done by verbs that
 * are handed in.
 */
#ifndef PLAIT_VIEW_CONTROL_SERVER_H
#define PLAIT_VIEW_CONTROL_SERVER_H

#include <stddef.h>

#include "engine/report.h"
#include "port/loop.h"
#include "verb.h"

struct view_source {
	void *owner;
	void (*status)(void *owner, struct status_report *out);
	/* *out is malloc()ed, the caller frees it; returns count or negative errno */
	long (*sessions)(void *owner, struct session_report **out);
	/* fills at most max; returns count */
	size_t (*links)(void *owner, struct link_report *out, size_t max);
	size_t (*concentrators)(void *owner, struct concentrator_report *out, size_t max);
	/* like sessions() */
	long (*bindings)(void *owner, struct binding_report **out);
	/* like links() */
	size_t (*pools)(void *owner, struct pool_report *out, size_t max);
	/* like sessions() */
	long (*subscribers)(void *owner, struct subscriber_report **out);
	void (*counters)(void *owner, uint64_t out[PLAIT_REASON_COUNT]);
};

struct control_server;

/*
 * Listen on path (a stale socket there is replaced, one with a live server is
 * -EADDRINUSE; its directory is made) and serve from loop. source and verbs are
 * kept by pointer. Returns 0 or negative errno.
 */
int control_server_open(struct control_server **out, struct loop *loop, const char *path,
			const struct view_source *source, const struct verbs *verbs);

/* Stop serving, remove the socket, free everything; NULL is fine. */
void control_server_close(struct control_server *server);

#endif
