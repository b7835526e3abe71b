/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Rules and routes by rtnetlink (a netlink of NETLINK_ROUTE). What plait installs
 * lies in routing tables of its own number range, so it can be found and removed.
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
