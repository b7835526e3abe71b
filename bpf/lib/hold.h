/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Holding a SYN: the agent gets a copy and decides, the stack sees nothing. */
#ifndef PLAIT_BPF_HOLD_H
#define PLAIT_BPF_HOLD_H

#include <stddef.h>

#include "count.h"
#include "maps.h"
#include "parse.h"
#include "steer.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct plait_held_syn);
} scratch SEC(".maps");

/* Copies of one SYN always go to the same worker. */
static __always_inline __u32 worker_of(const struct segment *segment)
{
	__u32 hash = segment->source.port ^ ((__u32)segment->destination.port << 16);
	const __u32 *source = (const __u32 *)segment->source.ip;
	const __u32 *destination = (const __u32 *)segment->destination.ip;

	for (int i = 0; i < 4; i++)
		hash = (hash ^ source[i] ^ (destination[i] << 7)) * 0x9e3779b1;
	hash ^= hash >> 15;
	return settings.workers ? hash % settings.workers : 0;
}

static __always_inline bool copy_frame(struct __sk_buff *skb, struct plait_held_syn *held,
				       __u32 bytes)
{
	held->ifindex = skb->ifindex;
	held->frame_bytes = bytes;
	return !bpf_skb_load_bytes(skb, 0, held->frame, bytes);
}

/*
 * side: which of a session's connections the SYN begins. in_time_wait: it takes over addresses in TIME_WAIT, which
 * the agent must end first.
 */
static __always_inline int hold(struct __sk_buff *skb, const struct segment *segment,
				enum plait_side side, bool in_time_wait)
{
	__u32 worker = worker_of(segment), zero = 0, bytes = skb->len;
	void *ring = bpf_map_lookup_elem(&held_syns, &worker);
	struct plait_held_syn *held = bpf_map_lookup_elem(&scratch, &zero);

	if (!ring || !held || bytes < 1 || bytes > PLAIT_FRAME_MAX)
		return verdict(VERDICT_DROP, PLAIT_SYN_HOLD_FAILED);
	held->in_time_wait = in_time_wait;
	held->side = side;
	if (!copy_frame(skb, held, bytes) ||
	    bpf_ringbuf_output(ring, held, offsetof(struct plait_held_syn, frame) + bytes, 0))
		return verdict(VERDICT_DROP, PLAIT_SYN_HOLD_FAILED);
	return verdict(VERDICT_DROP, PLAIT_SYN_HELD);
}

/*
 * A plain connection begins. Addresses in use get their own socket's answer: SYN+ACK to a
 * copy, else a challenge.
 */
static __always_inline int hold_plain(struct __sk_buff *skb, const struct segment *segment)
{
	switch (syn_meets(skb, segment)) {
	case MET_NOTHING:
		return hold(skb, segment, PLAIT_SIDE_PLAIN, false);
	case MET_TIME_WAIT:
		return hold(skb, segment, PLAIT_SIDE_PLAIN, true);
	default:
		break;
	}
	if (steer_to_connection(skb, segment) == STEER_DONE)
		return verdict(VERDICT_PASS, PLAIT_SYN_MET_CONNECTION);
	return verdict(VERDICT_DROP, PLAIT_STEER_FAILED);
}

/* A leg begins: its own socket here answers a copy; what it met instead is the kernel's. */
static __always_inline int hold_leg(struct __sk_buff *skb, const struct segment *segment)
{
	switch (syn_meets(skb, segment)) {
	case MET_NOTHING:
		return hold(skb, segment, PLAIT_SIDE_LEG, false);
	case MET_TIME_WAIT:
		return hold(skb, segment, PLAIT_SIDE_LEG, true);
	case MET_ITSELF:
		return verdict(VERDICT_DROP, PLAIT_SYN_DUPLICATE);
	default:
		return verdict(VERDICT_NEXT, PLAIT_SYN_MET_CONNECTION);
	}
}

/*
 * TAP device's ingress, both roles: the frame goes on as if it had just arrived
 * where it once did, so filters and reverse-path checks see the true interface.
 */
SEC("tc")
int let_go(struct __sk_buff *skb)
{
	struct plait_let_go tag;

	if (bpf_skb_load_bytes(skb, ETH_ALEN, &tag, sizeof(tag)))
		return verdict(VERDICT_DROP, PLAIT_DROP_MALFORMED);
	skb->mark = settings.mark_base + PLAIT_MARK_LET_GO;
	return bpf_redirect(bpf_ntohl(tag.ifindex), BPF_F_INGRESS);
}

#endif
