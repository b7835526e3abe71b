/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Interfaces, addresses, rules and routes by rtnetlink. What plait installs lies
 * in routing tables of its own number range, so it can be found and removed.
 */
#ifndef PLAIT_PORT_ROUTES_H
#define PLAIT_PORT_ROUTES_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plait_addr.h"

struct mnl_socket;

struct routes {
	struct mnl_socket *socket;
	uint32_t sequence;
};

/* 0 or negative errno. */
int routes_open(struct routes *routes);
void routes_close(struct routes *routes);

struct interface {
	unsigned int ifindex;
	bool up, carrier;
	bool ethernet; /* has a 14-octet link-layer header */
	uint32_t mtu;
	uint64_t sent_bytes, received_bytes, sent_packets, received_packets;
};

/* -ENODEV if there is none of that name. */
int routes_interface(struct routes *routes, const char *name, struct interface *out);

/*
 * Call back for every unicast address of every interface (broadcast false), and
 * for every IPv4 broadcast address (broadcast true).
 */
typedef void routes_on_address(void *context, unsigned int ifindex, const struct plait_addr *addr,
			       uint8_t prefix_bits, bool broadcast);
int routes_addresses(struct routes *routes, routes_on_address *on_address, void *context);

/* family AF_INET or AF_INET6: everything looked up in table is delivered locally. */
int routes_add_local(struct routes *routes, uint8_t family, uint32_t table);
/* A default route in table; gateway of family 0: directly on the link. */
int routes_add_default(struct routes *routes, uint8_t family, uint32_t table, unsigned int ifindex,
		       const struct plait_addr *gateway);
/* Copy the main table's routes through ifindex to table. */
int routes_copy(struct routes *routes, uint8_t family, unsigned int ifindex, uint32_t table);

/* Rules: by mark, and by source address. Lower priority goes first. */
int routes_add_mark_rule(struct routes *routes, uint8_t family, uint32_t mark, uint32_t table,
			 uint32_t priority);
int routes_add_source_rule(struct routes *routes, const struct plait_addr *source, uint32_t table,
			   uint32_t priority);

/* Remove all rules to, and all routes in, tables first to last. */
int routes_remove(struct routes *routes, uint32_t first_table, uint32_t last_table);

/*
 * Whether table has a route to addr, and how specific: its prefix length, or
 * -ENETUNREACH.
 */
int routes_prefix_to(struct routes *routes, const struct plait_addr *addr, uint32_t table);

/* A socket that becomes readable when an address or a route changes; read it empty
 * with routes_drain(). Owned by the caller. */
int routes_watch_open(void);
void routes_watch_drain(int fd);

#endif
