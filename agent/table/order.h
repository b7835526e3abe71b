/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Packets that came before others of their binding (datagram mode, `reorder`), until their
 * turn has come or they have waited as long as may be. A binding is here while packets of it
 * are; which number's turn it is the caller knows. Bounded, all of them and those of one
 * binding: where there is no room, who has waited longest goes. Time is an argument.
 */
#ifndef PLAIT_TABLE_ORDER_H
#define PLAIT_TABLE_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "plait_addr.h"
#include "plait_datagram.h"

enum { ORDER_PACKETS = 16384, ORDER_PACKETS_OF_ONE = 4096, ORDER_PASSED = 1024 };

struct order_stream; /* packets of one binding */

struct order_packet {
	struct order_stream *stream;
	struct order_packet *prev,
		*next; /* of the stream, by number; next: of those that are free */
	struct order_packet *older, *newer; /* of all, as they came */
	uint64_t until_ns;
	uint32_t number;
	uint32_t frame_bytes; /* 0: its number has gone on already */
	uint8_t frame[PLAIT_EARLY_FRAME_MAX];
};

/* Where a binding's numbers had come to when the last of them had gone on already. */
struct order_passed {
	struct plait_addr binding;
	uint32_t next;
};

struct order {
	uint64_t wait_ns;
	struct hash by_binding;
	struct order_packet *packets, *free_packets; /* [ORDER_PACKETS] */
	unsigned int touched; /* packets used so far; the others are no memory yet */
	struct order_stream *streams, *free_streams; /* as many: none is empty */
	struct order_packet *oldest, *newest;
	struct order_passed passed[ORDER_PASSED]; /* by the binding's hash */
	struct order_stream *going; /* whose packets go on now; NULL: none */
};

/* How long a packet waits at most. 0 or -ENOMEM; order_close() then too. */
int order_open(struct order *order, uint64_t wait_ns);
void order_close(struct order *order);

/*
 * One came, and is copied; `next` is the number whose turn it is. Before the next call of this
 * take what may go by order_next(). False: there is no room; order_push() makes some.
 */
bool order_came(struct order *order, const struct plait_reordered *record, uint32_t next,
		uint64_t now_ns);

/* Let the one that has waited longest go, and what is before it; by order_next(). */
void order_push(struct order *order);

/* What goes on now, one after the other; valid until the next call. NULL: nothing more. */
struct order_packet *order_next(struct order *order, uint64_t now_ns);

/* When order_next() must be asked again; 0: nothing waits. */
uint64_t order_due_ns(const struct order *order);

#endif
