/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whether a link is to be used: from its path (address, carrier, route) and from
 * probes. Pure state; times are in ns of one clock. A link that fails is left at
 * once and taken again when it has answered for a while, longer each time it
 * fails again soon, so that one that flaps is left alone.
 */
#ifndef PLAIT_TABLE_LINK_STATE_H
#define PLAIT_TABLE_LINK_STATE_H

#include <stdbool.h>
#include <stdint.h>

enum link_why {
	LINK_IN_USE,
	LINK_NO_PATH, /* no carrier, address or route */
	LINK_SILENT, /* probes are not answered, nor does anything else arrive */
	LINK_SETTLING, /* is there again, and must prove it */
	LINK_LOSSY, /* beyond its limit */
	LINK_SLOW, /* round trips beyond its limit */
};

struct link_limits {
	uint32_t rtt_us; /* 0: any */
	uint32_t loss_permille; /* 0: any */
};

struct link_state {
	struct link_limits limits;
	enum link_why why;
	bool there; /* has a path */
	bool probed; /* has ever answered: only then does silence mean anything */
	unsigned int missed; /* probes in a row */
	uint32_t rtt_us, rtt_min_us, rtt_last_us; /* smoothed, least, last; 0: unknown */
	uint32_t loss_permille; /* smoothed */
	uint64_t failed_ns; /* last time it was left; 0: never */
	uint64_t good_since_ns;
	uint64_t hold_ns; /* how long it must be good before it is taken again */
};

void link_state_init(struct link_state *link, const struct link_limits *limits);

/* What netlink says; each of these returns true if the link's use changes by it. */
bool link_state_path(struct link_state *link, bool there, uint64_t now_ns);
/* A probe was answered. */
bool link_state_answer(struct link_state *link, uint32_t rtt_us, uint64_t now_ns);
/* A probe was not, by the time the next one is due; heard: something else arrived. */
bool link_state_miss(struct link_state *link, bool heard, uint64_t now_ns);

/* Another end is probed from now on, whose round trips are others. */
void link_state_moved(struct link_state *link);

bool link_state_in_use(const struct link_state *link);

/* "in use", "no path" ...: for people. */
const char *link_why_text(enum link_why why);

#endif
