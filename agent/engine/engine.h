/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The engine: worker threads, and what the main thread may ask of them. */
#ifndef PLAIT_ENGINE_ENGINE_H
#define PLAIT_ENGINE_ENGINE_H

#include "report.h"
#include "worker.h"

struct engine {
	struct worker *workers;
	unsigned int worker_count;
	const struct config *config;
	const struct role_ops *ops;
	struct dataplane *dataplane;
};

/* What a worker starts with. fds become the worker's. */
struct worker_start {
	int tap_fd;
	int datagram_fd[2]; /* of each family; -1: none */
	unsigned int listener_count;
	struct {
		int fd;
		enum which_side side;
	} listeners[WORKER_LISTENERS_MAX];
};

/*
 * Start config->workers threads (engine_worker_count()), one for each element of
 * start. config, ops and dataplane are borrowed until engine_stop(). 0 or negative
 * errno; the fds are closed on failure too.
 */
int engine_start(struct engine *engine, const struct config *config, const struct role_ops *ops,
		 struct dataplane *dataplane, const struct worker_start *start);

/* End every session (RST, MP_FASTCLOSE), join the threads, free everything. */
void engine_stop(struct engine *engine);

/* config->workers, or one for each CPU this process may use. */
unsigned int engine_worker_count(const struct config *config);

/* Sessions and held SYNs of all workers at the moment. */
void engine_totals(const struct engine *engine, unsigned int *sessions, unsigned int *held_syns);

/*
 * Call back while every worker stands between two turns, so that what workers read without
 * a lock can change: as long as the longest turn under way, and run, take. No other call
 * of the engine from there.
 */
void engine_pause(struct engine *engine, void (*run)(void *argument), void *argument);

/* Lifetimes in the configuration have changed: sessions look at theirs, one after the other. */
void engine_lifetimes_changed(struct engine *engine);

/* Which links there are to use has changed: sessions look again. Returns when told. */
void engine_paths_changed(struct engine *engine);

/* Sessions with these addresses; one without family is any, a port 0 is any. */
struct session_choice {
	struct plait_addr inside, remote;
};

/*
 * End them by RST and MP_FASTCLOSE, as if either side had reset them (plain-mode-08
 * §4.4.4). Returns how many there were.
 */
unsigned int engine_close(struct engine *engine, const struct session_choice *choice);

/* All sessions; *out is malloc()ed. Returns their number or negative errno. */
long engine_sessions(struct engine *engine, struct session_report **out);

#endif
