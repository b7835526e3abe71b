/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Datagrams for the agent are marked, so that the kernel delivers them here; if they come
 * in fragments, it puts them together first. Later fragments go where the first one went;
 * those that come before it are kept until it comes (plain-mode-08 §5.3.1, §5.3.2).
 */
#ifndef PLAIT_BPF_FRAGMENTS_H
#define PLAIT_BPF_FRAGMENTS_H

#include "count.h"
#include "parse.h"
#include "steer.h"

#define FRAGMENT_NS (30ULL * 1000 * 1000 * 1000) /* as long as the kernel waits for the rest */

enum {
	EARLY_MAX = 1024, /* the oldest go */
	EARLY_MAX_OF_ONE = 128, /* 64 KB in fragments of 512 */
};

/* What became of a datagram's first fragment, and so of the others. */
enum fragment_fate { FATE_UNKNOWN, FATE_STEERED, FATE_LEFT, FATE_DROPPED };

struct fragment_value {
	__u64 since_ns; /* when the first one came, or one before it */
	__u32 fate; /* enum fragment_fate */
	__u32 early; /* fragments that came before the first one */
};

/* BPF writes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct plait_fragment_key);
	__type(value, struct fragment_value);
} fragments SEC(".maps");

struct early_key {
	struct plait_fragment_key datagram;
	__u32 number; /* in the order they came */
};

struct early_fragment {
	__u32 bytes;
	__u8 packet[PLAIT_FRAME_MAX]; /* without Ethernet header */
};

/* BPF writes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, EARLY_MAX);
	__type(key, struct early_key);
	__type(value, struct early_fragment);
} early_fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct early_fragment);
} fragment_scratch SEC(".maps");

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

/* The packet is copied to the scratch; NULL if it is too long. */
static __always_inline struct early_fragment *copy_packet(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct early_fragment *copy = bpf_map_lookup_elem(&fragment_scratch, &zero);
	__u64 bytes = (__u64)skb->len - ETH_HLEN;

	barrier_var(bytes); /* so that the verifier sees which variable is checked */
	if (!copy || bytes < 1 || bytes > PLAIT_FRAME_MAX)
		return NULL;
	copy->bytes = bytes;
	return bpf_skb_load_bytes(skb, ETH_HLEN, copy->packet, bytes) ? NULL : copy;
}

/* The other way: the packet becomes what was copied. */
static __always_inline bool become(struct __sk_buff *skb, const struct early_fragment *copy)
{
	__u64 bytes = copy->bytes;

	barrier_var(bytes);
	if (bytes < 1 || bytes > PLAIT_FRAME_MAX)
		return false;
	return !bpf_skb_change_tail(skb, ETH_HLEN + bytes, 0) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN, copy->packet, bytes, BPF_F_RECOMPUTE_CSUM);
}

/* A later fragment whose first one has not come. */
static __always_inline int keep_early(struct __sk_buff *skb, const struct segment *segment)
{
	struct early_key key = {.datagram = fragment_key(segment)};
	struct fragment_value fresh = {.since_ns = bpf_ktime_get_ns(), .early = 1};
	struct fragment_value *known = bpf_map_lookup_elem(&fragments, &key.datagram);
	struct early_fragment *copy = copy_packet(skb);

	if (known && fresh.since_ns - known->since_ns < FRAGMENT_NS)
		key.number = known->early++;
	else
		bpf_map_update_elem(&fragments, &key.datagram, &fresh, BPF_ANY);
	if (!copy || key.number >= EARLY_MAX_OF_ONE ||
	    bpf_map_update_elem(&early_fragments, &key, copy, BPF_ANY))
		return verdict(VERDICT_DROP, PLAIT_FRAGMENT_DROPPED);
	return verdict(VERDICT_DROP, PLAIT_FRAGMENT_EARLY);
}

struct early_walk {
	struct __sk_buff *skb;
	struct early_key key;
};

/* It arrives once more, behind the first one. */
static long let_one_go(__u32 number, void *context)
{
	struct early_walk *walk = context;
	struct early_fragment *early;

	walk->key.number = number;
	early = bpf_map_lookup_elem(&early_fragments, &walk->key);
	if (!early)
		return 0;
	if (become(walk->skb, early) &&
	    !bpf_clone_redirect(walk->skb, walk->skb->ifindex, BPF_F_INGRESS))
		count_packet(PLAIT_FRAGMENT_LET_GO);
	bpf_map_delete_elem(&early_fragments, &walk->key);
	return 0;
}

static __always_inline bool let_early_go(struct __sk_buff *skb,
					 const struct plait_fragment_key *datagram, __u32 early)
{
	struct early_walk walk = {.skb = skb, .key = {.datagram = *datagram}};
	struct early_fragment *first = copy_packet(skb);

	if (!first)
		return true; /* and they are never let go */
	bpf_loop(early < EARLY_MAX_OF_ONE ? early : EARLY_MAX_OF_ONE, let_one_go, &walk, 0);
	return become(skb, first);
}

static __always_inline enum fragment_fate fate_by(int verdict_of_first)
{
	switch (verdict_of_first) {
	case VERDICT_PASS:
		return FATE_STEERED;
	case VERDICT_NEXT:
		return FATE_LEFT;
	default:
		return FATE_DROPPED;
	}
}

/*
 * The datagram's first fragment got this verdict; the others will get it too. Not inline, for
 * the verifier would follow it for each way that a policy can lead here.
 */
static __noinline int first_fragment(struct __sk_buff *skb, const struct segment *segment,
				     int verdict_of_first)
{
	struct plait_fragment_key key = fragment_key(segment);
	struct fragment_value *known = bpf_map_lookup_elem(&fragments, &key);
	struct fragment_value value = {.since_ns = bpf_ktime_get_ns()};
	__u32 early = 0;

	if (known && known->fate == FATE_UNKNOWN && value.since_ns - known->since_ns < FRAGMENT_NS)
		early = known->early;
	value.fate = fate_by(verdict_of_first);
	bpf_map_update_elem(&fragments, &key, &value, BPF_ANY);
	if (early && !let_early_go(skb, &key, early))
		return verdict(VERDICT_DROP, PLAIT_FRAGMENT_DROPPED);
	return verdict_of_first;
}

static __always_inline enum fragment_fate fate_of(const struct segment *segment)
{
	struct plait_fragment_key key = fragment_key(segment);
	struct fragment_value *known = bpf_map_lookup_elem(&fragments, &key);

	return known && bpf_ktime_get_ns() - known->since_ns < FRAGMENT_NS ? known->fate
									   : FATE_UNKNOWN;
}

/* may_be_ours: one that comes before its first fragment is kept, else left to the kernel. */
static __always_inline int later_fragment(struct __sk_buff *skb, const struct segment *segment,
					  bool may_be_ours)
{
	switch (fate_of(segment)) {
	case FATE_STEERED:
		return give_datagram(skb);
	case FATE_DROPPED:
		return verdict(VERDICT_DROP, PLAIT_FRAGMENT_DROPPED);
	case FATE_UNKNOWN:
		if (may_be_ours)
			return keep_early(skb, segment);
		break;
	case FATE_LEFT:
		break;
	}
	return verdict(VERDICT_NEXT, PLAIT_DIRECT_OTHER);
}

#endif
