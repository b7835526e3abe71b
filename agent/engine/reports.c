// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What the main thread asks of all workers' sessions. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "engine.h"
#include "port/mptcp.h"

void engine_totals(const struct engine *engine, unsigned int *sessions, unsigned int *held_syns)
{
	*sessions = *held_syns = 0;
	for (unsigned int i = 0; i < engine->worker_count; i++) {
		const struct worker *worker = &engine->workers[i];

		*sessions += __atomic_load_n(&worker->session_count, __ATOMIC_RELAXED);
		*held_syns += __atomic_load_n(&worker->held_count, __ATOMIC_RELAXED);
	}
}

struct collection {
	struct session_report *reports;
	size_t count, room;
	unsigned int next_slot; /* where the next call goes on */
	bool done;
};

enum { REPORTS_A_CALL = 64 }; /* so that traffic waits no longer than this takes */

static void report_subflows(struct worker *worker, const struct session *session,
			    struct session_report *out)
{
	struct mptcp_subflow subflows[REPORT_MAX_SUBFLOWS];
	int n = mptcp_subflows(session->side[SIDE_LEG].fd, subflows, REPORT_MAX_SUBFLOWS);

	out->mptcp = n >= 0;
	out->subflow_count = n > 0 ? (unsigned int)n : 0;
	for (int i = 0; i < n; i++) {
		struct subflow_report *to = &out->subflows[i];
		const char *link = "";

		to->local = subflows[i].local;
		to->remote = subflows[i].remote;
		to->rtt_us = subflows[i].rtt_us;
		to->sent_bytes = subflows[i].sent_bytes;
		to->received_bytes = subflows[i].received_bytes;
		to->retransmits = subflows[i].retransmits;
		if (worker->ops->tell_link)
			worker->ops->tell_link(worker->ops->role, session, &to->local, &link,
					       &to->backup);
		snprintf(to->link, sizeof(to->link), "%s", link);
	}
}

static void report_session(struct worker *worker, const struct session *session,
			   struct session_report *out)
{
	memset(out, 0, sizeof(*out));
	out->key = session->key;
	out->opening = session->stage != STAGE_RELAYING;
	out->token = session->token;
	out->worker = worker->index;
	if (session->published)
		dataplane_session_read(worker->dataplane, &session->key, &out->counters);
	if (session->side[SIDE_LEG].fd < 0)
		return;
	report_subflows(worker, session, out);
	if (worker->ops->concentrator_name)
		snprintf(out->concentrator, sizeof(out->concentrator), "%s",
			 worker->ops->concentrator_name(worker->ops->role, session));
}

static void collect(struct worker *worker, void *argument)
{
	struct collection *collection = argument;
	unsigned int reported = 0;

	for (; collection->next_slot < worker->sessions_touched; collection->next_slot++) {
		struct session *session = &worker->sessions[collection->next_slot];

		if (session->stage == STAGE_FREE)
			continue;
		if (reported++ == REPORTS_A_CALL || collection->count == collection->room)
			return;
		report_session(worker, session, &collection->reports[collection->count++]);
	}
	collection->done = true;
}

static int make_room(struct collection *collection)
{
	size_t room = collection->room ? collection->room * 2 : 4 * REPORTS_A_CALL;
	struct session_report *reports;

	if (collection->room - collection->count >= REPORTS_A_CALL)
		return 0;
	reports = realloc(collection->reports, room * sizeof(*reports));
	if (!reports)
		return -ENOMEM;
	collection->reports = reports;
	collection->room = room;
	return 0;
}

long engine_sessions(struct engine *engine, struct session_report **out)
{
	struct collection collection = {};

	for (unsigned int i = 0; i < engine->worker_count; i++) {
		collection.next_slot = 0;
		collection.done = false;
		while (!collection.done) {
			if (make_room(&collection)) {
				free(collection.reports);
				return -ENOMEM;
			}
			call_worker(&engine->workers[i], collect, &collection);
		}
	}
	*out = collection.reports;
	return (long)collection.count;
}
