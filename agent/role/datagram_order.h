/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Packets of datagram mode go on in the order they were sent in (`reorder`): those that the
 * programs find to be early wait here, in a thread of their own, since nothing else that the
 * agent does may add to how long.
 */
#ifndef PLAIT_ROLE_DATAGRAM_ORDER_H
#define PLAIT_ROLE_DATAGRAM_ORDER_H

#include <pthread.h>

#include "instance.h"
#include "table/order.h"

struct ring_buffer;

struct datagram_order {
	struct dataplane *dataplane; /* NULL: it is not open */
	struct order order;
	int map_fd; /* the dataplane's */
	int tap_fd; /* the caller's */
	uint8_t tap_mac[6];
	unsigned long long *failed; /* counts what could not be let go */
	int stop_fd;
	struct loop loop;
	struct ring_buffer *ring;
	struct loop_watch ring_watch, stop_watch;
	pthread_t thread;
};

/* How much of what its maps have at most is to be had: next to nothing where it is off. */
unsigned int datagram_order_room(const struct config *config, unsigned int entries);

/*
 * Where the configuration has `reorder`, once the programs are loaded; else nothing is done.
 * What waited is put before the programs again at the TAP device. 0 or negative errno.
 */
int datagram_order_open(struct datagram_order *order, struct instance *instance, int tap_fd,
			const uint8_t tap_mac[6]);
/* What waits is forgotten. One that was not opened is fine. */
void datagram_order_close(struct datagram_order *order);

/* A binding's packets are numbered from here on, by its inner end; one that is known goes on. */
int datagram_order_begin(struct datagram_order *order, const struct plait_addr *inner);
void datagram_order_end(struct datagram_order *order, const struct plait_addr *inner);

#endif
