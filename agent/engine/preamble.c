// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "preamble.h"

#include <errno.h>
#include <sys/socket.h>

/* Take len octets, seen before, off the stream. */
static bool take(struct session *session, size_t len)
{
	uint8_t *to = session->preamble + session->preamble_bytes;

	if (recv(session->side[SIDE_LEG].fd, to, len, 0) != (ssize_t)len)
		return false;
	session->preamble_bytes += (uint8_t)len;
	return true;
}

int session_preamble_read(struct session *session, struct preamble *preamble)
{
	size_t had = session->preamble_bytes;
	ssize_t n = recv(session->side[SIDE_LEG].fd, session->preamble + had,
			 PREAMBLE_READ_MAX - had, MSG_PEEK);
	int len;

	if (n < 0)
		return -errno;
	if (n == 0)
		return -EPIPE;
	len = preamble_read(session->preamble, had + (size_t)n, preamble);
	if (len == -EAGAIN)
		return take(session, (size_t)n) ? 0 : -EPIPE;
	if (len < 0)
		return len;
	return take(session, (size_t)len - had) ? len : -EPIPE;
}
