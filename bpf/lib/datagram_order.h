/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * TCP-formatted packets of a binding go on in the order of their acknowledgement numbers.
 * One that comes too early is given to the agent, and so is what comes while the agent has
 * any; the last of these to go on leaves the binding as if there had been none.
 */
#ifndef PLAIT_BPF_DATAGRAM_ORDER_H
#define PLAIT_BPF_DATAGRAM_ORDER_H

#include "datagram_maps.h"
#include "datagram_packet.h"

/* See include/plait_datagram.h; as many as bindings. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct plait_addr);
	__type(value, struct plait_datagram_order);
} datagram_order SEC(".maps");

/* BPF writes; a page if nothing is put in order. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, PLAIT_REORDERED_RING_BYTES);
} datagram_reordered SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct plait_reordered);
} datagram_reordered_scratch SEC(".maps");

enum turn { TURN_NOW, TURN_OVER, TURN_LATER };

/* let_go: the agent has found that it is its turn. */
static __always_inline enum turn turn_of(struct plait_datagram_order *order, __u32 number,
					 bool let_go)
{
	enum turn turn = TURN_LATER;
	__s32 ahead;

	bpf_spin_lock(&order->lock);
	ahead = number - order->next;
	if (ahead >= PLAIT_SEQUENCE_WINDOW || ahead <= -PLAIT_SEQUENCE_WINDOW) {
		order->next = order->kept_to = number + 1; /* its sender began anew */
		turn = TURN_NOW;
	} else if (ahead < 0) {
		turn = TURN_OVER;
	} else if (let_go) {
		order->next = number + 1;
		turn = TURN_NOW;
	} else if (!ahead && (__s32)(order->kept_to - order->next) <= 0) {
		order->next = order->kept_to = number + 1;
		turn = TURN_NOW;
	}
	bpf_spin_unlock(&order->lock);
	return turn;
}

static __always_inline void note_kept(struct plait_datagram_order *order, __u32 number)
{
	bpf_spin_lock(&order->lock);
	if ((__s32)(number + 1 - order->kept_to) > 0)
		order->kept_to = number + 1;
	bpf_spin_unlock(&order->lock);
}

/* Of a packet of so many octets; NULL for the verifier only. */
static __always_inline struct plait_reordered *record_of(const struct plait_addr *inner,
							 __u32 number, __u32 frame_bytes)
{
	__u32 zero = 0;
	struct plait_reordered *record = bpf_map_lookup_elem(&datagram_reordered_scratch, &zero);

	if (!record)
		return NULL;
	record->inner = *inner;
	record->number = number;
	record->frame_bytes = frame_bytes;
	return record;
}

static __always_inline bool give_to_agent(struct xdp_md *ctx, const struct plait_addr *inner,
					  __u32 number, __u64 bytes)
{
	struct plait_reordered *record = record_of(inner, number, bytes);

	if (!record || bytes > PLAIT_EARLY_FRAME_MAX)
		return false;
	barrier_var(bytes); /* two questions about one register: 6.12's verifier sees no further */
	if (!bytes)
		return false;
	if (bpf_xdp_load_bytes(ctx, 0, record->frame, bytes))
		return false;
	return !bpf_ringbuf_output(&datagram_reordered, record,
				   offsetof(struct plait_reordered, frame) + bytes, 0);
}

/* Put before the program by the agent, as its turn has come. */
static __always_inline bool is_let_go(struct xdp_md *ctx)
{
	const struct plait_datagram_settings *settings = datagram_settings_now();
	const struct ethhdr *ether = packet_at(ctx, 0);

	return settings && ctx->ingress_ifindex == settings->tap_ifindex &&
	       !ends_before(ctx, ether + 1) && *(const __u32 *)ether->h_source == PLAIT_IN_TURN;
}

/* Whether the packet goes on now; else the agent has it. */
static __always_inline bool is_its_turn(struct xdp_md *ctx, const struct plait_addr *inner,
					__u32 number, bool let_go)
{
	struct plait_datagram_order *order = bpf_map_lookup_elem(&datagram_order, inner);
	enum turn turn = order ? turn_of(order, number, let_go) : TURN_NOW;

	if (turn == TURN_OVER && !let_go)
		count_packet(PLAIT_DATAGRAM_LATE);
	if (turn != TURN_LATER)
		return true;
	if (!give_to_agent(ctx, inner, number, bpf_xdp_get_buff_len(ctx))) {
		count_packet(PLAIT_DATAGRAM_UNORDERED);
		return true;
	}
	note_kept(order, number);
	return false;
}

/* It goes on whosever turn it is, and nobody waits for it. A function: its caller's stack is full. */
static __noinline void pass_by(const struct plait_datagram_binding *binding, __u32 number)
{
	struct plait_datagram_order *order = bpf_map_lookup_elem(&datagram_order, &binding->inner);
	struct plait_reordered *record;

	if (!order || turn_of(order, number, false) != TURN_LATER)
		return;
	record = record_of(&binding->inner, number, 0);
	if (record && !bpf_ringbuf_output(&datagram_reordered, record,
					  offsetof(struct plait_reordered, frame), 0))
		note_kept(order, number);
}

#endif
