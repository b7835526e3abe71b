/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A preamble that comes on the stream of an accepted leg, maybe octet by octet. */
#ifndef PLAIT_ENGINE_PREAMBLE_H
#define PLAIT_ENGINE_PREAMBLE_H

#include "session.h"

/*
 * A look ahead tells whether the preamble is whole; all of it that there is belongs
 * to it until then, and is taken: on Linux 6.12 MSG_PEEK shows an MPTCP
 * socket's first segment only. Returns its length; 0 if there may be more to read;
 * -EAGAIN, -EBADMSG if it can be none, or what else is wrong with the socket.
 */
int session_preamble_read(struct session *session, struct preamble *preamble);

#endif
