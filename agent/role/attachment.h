/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A link's network attachment: the interface, its addresses, its routing table, and
 * how the concentrators are reached by it. Main thread's.
 */
#ifndef PLAIT_ROLE_ATTACHMENT_H
#define PLAIT_ROLE_ATTACHMENT_H

#include "instance.h"
#include "remotes.h"

enum { LINK_FAMILIES = 2 };

/* IPv4, IPv6 by family's index; family 0 of an address: there is none, or no way. */
struct paths {
	struct plait_addr local[LINK_FAMILIES];
	struct plait_addr remote[CONFIG_MAX_CONCENTRATORS][LINK_FAMILIES];
};

struct attachment {
	struct instance *instance;
	const struct remotes *remotes;
	const struct config_link *config;
	uint32_t table;
	unsigned int ifindex; /* 0: no such interface now */
	bool ethernet; /* it has a link-layer header of 14 octets */
	int egress_fd, ingress_fd; /* leg_egress_*, leg_ingress_* */
	struct plait_addr routed[LINK_FAMILIES]; /* whose routes are in the table */
	uint64_t routes_digest; /* of what they are copies of */
};

void attachment_open(struct attachment *attachment, struct instance *instance,
		     const struct remotes *remotes, unsigned int link);
void attachment_close(struct attachment *attachment);

/* Find the interface, which may have come, gone or changed. True: up, with carrier. */
bool attachment_find(struct attachment *attachment);

/*
 * What paths there are now. The table is filled again if the link's addresses have
 * changed, or its routes, which are looked at if anew.
 */
void attachment_paths(struct attachment *attachment, bool anew, struct paths *out);

/* Whether a concentrator can be reached at all. */
bool paths_lead_to(const struct paths *paths, unsigned int concentrator);

#endif
