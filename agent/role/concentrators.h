/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The concentrators of a CPE: which of them answer, and which one a new connection
 * goes to (proxy-01 §6.5 (j), §6.7).
 */
#ifndef PLAIT_ROLE_CONCENTRATORS_H
#define PLAIT_ROLE_CONCENTRATORS_H

#include "health.h"

struct concentrators {
	const struct config *config;
	struct links *links;
	struct health health[CONFIG_MAX_CONCENTRATORS];
	void (*on_change)(struct concentrators *concentrators);
};

/* on_change: one answers no more, or again. 0 or negative errno. */
int concentrators_open(struct concentrators *concentrators, struct links *links, struct loop *loop,
		       void (*on_change)(struct concentrators *concentrators));
void concentrators_close(struct concentrators *concentrators);

/* Whether one answers. Any thread. */
bool concentrators_answer(const struct concentrators *concentrators, unsigned int concentrator);

/* Whether any does. Any thread. */
bool concentrators_any_answers(const struct concentrators *concentrators);

/*
 * By `concentrator_selection`, of those that answer: where what a host begins goes, or -1.
 * Any thread.
 */
int concentrators_choose(const struct concentrators *concentrators, const struct plait_addr *host,
			 uint32_t hash);

#endif
