/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A worker: one thread with everything its sessions need. Nothing here is shared
 * with other workers, so nothing is locked.
 */
#ifndef PLAIT_ENGINE_WORKER_H
#define PLAIT_ENGINE_WORKER_H

#include <pthread.h>

#include "base/hash.h"
#include "base/timers.h"
#include "config/config.h"
#include "pipes.h"
#include "base/addr_text.h"
#include "base/container.h"
#include "port/answer.h"
#include "port/datagrams.h"
#include "port/dataplane.h"
#include "port/loop.h"
#include "port/mptcp_pm.h"
#include "role_ops.h"
#include "session.h"

struct ring_buffer;

enum { WORKER_LISTENERS_MAX = 4 + CONFIG_MAX_ADDRESSES, SCRATCH_BYTES = 64 * 1024 };

/* What it accepts is a side of a session. */
struct listener {
	struct loop_watch watch;
	struct worker *worker;
	int fd;
	enum which_side side;
};

/* Where hosts' datagrams come to, of one family; fd -1: not on this role. */
struct datagram_port {
	struct loop_watch watch;
	int fd;
};

struct worker {
	pthread_t thread;
	unsigned int index;
	const struct config *config;
	const struct role_ops *ops;
	struct dataplane *dataplane;
	struct loop loop;
	struct loop_watch calls_watch, ring_watch;
	int calls_fd[2]; /* a pipe of struct worker_call pointers */
	struct ring_buffer *ring;
	int tap_fd; /* this worker's queue */
	struct answer answer;
	struct mptcp_pm pm;
	struct netlink sock_diag;
	struct listener listeners[WORKER_LISTENERS_MAX];
	unsigned int listener_count;
	struct datagram_port datagram_port[2];
	struct datagram_sender sender;
	struct datagram_batch *batch;
	unsigned long long *counts; /* row of the agent_counters map */
	uint64_t now_ns; /* when the current turn began */

	void (*side_ready[2])(struct loop_watch *watch, uint32_t epoll_events);
	struct session *sessions; /* slots; those never used are untouched memory */
	unsigned int session_slots, sessions_touched, session_count;
	struct session *free_sessions;
	struct session *graveyard; /* ended in this turn; free after it */
	struct session *ready_first, **ready_last; /* have more to do at once */
	struct held_syn *held_syns, *free_held;
	unsigned int held_slots, held_touched, held_count;
	struct hash by_tuple;
	struct timers timers;
	struct pipes pipes;
	uint8_t scratch[SCRATCH_BYTES];
};

static inline void count(struct worker *worker, enum plait_reason reason)
{
	worker->counts[reason]++;
}

static inline enum which_side accepted_side(const struct session *session)
{
	return session->accepts;
}

static inline enum which_side dialled_side(const struct session *session)
{
	return session->accepts == SIDE_PLAIN ? SIDE_LEG : SIDE_PLAIN;
}

/* Sessions. */
struct session *worker_session_new(struct worker *worker); /* NULL when full */
/* By the addresses of what was accepted: a leg is TCP, whatever it carries. */
struct session *worker_session_find(struct worker *worker, uint8_t protocol,
				    const struct plait_addr *peer, const struct plait_addr *local);
/* peer and local of the session are set: make it findable. */
void worker_session_index(struct worker *worker, struct session *session);
void worker_session_unindex(struct worker *worker, struct session *session);
/* Take everything from a session; both sides must be closed. */
void worker_session_free(struct worker *worker, struct session *session);

/* Open a side: take over fd and watch it. 0 or negative errno; on failure fd is closed. */
int worker_side_open(struct worker *worker, struct session *session, enum which_side which, int fd);

/* Let a session continue in the next round of this turn. */
void worker_session_ready(struct worker *worker, struct session *session);

/* Held SYNs. */
struct held_syn *worker_held_new(struct worker *worker); /* NULL when full */
void worker_held_put(struct worker *worker, struct held_syn *held);
/* The session's, if it has one. */
void worker_held_free(struct worker *worker, struct session *session);

static inline void session_timer(struct worker *worker, struct session *session, uint64_t ms)
{
	timers_arm(&worker->timers, &session->timer, worker->now_ns + ms * 1000000);
}

#endif
