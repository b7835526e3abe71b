/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Interfaces and their addresses by rtnetlink (a netlink of NETLINK_ROUTE). */
#ifndef PLAIT_PORT_INTERFACES_H
#define PLAIT_PORT_INTERFACES_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "netlink.h"
#include "plait_addr.h"

struct interface {
	unsigned int ifindex;
	bool up, carrier;
	bool ethernet; /* has a 14-octet link-layer header */
	uint32_t mtu;
	uint64_t sent_bytes, received_bytes, sent_packets, received_packets;
};

/* -ENODEV if there is none of that name. */
int interface_read(struct netlink *netlink, const char *name, struct interface *out);

/*
 * Call back for every unicast address of every interface (broadcast false), and
 * for every IPv4 broadcast address (broadcast true).
 */
typedef void interface_on_address(void *context, unsigned int ifindex,
				  const struct plait_addr *addr, uint8_t prefix_bits,
				  bool broadcast);
int interface_addresses(struct netlink *netlink, interface_on_address *on_address, void *context);

/*
 * A socket that becomes readable when an interface, an address or a route changes;
 * interface_watch_drain() reads it empty. Owned by the caller. Negative errno.
 */
int interface_watch_open(void);
/* True if routes, other than plait's own, may have changed, or messages were lost. */
bool interface_watch_drain(int fd);

#endif
