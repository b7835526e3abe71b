// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A direction takes a pipe when there is something to read, fills it from one
 * socket and empties it into the other. While the writer would block, the bytes
 * stay in the pipe and nothing more is read: the kernel's windows then stop the
 * sender. An empty pipe goes back to the pool at once. Where the pool has no pipe
 * left, bytes are copied without being kept (peek, write, then consume).
 *
 * Whether a side may be read or written is what epoll said last (edge-triggered),
 * until reading or writing finds out otherwise.
 */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "port/mptcp.h"
#include "port/sockets.h"

enum {
	STEPS_A_TURN = 16, /* of one direction, before others have their turn */
	/*
	 * Reading from MPTCP by splice, the kernel allocates pages for all that is asked
	 * for before it looks what is there (copy_splice_read). A direction therefore
	 * copies until it fills a read of this size, and splices from then on.
	 */
	COPY_BYTES = 16 * 1024,
	BULK_BYTES = 32 * 1024, /* one way; or twice as many in the window */
	BULK_WINDOW_NS = 250 * 1000 * 1000,
	JOIN_AGAIN_MS = 20, /* after the kernel had refused, and bytes have moved */
	JOIN_AFTER_MS = 100, /* or as soon as the connection is bulk */
};

enum pumped { PUMP_WAITS, PUMP_MORE, PUMP_READ_FAILED, PUMP_WRITE_FAILED };

static bool would_block(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK;
}

static void release_pipe(struct worker *worker, struct half *half)
{
	if (half->pipe < 0)
		return;
	if (half->in_pipe)
		pipes_discard(&worker->pipes, half->pipe);
	else
		pipes_give(&worker->pipes, half->pipe);
	half->pipe = -1;
	half->in_pipe = 0;
}

/* What recv() or splice() says when it has read nothing. */
static enum pumped nothing_read(struct half *half, struct side *from, ssize_t n)
{
	if (n < 0 && !would_block())
		return PUMP_READ_FAILED;
	from->readable = false;
	half->ended = n == 0;
	return PUMP_WAITS;
}

static enum pumped fill_pipe(struct worker *worker, struct half *half, struct side *from)
{
	int pipe_fd = worker->pipes.pipe[half->pipe].write_fd;
	ssize_t n = splice(from->fd, NULL, pipe_fd, NULL, PIPE_BYTES,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (n <= 0)
		return nothing_read(half, from, n);
	half->moved += (uint32_t)n;
	half->in_pipe = (uint32_t)n;
	return PUMP_MORE;
}

static enum pumped empty_pipe(struct worker *worker, struct half *half, struct side *to)
{
	int pipe_fd = worker->pipes.pipe[half->pipe].read_fd;
	ssize_t n = splice(pipe_fd, NULL, to->fd, NULL, half->in_pipe,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (n > 0) {
		half->in_pipe -= (uint32_t)n;
		return PUMP_MORE;
	}
	if (n < 0 && !would_block())
		return PUMP_WRITE_FAILED;
	to->writable = false;
	return PUMP_WAITS;
}

static ssize_t send_some(struct side *to, const uint8_t *bytes, size_t len)
{
	ssize_t sent = send(to->fd, bytes, len, MSG_NOSIGNAL);

	if (sent < 0 && would_block())
		sent = 0;
	if (sent >= 0 && (size_t)sent < len)
		to->writable = false;
	return sent;
}

/* Small amounts are copied; what cannot be written waits in the (empty) pipe. */
static enum pumped copy_small(struct worker *worker, struct half *half, struct side *from,
			      struct side *to)
{
	ssize_t sent, n = recv(from->fd, worker->scratch, COPY_BYTES, 0);

	if (n <= 0)
		return nothing_read(half, from, n);
	half->moved += (uint32_t)n;
	half->bulk = n == COPY_BYTES;
	if (n < COPY_BYTES && !from->hung_up)
		from->readable = false; /* that was all there was */
	sent = send_some(to, worker->scratch, (size_t)n);
	if (sent < 0)
		return PUMP_WRITE_FAILED;
	if (sent == n)
		return PUMP_MORE;
	if (write(worker->pipes.pipe[half->pipe].write_fd, worker->scratch + sent,
		  (size_t)(n - sent)) != n - sent)
		return PUMP_READ_FAILED; /* they would be lost */
	half->in_pipe = (uint32_t)(n - sent);
	return PUMP_WAITS;
}

/* Without a pipe: only what was written is consumed. */
static enum pumped copy_peeked(struct worker *worker, struct half *half, struct side *from,
			       struct side *to)
{
	ssize_t n, sent;

