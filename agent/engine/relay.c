// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A session that is open: two directions that move bytes or datagrams, until both sides
 * have closed, one was reset, or nothing moves for too long.
 */
#include "relay.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "datagrams.h"
#include "port/mptcp.h"
#include "port/sockets.h"
#include "pump.h"

enum {
	BULK_BYTES = 32 * 1024, /* one way; or twice as many in the window */
	BULK_WINDOW_NS = 250 * 1000 * 1000,
	JOIN_AGAIN_MS = 20, /* after the kernel had refused, and bytes have moved */
	EARLY_BYTES = 256 * 1024, /* before the handshake's end, when the kernel sends none yet */
	JOIN_AFTER_MS = 100, /* or as soon as the connection is bulk */
};

/* Close one side: a dead one quietly, a live one so that its peer learns of it. */
static void close_side(struct session *session, enum which_side which, bool reset)
{
	struct side *side = &session->side[which];

	if (side->fd < 0)
		return;
	if (!reset)
		close(side->fd);
	else if (which == SIDE_PLAIN)
		tcp_reset(side->fd);
	else
		mptcp_fastclose(side->fd);
	side->fd = -1;
}

static void unpublish(struct worker *worker, struct session *session)
{
	uint64_t until_ns = worker->now_ns + worker->config->lifetimes.reset_ms * NS_PER_MS;

	/* where the kernel does not answer by itself for the plain side's address */
	if (session->lapses && session->transparent)
		dataplane_session_lapse(worker->dataplane, &session->key, until_ns);
	else
		dataplane_session_remove(worker->dataplane, &session->key);
}

static void finish(struct worker *worker, struct session *session)
{
	pump_release(worker, &session->half[SIDE_PLAIN]);
	pump_release(worker, &session->half[SIDE_LEG]);
	if (session->published)
		unpublish(worker, session);
	worker_session_free(worker, session);
}

void session_abort(struct worker *worker, struct session *session)
{
	session->lapses = session->side[SIDE_PLAIN].fd >= 0 && !session->datagrams;
	close_side(session, SIDE_PLAIN, true);
	close_side(session, SIDE_LEG, true);
	finish(worker, session);
}

/* One side is gone by RST or worse: so goes the other (plain-mode-08 §4.4.4). */
static void end_by_reset(struct worker *worker, struct session *session, enum which_side dead)
{
	count(worker, dead == SIDE_PLAIN ? PLAIT_RESET_BY_INSIDE : PLAIT_RESET_BY_LEG);
	session->was_reset = true;
	session_abort(worker, session);
}

static void end_by_close(struct worker *worker, struct session *session)
{
	count(worker, PLAIT_CLOSED);
	close_side(session, SIDE_PLAIN, false);
	close_side(session, SIDE_LEG, false);
	finish(worker, session);
}

/* RFC 5382 REQ-5: a connection one side has closed is transitory. */
static uint64_t lifetime_ms(const struct worker *worker, const struct session *session)
{
	if (session->datagrams)
		return worker->config->lifetimes.udp_ms;
	if (session->half[SIDE_PLAIN].shut || session->half[SIDE_LEG].shut)
		return worker->config->lifetimes.tcp_transitory_ms;
	return worker->config->lifetimes.tcp_established_ms;
}

/* FIN read and everything before it written: pass the FIN on. */
static void pass_end(struct worker *worker, struct session *session, struct half *half,
		     struct side *to)
{
	if (!half->in_pipe)
		pump_release(worker, half);
	if (!half->ended || half->in_pipe || half->shut)
		return;
	half->shut = true;
	if (session->half[SIDE_PLAIN].shut && session->half[SIDE_LEG].shut)
		return; /* closing will say so */
	shutdown(to->fd, SHUT_WR);
	if (!session->joins_pending)
		session_timer(worker, session, lifetime_ms(worker, session));
}

/* A leg's send buffer that is full would not show that the handshake is over. */
static bool is_held_back(const struct session *session, enum which_side from)
{
	return from == SIDE_PLAIN && session->leg_unheard &&
	       session->half[from].moved >= EARLY_BYTES;
}

/* One direction; false if that ended the session. */
static bool run_half(struct worker *worker, struct session *session, enum which_side from)
{
	enum which_side to = from == SIDE_PLAIN ? SIDE_LEG : SIDE_PLAIN;
	struct half *half = &session->half[from];

	if (is_held_back(session, from))
		return true;
	switch (session->datagrams ? datagrams_pump(worker, session, from)
				   : pump(worker, half, &session->side[from], &session->side[to])) {
	case PUMP_READ_FAILED:
		end_by_reset(worker, session, from);
		return false;
	case PUMP_WRITE_FAILED:
		end_by_reset(worker, session, to);
		return false;
	case PUMP_MORE:
		worker_session_ready(worker, session);
		break;
	case PUMP_WAITS:
		break;
	}
	if (!session->datagrams)
		pass_end(worker, session, half, &session->side[to]);
	return true;
}

/* Much one way without a word from the other: at any rate. */
static bool is_long_run(struct session *session)
{
	bool found = false;

	for (unsigned int s = 0; s < 2; s++)
		if (session->half[s].moved)
			session->half[!s].run = 0;
	for (unsigned int s = 0; s < 2; s++) {
		session->half[s].run += session->half[s].moved;
		found |= session->half[s].run >= BULK_BYTES;
	}
	return found;
}

