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

#include "base/clock.h"
#include "datagrams.h"
#include "port/mptcp.h"
#include "port/socket.h"
#include "port/sockets.h"
#include "port/tap.h"
#include "port/time_wait.h"
#include "preamble.h"
#include "relay.h"

enum {
	HOLD_MS = 800, /* a SYN let go later falls back: its sender has sent another */
	LATE_MS = 10000, /* longer than the gap between a CPE's last two attempts */
	ATTEMPT_MS = 1000, /* of the CPE, doubled each time (RFC 6298 §2) */
	ATTEMPTS_MAX = 5,
	ACCEPT_MS = 30000,
	LET_GO_AGAIN_MS = 200, /* a SYN's twin comes sooner, its retransmission later */
	PREAMBLE_MS = 5000,
	FIRST_DATA_MS = 20,
	FIRST_DATA_BYTES = 1300, /* with the preamble it fits one segment */
	ANSWER_BYTES = 256,
};

static struct side *accepted(struct session *session)
{
	return &session->side[accepted_side(session)];
}

static struct side *dialled(struct session *session)
{
	return &session->side[dialled_side(session)];
}

/* A plain connection is accepted and a leg is dialled. */
static bool accepts_plain(const struct session *session)
{
	return accepted_side(session) == SIDE_PLAIN;
}

/* The host is answered before the server is. */
static bool is_eager(const struct worker *worker, const struct session *session)
{
	return worker->ops->eager && accepts_plain(session);
}

/* Answers to the SYN's sender */

static void answer_rst(struct worker *worker, const struct syn_segment *syn)
{
	uint8_t packet[ANSWER_BYTES];
	int len = rst_for_syn_write(syn, packet, sizeof(packet));

	if (len > 0)
		answer_send(&worker->answer, &syn->source, packet, (size_t)len);
}

static void answer_unreachable(struct worker *worker, const struct held_syn *held, bool net)
{
	uint8_t packet[ANSWER_BYTES];
	/* the host may filter on who tells it, so the destination itself does */
	int len = icmp_unreachable_write(held->frame, &held->syn, &held->syn.destination, net,
					 packet, sizeof(packet));

	if (len > 0)
		answer_send(&worker->answer, &held->syn.source, packet, (size_t)len);
}

static void answer_failure(struct worker *worker, const struct held_syn *held, int err)
{
	switch (err) {
	case -ECONNREFUSED:
	case -ECONNRESET:
		answer_rst(worker, &held->syn);
		break;
	case -ENETUNREACH:
	case -EHOSTUNREACH:
		answer_unreachable(worker, held, err == -ENETUNREACH);
		break;
	default:
		break; /* a silent destination stays silent */
	}
}

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

