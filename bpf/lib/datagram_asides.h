/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What is rare has programs of its own, which begin anew with the packet as it came: in
 * the same program it would cost the others registers, and there is no stack left for it.
 */
#ifndef PLAIT_BPF_DATAGRAM_ASIDES_H
#define PLAIT_BPF_DATAGRAM_ASIDES_H

#include "datagram_maps.h"

/* Each role's file has these, and says which are DATAGRAM_RECEIVER and DATAGRAM_SENDER. */
int datagram_long(struct xdp_md *ctx);
int datagram_fragment_out(struct xdp_md *ctx);
int datagram_fragment_in(struct xdp_md *ctx);
int datagram_no_next_hop(struct xdp_md *ctx);
int datagram_in_order(struct xdp_md *ctx);
int DATAGRAM_RECEIVER(struct xdp_md *ctx);
int DATAGRAM_SENDER(struct xdp_md *ctx);

enum aside {
	ASIDE_LONG,
	ASIDE_FRAGMENT_OUT,
	ASIDE_FRAGMENT_IN,
	ASIDE_IN_ORDER,
	ASIDE_NO_NEXT_HOP, /* of a binding, once it is UDP */
	ASIDE_WHOLE,
	ASIDE_SENDER,
	ASIDES,
};

/* Filled when the object is loaded, and emptied when nobody holds it any more. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, ASIDES);
	__uint(key_size, sizeof(__u32));
	__array(values, int(struct xdp_md *));
} datagram_asides SEC(".maps") = {.values = {[ASIDE_LONG] = &datagram_long,
					     [ASIDE_FRAGMENT_OUT] = &datagram_fragment_out,
					     [ASIDE_FRAGMENT_IN] = &datagram_fragment_in,
					     [ASIDE_NO_NEXT_HOP] = &datagram_no_next_hop,
					     [ASIDE_IN_ORDER] = &datagram_in_order,
					     [ASIDE_WHOLE] = &DATAGRAM_RECEIVER,
					     [ASIDE_SENDER] = &DATAGRAM_SENDER}};

/* The verdict of that program; the other one only where it is not there. */
static __always_inline int aside(struct xdp_md *ctx, enum aside program, int otherwise)
{
	bpf_tail_call(ctx, &datagram_asides, program);
	return otherwise;
}

#endif
