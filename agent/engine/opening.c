// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A host's SYN is answered by what the server answers (design T5). Faithful:
 *
 *   SYN held -> dial -> connected: let the SYN go -> accept -> relay
 *                    -> refused, unreachable: say so to the SYN's sender
 *                    -> silent: say nothing; the sender sends its SYN again
 *
 * Eager, on the CPE: let the SYN go -> accept -> wait a moment for the host's
 * first bytes -> dial with them. A leg that has its preamble on the stream (payload
 * stripped, or an eager concentrator): accept -> preamble -> dial -> relay.
 */
#include "opening.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datagrams.h"
#include "opening_parts.h"
#include "port/mptcp.h"
#include "port/socket.h"
#include "port/sockets.h"
#include "relay.h"

enum {
	ATTEMPT_MS = 1000, /* of the CPE, doubled each time (RFC 6298 §2) */
	ATTEMPTS_MAX = 5,
	FIRST_DATA_MS = 20,
	FIRST_DATA_BYTES = 1300, /* with the preamble it fits one segment */
};

static void count_failure(struct worker *worker, int err)
{
	switch (err) {
	case -ECONNREFUSED:
	case -ECONNRESET:
		count(worker, PLAIT_DIAL_REFUSED);
		break;
	case -ENETUNREACH:
	case -EHOSTUNREACH:
		count(worker, PLAIT_DIAL_UNREACHABLE);
		break;
	case -ETIMEDOUT:
		count(worker, PLAIT_DIAL_TIMEOUT);
		break;
	default:
		count(worker, PLAIT_DIAL_FAILED);
		break;
	}
}

void opening_dial_failed(struct worker *worker, struct session *session, int err)
{
	count_failure(worker, err);
	if (session->held)
		held_answer_failure(worker, session->held, err);
	session_abort(worker, session);
}

/* Dialling */

/* The host's first bytes: from its SYN, or from its socket where that is open. */
static size_t early_bytes(struct worker *worker, struct session *session, const uint8_t **out)
{
	const struct held_syn *held = session->held;
	ssize_t n;

	*out = worker->scratch;
	if (!accepts_plain(session))
		return 0;
	if (session->datagrams) {
		n = (ssize_t)datagrams_waiting(session->datagrams, out);
	} else if (held) {
		*out = held->frame + held->syn.payload_offset;
		n = held->syn.payload_len;
	} else {
		n = recv(accepted(session)->fd, worker->scratch, FIRST_DATA_BYTES, MSG_PEEK);
	}
	if (n < 0)
		n = 0;
	return (size_t)n < FIRST_DATA_BYTES ? (size_t)n : FIRST_DATA_BYTES;
}

int opening_publish(struct worker *worker, struct session *session)
{
	int err;

	if (session->published)
		return 0;
	if (!session->key.inside.family) { /* the kernel has chosen it just now */
		err = socket_local(dialled(session)->fd, &session->key.inside);
		if (err)
			return err;
	}
	err = dataplane_session_add(worker->dataplane, &session->key,
				    session->transparent ? PLAIT_SESSION_TRANSPARENT : 0,
				    worker->index, worker->now_ns);
	session->published = !err;
	return err;
}

/* What a UDP session has more than a TCP one. */
bool opening_is_equipped(struct session *session)
{
	if (session->key.protocol == IPPROTO_UDP && !session->datagrams)
		session->datagrams = datagrams_new();
	return session->datagrams || session->key.protocol == IPPROTO_TCP;
}

