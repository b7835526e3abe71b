/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Carrying bytes between the two sides of a session by splice(2), and how they
 * end: FIN as FIN with half-close kept, RST as MP_FASTCLOSE and back (T4).
 */
#ifndef PLAIT_ENGINE_RELAY_H
#define PLAIT_ENGINE_RELAY_H

#include "worker.h"

/* Both sides are open: begin. The session may have ended when this returns. */
void relay_start(struct worker *worker, struct session *session);

/* Move what can be moved. The session may have ended when this returns. */
void relay_run(struct worker *worker, struct session *session);

/* epoll has news of a side. The session may have ended when this returns. */
void relay_ready(struct worker *worker, struct session *session, enum which_side which,
		 uint32_t epoll_events);

/* Which links there are has changed: join them, leave them. */
void relay_paths_changed(struct worker *worker, struct session *session);

/* The session's timer fired: joins, idle expiry. */
void relay_timer(struct worker *worker, struct session *session);

/*
 * End a session of any stage at once: RST to the plain side, MP_FASTCLOSE to the
 * leg, and what it had is freed.
 */
void session_abort(struct worker *worker, struct session *session);

#endif
