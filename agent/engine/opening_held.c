// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Held SYNs: each opens a session, is let go when there is an answer for it, or its
 * sender is told why there is none.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "opening_parts.h"
#include "port/tap.h"
#include "port/time_wait.h"
#include "relay.h"

enum {
	LATE_MS = 10000, /* longer than the gap between a CPE's last two attempts */
	ACCEPT_MS = 30000,
	LET_GO_AGAIN_MS = 200, /* a SYN's twin comes sooner, its retransmission later */
	ANSWER_BYTES = 256,
};

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

void held_answer_failure(struct worker *worker, const struct held_syn *held, int err)
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

/* Letting the SYN go */

void held_let_go(struct worker *worker, struct session *session)
{
	struct held_syn *held = session->held;

	session->stage = STAGE_ACCEPTING;
	session_timer(worker, session, ACCEPT_MS);
	if (held->in_time_wait &&
	    !time_wait_end(&worker->sock_diag, &session->local, &session->peer))
		count(worker, PLAIT_TIME_WAIT_ENDED);
	/* the kernel reflects it: SYN+ACK and all that follows (net.ipv4.tcp_reflect_tos) */
	syn_segment_set_dscp(held->frame, &held->syn, opening_accepted_dscp(worker, session));
	if (tap_let_go(worker->tap_fd, held->frame, held->frame_bytes,
		       2 * worker->index + session->accepts, held->ifindex))
		count(worker, PLAIT_LET_GO_FAILED);
}

/* The SYN has waited as long as it may. What was dialled waits for the next one. */
void held_expired(struct worker *worker, struct session *session)
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
		opening_dial_done(worker, late);
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
		held_let_go(worker, session);
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
		held_let_go(worker, session);
	else if (!is_eager(worker, session))
		opening_dial(worker, session);
	else if (opening_publish(worker, session))
		refuse_syn(worker, session, PLAIT_SESSIONS_FULL);
	else
		held_let_go(worker, session);
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
