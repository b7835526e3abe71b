// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The main thread talks to a worker by a call: a function for the worker to run
 * between two turns of its loop, while the caller waits. Nothing else is shared.
 */
#include "engine.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "opening.h"
#include "port/mptcp.h"
#include "port/sockets.h"
#include "relay.h"

enum { ACCEPTS_A_TURN = 256, LOOKS_A_MS = 64 };

struct worker_call {
	void (*run)(struct worker *worker, void *argument);
	void *argument;
	sem_t done;
};

/* Events */

static void session_ready(struct worker *worker, struct session *session, enum which_side which,
			  uint32_t events)
{
	struct side *side = &session->side[which];

	if (session->stage == STAGE_FREE || side->fd < 0)
		return; /* it ended earlier in this turn */
	side->readable |= !!(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR));
	side->writable |= !!(events & (EPOLLOUT | EPOLLHUP | EPOLLERR));
	side->hung_up |= !!(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
	if (session->stage == STAGE_RELAYING)
		relay_ready(worker, session, which, events);
	else
		opening_ready(worker, session, which, events);
}

/* The one worker of this thread: a watch has no room to say whose it is. */
static __thread struct worker *this_worker;

static void plain_ready(struct loop_watch *watch, uint32_t events)
{
	session_ready(this_worker, container_of(watch, struct session, side[SIDE_PLAIN].watch),
		      SIDE_PLAIN, events);
}

static void leg_ready(struct loop_watch *watch, uint32_t events)
{
	session_ready(this_worker, container_of(watch, struct session, side[SIDE_LEG].watch),
		      SIDE_LEG, events);
}

static void listener_ready(struct loop_watch *watch, uint32_t events)
{
	struct listener *listener = container_of(watch, struct listener, watch);
	struct plait_addr peer, local;

	for (unsigned int i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = socket_accept(listener->fd, &peer, &local);

		if (fd == -EAGAIN)
			return;
		if (fd >= 0)
			opening_accepted(listener->worker, listener->side, fd, &peer, &local);
	}
}

static void ring_ready(struct loop_watch *watch, uint32_t events)
{
	ring_buffer__consume(container_of(watch, struct worker, ring_watch)->ring);
}

static int on_held_syn(void *context, void *record, size_t size)
{
	opening_syn(context, record);
	return 0;
}

static void calls_ready(struct loop_watch *watch, uint32_t events)
{
	struct worker *worker = container_of(watch, struct worker, calls_watch);
	struct worker_call *call;

	while (read(worker->calls_fd[0], &call, sizeof(call)) == sizeof(call)) {
		call->run(worker, call->argument);
		sem_post(&call->done);
	}
}

/* The turn of a worker's loop */

static void run_timers(struct worker *worker)
{
	struct timer *timer;

	while ((timer = timers_first(&worker->timers)) && timer->due_ns <= worker->now_ns) {
		struct session *session = container_of(timer, struct session, timer);

		timers_disarm(&worker->timers, timer);
		if (session->stage == STAGE_RELAYING)
			relay_timer(worker, session);
		else
			opening_timer(worker, session);
	}
}

static void bury(struct worker *worker, struct session *session)
{
	session->next = worker->free_sessions;
	worker->free_sessions = session;
}

/* Those that used up their share of the turn before go on. */
static void run_ready(struct worker *worker)
{
	struct session *session = worker->ready_first, *next;

	worker->ready_first = NULL;
	worker->ready_last = &worker->ready_first;
	for (; session; session = next) {
		next = session->next;
		session->ready = false;
		if (session->stage == STAGE_RELAYING)
			relay_run(worker, session);
		else
			bury(worker, session); /* ended while it waited */
	}
}

static void empty_graveyard(struct worker *worker)
{
	struct session *session;

	while ((session = worker->graveyard)) {
		worker->graveyard = session->next;
		bury(worker, session);
	}
}

