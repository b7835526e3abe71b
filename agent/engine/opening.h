/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* From a SYN to a relayed session: every stage before RELAYING (session.h). */
#ifndef PLAIT_ENGINE_OPENING_H
#define PLAIT_ENGINE_OPENING_H

#include "worker.h"

/* A SYN came out of the ring buffer. */
void opening_syn(struct worker *worker, const struct plait_held_syn *record);

/* A host's datagram: into its session, which is opened if there is none (plain-mode-08 §5.1.1). */
void opening_datagram(struct worker *worker, const struct datagram *datagram);

/* accept() returned fd on a listener of the worker's, as that side of a session. */
void opening_accepted(struct worker *worker, enum which_side side, int fd,
		      const struct plait_addr *peer, const struct plait_addr *local);

/* A side of a session that is not yet relayed has news, or its timer fired. */
void opening_ready(struct worker *worker, struct session *session, enum which_side which,
		   uint32_t epoll_events);
void opening_timer(struct worker *worker, struct session *session);

/* Which links there are has changed: who asks over one that is left asks over another. */
void opening_paths_changed(struct worker *worker, struct session *session);

#endif
