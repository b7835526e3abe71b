// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * CPE: new connections of the LAN's hosts are held for the agent, segments of
 * known ones go to its sockets, everything else is forwarded by the kernel. On links
 * legs' SYNs go twice, and those that concentrators send to a binding are held.
 */
#include "lib/count.h"
#include "lib/udp.h"
#include "lib/datagram_senders.h"
#include "lib/dscp.h"
#include "lib/fragments.h"
#include "lib/hold.h"
#include "lib/hold_datagram.h"
#include "lib/icmp.h"
#include "lib/parse.h"
#include "lib/policy.h"
#include "lib/session.h"
#include "lib/stateless.h"
#include "lib/steer.h"
#include "lib/twin.h"

/* The concentrators' addresses (port 0), and whose each is. Agent writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct plait_addr);
	__type(value, __u8);
} concentrators SEC(".maps");

/*
 * Datagram mode: XDP has seen it already. If it has a binding, XDP could not send it, and
 * has counted why: it goes direct, as fragments do.
 */
static __always_inline int bond_datagram(struct __sk_buff *skb, const struct segment *segment)
{
	if (segment->is_first_fragment || bpf_map_lookup_elem(&datagram_senders, &segment->source))
		return VERDICT_NEXT;
	return hold_datagram(skb);
}

