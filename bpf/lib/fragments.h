/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Datagrams for the agent are marked, so that the kernel delivers them here; if they come
 * in fragments, it puts them together first (plain-mode-08 §5.3.2).
 */
#ifndef PLAIT_BPF_FRAGMENTS_H
#define PLAIT_BPF_FRAGMENTS_H

#include "count.h"
#include "parse.h"
#include "steer.h"

#define FRAGMENT_NS (30ULL * 1000 * 1000 * 1000) /* as long as the kernel waits for the rest */

/* When the first one of a datagram came that is bonded. BPF writes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct plait_fragment_key);
	__type(value, __u64);
} fragments SEC(".maps");

static __always_inline struct plait_fragment_key fragment_key(const struct segment *segment)
{
	struct plait_fragment_key key = {.source = segment->source,
					 .destination = segment->destination,
					 .id = segment->fragment_id};

	key.source.port = key.destination.port = 0;
	return key;
}

static __always_inline int give_datagram(struct __sk_buff *skb)
{
	skb->mark = mark_of(PLAIT_MARK_STEER);
	return verdict(VERDICT_PASS, PLAIT_UDP_STEERED);
}

static __always_inline int steer_datagram(struct __sk_buff *skb, const struct segment *segment)
{
	if (segment->is_first_fragment) {
		struct plait_fragment_key key = fragment_key(segment);
		__u64 now = bpf_ktime_get_ns();

		bpf_map_update_elem(&fragments, &key, &now, BPF_ANY);
	}
	return give_datagram(skb);
}

/* Where its first one went. */
static __always_inline bool first_was_steered(const struct segment *segment)
{
	struct plait_fragment_key key = fragment_key(segment);
	__u64 *first = bpf_map_lookup_elem(&fragments, &key);

	return first && bpf_ktime_get_ns() - *first < FRAGMENT_NS;
}

#endif
