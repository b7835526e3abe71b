/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the files of opening ask of each other: opening.c, and what begins a session. */
#ifndef PLAIT_ENGINE_OPENING_PARTS_H
#define PLAIT_ENGINE_OPENING_PARTS_H

#include "opening.h"

enum { HOLD_MS = 800 }; /* a SYN let go later falls back: its sender has sent another */

static inline struct side *accepted(struct session *session)
{
	return &session->side[accepted_side(session)];
}

static inline struct side *dialled(struct session *session)
{
	return &session->side[dialled_side(session)];
}

/* A plain connection is accepted and a leg is dialled. */
static inline bool accepts_plain(const struct session *session)
{
	return accepted_side(session) == SIDE_PLAIN;
}

/* The host is answered before the server is. */
static inline bool is_eager(const struct worker *worker, const struct session *session)
{
	return worker->ops->eager && accepts_plain(session);
}

/* opening.c */

/* What a UDP session has more than a TCP one; false: no memory. */
bool opening_is_equipped(struct session *session);
/* Put session->key into the pinned map, once. 0 or negative errno. */
int opening_publish(struct worker *worker, struct session *session);
/* Dial the other side. The session may have ended when these return. */
void opening_dial(struct worker *worker, struct session *session);
void opening_dial_done(struct worker *worker, struct session *session);
void opening_dial_failed(struct worker *worker, struct session *session, int err);
/* Both sides are there. */
void opening_start_relay(struct worker *worker, struct session *session);
/* What is sent to who is accepted. */
uint8_t opening_accepted_dscp(const struct worker *worker, const struct session *session);

/* opening_held.c */

void held_let_go(struct worker *worker, struct session *session);
/* It has waited as long as it may. */
void held_expired(struct worker *worker, struct session *session);
/* Tell the SYN's sender what became of dialling. */
void held_answer_failure(struct worker *worker, const struct held_syn *held, int err);

/* opening_leg.c; the session may have ended when these return */

void leg_start_preamble(struct worker *worker, struct session *session);
void leg_read_preamble(struct worker *worker, struct session *session);
void leg_refuse_preamble(struct worker *worker, struct session *session, enum plait_reason why);

#endif
