/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Holding a SYN: the agent gets a copy and decides, the stack sees nothing. */
#ifndef PLAIT_BPF_HOLD_H
#define PLAIT_BPF_HOLD_H

#include <stddef.h>

#include "count.h"
#include "parse.h"

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

/* in_time_wait: the SYN takes over addresses in TIME_WAIT, which the agent must end first. */
static __always_inline int hold(struct __sk_buff *skb, const struct segment *segment,
				bool in_time_wait)
{
	__u32 worker = worker_of(segment), zero = 0, bytes = skb->len;
	void *ring = bpf_map_lookup_elem(&held_syns, &worker);
	struct plait_held_syn *held = bpf_map_lookup_elem(&scratch, &zero);

	if (!ring || !held || bytes < 1 || bytes > PLAIT_FRAME_MAX)
		return verdict(VERDICT_DROP, PLAIT_SYN_HOLD_FAILED);
	held->ifindex = skb->ifindex;
	held->in_time_wait = in_time_wait;
	held->frame_bytes = bytes;
	if (bpf_skb_load_bytes(skb, 0, held->frame, bytes))
		return verdict(VERDICT_DROP, PLAIT_SYN_HOLD_FAILED);
	if (bpf_ringbuf_output(ring, held, offsetof(struct plait_held_syn, frame) + bytes, 0))
		return verdict(VERDICT_DROP, PLAIT_SYN_HOLD_FAILED);
	return verdict(VERDICT_DROP, PLAIT_SYN_HELD);
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
