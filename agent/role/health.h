/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whether the concentrator answers: an MPTCP connection to its port is opened once a
 * second and closed at once. Echoes only tell that its machine is there.
 */
#ifndef PLAIT_ROLE_HEALTH_H
#define PLAIT_ROLE_HEALTH_H

#include "links.h"

struct health {
	struct links *links;
	struct loop *loop;
	int timer_fd, fd; /* -1: not open */
	struct loop_watch timer_watch, watch;
	unsigned int failures; /* in a row */
	bool answers;
	void (*on_change)(struct health *health);
};

/* on_change is called when answers changes; it begins as true. 0 or negative errno. */
int health_open(struct health *health, struct links *links, struct loop *loop,
		void (*on_change)(struct health *health));
void health_close(struct health *health);

#endif