static int timeout_ms(const struct worker *worker)
{
	const struct timer *next = timers_first(&worker->timers);
	uint64_t now = clock_now_ns();

	if (worker->ready_first)
		return 0;
	if (!next)
		return -1;
	return next->due_ns <= now ? 0 : (int)((next->due_ns - now) / NS_PER_MS) + 1;
}

static void *run_worker(void *argument)
{
	struct worker *worker = argument;

	this_worker = worker;
	worker->now_ns = clock_now_ns();
	while (!worker->loop.stopped && !loop_wait(&worker->loop, timeout_ms(worker))) {
		worker->now_ns = clock_now_ns();
		loop_dispatch(&worker->loop);
		run_timers(worker);
		run_ready(worker);
		empty_graveyard(worker);
	}
	return NULL;
}

/* Setting a worker up */

static void *reserve(size_t bytes)
{
	/* untouched pages cost nothing, so the table may be large */
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int make_tables(struct worker *worker, unsigned int sessions, unsigned int held)
{
	int err;

	worker->session_slots = sessions;
	worker->held_slots = held;
	worker->sessions = reserve(sessions * sizeof(*worker->sessions));
	worker->held_syns = reserve(held * sizeof(*worker->held_syns));
	if (!worker->sessions || !worker->held_syns)
		return -ENOMEM;
	err = timers_open(&worker->timers, sessions);
	return err ? err : hash_open(&worker->by_tuple, sessions);
}

static int open_ports(struct worker *worker)
{
	int err = loop_open(&worker->loop);

	if (!err)
		err = answer_open(&worker->answer);
	if (!err)
		err = mptcp_pm_open(&worker->pm);
	if (!err)
		err = netlink_open(&worker->sock_diag, NETLINK_SOCK_DIAG);
	if (!err && pipe2(worker->calls_fd, O_CLOEXEC | O_NONBLOCK))
		err = -errno;
	if (err)
		return err;
	worker->ring = ring_buffer__new(dataplane_ring_fd(worker->dataplane, worker->index),
					on_held_syn, worker, NULL);
	return worker->ring ? 0 : -errno;
}

static int watch_ports(struct worker *worker)
{
	int err;

	worker->calls_watch.ready = calls_ready;
	worker->ring_watch.ready = ring_ready;
	err = loop_add(&worker->loop, worker->calls_fd[0], EPOLLIN, &worker->calls_watch);
	if (!err)
		err = loop_add(&worker->loop, ring_buffer__epoll_fd(worker->ring), EPOLLIN,
			       &worker->ring_watch);
	for (unsigned int i = 0; !err && i < worker->listener_count; i++)
		err = loop_add(&worker->loop, worker->listeners[i].fd, EPOLLIN,
			       &worker->listeners[i].watch);
	return err;
}

static void take_start(struct worker *worker, const struct worker_start *start)
{
	worker->tap_fd = start->tap_fd;
	worker->listener_count = start->listener_count;
	for (unsigned int i = 0; i < start->listener_count; i++)
		worker->listeners[i] = (struct listener){.watch.ready = listener_ready,
							 .worker = worker,
							 .fd = start->listeners[i].fd,
							 .side = start->listeners[i].side};
}

static int start_worker(struct engine *engine, struct worker *worker)
{
	unsigned int count = engine->worker_count;
	unsigned int sessions = (engine->config->max_sessions + count - 1) / count;
	unsigned int held = (engine->config->max_held_syns + count - 1) / count;
	char name[16];
	int err;

	worker->config = engine->config;
	worker->ops = engine->ops;
	worker->dataplane = engine->dataplane;
	worker->counts = dataplane_counters(engine->dataplane, worker->index);
	worker->ready_last = &worker->ready_first;
	worker->side_ready[SIDE_PLAIN] = plain_ready;
	worker->side_ready[SIDE_LEG] = leg_ready;
	pipes_init(&worker->pipes);
	err = make_tables(worker, sessions, held);
	if (!err)
		err = open_ports(worker);
	if (!err)
		err = watch_ports(worker);
	if (!err)
		err = -pthread_create(&worker->thread, NULL, run_worker, worker);
	if (err)
		return err;
	snprintf(name, sizeof(name), "plait-work-%u", worker->index);
	pthread_setname_np(worker->thread, name);
	return 0;
}

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

/* Calls */

/* False: it is done without having run. */
static bool begin_call(struct worker *worker, struct worker_call *call)
{
	sem_init(&call->done, 0, 0);
	if (write(worker->calls_fd[1], &call, sizeof(call)) == sizeof(call))
		return true;
	sem_post(&call->done);
	return false;
}

static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) && errno == EINTR)
		;
}

