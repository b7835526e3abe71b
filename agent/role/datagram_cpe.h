/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Datagram mode on the CPE: hosts' endpoints get a port, the same on all links. Main
 * thread's. plain-mode-03, "UDP Traffic"; docs/datagram.md.
 */
#ifndef PLAIT_ROLE_DATAGRAM_CPE_H
#define PLAIT_ROLE_DATAGRAM_CPE_H

#include "datagram_direct.h"
#include "datagram_errors.h"
#include "datagram_mode.h"
#include "datagram_paths.h"
#include "table/bindings.h"
#include "table/ports.h"

struct datagram_cpe {
	struct datagram_mode mode;
	struct datagram_errors errors;
	bool on; /* programs are attached, and things are to be followed */
	struct links *links;
	struct concentrators *concentrators;
	/* inside: the host's; external: the WAN port, without address; sessions: 0 rests */
	struct bindings bindings;
	struct ports *ports; /* free ones */
	struct datagram_paths paths;
	struct datagram_direct direct;
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

#endif