	count(worker, PLAIT_PIPES_EXHAUSTED);
	n = recv(from->fd, worker->scratch, SCRATCH_BYTES, MSG_PEEK);
	if (n <= 0)
		return nothing_read(half, from, n);
	sent = send_some(to, worker->scratch, (size_t)n);
	if (sent < 0)
		return PUMP_WRITE_FAILED;
	if (sent > 0 && recv(from->fd, worker->scratch, (size_t)sent, 0) != sent)
		return PUMP_READ_FAILED;
	half->moved += (uint32_t)sent;
	return to->writable ? PUMP_MORE : PUMP_WAITS;
}

/* One read, or one write of what was read. */
static enum pumped pump_once(struct worker *worker, struct half *half, struct side *from,
			     struct side *to)
{
	if (!to->writable)
		return PUMP_WAITS;
	if (half->in_pipe)
		return empty_pipe(worker, half, to);
	if (half->ended || !from->readable)
		return PUMP_WAITS;
	if (half->pipe < 0)
		half->pipe = pipes_take(&worker->pipes);
	if (half->pipe < 0)
		return copy_peeked(worker, half, from, to);
	return half->bulk ? fill_pipe(worker, half, from) : copy_small(worker, half, from, to);
}

/* Move bytes one way until something blocks or the turn's share is used up. */
static enum pumped pump(struct worker *worker, struct half *half, struct side *from,
			struct side *to)
{
	enum pumped pumped = PUMP_MORE;

	for (unsigned int i = 0; pumped == PUMP_MORE && i < STEPS_A_TURN; i++)
		pumped = pump_once(worker, half, from, to);
	return pumped;
}

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
	release_pipe(worker, &session->half[SIDE_PLAIN]);
	release_pipe(worker, &session->half[SIDE_LEG]);
	if (session->published)
		unpublish(worker, session);
	worker_session_free(worker, session);
}

void session_abort(struct worker *worker, struct session *session)
{
	session->lapses = session->side[SIDE_PLAIN].fd >= 0;
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
	if (session->half[SIDE_PLAIN].shut || session->half[SIDE_LEG].shut)
		return worker->config->lifetimes.tcp_transitory_ms;
	return worker->config->lifetimes.tcp_established_ms;
}

/* FIN read and everything before it written: pass the FIN on. */
static void pass_end(struct worker *worker, struct session *session, struct half *half,
		     struct side *to)
{
	if (!half->in_pipe)
		release_pipe(worker, half);
	if (!half->ended || half->in_pipe || half->shut)
		return;
	half->shut = true;
	if (session->half[SIDE_PLAIN].shut && session->half[SIDE_LEG].shut)
		return; /* closing will say so */
	shutdown(to->fd, SHUT_WR);
	if (!session->joins_pending)
		session_timer(worker, session, lifetime_ms(worker, session));
}

/* One direction; false if that ended the session. */
static bool run_half(struct worker *worker, struct session *session, enum which_side from)
{
	enum which_side to = from == SIDE_PLAIN ? SIDE_LEG : SIDE_PLAIN;
	struct half *half = &session->half[from];

	switch (pump(worker, half, &session->side[from], &session->side[to])) {
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

void relay_run(struct worker *worker, struct session *session)
{
	session->last_active_ns = worker->now_ns;
	if (!run_half(worker, session, SIDE_PLAIN) || !run_half(worker, session, SIDE_LEG))
		return;
	if (session->half[SIDE_PLAIN].shut && session->half[SIDE_LEG].shut)
		end_by_close(worker, session);
	else
		hasten_join(worker, session);
}

/* The handshake's end shows as EPOLLOUT; the host's first bytes prove it. */
static void push_early(struct session *session, uint32_t epoll_events)
{
	session->leg_unheard = !(epoll_events & EPOLLIN);
	if (epoll_events & EPOLLOUT)
		mptcp_push(session->side[SIDE_LEG].fd);
}

void relay_ready(struct worker *worker, struct session *session, enum which_side which,
		 uint32_t epoll_events)
{
	if (session->leg_unheard && which == SIDE_LEG)
		push_early(session, epoll_events);
	/* reading would tell of the error too, but after a FIN nobody reads */
	if (epoll_events & EPOLLERR && session->half[which].ended)
		end_by_reset(worker, session, which);
	else
		relay_run(worker, session);
}

/*
 * Idle too long. The host or server must learn that its connection is gone; the
 * leg is closed by MP_FASTCLOSE only where configured (plain-mode-08 §4.3.3).
 */
static void expire(struct worker *worker, struct session *session)
{
	count(worker, PLAIT_EXPIRED);
	session->lapses = true;
	close_side(session, SIDE_PLAIN, true);
	close_side(session, SIDE_LEG, worker->config->fastclose_on_expiry);
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
