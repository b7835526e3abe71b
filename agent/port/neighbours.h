/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Next hops by rtnetlink: where a packet leaves, and to which MAC address. */
#ifndef PLAIT_PORT_NEIGHBOURS_H
#define PLAIT_PORT_NEIGHBOURS_H

#include <stdint.h>

#include "netlink.h"
#include "plait_addr.h"

struct hop {
	unsigned int ifindex;
	struct plait_addr neighbour; /* the gateway, or who is asked for; port 0 */
	uint8_t mac[6];
	uint8_t own_mac[6]; /* of the interface */
	uint32_t mtu; /* of the interface */
};

/*
 * The next hop on the way from an address of this machine (NULL: any) to another; ports
 * are not looked at. 0; -EAGAIN with ifindex, neighbour and mtu: its MAC address is not
 * known; or another negative errno: there is no way out of this machine.
 */
int neighbour_find(struct netlink *rtnetlink, const struct plait_addr *from,
		   const struct plait_addr *to, struct hop *out);

/* Have the kernel ask for the MAC address, as if it had a packet to send. */
int neighbour_ask(struct netlink *rtnetlink, const struct hop *hop);

#endif
