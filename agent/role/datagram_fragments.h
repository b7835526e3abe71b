/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What datagram mode's programs need for packets that are too long and for fragments
 * (plain-mode-08 §5.3): what this machine is called in ICMP errors, and somebody who holds fragments that came before the first of their datagram. Main thread's.
 */
#ifndef PLAIT_ROLE_DATAGRAM_FRAGMENTS_H
#define PLAIT_ROLE_DATAGRAM_FRAGMENTS_H

#include "instance.h"
#include "table/early.h"

struct ring_buffer;

struct datagram_fragments {
	struct instance *instance;
	struct early early;
	struct ring_buffer *ring; /* NULL: not open */
	struct loop_watch ring_watch;
	void (*let_go)(void *context, const uint8_t *frame, size_t len);
	void *context;
};

/* Once the programs are loaded. let_go puts a frame before them again. 0 or negative errno. */
int datagram_fragments_open(struct datagram_fragments *fragments, struct instance *instance,
			    struct loop *loop,
			    void (*let_go)(void *context, const uint8_t *frame, size_t len),
			    void *context);
void datagram_fragments_close(struct datagram_fragments *fragments);

/* An interface's addresses are known, or have changed. */
void datagram_fragments_name(struct instance *instance, const struct config_interfaces *interfaces);

/* Now and then: what waits too long is forgotten and counted. */
void datagram_fragments_sweep(struct datagram_fragments *fragments);

#endif
