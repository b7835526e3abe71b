/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * An MPTCP connection whose first SYN or SYN+ACK is lost falls back to plain
 * TCP: the retransmitted SYN has neither its payload nor, later, its option
 * (docs/kernel.md). So the first packets of a leg are sent twice; the receiver
 * drops the second. Only sockets with plait's own mark are touched.
 */
#ifndef PLAIT_BPF_TWIN_H
#define PLAIT_BPF_TWIN_H

#include "count.h"
#include "dscp.h"
#include "parse.h"

static __always_inline int send_twice(struct __sk_buff *skb)
{
	skb->mark = settings.mark_base + PLAIT_MARK_TWIN;
	if (bpf_clone_redirect(skb, skb->ifindex, 0))
		return VERDICT_NEXT;
	return verdict(VERDICT_NEXT, PLAIT_SYN_SENT_TWICE);
}

static __always_inline bool is_of_leg(struct __sk_buff *skb)
{
	return skb->mark == settings.mark_base + PLAIT_MARK_LEG;
}

enum leg_segment {
	LEG_CAPABLE, /* its first SYN or SYN+ACK */
	LEG_JOIN, /* the SYN of a further subflow; the kernel retransmits it whole */
	LEG_OTHER, /* or of no leg */
};

/* What leaves, with the DSCP of its socket. The segment is filled in unless it is LEG_OTHER. */
static __always_inline enum leg_segment leg_leaves(struct __sk_buff *skb, __u32 l2_bytes,
						   struct segment *segment)
{
	if (!is_of_leg(skb))
		return LEG_OTHER;
	mark_as_socket(skb, l2_bytes);
	if (parse_packet(skb, l2_bytes, segment) != PARSED_TCP || !(segment->flags & TCP_SYN))
		return LEG_OTHER;
	if (read_options(skb, segment).mptcp != MPTCP_JOIN)
		return LEG_CAPABLE;
	return is_syn(segment) ? LEG_JOIN : LEG_OTHER;
}

static __always_inline int capable_leaves(struct __sk_buff *skb, const struct segment *segment)
{
	/* a SYN without its payload is a retransmission; the agent starts afresh instead */
	if (is_syn(segment) && !segment->payload_bytes)
		return verdict(VERDICT_DROP, PLAIT_SYN_BARE_DROPPED);
	return send_twice(skb);
}

#endif
