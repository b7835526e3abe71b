/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whether a concentrator answers: an MPTCP connection to its port is opened now and
 * then, and closed at once. Echoes only tell that its machine is there, and are
 * asked for where there is no port (port: preserve).
 */
#ifndef PLAIT_ROLE_HEALTH_H
#define PLAIT_ROLE_HEALTH_H

#include "links.h"

struct health {
	struct links *links;
	unsigned int concentrator;
	struct loop *loop;
	int timer_fd, fd; /* -1: not open */
	struct ping ping;
	struct loop_watch timer_watch, watch, ping_watch;
	unsigned int failures; /* in a row */
	bool answers; /* written by the main thread, read by workers */
	void (*on_change)(struct health *health);
};

/* on_change is called when answers changes; it begins as true. 0 or negative errno. */
int health_open(struct health *health, struct links *links, unsigned int concentrator,
		struct loop *loop, void (*on_change)(struct health *health));
void health_close(struct health *health);

/* Any thread. */
bool health_answers(const struct health *health);

#endif
