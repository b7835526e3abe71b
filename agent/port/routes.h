/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Rules and routes by rtnetlink (a netlink of NETLINK_ROUTE). What plait installs
 * lies in routing tables of its own number range, so it can be found and removed; only
 * what it announces is in the main table, under a protocol number of its own.
 */
#ifndef PLAIT_PORT_ROUTES_H
#define PLAIT_PORT_ROUTES_H

#include <stdint.h>

#include "netlink.h"
#include "plait_addr.h"

/* In `ip rule` and `ip route` as "proto 112": what plait installed. */
enum { ROUTES_PROTOCOL = 112 };

/* What is looked up in table and lies in prefix is delivered locally. */
int routes_add_local(struct netlink *netlink, const struct plait_prefix *prefix, uint32_t table);
/* A default route in table; gateway of family 0: directly on the link. */
int routes_add_default(struct netlink *netlink, uint8_t family, uint32_t table,
		       unsigned int ifindex, const struct plait_addr *gateway);
/*
 * A route to prefix in the main table, for a routing daemon to find under that protocol:
 * what is looked up there and nowhere before is dropped. -EEXIST: there is one, not ours.
 */
int routes_announce(struct netlink *netlink, const struct plait_prefix *prefix, uint8_t protocol);
/* Take it back; -ESRCH: there is none of that protocol. */
int routes_withdraw(struct netlink *netlink, const struct plait_prefix *prefix, uint8_t protocol);
/* Copy the main table's routes through ifindex to table. */
int routes_copy(struct netlink *netlink, uint8_t family, unsigned int ifindex, uint32_t table);

/*
 * A number that changes when what routes_copy() would copy does; *digest is carried on
 * from interface to interface. 0 or negative errno.
 */
int routes_digest(struct netlink *netlink, uint8_t family, unsigned int ifindex, uint64_t *digest);

/* Rules: for everything, by mark, and by source address. Lower priority goes first. */
int routes_add_rule(struct netlink *netlink, uint8_t family, uint32_t table, uint32_t priority);
int routes_add_mark_rule(struct netlink *netlink, uint8_t family, uint32_t mark, uint32_t table,
			 uint32_t priority);
int routes_add_source_rule(struct netlink *netlink, const struct plait_addr *source, uint32_t table,
			   uint32_t priority);

/* Remove all rules to, and all routes in, tables first to last. */
int routes_remove(struct netlink *netlink, uint32_t first_table, uint32_t last_table);

/*
 * Whether table has a route to addr, and how specific: its prefix length, or
 * -ENETUNREACH.
 */
int routes_prefix_to(struct netlink *netlink, const struct plait_addr *addr, uint32_t table);

#endif
