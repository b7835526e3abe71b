/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The pools' prefixes as routes in the main table, where a routing daemon (BIRD, FRR)
 * finds them by internet.route_protocol and tells other routers. They deliver nothing:
 * the rule for the pools' own table goes first (pools.h).
 */
#ifndef PLAIT_ROLE_ANNOUNCEMENT_H
#define PLAIT_ROLE_ANNOUNCEMENT_H

#include "instance.h"

struct announcement {
	struct instance *instance; /* NULL: nothing is announced */
};

/*
 * Last step: what is announced is served. Takes the place of what a killed run has left.
 * A prefix that has a route of someone else's is left to that, with a warning. 0 or
 * negative errno, logged.
 */
int announcement_open(struct announcement *announcement, struct instance *instance);

/* Before instance_close(). */
void announcement_close(struct announcement *announcement);

#endif
