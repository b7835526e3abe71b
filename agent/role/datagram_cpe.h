/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Datagram mode on the CPE: hosts' endpoints get a port of the links, and the links their
 * slots. Main thread's. plain-mode-03, "UDP Traffic"; docs/datagram.md.
 */
#ifndef PLAIT_ROLE_DATAGRAM_CPE_H
#define PLAIT_ROLE_DATAGRAM_CPE_H

#include "concentrators.h"
#include "datagram_errors.h"
#include "datagram_mode.h"
#include "port/ping.h"
#include "table/bindings.h"
#include "table/path_loss.h"
#include "table/ports.h"

/* Where hosts' UDP goes without being bonded. */
struct direct_prefixes {
	unsigned int count;
	struct plait_direct_key key[INSTANCE_MAX_ADDRESSES];
};

struct datagram_cpe {
	struct datagram_mode mode;
	struct datagram_errors errors;
	bool on; /* programs are attached, and things are to be followed */
	struct links *links;
	struct concentrators *concentrators;
	/* inside: the host's; external: the WAN port, without address; sessions: 0 rests */
	struct bindings bindings;
	struct ports *ports; /* free ones */
	/* as they are in the maps */
	struct plait_path path[CONFIG_MAX_CONCENTRATORS][PLAIT_PATHS_MAX];
	struct plait_path_set set[CONFIG_MAX_CONCENTRATORS];
	/* over each path it is told how all of them are to be used */
	struct ping ping[CONFIG_MAX_CONCENTRATORS][PLAIT_PATHS_MAX];
	struct plait_told told[CONFIG_MAX_CONCENTRATORS];
	struct plait_path_traffic traffic[CONFIG_MAX_CONCENTRATORS][PLAIT_PATHS_MAX];
	struct path_loss loss[CONFIG_MAX_CONCENTRATORS][PLAIT_PATHS_MAX];
	struct direct_prefixes direct; /* as in the map */
	uint64_t moved; /* packets over all links, at the last look */
	unsigned int link_ifindex[CONFIG_MAX_LINKS]; /* where there is a program; 0: nowhere */
	int link_fd[CONFIG_MAX_LINKS]; /* -1: it is not */
	int timer_fd;
	struct loop_watch timer_watch;
};

/*
 * Where the configuration has udp: datagram; else nothing is done. After links and
 * concentrators; takes up the bindings that an earlier run has left. 0 or negative errno,
 * logged.
 */
int datagram_cpe_open(struct datagram_cpe *cpe, struct links *links,
		      struct concentrators *concentrators, struct loop *loop);
/* Programs are gone from the interfaces. One that was not opened is fine. */
void datagram_cpe_close(struct datagram_cpe *cpe);

/* Links, concentrators, addresses or the policy have changed. */
void datagram_cpe_refresh(struct datagram_cpe *cpe);

/* datagram_mode_flows() */
bool datagram_cpe_flows(struct datagram_cpe *cpe);

/* How many bindings, and each of them; out has room for datagram_cpe_count(). */
unsigned int datagram_cpe_count(const struct datagram_cpe *cpe);
void datagram_cpe_report(const struct datagram_cpe *cpe, struct binding_report *out);

/* What went over a link, as it was a second ago at most. */
void datagram_cpe_report_link(const struct datagram_cpe *cpe, unsigned int link,
			      struct link_report *out);

#endif
