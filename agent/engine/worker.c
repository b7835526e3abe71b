// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "datagrams.h"

/* Sessions and their slots */

struct session *worker_session_new(struct worker *worker)
{
	struct session *session = worker->free_sessions;

	if (session)
		worker->free_sessions = session->next;
	else if (worker->sessions_touched < worker->session_slots)
		session = &worker->sessions[worker->sessions_touched++];
	else
		return NULL;
	memset(session, 0, sizeof(*session));
	for (unsigned int i = 0; i < 2; i++) {
		session->side[i].watch.ready = worker->side_ready[i];
		session->side[i].fd = -1;
		session->half[i].pipe = -1;
	}
	session->key.protocol = IPPROTO_TCP;
	session->stage = STAGE_DIALLING;
	__atomic_store_n(&worker->session_count, worker->session_count + 1, __ATOMIC_RELAXED);
	return session;
}

static uint32_t tuple_hash(const struct worker *worker, const struct plait_addr *peer,
			   const struct plait_addr *local)
{
	struct plait_addr tuple[2] = {*peer, *local};

	return hash_of(&worker->by_tuple, tuple, sizeof(tuple));
}

static uint8_t accepted_protocol(const struct session *session)
{
	return session->accepts == SIDE_PLAIN ? session->key.protocol : IPPROTO_TCP;
}

struct session *worker_session_find(struct worker *worker, uint8_t protocol,
				    const struct plait_addr *peer, const struct plait_addr *local)
{
	uint32_t hash = tuple_hash(worker, peer, local);

	for (struct hash_node *node = hash_first(&worker->by_tuple, hash); node;
	     node = hash_next(node)) {
		struct session *session = container_of(node, struct session, by_tuple);

		if (accepted_protocol(session) == protocol &&
		    !memcmp(&session->peer, peer, sizeof(*peer)) &&
		    !memcmp(&session->local, local, sizeof(*local)))
			return session;
	}
	return NULL;
}

void worker_session_index(struct worker *worker, struct session *session)
{
	hash_insert(&worker->by_tuple, &session->by_tuple,
		    tuple_hash(worker, &session->peer, &session->local));
}

void worker_session_unindex(struct worker *worker, struct session *session)
{
	hash_remove(&worker->by_tuple, &session->by_tuple);
}

void worker_session_free(struct worker *worker, struct session *session)
{
	worker_held_free(worker, session);
	worker_session_unindex(worker, session);
	timers_disarm(&worker->timers, &session->timer);
	datagrams_free(session->datagrams);
	session->datagrams = NULL;
	if (session->binding)
		worker->ops->release(worker->ops->role, session);
	session->stage = STAGE_FREE;
	__atomic_store_n(&worker->session_count, worker->session_count - 1, __ATOMIC_RELAXED);
	/* events of this turn may still name it; on the ready list it is freed from there */
	if (!session->ready) {
		session->next = worker->graveyard;
		worker->graveyard = session;
	}
}

int worker_side_open(struct worker *worker, struct session *session, enum which_side which, int fd)
{
	struct side *side = &session->side[which];
	int err = loop_add(&worker->loop, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
			   &side->watch);

	if (err) {
		close(fd);
		return err;
	}
	side->fd = fd;
	side->readable = side->writable = side->hung_up = false;
	return 0;
}

void worker_session_ready(struct worker *worker, struct session *session)
{
	if (session->ready)
		return;
	session->ready = true;
	session->next = NULL;
	*worker->ready_last = session;
	worker->ready_last = &session->next;
}

/* Held SYNs */

struct held_syn *worker_held_new(struct worker *worker)
{
	struct held_syn *held = worker->free_held;

	if (held)
		worker->free_held = held->next_free;
	else if (worker->held_touched < worker->held_slots)
		held = &worker->held_syns[worker->held_touched++];
	else
		return NULL;
	__atomic_store_n(&worker->held_count, worker->held_count + 1, __ATOMIC_RELAXED);
	return held;
}

void worker_held_put(struct worker *worker, struct held_syn *held)
{
	held->next_free = worker->free_held;
	worker->free_held = held;
	__atomic_store_n(&worker->held_count, worker->held_count - 1, __ATOMIC_RELAXED);
}

void worker_held_free(struct worker *worker, struct session *session)
{
	if (!session->held)
		return;
	worker_held_put(worker, session->held);
	session->held = NULL;
}
