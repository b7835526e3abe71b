/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The stream sockets of both legs. All are non-blocking and close-on-exec;
 * functions that open one return it, or a negative errno.
 */
#ifndef PLAIT_PORT_SOCKETS_H
#define PLAIT_PORT_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "congestion.h"
#include "plait_addr.h"

/*
 * A listener for hosts' connections. It is transparent: what it accepts keeps
 * the destination the host meant. addr's port may be 0.
 */
int tcp_listen_transparent(const struct plait_addr *addr);

/*
 * Connect by plain TCP. from may be NULL: the kernel chooses; otherwise the
 * connection comes from exactly that address and port, whoever owns it.
 */
int tcp_dial(const struct plait_addr *from, const struct plait_addr *to, uint8_t dscp);

/* What sockets of legs have in common; subflows and accepted sockets inherit it. */
struct leg_options {
	uint32_t mark;
	char congestion[CONGESTION_NAME_BYTES]; /* TCP_CONGESTION; empty: the system's */
};

enum mptcp_listener {
	LISTEN_SHARED, /* several workers listen on the same address */
	LISTEN_HELD, /* transparent: for SYNs that sk_assign brings */
	LISTEN_JOINS, /* likewise for MP_JOINs; there may be one for each protocol that is carried */
};

/*
 * A listener for MPTCP legs that takes data in SYNs without a cookie (RFC 7413
 * §4.1.2 allows it where requests are held and checked before).
 */
int mptcp_listen(const struct plait_addr *addr, const struct leg_options *options,
		 enum mptcp_listener kind);

/*
 * Connect by MPTCP from an address of this machine, with payload in the SYN (plain-mode-08
 * §4.2), and from that port unless it is 0 or taken. What does not fit the SYN follows on the stream. Further
 * subflows may be of either family (§6).
 * backlog of the socket holds it all, so payload is never cut.
 */
int mptcp_dial(const struct plait_addr *from, const struct plait_addr *to,
	       const struct leg_options *options, uint8_t dscp, const uint8_t *payload, size_t len);

/* Connect by MPTCP from a link's address, with nothing in the SYN. */
int mptcp_connect(const struct plait_addr *from, const struct plait_addr *to);

/* Take a waiting connection: its socket, or -EAGAIN or another negative errno. */
int socket_accept(int listener, struct plait_addr *peer, struct plait_addr *local);

/* The address a socket is bound to, and the one it is connected to. */
int socket_local(int fd, struct plait_addr *out);
int socket_peer(int fd, struct plait_addr *out);

/* Why connecting failed, as negative errno, or 0. */
int socket_error(int fd);

/* Close at once, telling the peer by RST. */
void tcp_reset(int fd);

#endif
