/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The CPE's links as datagram mode uses them: each is a path to each concentrator, with
 * slots by weight and state, and concentrators are told of them. Main thread's.
 * plain-mode-03, "UDP Traffic"; docs/datagram.md.
 */
#ifndef PLAIT_ROLE_DATAGRAM_PATHS_H
#define PLAIT_ROLE_DATAGRAM_PATHS_H

#include "concentrators.h"
#include "datagram_mode.h"
#include "port/ping.h"
#include "table/path_loss.h"

struct datagram_paths {
	struct datagram_mode *mode; /* NULL: not open */
	struct links *links;
	struct concentrators *concentrators;
	/* as they are in the maps */
	struct plait_path path[CONFIG_MAX_CONCENTRATORS][PLAIT_PATHS_MAX];
	struct plait_path_set set[CONFIG_MAX_CONCENTRATORS];
	/* over each path it is told how all of them are to be used */
	struct ping ping[CONFIG_MAX_CONCENTRATORS][PLAIT_PATHS_MAX];
	struct plait_told told[CONFIG_MAX_CONCENTRATORS];
	struct plait_path_traffic traffic[CONFIG_MAX_CONCENTRATORS][PLAIT_PATHS_MAX];
	struct path_loss loss[CONFIG_MAX_CONCENTRATORS][PLAIT_PATHS_MAX];
	uint64_t moved; /* packets over all links, at the last look */
	unsigned int link_ifindex[CONFIG_MAX_LINKS]; /* where there is a program; 0: nowhere */
	int link_fd[CONFIG_MAX_LINKS]; /* -1: it is not */
};

/* None is known yet. */
void datagram_paths_open(struct datagram_paths *paths, struct datagram_mode *mode,
			 struct links *links, struct concentrators *concentrators);
/* Programs are gone from the links. What was not opened is fine. */
void datagram_paths_close(struct datagram_paths *paths);

/* Links or concentrators have changed, or may have: next hops do without a word. */
void datagram_paths_refresh(struct datagram_paths *paths);

/* Concentrators that were told last have not forgotten it; now and then they are told again. */
void datagram_paths_tell(struct datagram_paths *paths);

/* Each second: what moved and what was lost. While something moves, links are watched closely. */
void datagram_paths_look(struct datagram_paths *paths);

/* What went over a link, as of the last look; added to what is there. */
void datagram_paths_report_link(const struct datagram_paths *paths, unsigned int link,
				struct link_report *out);

#endif
