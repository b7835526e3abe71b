// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* UDP flows of hosts: the first datagram opens a session, and goes in its SYN. */
#include <netinet/in.h>

#include "datagrams.h"
#include "opening_parts.h"

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
	if (opening_is_equipped(session) &&
	    worker->ops->judge_plain(worker->ops->role, session, &why))
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
		opening_dial(worker, session);
	else if (session->stage == STAGE_RELAYING)
		worker_session_ready(worker, session);
}
