/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Datagram mode: what XDP has let through for want of a binding is held for the agent,
 * which makes one and puts the packet before XDP again. docs/datagram.md.
 */
#ifndef PLAIT_BPF_HOLD_DATAGRAM_H
#define PLAIT_BPF_HOLD_DATAGRAM_H

#include "hold.h"

/* Held packets. BPF writes, the main thread reads. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, PLAIT_DATAGRAM_RING_BYTES);
} held_datagrams SEC(".maps");

/* One that is too long to be held is too long for any link: the kernel has it. */
static __always_inline int hold_datagram(struct __sk_buff *skb)
{
	__u32 zero = 0, bytes = skb->len;
	struct plait_held_syn *held = bpf_map_lookup_elem(&scratch, &zero);

	if (bytes > PLAIT_FRAME_MAX)
		return verdict(VERDICT_NEXT, PLAIT_DATAGRAM_TOO_BIG);
	if (!held || bytes < 1 || !copy_frame(skb, held, bytes) ||
	    bpf_ringbuf_output(&held_datagrams, held,
			       offsetof(struct plait_held_syn, frame) + bytes, 0))
		return verdict(VERDICT_DROP, PLAIT_DATAGRAM_HOLD_FAILED);
	return verdict(VERDICT_DROP, PLAIT_DATAGRAM_HELD);
}

#endif
