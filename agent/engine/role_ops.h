/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What a role brings to the engine: its decisions. session->accepts says which way. */
#ifndef PLAIT_ENGINE_ROLE_OPS_H
#define PLAIT_ENGINE_ROLE_OPS_H

#include "plait_reasons.h"
#include "session.h"

struct worker;

struct role_ops {
	void *role; /* handed to every function */
	bool eager; /* let hosts' SYNs go before dialling */

	/*
	 * A plain connection from session->peer to session->local: what it is goes into
	 * session->key, and what dial() needs. *why is set if it is refused.
	 */
	bool (*judge_plain)(void *role, struct session *session, enum plait_reason *why);

	/* The same for a leg, by what its SYN or the start of its stream asks for. */
	bool (*judge_preamble)(void *role, struct session *session, const struct preamble *preamble,
			       enum plait_reason *why);

	/*
	 * Open the dialled side; early are the host's first bytes to send along.
	 * Returns a connecting socket or negative errno.
	 */
	int (*dial)(void *role, struct session *session, const uint8_t *early, size_t len);

	/* The session ends, and needs its binding no more. NULL: there are none. */
	void (*release)(void *role, struct session *session);

	/*
	 * CPE: ask for further subflows, called while relaying. Returns the time
	 * until the next call in ms, 0 for no more, and sets session->join_refused if
	 * the kernel would not yet. NULL: never.
	 */
	unsigned int (*join)(void *role, struct worker *worker, struct session *session);

	/*
	 * CPE: whether a leg that is being dialled from a local address may come to be:
	 * its link is in use and its concentrator answers.
	 */
	bool (*is_path)(void *role, const struct session *session, const struct plait_addr *local);

	/*
	 * CPE: tell which link a subflow lies on, by its local address: *name, and
	 * whether it is a backup now, stay as they are if none. NULL: nobody knows.
	 */
	void (*tell_link)(void *role, const struct session *session, const struct plait_addr *local,
			  const char **name, bool *backup);

	/* CPE: the name of the concentrator that a session's leg leads to. NULL: none. */
	const char *(*concentrator_name)(void *role, const struct session *session);
};

#endif
