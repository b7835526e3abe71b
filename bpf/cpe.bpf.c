// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * CPE: new connections of the LAN's hosts are held for the agent, segments of
 * known ones go to its sockets, everything else is forwarded by the kernel.
 */
#include "lib/count.h"
#include "lib/dscp.h"
#include "lib/hold.h"
#include "lib/icmp.h"
#include "lib/parse.h"
#include "lib/policy.h"
#include "lib/session.h"
#include "lib/stateless.h"
#include "lib/steer.h"
#include "lib/twin.h"

/* Addresses in use get their own socket's answer: SYN+ACK to a copy, else a challenge. */
static __always_inline int bonded_syn(struct __sk_buff *skb, const struct segment *segment)
{
	switch (syn_meets(skb, segment)) {
	case MET_NOTHING:
		return hold(skb, segment, false);
	case MET_TIME_WAIT:
		return hold(skb, segment, true);
	default:
		break;
	}
	if (steer_to_connection(skb, segment) == STEER_DONE)
		return verdict(VERDICT_PASS, PLAIT_SYN_MET_CONNECTION);
	return verdict(VERDICT_DROP, PLAIT_STEER_FAILED);
}

static __always_inline int new_connection(struct __sk_buff *skb, const struct segment *segment)
{
	if (is_for_this_machine(&segment->destination))
		return verdict(VERDICT_NEXT, PLAIT_DIRECT_LOCAL);
	if (is_towards_lan(skb, segment))
		return verdict(VERDICT_NEXT, PLAIT_DIRECT_LAN);
	switch (policy_decide(segment)) {
	case PLAIT_DIRECT:
		return verdict(VERDICT_NEXT, PLAIT_DIRECT_POLICY);
	case PLAIT_DROP:
		return verdict(VERDICT_DROP, PLAIT_DROP_POLICY);
	default:
		return bonded_syn(skb, segment);
	}
}

/*
 * No session: a last segment of one that has ended, or none of plait's. What was bonded
 * and is no more must not go on as if it had always been direct.
 */
static __always_inline int no_session(struct __sk_buff *skb, const struct segment *segment)
{
	if (is_syn(segment)) {
		forget_lapsed(segment, UP);
		return new_connection(skb, segment);
	}
	if (steer_to_connection(skb, segment) == STEER_DONE)
		return verdict(VERDICT_PASS, PLAIT_STEERED_CLOSING);
	if (has_lapsed(segment, UP))
		return answer_stateless(skb, segment);
	return verdict(VERDICT_NEXT, PLAIT_DIRECT_STATELESS);
}

SEC("tc")
int lan_ingress(struct __sk_buff *skb)
{
	struct plait_session_value *session;
	struct segment segment;

	if (skb->mark == mark_of(PLAIT_MARK_LET_GO))
		return steer_let_go(skb, mark_of(PLAIT_MARK_STEER));
	switch (parse_tcp(skb, ETH_HLEN, &segment)) {
	case PARSED_OTHER:
		if (is_error_for_us(skb, ETH_HLEN))
			return steer_error(skb);
		return verdict(VERDICT_NEXT, PLAIT_DIRECT_OTHER);
	case PARSED_MALFORMED:
		return verdict(VERDICT_DROP, PLAIT_DROP_MALFORMED);
	case PARSED_TCP:
		break;
	}
	session = session_find(&segment, UP);
	if (!session)
		return no_session(skb, &segment);
	session_account(session, skb, UP, segment.flags);
	if (is_syn(&segment))
		return bonded_syn(skb, &segment);
	if (steer_to_connection(skb, &segment) == STEER_DONE)
		return verdict(VERDICT_PASS, PLAIT_STEERED);
	return verdict(VERDICT_DROP, PLAIT_STEER_FAILED);
}

SEC("tc")
int lan_egress(struct __sk_buff *skb)
{
	struct plait_session_value *session;
	struct segment segment;

	if (parse_tcp(skb, ETH_HLEN, &segment) != PARSED_TCP)
		return VERDICT_NEXT;
	session = session_find(&segment, DOWN);
	if (session)
		session_account(session, skb, DOWN, segment.flags);
	return VERDICT_NEXT;
}

SEC("tc")
int leg_egress_ether(struct __sk_buff *skb)
{
	return leg_egress(skb, ETH_HLEN);
}

/* For links without a link-layer header: PPP, raw-IP modems, tunnels. */
SEC("tc")
int leg_egress_raw(struct __sk_buff *skb)
{
	return leg_egress(skb, 0);
}

static __always_inline int leg_ingress(struct __sk_buff *skb, __u32 l2_bytes)
{
	struct segment segment;

	if (parse_tcp(skb, l2_bytes, &segment) == PARSED_TCP)
		note_answer(&segment);
	return VERDICT_NEXT;
}

SEC("tc")
int leg_ingress_ether(struct __sk_buff *skb)
{
	return leg_ingress(skb, ETH_HLEN);
}

SEC("tc")
int leg_ingress_raw(struct __sk_buff *skb)
{
	return leg_ingress(skb, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