static void end_call(struct worker_call *call)
{
	wait_for(&call->done);
	sem_destroy(&call->done);
}

static void call_worker(struct worker *worker, void (*run)(struct worker *, void *), void *argument)
{
	struct worker_call call = {.run = run, .argument = argument};

	begin_call(worker, &call);
	end_call(&call);
}

static void end_all(struct worker *worker, void *argument)
{
	for (unsigned int i = 0; i < worker->sessions_touched; i++)
		if (worker->sessions[i].stage != STAGE_FREE)
			session_abort(worker, &worker->sessions[i]);
	worker->loop.stopped = true;
}

static void free_worker(struct worker *worker)
{
	for (unsigned int i = 0; i < worker->listener_count; i++)
		close(worker->listeners[i].fd);
	close(worker->tap_fd);
	pipes_close(&worker->pipes);
	if (worker->ring)
		ring_buffer__free(worker->ring);
	if (worker->calls_fd[1]) {
		close(worker->calls_fd[0]);
		close(worker->calls_fd[1]);
	}
	mptcp_pm_close(&worker->pm);
	netlink_close(&worker->sock_diag);
	if (worker->answer.fd_v6)
		answer_close(&worker->answer);
	if (worker->loop.epoll_fd)
		loop_close(&worker->loop);
	hash_close(&worker->by_tuple);
	timers_close(&worker->timers);
	if (worker->sessions)
		munmap(worker->sessions, worker->session_slots * sizeof(*worker->sessions));
	if (worker->held_syns)
		munmap(worker->held_syns, worker->held_slots * sizeof(*worker->held_syns));
}

void engine_stop(struct engine *engine)
{
	for (unsigned int i = 0; i < engine->worker_count; i++) {
		struct worker *worker = &engine->workers[i];

		if (worker->thread) {
			call_worker(worker, end_all, NULL);
			pthread_join(worker->thread, NULL);
		}
		free_worker(worker);
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

/* A pause of all workers */

struct pause {
	sem_t arrived, over;
};

static void stand(struct worker *worker, void *argument)
{
	struct pause *pause = argument;

	sem_post(&pause->arrived);
	wait_for(&pause->over);
}

void engine_pause(struct engine *engine, void (*run)(void *argument), void *argument)
{
	struct worker_call calls[PLAIT_MAX_WORKERS];
	struct pause pause;
	unsigned int begun = 0;

	sem_init(&pause.arrived, 0, 0);
	sem_init(&pause.over, 0, 0);
	for (unsigned int i = 0; i < engine->worker_count; i++) {
		calls[i] = (struct worker_call){.run = stand, .argument = &pause};
		begun += begin_call(&engine->workers[i], &calls[i]);
	}
	for (unsigned int i = 0; i < begun; i++)
		wait_for(&pause.arrived);
	run(argument);
	for (unsigned int i = 0; i < begun; i++)
		sem_post(&pause.over);
	for (unsigned int i = 0; i < engine->worker_count; i++)
		end_call(&calls[i]);
	sem_destroy(&pause.arrived);
	sem_destroy(&pause.over);
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

/* Reports */

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