void opening_dial(struct worker *worker, struct session *session)
{
	const uint8_t *early;
	size_t len = early_bytes(worker, session, &early);
	int fd = -ENOMEM;

	if (opening_is_equipped(session))
		fd = worker->ops->dial(worker->ops->role, session, early, len);
	if (fd >= 0)
		fd = worker_side_open(worker, session, dialled_side(session), fd);
	if (fd < 0) {
		opening_dial_failed(worker, session, fd);
		return;
	}
	/* now, while the far side is being asked, rather than when it has answered */
	if (opening_publish(worker, session)) {
		count(worker, PLAIT_SESSIONS_FULL);
		session_abort(worker, session);
		return;
	}
	session->early_bytes = (uint16_t)len;
	session->stage = STAGE_DIALLING;
	if (accepts_plain(session))
		session_timer(worker, session, (uint64_t)ATTEMPT_MS << session->attempts);
	else if (session->held)
		session_timer(worker, session, HOLD_MS);
	else
		session_timer(worker, session, worker->config->lifetimes.tcp_transitory_ms);
}

/* No answer to a leg's SYN: it or its answer is lost. A new one goes with its payload. */
static void dial_again(struct worker *worker, struct session *session)
{
	struct side *side = dialled(session);
	struct plait_addr local;

	if (++session->attempts == ATTEMPTS_MAX) {
		opening_dial_failed(worker, session, -ETIMEDOUT);
		return;
	}
	count(worker, PLAIT_DIAL_AGAIN);
	/* from the same port, so that the concentrator sees what it is */
	if (!socket_local(side->fd, &local))
		session->leg_port = local.port;
	close(side->fd);
	side->fd = -1;
	opening_dial(worker, session);
}

/* DSCP towards who is accepted: the dialled side's answer, or as configured */

static unsigned int accepted_rule(const struct worker *worker, const struct session *session)
{
	const struct config_dscp *dscp = &worker->config->dscp;

	return accepts_plain(session) ? dscp->plain : dscp->leg;
}

static void take_answer(struct worker *worker, struct session *session)
{
	int fd = dialled(session)->fd;
	struct plait_session_key key = {.protocol = IPPROTO_TCP};

	if (accepted_rule(worker, session) == CONFIG_DSCP_PRESERVE &&
	    !socket_local(fd, &key.inside) && !socket_peer(fd, &key.remote))
		session->answered_dscp = dataplane_take_answer(worker->dataplane, &key);
}

uint8_t opening_accepted_dscp(const struct worker *worker, const struct session *session)
{
	return config_dscp(accepted_rule(worker, session), session->answered_dscp);
}

/* Where no held SYN has told the kernel, and for subflows to come. */
static void mark_accepted(struct worker *worker, struct session *session)
{
	uint8_t dscp = opening_accepted_dscp(worker, session);

	if (dscp || is_eager(worker, session))
		socket_set_dscp(accepted(session)->fd, dscp);
}

/* Relaying */

/* Discard what the SYN has already carried, then relay. */
void opening_start_relay(struct worker *worker, struct session *session)
{
	ssize_t n;

	while (session->early_bytes) {
		n = recv(accepted(session)->fd, worker->scratch, session->early_bytes, 0);
		if (n <= 0)
			break;
		session->early_bytes -= (uint16_t)n;
	}
	if (session->early_bytes && n < 0 && errno == EAGAIN) {
		session->stage = STAGE_FIRST_DATA; /* the host has yet to send them again */
		return;
	}
	worker_held_free(worker, session);
	mark_accepted(worker, session);
	relay_start(worker, session);
}

/* The host waits for no handshake. */
static void start_datagrams(struct worker *worker, struct session *session)
{
	datagrams_sent(session->datagrams, session->early_bytes);
	session->early_bytes = 0;
	relay_start(worker, session);
}

void opening_dial_done(struct worker *worker, struct session *session)
{
	session->dialled = true;
	take_answer(worker, session);
	if (session->stage == STAGE_LATE)
		return; /* until somebody claims it */
	if (session->datagrams && accepts_plain(session)) {
		start_datagrams(worker, session);
		return;
	}
	if (accepted(session)->fd < 0)
		held_let_go(worker, session);
	else if (accepts_plain(session) || session->preamble_done)
		opening_start_relay(worker, session);
}

