// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Legs whose preamble comes on the stream: nothing is dialled before it is whole. */
#include <errno.h>

#include "opening_parts.h"
#include "preamble.h"
#include "relay.h"

enum { PREAMBLE_MS = 5000 };

void leg_refuse_preamble(struct worker *worker, struct session *session, enum plait_reason why)
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
		opening_start_relay(worker, session);
	else if (dialled(session)->fd >= 0)
		keep_dialling(worker, session);
	else if (worker->ops->judge_preamble(worker->ops->role, session, preamble, &why))
		opening_dial(worker, session);
	else
		leg_refuse_preamble(worker, session, why);
}

/* Read the start of the stream until it holds a whole preamble. */
void leg_read_preamble(struct worker *worker, struct session *session)
{
	struct preamble preamble;
	int len;

	while (!(len = session_preamble_read(session, &preamble)))
		;
	if (len > 0)
		preamble_whole(worker, session, &preamble);
	else if (len == -EBADMSG)
		leg_refuse_preamble(worker, session, PLAIT_PM_MALFORMED);
	else if (len != -EAGAIN || accepted(session)->hung_up)
		leg_refuse_preamble(worker, session,
				    session->preamble_bytes ? PLAIT_PREAMBLE_CUT
							    : PLAIT_HEALTH_CHECKS);
}

void leg_start_preamble(struct worker *worker, struct session *session)
{
	worker_held_free(worker, session); /* it is answered: refusing is by MP_FASTCLOSE now */
	session->stage = STAGE_PREAMBLE;
	session_timer(worker, session, PREAMBLE_MS);
	leg_read_preamble(worker, session);
}
