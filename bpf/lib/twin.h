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

static __always_inline int leg_egress(struct __sk_buff *skb, __u32 l2_bytes)
{
	struct segment segment;

	if (skb->mark != settings.mark_base + PLAIT_MARK_LEG)
		return VERDICT_NEXT;
	mark_as_socket(skb, l2_bytes);
	if (parse_tcp(skb, l2_bytes, &segment) != PARSED_TCP || !(segment.flags & TCP_SYN))
		return VERDICT_NEXT;
	if (read_options(skb, &segment).mptcp == MPTCP_JOIN)
		return VERDICT_NEXT; /* the kernel retransmits these whole */
	/* a SYN without its payload is a retransmission; the agent starts afresh instead */
	if (is_syn(&segment) && !segment.payload_bytes)
		return verdict(VERDICT_DROP, PLAIT_SYN_BARE_DROPPED);
	return send_twice(skb);
}

#endif