static void dial_ready(struct worker *worker, struct session *session, uint32_t epoll_events)
{
	int err;

	if (session->dialled || !(epoll_events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		return;
	err = socket_error(dialled(session)->fd);
	if (err)
		opening_dial_failed(worker, session, err);
	else
		opening_dial_done(worker, session);
}

/* Accepted connections */

/* A leg whose SYN was not held: its preamble comes on the stream. */
static struct session *unannounced(struct worker *worker, enum which_side side,
				   const struct plait_addr *peer, const struct plait_addr *local)
{
	struct session *session;

	if (side == SIDE_PLAIN) {
		count(worker, PLAIT_ACCEPT_UNKNOWN);
		return NULL;
	}
	session = worker_session_new(worker);
	if (!session) {
		count(worker, PLAIT_SESSIONS_FULL);
		return NULL;
	}
	session->accepts = (uint8_t)side;
	session->peer = *peer;
	session->local = *local;
	worker_session_index(worker, session);
	return session;
}

static void accepted_plain(struct worker *worker, struct session *session)
{
	if (session->dialled) {
		opening_start_relay(worker, session);
		return;
	}
	/* eager: the host's request may come any moment, or the server speaks first */
	worker_held_free(worker, session);
	session->stage = STAGE_FIRST_DATA;
	session_timer(worker, session, FIRST_DATA_MS);
}

void opening_accepted(struct worker *worker, enum which_side side, int fd,
		      const struct plait_addr *peer, const struct plait_addr *local)
{
	struct session *session = worker_session_find(worker, IPPROTO_TCP, peer, local);

	if (!session)
		session = unannounced(worker, side, peer, local);
	else if (side != accepted_side(session) || accepted(session)->fd >= 0)
		session = NULL; /* its tuple is taken */
	if (!session) {
		if (side == SIDE_PLAIN)
			tcp_reset(fd);
		else
			mptcp_fastclose(fd);
		return;
	}
	if (worker_side_open(worker, session, side, fd))
		session_abort(worker, session);
	else if (accepts_plain(session))
		accepted_plain(worker, session);
	else
		leg_start_preamble(worker, session);
}

/* Events */

static void first_data_ready(struct worker *worker, struct session *session)
{
	if (session->dialled)
		opening_start_relay(worker, session);
	else if (session->stage == STAGE_FIRST_DATA)
		opening_dial(worker, session);
}

void opening_ready(struct worker *worker, struct session *session, enum which_side which,
		   uint32_t epoll_events)
{
	if (which == dialled_side(session))
		dial_ready(worker, session, epoll_events);
	else if (session->stage == STAGE_PREAMBLE)
		leg_read_preamble(worker, session);
	else if (session->stage == STAGE_FIRST_DATA && epoll_events & EPOLLIN)
		first_data_ready(worker, session);
}

void opening_timer(struct worker *worker, struct session *session)
{
	switch ((enum session_stage)session->stage) {
	case STAGE_DIALLING:
		if (accepts_plain(session))
			dial_again(worker, session);
		else if (accepted(session)->fd < 0)
			held_expired(worker, session);
		else
			opening_dial_failed(worker, session, -ETIMEDOUT);
		break;
	case STAGE_LATE:
		opening_dial_failed(worker, session, -ETIMEDOUT);
		break;
	case STAGE_PREAMBLE:
		leg_refuse_preamble(worker, session, PLAIT_PREAMBLE_TIMEOUT);
		break;
	case STAGE_FIRST_DATA:
		first_data_ready(worker, session);
		break;
	default:
		count(worker, PLAIT_DIAL_TIMEOUT);
		session_abort(worker, session);
		break;
	}
}

void opening_paths_changed(struct worker *worker, struct session *session)
{
	struct plait_addr local;

	if (!accepts_plain(session) || session->dialled ||
	    socket_local(dialled(session)->fd, &local) ||
	    worker->ops->is_path(worker->ops->role, session, &local))
		return;
	dial_again(worker, session);
}
