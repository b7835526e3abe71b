// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "engine.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "calls.h"
#include "opening.h"
#include "relay.h"
#include "thread.h"

enum { LOOKS_A_MS = 64 };

unsigned int engine_worker_count(const struct config *config)
{
	unsigned int count = config->workers;
	cpu_set_t cpus;

	if (!count && !sched_getaffinity(0, sizeof(cpus), &cpus))
		count = (unsigned int)CPU_COUNT(&cpus);
	if (!count)
		count = 1;
	return count < PLAIT_MAX_WORKERS ? count : PLAIT_MAX_WORKERS;
}

static void take_start(struct worker *worker, const struct worker_start *start)
{
	worker->tap_fd = start->tap_fd;
	for (unsigned int i = 0; i < 2; i++)
		worker->datagram_port[i].fd = start->datagram_fd[i];
	worker->listener_count = start->listener_count;
	for (unsigned int i = 0; i < start->listener_count; i++)
		worker->listeners[i] = (struct listener){.worker = worker,
							 .fd = start->listeners[i].fd,
							 .side = start->listeners[i].side};
}

static int start_worker(struct engine *engine, struct worker *worker)
{
	unsigned int count = engine->worker_count;

	worker->config = engine->config;
	worker->ops = engine->ops;
	worker->dataplane = engine->dataplane;
	worker->counts = dataplane_counters(engine->dataplane, worker->index);
	return thread_start(worker, (engine->config->max_sessions + count - 1) / count,
			    (engine->config->max_held_syns + count - 1) / count);
}

int engine_start(struct engine *engine, const struct config *config, const struct role_ops *ops,
		 struct dataplane *dataplane, const struct worker_start *start)
{
	int err = 0;

	engine->config = config;
	engine->ops = ops;
	engine->dataplane = dataplane;
	engine->worker_count = engine_worker_count(config);
	engine->workers = calloc(engine->worker_count, sizeof(*engine->workers));
	if (!engine->workers)
		return -ENOMEM;
	for (unsigned int i = 0; i < engine->worker_count; i++) {
		engine->workers[i].index = i;
		take_start(&engine->workers[i], &start[i]);
	}
	for (unsigned int i = 0; !err && i < engine->worker_count; i++)
		err = start_worker(engine, &engine->workers[i]);
	if (err)
		engine_stop(engine);
	return err;
}

void engine_stop(struct engine *engine)
{
	for (unsigned int i = 0; i < engine->worker_count; i++) {
		thread_stop(&engine->workers[i]);
		thread_free(&engine->workers[i]);
	}
	free(engine->workers);
	engine->workers = NULL;
	engine->worker_count = 0;
}

static void look_again(struct worker *worker, void *argument)
{
	for (unsigned int i = 0; i < worker->sessions_touched; i++) {
		struct session *session = &worker->sessions[i];

		if (session->stage == STAGE_RELAYING)
			relay_paths_changed(worker, session);
		else if (session->stage == STAGE_DIALLING)
			opening_paths_changed(worker, session);
	}
}

void engine_paths_changed(struct engine *engine)
{
	for (unsigned int i = 0; i < engine->worker_count; i++)
		call_worker(&engine->workers[i], look_again, NULL);
}

static void look_at_lifetimes(struct worker *worker, void *argument)
{
	/* those that look for subflows look at this too; not all at once, for they may all expire */
	for (unsigned int i = 0; i < worker->sessions_touched; i++) {
		struct session *session = &worker->sessions[i];

		if (session->stage == STAGE_RELAYING && !session->joins_pending)
			session_timer(worker, session, i / LOOKS_A_MS);
	}
}

void engine_lifetimes_changed(struct engine *engine)
{
	for (unsigned int i = 0; i < engine->worker_count; i++)
		call_worker(&engine->workers[i], look_at_lifetimes, NULL);
}

void engine_pause(struct engine *engine, void (*run)(void *argument), void *argument)
{
	calls_pause(engine->workers, engine->worker_count, run, argument);
}

/* Closing */

enum { CLOSES_A_CALL = 64 }; /* so that traffic waits no longer than this takes */

struct closing {
	const struct session_choice *choice;
	unsigned int closed;
	unsigned int next_slot; /* where the next call goes on */
	bool done;
};

static bool is_meant(const struct plait_addr *asked, const struct plait_addr *addr)
{
	return !asked->family ||
	       (addr_same_ip(asked, addr) && (!asked->port || asked->port == addr->port));
}

static bool is_chosen(const struct session_choice *choice, const struct session *session)
{
	return session->stage != STAGE_FREE && is_meant(&choice->inside, &session->key.inside) &&
	       is_meant(&choice->remote, &session->key.remote);
}

static void close_some(struct worker *worker, void *argument)
{
	struct closing *closing = argument;
	unsigned int closed = 0;

	for (; closing->next_slot < worker->sessions_touched; closing->next_slot++) {
		struct session *session = &worker->sessions[closing->next_slot];

		if (!is_chosen(closing->choice, session))
			continue;
		if (closed == CLOSES_A_CALL)
			return;
		count(worker, PLAIT_CLOSED_BY_OPERATOR);
		session->was_reset = true;
		session_abort(worker, session);
		closing->closed++;
		closed++;
	}
	closing->done = true;
}

unsigned int engine_close(struct engine *engine, const struct session_choice *choice)
{
	struct closing closing = {.choice = choice};

	for (unsigned int i = 0; i < engine->worker_count; i++) {
		closing.next_slot = 0;
		closing.done = false;
		while (!closing.done)
			call_worker(&engine->workers[i], close_some, &closing);
	}
	return closing.closed;
}
