/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Segments of connections that are gone get a RST, so that whoever still has half of
 * one lets go of it (plain-mode-08 §4.3.3). The kernel writes it: what belongs to no
 * connection and comes to a transparent listener is answered from the address it was
 * sent to, with its own ACK for a sequence number (RFC 9293 §3.10.7.2), if its checksum
 * is right. Without a listener the kernel would not answer from an IPv4 address that
 * is in no table "local".
 */
#ifndef PLAIT_BPF_STATELESS_H
#define PLAIT_BPF_STATELESS_H

#include "count.h"
#include "session.h"
#include "steer.h"

/*
 * Sessions that ended here without both ends having agreed: a reset, an expiry, an
 * earlier run of the agent. The agent adds; BPF takes away what begins anew. When it is
 * full, those not asked for longest go.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct plait_session_key);
	__type(value, struct plait_lapsed_value);
} lapsed_sessions SEC(".maps");

enum {
	RESETS_PER_S = 100, /* of an instance, and as many at once */
	RESET_INTERVAL_NS = 1000000000 / RESETS_PER_S,
	RESET_BURST_NS = RESET_INTERVAL_NS * (RESETS_PER_S - 1),
	ARRIVED_FOR_US = 0, /* PACKET_HOST of linux/if_packet.h */
};

struct reset_budget {
	struct bpf_spin_lock lock;
	__u32 pad;
	__u64 paid_until_ns; /* each RST costs an interval; a burst may be owed */
};

/* BPF writes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct reset_budget);
} reset_budget SEC(".maps");

static __always_inline bool take_from_budget(void)
{
	__u32 zero = 0;
	struct reset_budget *budget = bpf_map_lookup_elem(&reset_budget, &zero);
	__u64 now = bpf_ktime_get_ns();
	bool enough;

	if (!budget)
		return false;
	bpf_spin_lock(&budget->lock);
	if (budget->paid_until_ns < now)
		budget->paid_until_ns = now;
	enough = budget->paid_until_ns - now <= RESET_BURST_NS;
	if (enough)
		budget->paid_until_ns += RESET_INTERVAL_NS;
	bpf_spin_unlock(&budget->lock);
	return enough;
}

static __always_inline bool has_lapsed(const struct segment *segment, enum direction direction)
{
	struct plait_session_key key = session_key(segment, direction);
	struct plait_lapsed_value *lapsed = bpf_map_lookup_elem(&lapsed_sessions, &key);

	return lapsed && lapsed->until_ns > bpf_ktime_get_ns();
}

/* A SYN: its sender knows nothing of an earlier connection any more. */
static __always_inline void forget_lapsed(const struct segment *segment, enum direction direction)
{
	struct plait_session_key key = session_key(segment, direction);

	bpf_map_delete_elem(&lapsed_sessions, &key);
}

/* Every segment after a SYN has an ACK; one without is nobody's. */
static __always_inline bool may_be_answered(struct __sk_buff *skb, const struct segment *segment)
{
	return (segment->flags & (TCP_RST | TCP_ACK)) == TCP_ACK &&
	       skb->pkt_type == ARRIVED_FOR_US && !is_for_this_machine(&segment->source);
}

/* No SYN, and no connection: here ends its way. */
static __always_inline int answer_stateless(struct __sk_buff *skb, const struct segment *segment)
{
	if (!may_be_answered(skb, segment))
		return verdict(VERDICT_DROP, PLAIT_STATELESS_DROPPED);
	if (!take_from_budget())
		return verdict(VERDICT_DROP, PLAIT_STATELESS_LIMITED);
	return steer_to_listener(skb, 0, mark_of(PLAIT_MARK_STEER), PLAIT_STATELESS_RESET);
}

#endif
