/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What every kind of socket is opened with. 0 or negative errno, unless it says otherwise. */
#ifndef PLAIT_PORT_SOCKET_H
#define PLAIT_PORT_SOCKET_H

#include <stdint.h>

#include "plait_addr.h"

/* Non-blocking and close-on-exec; returns it, or a negative errno. */
int socket_new(int family, int type, int protocol);

/* setsockopt() of an int. */
int socket_set(int fd, int level, int option, int value);

/* It may have, and speak for, addresses that are not this machine's. */
int socket_be_transparent(int fd, int family);

int socket_bind(int fd, const struct plait_addr *addr);

/*
 * What the socket sends from now on has this DSCP; ECN stays. That of an MPTCP socket is
 * its subflows', and bpf/lib/dscp.h writes it into IPv6 packets. 0 or negative errno.
 */
int socket_set_dscp(int fd, uint8_t dscp);

/* Close fd and return err, for a function that opens one and fails. */
int socket_close_with(int fd, int err);

#endif
