/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which links take part in a connection of the CPE (design P2), by the userspace path manager. */
#ifndef PLAIT_ROLE_SUBFLOWS_H
#define PLAIT_ROLE_SUBFLOWS_H

#include "links.h"

/*
 * A connection has a subflow over every link in use, as far as limits.subflows allows,
 * so that another is there at once when one fails; all but the first are backups until
 * it is bulk. Within the limit the first links of the configuration are taken, and a
 * link that is left gives its place to the next.
 *
 * Called by the session's worker: subflows over links that are not in use are ended,
 * so that what they had goes over the others, and missing ones are asked for.
 * Returns the time until the next call in ms, 0: everything is as it should be.
 */
unsigned int subflows_join(struct links *links, struct worker *worker, struct session *session);

#endif