static __always_inline int bond(struct __sk_buff *skb, const struct segment *segment)
{
	if (segment->protocol == IPPROTO_TCP)
		return hold_plain(skb, segment);
	return settings.udp == PLAIT_UDP_DATAGRAM ? bond_datagram(skb, segment)
						  : give_datagram(skb);
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
		return bond(skb, segment);
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

/* Or the first fragment of one. */
static __always_inline int datagram_with_ports(struct __sk_buff *skb, const struct segment *segment)
{
	struct plait_session_value *session;

	if (settings.udp == PLAIT_UDP_LEFT)
		return verdict(VERDICT_NEXT, PLAIT_DIRECT_OTHER);
	session = session_find(segment, UP);
	if (!session)
		return new_connection(skb, segment);
	session_account(session, skb, UP, segment->flags);
	return give_datagram(skb);
}

static __always_inline int datagram_from_lan(struct __sk_buff *skb, const struct segment *segment)
{
	int done = datagram_with_ports(skb, segment);

	return segment->is_first_fragment && settings.udp ? first_fragment(skb, segment, done)
							  : done;
}

static __always_inline int later_from_lan(struct __sk_buff *skb, const struct segment *segment)
{
	if (settings.udp == PLAIT_UDP_LEFT)
		return verdict(VERDICT_NEXT, PLAIT_DIRECT_OTHER);
	return later_fragment(skb, segment,
			      !is_for_this_machine(&segment->destination) &&
				      !is_towards_lan(skb, segment));
}

/*
 * From a LAN, to what is not this machine's: such a datagram is delivered here only if
 * lan_ingress has marked it.
 */
SEC("sk_lookup")
int udp_socket(struct bpf_sk_lookup *lookup)
{
	__u32 ifindex = lookup->ingress_ifindex;
	struct segment segment = {};

	if (lookup->protocol != IPPROTO_UDP || !bpf_map_lookup_elem(&lan_interfaces, &ifindex) ||
	    !read_lookup(lookup, &segment) || is_for_this_machine(&segment.destination))
		return SK_PASS;
	return give_worker_s(lookup, &segment, session_find(&segment, UP));
}

/* The kernel learns the path MTU, and what the agent sends leaves in fragments. */
static __always_inline int other_from_lan(struct __sk_buff *skb)
{
	struct segment datagram;

	if (is_error_for_us(skb, ETH_HLEN) ||
	    (datagram_was_too_long(skb, ETH_HLEN, &datagram) && session_find(&datagram, UP)))
		return steer_error(skb);
	return verdict(VERDICT_NEXT, PLAIT_DIRECT_OTHER);
}

SEC("tc")
int lan_ingress(struct __sk_buff *skb)
{
	struct plait_session_value *session;
	struct segment segment;

	if (skb->mark == mark_of(PLAIT_MARK_LET_GO))
		return steer_let_go(skb, mark_of(PLAIT_MARK_STEER));
	switch (parse_packet(skb, ETH_HLEN, &segment)) {
	case PARSED_OTHER:
		return other_from_lan(skb);
	case PARSED_MALFORMED:
		if (segment.protocol == IPPROTO_UDP && settings.udp == PLAIT_UDP_LEFT)
			return verdict(VERDICT_NEXT, PLAIT_DIRECT_OTHER);
		return verdict(VERDICT_DROP, PLAIT_DROP_MALFORMED);
	case PARSED_UDP:
		return datagram_from_lan(skb, &segment);
	case PARSED_LATER_FRAGMENT:
		return later_from_lan(skb, &segment);
	case PARSED_TCP:
		break;
	}
	note_answer(&segment);
	session = session_find(&segment, UP);
	if (!session)
		return no_session(skb, &segment);
	session_account(session, skb, UP, segment.flags);
	if (is_syn(&segment))
		return hold_plain(skb, &segment);
	if (steer_to_connection(skb, &segment) == STEER_DONE)
		return verdict(VERDICT_PASS, PLAIT_STEERED);
	return verdict(VERDICT_DROP, PLAIT_STEER_FAILED);
}

SEC("tc")
int lan_egress(struct __sk_buff *skb)
{
	struct plait_session_value *session;
	struct segment segment;

	if (parse_packet(skb, ETH_HLEN, &segment) > PARSED_UDP)
		return VERDICT_NEXT;
	session = session_find(&segment, DOWN);
	if (session)
		session_account(session, skb, DOWN, segment.flags);
	return VERDICT_NEXT;
}

static __always_inline int leg_egress(struct __sk_buff *skb, __u32 l2_bytes)
{
	struct segment segment;

	return leg_leaves(skb, l2_bytes, &segment) == LEG_CAPABLE ? capable_leaves(skb, &segment)
								  : VERDICT_NEXT;
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

/* From the internet, by way of a concentrator: plain-mode-08 §4.4.2 (2). */
static __always_inline bool has_binding(const struct segment *segment)
{
	struct plait_binding_key tcp = {.external.port = segment->destination.port,
					.protocol = IPPROTO_TCP};
	struct plait_binding_key udp = {.external.port = segment->destination.port,
					.protocol = IPPROTO_UDP};

	return is_local_address(&segment->destination) &&
	       (bpf_map_lookup_elem(&bindings, &tcp) || bpf_map_lookup_elem(&bindings, &udp));
}

static __always_inline bool is_from_concentrator(const struct segment *segment)
{
	struct plait_addr source = segment->source;

	source.port = 0;
	return bpf_map_lookup_elem(&concentrators, &source);
}

/*
 * The kernel takes an MP_JOIN at a listener of the connection's own port only. The
 * connection may be of another family.
 */
static __always_inline int steer_join(struct __sk_buff *skb, const struct segment *segment)
{
	bool v4 = segment->destination.family == AF_INET;
	struct plait_addr nobody = {.family = segment->destination.family};
	struct plait_addr at = v4 ? settings.join_v4 : settings.join_v6;

	at.port = segment->destination.port;
	return steer_to_socket(skb, lookup_tuple(skb, &nobody, &at), 0, PLAIT_JOIN_STEERED);
}

static __always_inline int incoming_leg(struct __sk_buff *skb, const struct segment *segment)
{
	if (!is_from_concentrator(segment))
		return verdict(VERDICT_NEXT, PLAIT_SOURCE_NOT_ALLOWED);
	switch (read_options(skb, segment).mptcp) {
	case MPTCP_JOIN:
		if (segment->payload_bytes)
			return verdict(VERDICT_DROP, PLAIT_JOIN_WITH_PAYLOAD);
		return steer_join(skb, segment);
	case MPTCP_NONE:
		return hold(skb, segment, PLAIT_SIDE_LEG, false); /* the agent refuses it */
	default:
		return hold_leg(skb, segment);
	}
}

SEC("tc")
int leg_ingress_ether(struct __sk_buff *skb)
{
	struct segment segment;

	if (skb->mark == mark_of(PLAIT_MARK_LET_GO))
		return steer_let_go(skb, 0);
	if (parse_packet(skb, ETH_HLEN, &segment) != PARSED_TCP)
		return VERDICT_NEXT;
	note_answer(&segment);
	if (is_syn(&segment) && has_binding(&segment))
		return incoming_leg(skb, &segment);
	return VERDICT_NEXT;
}

/* A frame that is held has an Ethernet header to come back with: no bindings here. */
SEC("tc")
int leg_ingress_raw(struct __sk_buff *skb)
{
	struct segment segment;

	if (parse_packet(skb, 0, &segment) == PARSED_TCP)
		note_answer(&segment);
	return VERDICT_NEXT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
