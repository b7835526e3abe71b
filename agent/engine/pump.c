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
#include "pump.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	STEPS_A_TURN = 16, /* of one direction, before others have their turn */
	/*
	 * Reading from MPTCP by splice, the kernel allocates pages for all that is asked
	 * for before it looks what is there (copy_splice_read). A direction therefore
	 * copies until it fills a read of this size, and splices from then on.
	 */
	COPY_BYTES = 16 * 1024,
};

static bool would_block(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK;
}

void pump_release(struct worker *worker, struct half *half)
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

enum pumped pump(struct worker *worker, struct half *half, struct side *from, struct side *to)
{
	enum pumped pumped = PUMP_MORE;

	for (unsigned int i = 0; pumped == PUMP_MORE && i < STEPS_A_TURN; i++)
		pumped = pump_once(worker, half, from, to);
	return pumped;
}
