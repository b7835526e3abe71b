/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Datagram mode on the concentrator: subscribers' endpoints get an external address and
 * port, and their links slots for the way back. Programs are attached from the first
 * TCP-formatted packet on, as long as there are bindings. Main thread's. plain-mode-03,
 * "UDP Traffic"; docs/datagram.md.
 */
#ifndef PLAIT_ROLE_DATAGRAM_CONCENTRATOR_H
#define PLAIT_ROLE_DATAGRAM_CONCENTRATOR_H

#include "datagram_customers.h"
#include "datagram_errors.h"
#include "datagram_mode.h"
#include "pools.h"
#include "table/bindings.h"

struct datagram_concentrator {
	struct datagram_mode mode;
	struct datagram_errors errors;
	struct pools *pools;
	/* whether a remote may be reached; *why if not */
	bool (*may_reach)(void *context, const struct plait_addr *addr, enum plait_reason *why);
	void *context;
	/* inside: the subscriber's first address and the WAN port; external: the translator's */
	struct bindings bindings;
	struct binding **lent; /* of each slot in bindings: the translator's */
	struct datagram_customers customers;
	bool on; /* programs are attached */
	uint64_t retry_ns; /* after a failure: when to try again, UINT64_MAX: never */
	bool draining; /* no new bindings; the role sets it */
	int timer_fd;
	struct loop_watch timer_watch;
};

/*
 * Where the configuration takes datagrams; else nothing is done. After pools_open(). 0 or
 * negative errno, logged.
 */
int datagram_concentrator_open(struct datagram_concentrator *concentrator, struct pools *pools,
			       struct loop *loop);
/* Programs are gone from the interfaces. One that was not opened is fine. */
void datagram_concentrator_close(struct datagram_concentrator *concentrator);

/* This machine's addresses have changed, and with them what it is called in ICMP errors. */
void datagram_concentrator_name(struct datagram_concentrator *concentrator);

/* The configuration has been read again. */
void datagram_concentrator_reconfigured(struct datagram_concentrator *concentrator);

/* datagram_mode_flows() */
bool datagram_concentrator_flows(struct datagram_concentrator *concentrator);

#endif