static void dial_failed(struct worker *worker, struct session *session, int err)
{
	count_failure(worker, err);
	if (session->held)
		answer_failure(worker, session->held, err);
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

static int publish(struct worker *worker, struct session *session)
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
static bool is_equipped(struct session *session)
{
	if (session->key.protocol == IPPROTO_UDP && !session->datagrams)
		session->datagrams = datagrams_new();
	return session->datagrams || session->key.protocol == IPPROTO_TCP;
}

static void dial(struct worker *worker, struct session *session)
{
	const uint8_t *early;
	size_t len = early_bytes(worker, session, &early);
	int fd = -ENOMEM;

	if (is_equipped(session))
		fd = worker->ops->dial(worker->ops->role, session, early, len);
	if (fd >= 0)
		fd = worker_side_open(worker, session, dialled_side(session), fd);
	if (fd < 0) {
		dial_failed(worker, session, fd);
		return;
	}
	/* now, while the far side is being asked, rather than when it has answered */
	if (publish(worker, session)) {
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
		dial_failed(worker, session, -ETIMEDOUT);
		return;
	}
	count(worker, PLAIT_DIAL_AGAIN);
	/* from the same port, so that the concentrator sees what it is */
	if (!socket_local(side->fd, &local))
		session->leg_port = local.port;
	close(side->fd);
	side->fd = -1;
	dial(worker, session);
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

static uint8_t accepted_dscp(const struct worker *worker, const struct session *session)
{
	return config_dscp(accepted_rule(worker, session), session->answered_dscp);
}

/* Where no held SYN has told the kernel, and for subflows to come. */
static void mark_accepted(struct worker *worker, struct session *session)
{
	uint8_t dscp = accepted_dscp(worker, session);

	if (dscp || is_eager(worker, session))
		socket_set_dscp(accepted(session)->fd, dscp);
}

/* Letting the SYN go */

static void let_go(struct worker *worker, struct session *session)
{
	struct held_syn *held = session->held;

	session->stage = STAGE_ACCEPTING;
	session_timer(worker, session, ACCEPT_MS);
	if (held->in_time_wait &&
	    !time_wait_end(&worker->sock_diag, &session->local, &session->peer))
		count(worker, PLAIT_TIME_WAIT_ENDED);
	/* the kernel reflects it: SYN+ACK and all that follows (net.ipv4.tcp_reflect_tos) */
	syn_segment_set_dscp(held->frame, &held->syn, accepted_dscp(worker, session));
	if (tap_let_go(worker->tap_fd, held->frame, held->frame_bytes,
		       2 * worker->index + session->accepts, held->ifindex))
		count(worker, PLAIT_LET_GO_FAILED);
}

/* Discard what the SYN has already carried, then relay. */
static void start_relay(struct worker *worker, struct session *session)
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

static void dial_done(struct worker *worker, struct session *session)
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
		let_go(worker, session);
	else if (accepts_plain(session) || session->preamble_done)
		start_relay(worker, session);
}

static void dial_ready(struct worker *worker, struct session *session, uint32_t epoll_events)
{
	int err;

	if (session->dialled || !(epoll_events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		return;
	err = socket_error(dialled(session)->fd);
	if (err)
		dial_failed(worker, session, err);
	else
		dial_done(worker, session);
}

/* Held SYNs */

/* The SYN has waited as long as it may. What was dialled waits for the next one. */
static void hold_expired(struct worker *worker, struct session *session)
{
	count(worker, PLAIT_HOLD_EXPIRED);
	session->stage = STAGE_LATE;
	session_timer(worker, session, LATE_MS);
}

static bool asks_for_the_same(const struct held_syn *before, const struct held_syn *now)
{
	return before->syn.payload_len == now->syn.payload_len &&
	       !memcmp(before->frame + before->syn.payload_offset,
		       now->frame + now->syn.payload_offset, now->syn.payload_len);
}

/* A new attempt from the same address and port, for the same destination: it takes over. */
static void adopt(struct worker *worker, struct session *late, struct held_syn *now)
{
	count(worker, PLAIT_ADOPTED);
	worker_held_free(worker, late);
	late->held = now;
	late->stage = STAGE_DIALLING;
	session_timer(worker, late, HOLD_MS);
	if (late->dialled)
		dial_done(worker, late);
}

/* The sender asks again, and nothing has come of letting its SYN go: that one was lost. */
static bool let_go_in_vain(const struct worker *worker, const struct session *session)
{
	uint64_t let_go_ns = session->timer.due_ns - ACCEPT_MS * NS_PER_MS;

	return session->stage == STAGE_ACCEPTING &&
	       worker->now_ns >= let_go_ns + LET_GO_AGAIN_MS * NS_PER_MS;
}

/* A SYN whose addresses have a session already. */
static void known_syn(struct worker *worker, struct session *session, struct held_syn *held)
{
	if (session->stage == STAGE_LATE && asks_for_the_same(session->held, held)) {
		adopt(worker, session, held);
	} else if (let_go_in_vain(worker, session)) {
		worker_held_free(worker, session);
		session->held = held;
		let_go(worker, session);
	} else {
		count(worker, PLAIT_SYN_DUPLICATE);
		worker_held_put(worker, held);
	}
}

static struct held_syn *read_record(struct worker *worker, const struct plait_held_syn *record)
{
	struct held_syn *held = worker_held_new(worker);

	if (!held) {
		count(worker, PLAIT_HOLD_FULL);
		return NULL;
	}
	held->ifindex = record->ifindex;
	held->frame_bytes = record->frame_bytes;
	held->in_time_wait = record->in_time_wait;
	held->side = record->side;
	memcpy(held->frame, record->frame, record->frame_bytes);
	if (syn_segment_read(held->frame, held->frame_bytes, &held->syn))
		count(worker, PLAIT_SYN_MALFORMED);
	else if (syn_segment_complete_checksum(held->frame, held->frame_bytes, &held->syn))
		count(worker, PLAIT_SYN_CHECKSUM);
	else
		return held;
	worker_held_put(worker, held);
	return NULL;
}

static void refuse_syn(struct worker *worker, struct session *session, enum plait_reason why)
{
	count(worker, why);
	answer_rst(worker, &session->held->syn);
	worker_session_free(worker, session);
}

enum judged {
	JUDGED_DIAL, /* the session knows where to */
	JUDGED_LATER, /* let it go: where to will come on the stream */
	JUDGED_REFUSE,
};

static enum judged judge_leg(struct worker *worker, struct session *session, enum plait_reason *why)
{
	const struct held_syn *held = session->held;
	struct preamble preamble;
	int len;

	*why = PLAIT_PLAIN_TCP_REFUSED;
	if (!held->syn.mp_capable)
		return JUDGED_REFUSE;
	len = preamble_read(held->frame + held->syn.payload_offset, held->syn.payload_len,
			    &preamble);
	if (len == -EAGAIN)
		return JUDGED_LATER;
	*why = PLAIT_PM_MALFORMED;
	if (len < 0 || !worker->ops->judge_preamble(worker->ops->role, session, &preamble, why))
		return JUDGED_REFUSE;
	return JUDGED_DIAL;
}

static enum judged judge(struct worker *worker, struct session *session, enum plait_reason *why)
{
	if (!accepts_plain(session))
		return judge_leg(worker, session, why);
	return worker->ops->judge_plain(worker->ops->role, session, why) ? JUDGED_DIAL
									 : JUDGED_REFUSE;
}

static void new_syn(struct worker *worker, struct session *session)
{
	enum plait_reason why = PLAIT_PM_MALFORMED;
	enum judged judged = judge(worker, session, &why);

	if (judged == JUDGED_REFUSE) {
		refuse_syn(worker, session, why);
		return;
	}
	worker_session_index(worker, session);
	if (judged == JUDGED_LATER)
		let_go(worker, session);
	else if (!is_eager(worker, session))
		dial(worker, session);
	else if (publish(worker, session))
		refuse_syn(worker, session, PLAIT_SESSIONS_FULL);
	else
		let_go(worker, session);
}

void opening_syn(struct worker *worker, const struct plait_held_syn *record)
{
	struct held_syn *held = read_record(worker, record);
	struct session *session;

	if (!held)
		return;
	session =
		worker_session_find(worker, IPPROTO_TCP, &held->syn.source, &held->syn.destination);
	if (session) {
		known_syn(worker, session, held);
		return;
	}
	session = worker_session_new(worker);
	if (!session) {
		count(worker, PLAIT_SESSIONS_FULL);
		worker_held_put(worker, held);
		return;
	}
	session->held = held;
	session->accepts = held->side;
	session->peer = held->syn.source;
	session->local = held->syn.destination;
	session->asked_dscp = held->syn.dscp;
	new_syn(worker, session);
}

/* UDP flows */

static struct session *new_flow(struct worker *worker, const struct datagram *first)
{
	struct session *session = worker_session_new(worker);
	enum plait_reason why = PLAIT_SESSIONS_FULL;

	if (!session) {
		count(worker, why);
		return NULL;
	}
	session->accepts = SIDE_PLAIN;
	session->key.protocol = IPPROTO_UDP;
	session->peer = first->from;
	session->local = first->to;
	session->asked_dscp = first->dscp;
	worker_session_index(worker, session);
	if (is_equipped(session) && worker->ops->judge_plain(worker->ops->role, session, &why))
		return session;
	count(worker, why);
	worker_session_free(worker, session);
	return NULL;
}

void opening_datagram(struct worker *worker, const struct datagram *datagram)
{
	struct session *session =
		worker_session_find(worker, IPPROTO_UDP, &datagram->from, &datagram->to);
	bool first = !session;

	if (first)
		session = new_flow(worker, datagram);
	if (!session)
		return;
	datagrams_queue(worker, session, datagram);
	if (first)
		dial(worker, session);
	else if (session->stage == STAGE_RELAYING)
		worker_session_ready(worker, session);
}

/* Accepted connections */

static void refuse_preamble(struct worker *worker, struct session *session, enum plait_reason why)
{
	count(worker, why);
	session_abort(worker, session);
}

/* What a held SYN had asked for is under way already. */
static void keep_dialling(struct worker *worker, struct session *session)
{
	session->stage = STAGE_DIALLING;
	session_timer(worker, session, worker->config->lifetimes.tcp_transitory_ms);
}

static void preamble_whole(struct worker *worker, struct session *session,
			   const struct preamble *preamble)
{
	enum plait_reason why = PLAIT_PM_MALFORMED;

	session->preamble_done = true;
	if (session->dialled)
		start_relay(worker, session);
	else if (dialled(session)->fd >= 0)
		keep_dialling(worker, session);
	else if (worker->ops->judge_preamble(worker->ops->role, session, preamble, &why))
		dial(worker, session);
	else
		refuse_preamble(worker, session, why);
}

/* Read the start of the stream until it holds a whole preamble. */
static void read_preamble(struct worker *worker, struct session *session)
{
	struct preamble preamble;
	int len;

	while (!(len = session_preamble_read(session, &preamble)))
		;
	if (len > 0)
		preamble_whole(worker, session, &preamble);
	else if (len == -EBADMSG)
		refuse_preamble(worker, session, PLAIT_PM_MALFORMED);
	else if (len != -EAGAIN || accepted(session)->hung_up)
		refuse_preamble(worker, session,
				session->preamble_bytes ? PLAIT_PREAMBLE_CUT : PLAIT_HEALTH_CHECKS);
}

static void start_preamble(struct worker *worker, struct session *session)
{
	worker_held_free(worker, session); /* it is answered: refusing is by MP_FASTCLOSE now */
	session->stage = STAGE_PREAMBLE;
	session_timer(worker, session, PREAMBLE_MS);
	read_preamble(worker, session);
}

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
		start_relay(worker, session);
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
		start_preamble(worker, session);
}

/* Events */

static void first_data_ready(struct worker *worker, struct session *session)
{
	if (session->dialled)
		start_relay(worker, session);
	else if (session->stage == STAGE_FIRST_DATA)
		dial(worker, session);
}

void opening_ready(struct worker *worker, struct session *session, enum which_side which,
		   uint32_t epoll_events)
{
	if (which == dialled_side(session))
		dial_ready(worker, session, epoll_events);
	else if (session->stage == STAGE_PREAMBLE)
		read_preamble(worker, session);
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
			hold_expired(worker, session);
		else
			dial_failed(worker, session, -ETIMEDOUT);
		break;
	case STAGE_LATE:
		dial_failed(worker, session, -ETIMEDOUT);
		break;
	case STAGE_PREAMBLE:
		refuse_preamble(worker, session, PLAIT_PREAMBLE_TIMEOUT);
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
