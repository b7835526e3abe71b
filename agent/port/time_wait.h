/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Ending TIME_WAIT. A new SYN for addresses in TIME_WAIT takes them over (RFC 6191),
 * but not when sk_assign brings it straight to a listener: the kernel then drops
 * it without a word (docs/kernel.md).
 */
#ifndef PLAIT_PORT_TIME_WAIT_H
#define PLAIT_PORT_TIME_WAIT_H

#include "netlink.h"
#include "plait_addr.h"

/*
 * netlink: of NETLINK_SOCK_DIAG. Ends the TIME_WAIT of the TCP connection between
 * local and peer, if it is still in it, and nothing else. 0 or negative errno;
 * -ENOENT if there is none.
 */
int time_wait_end(struct netlink *netlink, const struct plait_addr *local,
		  const struct plait_addr *peer);

/* Whether this kernel can (CONFIG_INET_DIAG_DESTROY): 0, or -EOPNOTSUPP. */
int time_wait_check(void);

#endif