/* Much in a short time: whichever way. */
static bool is_fast(struct worker *worker, struct session *session)
{
	if (worker->now_ns - session->window_ns > BULK_WINDOW_NS) {
		session->window_ns = worker->now_ns;
		session->window_bytes = 0;
	}
	session->window_bytes += session->half[SIDE_PLAIN].moved + session->half[SIDE_LEG].moved;
	return session->window_bytes >= 2 * BULK_BYTES;
}

/*
 * Requests and their answers go over one link, for the scheduler would put every other
 * one on a slower link that happens to be idle.
 */
static bool has_become_bulk(struct worker *worker, struct session *session)
{
	bool long_run, fast;

	if (session->bulk || !worker->ops->join)
		return false;
	long_run = is_long_run(session);
	fast = is_fast(worker, session);
	session->half[SIDE_PLAIN].moved = session->half[SIDE_LEG].moved = 0;
	session->bulk = long_run || fast;
	return session->bulk;
}

/* Bytes have moved: they may be many, or what the kernel had waited for to allow joins. */
static void hasten_join(struct worker *worker, struct session *session)
{
	if (has_become_bulk(worker, session)) {
		relay_paths_changed(worker, session);
	} else if (session->join_refused) {
		session->join_refused = false;
		session->join_tries = 0;
		session->joins_pending = true;
		session_timer(worker, session, JOIN_AGAIN_MS);
	}
}

/* UDP has no end: the other CPE or concentrator has closed the leg (plain-mode-08 §5.1.3). */
static bool is_over(const struct session *session)
{
	return session->datagrams ? session->half[SIDE_LEG].ended
				  : session->half[SIDE_PLAIN].shut && session->half[SIDE_LEG].shut;
}

void relay_run(struct worker *worker, struct session *session)
{
	session->last_active_ns = worker->now_ns;
	if (!run_half(worker, session, SIDE_PLAIN) || !run_half(worker, session, SIDE_LEG))
		return;
	if (is_over(session))
		end_by_close(worker, session);
	else
		hasten_join(worker, session);
}

/* The handshake's end shows as EPOLLOUT. */
static void push_early(struct session *session)
{
	int fd = session->side[SIDE_LEG].fd;

	session->leg_unheard = !mptcp_is_confirmed(fd);
	mptcp_push(fd);
}

void relay_ready(struct worker *worker, struct session *session, enum which_side which,
		 uint32_t epoll_events)
{
	if (session->leg_unheard && which == SIDE_LEG)
		push_early(session);
	/* reading would tell of the error too, but after a FIN nobody reads */
	if (epoll_events & EPOLLERR && session->half[which].ended)
		end_by_reset(worker, session, which);
	else
		relay_run(worker, session);
}

/*
 * Idle too long. The host or server must learn that its connection is gone; the leg of
 * a TCP connection is closed by MP_FASTCLOSE only where configured (plain-mode-08 §4.3.3,
 * §5.1.3).
 */
static void expire(struct worker *worker, struct session *session)
{
	count(worker, PLAIT_EXPIRED);
	session->lapses = !session->datagrams;
	close_side(session, SIDE_PLAIN, true);
	close_side(session, SIDE_LEG, session->datagrams || worker->config->fastclose_on_expiry);
	finish(worker, session);
}

/*
 * Segments without bytes count as well: who sends keepalives wants to be kept
 * (RFC 5382 REQ-5), and the kernel answers them without a word to the relay.
 */
static uint64_t expiry_ns_of(const struct worker *worker, const struct session *session)
{
	uint64_t lifetime_ns = lifetime_ms(worker, session) * NS_PER_MS;
	uint64_t active_ns = session->last_active_ns;
	struct plait_session_value seen;

	if (worker->now_ns >= active_ns + lifetime_ns && session->published &&
	    !dataplane_session_read(worker->dataplane, &session->key, &seen) &&
	    seen.last_seen_ns > active_ns)
		active_ns = seen.last_seen_ns;
	return active_ns + lifetime_ns;
}

void relay_timer(struct worker *worker, struct session *session)
{
	uint64_t expiry_ns = expiry_ns_of(worker, session);
	unsigned int next_ms = 0;

	if (session->joins_pending) {
		next_ms = worker->ops->join(worker->ops->role, worker, session);
		session->joins_pending = next_ms != 0;
	}
	if (worker->now_ns >= expiry_ns)
		expire(worker, session);
	else if (next_ms)
		session_timer(worker, session, next_ms);
	else
		timers_arm(&worker->timers, &session->timer, expiry_ns);
}

void relay_paths_changed(struct worker *worker, struct session *session)
{
	if (!session->token || !worker->ops->join)
		return;
	session->join_tries = 0;
	session->joins_pending = true;
	session_timer(worker, session, 0);
}

void relay_start(struct worker *worker, struct session *session)
{
	session->stage = STAGE_RELAYING;
	session->leg_unheard = accepted_side(session) == SIDE_LEG;
	session->last_active_ns = worker->now_ns;
	session->token = mptcp_token(session->side[SIDE_LEG].fd);
	count(worker, PLAIT_ESTABLISHED);
	if (!session->token)
		count(worker, PLAIT_FALLBACK_TCP);
	session->joins_pending = session->token && worker->ops->join;
	session_timer(worker, session,
		      session->joins_pending ? JOIN_AFTER_MS : lifetime_ms(worker, session));
	relay_run(worker, session);
}
