/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A netlink socket and one exchange over it. One a thread. */
#ifndef PLAIT_PORT_NETLINK_H
#define PLAIT_PORT_NETLINK_H

#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#include "plait_addr.h"

enum {
	NETLINK_REQUEST_BYTES = 512,
	NETLINK_DUMPS_TRIED = 5,
};

struct netlink {
	struct mnl_socket *socket;
	uint32_t sequence;
};

/* protocol: NETLINK_ROUTE and so on. 0 or negative errno. */
int netlink_open(struct netlink *netlink, int protocol);
/* One that is not open is fine. */
void netlink_close(struct netlink *netlink);

/*
 * Begin a request in buffer, which has NETLINK_REQUEST_BYTES. Returns its family's
 * header, header_bytes long and zero; *message is the whole.
 */
void *netlink_request(char *buffer, uint16_t type, uint16_t flags, size_t header_bytes,
		      struct nlmsghdr **message);

/*
 * Send a request and read all there is of its answer: on_reply (NULL: none is
 * expected) for each message. 0, or negative errno: the kernel's own or on_reply's;
 * -EINTR: something changed during the dump, of which not all may have been told. Ask
 * again, up to NETLINK_DUMPS_TRIED times; message may be sent again as it is.
 */
int netlink_transact(struct netlink *netlink, struct nlmsghdr *message, mnl_cb_t on_reply,
		     void *context);

/* Octets of an address of AF_INET or AF_INET6. */
size_t netlink_addr_bytes(uint8_t family);
/* An attribute that is an address; family 0 if its length is wrong. */
void netlink_take_addr(const struct nlattr *attribute, uint8_t family, struct plait_addr *out);

#endif
