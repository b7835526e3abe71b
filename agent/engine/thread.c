// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "thread.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "calls.h"
#include "opening.h"
#include "port/sockets.h"
#include "relay.h"

enum { ACCEPTS_A_TURN = 256 };

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

static void datagrams_ready(struct loop_watch *watch, uint32_t events)
{
	int fd = container_of(watch, struct datagram_port, watch)->fd;
	int received = datagrams_receive(fd, this_worker->batch);

	for (int i = 0; i < received; i++)
		opening_datagram(this_worker, datagram_of(this_worker->batch, (unsigned int)i));
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

	if (worker->ready_first)
		return 0;
	return next ? clock_ms_until(next->due_ns) : -1;
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
	worker->batch = datagram_batch_new();
	worker->sessions = reserve(sessions * sizeof(*worker->sessions));
	worker->held_syns = reserve(held * sizeof(*worker->held_syns));
	if (!worker->sessions || !worker->held_syns || !worker->batch)
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
		err = datagram_sender_open(&worker->sender);
	if (!err)
		err = mptcp_pm_open(&worker->pm);
	if (!err)
		err = netlink_open(&worker->sock_diag, NETLINK_SOCK_DIAG);
	if (!err)
		err = calls_open(worker);
	if (err)
		return err;
	worker->ring = ring_buffer__new(dataplane_ring_fd(worker->dataplane, worker->index),
					on_held_syn, worker, NULL);
	return worker->ring ? 0 : -errno;
}

static int watch_ports(struct worker *worker)
{
	int err;

	worker->ring_watch.ready = ring_ready;
	err = loop_add(&worker->loop, ring_buffer__epoll_fd(worker->ring), EPOLLIN,
		       &worker->ring_watch);
	for (unsigned int i = 0; !err && i < worker->listener_count; i++) {
		worker->listeners[i].watch.ready = listener_ready;
		err = loop_add(&worker->loop, worker->listeners[i].fd, EPOLLIN,
			       &worker->listeners[i].watch);
	}
	for (unsigned int i = 0; !err && i < 2 && worker->datagram_port[i].fd >= 0; i++) {
		worker->datagram_port[i].watch.ready = datagrams_ready;
		err = loop_add(&worker->loop, worker->datagram_port[i].fd, EPOLLIN,
			       &worker->datagram_port[i].watch);
	}
	return err;
}

int thread_start(struct worker *worker, unsigned int sessions, unsigned int held_syns)
{
	char name[16];
	int err;

	worker->ready_last = &worker->ready_first;
	worker->side_ready[SIDE_PLAIN] = plain_ready;
	worker->side_ready[SIDE_LEG] = leg_ready;
	pipes_init(&worker->pipes);
	err = make_tables(worker, sessions, held_syns);
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

/* Ending it */

static void end_all(struct worker *worker, void *argument)
{
	for (unsigned int i = 0; i < worker->sessions_touched; i++)
		if (worker->sessions[i].stage != STAGE_FREE)
			session_abort(worker, &worker->sessions[i]);
	worker->loop.stopped = true;
}

void thread_stop(struct worker *worker)
{
	if (!worker->thread)
		return;
	call_worker(worker, end_all, NULL);
	pthread_join(worker->thread, NULL);
}

void thread_free(struct worker *worker)
{
	for (unsigned int i = 0; i < worker->listener_count; i++)
		close(worker->listeners[i].fd);
	for (unsigned int i = 0; i < 2; i++)
		if (worker->datagram_port[i].fd >= 0)
			close(worker->datagram_port[i].fd);
	close(worker->tap_fd);
	pipes_close(&worker->pipes);
	if (worker->ring)
		ring_buffer__free(worker->ring);
	calls_close(worker);
	mptcp_pm_close(&worker->pm);
	netlink_close(&worker->sock_diag);
	if (worker->answer.fd_v6)
		answer_close(&worker->answer);
	if (worker->sender.fd_v6 > 0)
		datagram_sender_close(&worker->sender);
	datagram_batch_free(worker->batch);
	if (worker->loop.epoll_fd)
		loop_close(&worker->loop);
	hash_close(&worker->by_tuple);
	timers_close(&worker->timers);
	if (worker->sessions)
		munmap(worker->sessions, worker->session_slots * sizeof(*worker->sessions));
	if (worker->held_syns)
		munmap(worker->held_syns, worker->held_slots * sizeof(*worker->held_syns));
}
