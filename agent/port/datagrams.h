/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * UDP. Hosts' datagrams come to two sockets of each worker's, whatever their addresses, and
 * leave by two raw ones: no host has a socket of its own. On the internet side a flow has
 * one. All are non-blocking and close-on-exec; functions that open one return it, or a
 * negative errno.
 */
#ifndef PLAIT_PORT_DATAGRAMS_H
#define PLAIT_PORT_DATAGRAMS_H

#include <stddef.h>
#include <stdint.h>

#include "plait_addr.h"

enum { DATAGRAMS_A_BATCH = 32, DATAGRAM_ROOM = 65536 };

/* A socket on a loopback address and any port, for what a program gives to it. */
int datagram_listen(const struct plait_addr *loopback);

/*
 * A socket for one flow. from may be NULL: the kernel chooses; otherwise that very address
 * and port, whoever owns it, and other flows may have it too. Longer datagrams than the
 * path takes leave in fragments.
 */
int datagram_dial(const struct plait_addr *from, const struct plait_addr *to, uint8_t dscp);

struct iovec;

enum { DATAGRAMS_A_RUN = 64 }; /* UDP_MAX_SEGMENTS */

/*
 * Send payloads of one length, not 0, by a flow's socket, at once where the kernel can
 * (UDP_SEGMENT). Returns how many left.
 */
unsigned int datagrams_send_run(int fd, struct iovec *payloads, unsigned int count);

/* One, or several that came together (UDP_GRO). */
struct datagram {
	struct plait_addr from, to; /* to: as it was sent, where the socket is one that listens */
	uint8_t dscp;
	uint8_t *bytes; /* in the batch */
	size_t len, each; /* octets of all, and of each but the last, which has the rest */
};

struct datagram_batch;

struct datagram_batch *datagram_batch_new(void); /* NULL: no memory */
void datagram_batch_free(struct datagram_batch *batch);

/* Take what waits. Returns how many structs (at least 1), -EAGAIN or another negative errno. */
int datagrams_receive(int fd, struct datagram_batch *batch);

/* One of those that were received last. */
const struct datagram *datagram_of(const struct datagram_batch *batch, unsigned int index);

struct datagram_sender {
	int fd_v4, fd_v6;
};

int datagram_sender_open(struct datagram_sender *sender); /* 0 or negative errno */
void datagram_sender_close(struct datagram_sender *sender);

/* Send from any address and port to a host. 0 or negative errno, -EMSGSIZE for too long. */
int datagram_send(const struct datagram_sender *sender, const struct plait_addr *from,
		  const struct plait_addr *to, uint8_t dscp, const uint8_t *bytes, size_t len);

#endif
