// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Concentrator: on customer-facing interfaces SYNs to its addresses are held
 * for the agent, which lets them go once the destination has answered; on
 * internet-facing ones sessions are accounted, and steered where plait uses an
 * address that is not its own.
 */
#include "lib/allowed.h"
#include "lib/count.h"
#include "lib/udp.h"
#include "lib/dscp.h"
#include "lib/fragments.h"
#include "lib/hold.h"
#include "lib/hold_datagram.h"
#include "lib/icmp.h"
#include "lib/parse.h"
#include "lib/prefixes.h"
#include "lib/session.h"
#include "lib/stateless.h"
#include "lib/steer.h"
#include "lib/told.h"
#include "lib/twin.h"

/* (address, port) the concentrator serves. Agent writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct plait_addr);
	__type(value, __u8);
} customer_addresses SEC(".maps");

/* Customer-facing interfaces, by index. Agent writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PLAIT_MAX_INTERFACES);
	__type(key, __u32);
	__type(value, __u8);
} customer_interfaces SEC(".maps");

/* Whether new connections are not taken: 0 or 1. Agent writes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} draining SEC(".maps");

/* Addresses that are lent: internet.pools. Agent writes. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PLAIT_MAX_PREFIXES);
	__type(key, struct plait_prefix_key);
	__type(value, __u8);
} pool_prefixes SEC(".maps");

static __always_inline bool is_for_customers(const struct segment *segment)
{
	return is_syn(segment) && bpf_map_lookup_elem(&customer_addresses, &segment->destination);
}

static __always_inline bool is_draining(void)
{
	__u32 zero = 0, *on = bpf_map_lookup_elem(&draining, &zero);

	return on && *on;
}

static __always_inline int capable_syn(struct __sk_buff *skb, const struct segment *segment)
{
	/* CPEs ask by such a SYN whether to come here */
	if (!segment->payload_bytes && is_draining())
		return verdict(VERDICT_DROP, PLAIT_DRAINING);
	if (!segment->payload_bytes)
		return verdict(VERDICT_NEXT, PLAIT_SYN_WITHOUT_PAYLOAD);
	if (!settings.hold)
		return VERDICT_NEXT;
	return hold_leg(skb, segment);
}

/* A PM option with U, where datagram mode has it (plain-mode-03, "UDP Traffic"). */
static __always_inline bool is_tcp_formatted(struct __sk_buff *skb, const struct segment *segment)
{
	__u8 option[3];

	return segment->header_bytes >= sizeof(struct tcphdr) + PLAIT_PM_LEN_V4_PORT &&
	       !(segment->flags & (TCP_SYN | TCP_RST | TCP_FIN)) &&
	       !bpf_skb_load_bytes(skb, segment->l4_offset + sizeof(struct tcphdr), option,
				   sizeof(option)) &&
	       option[0] == PLAIT_TCPOPT_MPTCP && option[2] >> 4 == PLAIT_MPTCP_PM &&
	       option[2] & PLAIT_PM_U;
}

/* Of a subscriber without a binding, or that XDP knew no next hop for; or nobody's. */
static __always_inline int tcp_formatted(struct __sk_buff *skb, const struct segment *segment)
{
	if (!is_within(&allowed, &segment->source))
		return verdict(VERDICT_DROP, PLAIT_DATAGRAM_SOURCE);
	return hold_datagram(skb);
}

SEC("tc")
int customer_ingress(struct __sk_buff *skb)
{
	struct segment segment;

	if (skb->mark == mark_of(PLAIT_MARK_LET_GO))
		return steer_let_go(skb, 0);
	if (is_turned(skb))
		return steer_error(skb);
	if (parse_packet(skb, ETH_HLEN, &segment) != PARSED_TCP) {
		if (settings.udp == PLAIT_UDP_DATAGRAM)
			note_told(skb);
		return VERDICT_NEXT;
	}
	if (settings.udp == PLAIT_UDP_DATAGRAM && is_tcp_formatted(skb, &segment) &&
	    bpf_map_lookup_elem(&customer_addresses, &segment.destination))
		return tcp_formatted(skb, &segment);
	note_answer(&segment);
	if (!is_for_customers(&segment))
		return VERDICT_NEXT;
	if (!is_within(&allowed, &segment.source)) /* strangers are not answered */
		return verdict(VERDICT_DROP, PLAIT_SOURCE_NOT_ALLOWED);
	switch (read_options(skb, &segment).mptcp) {
	case MPTCP_JOIN:
		if (segment.payload_bytes)
			return verdict(VERDICT_DROP, PLAIT_JOIN_WITH_PAYLOAD);
		return VERDICT_NEXT;
	case MPTCP_NONE:
		return hold(skb, &segment, PLAIT_SIDE_LEG,
			    false); /* the agent refuses it with a RST */
	case MPTCP_CAPABLE:
		break;
	}
	return capable_syn(skb, &segment);
}

/*
 * Nobody here has this connection. To an address that is lent, nobody else can have it,
 * and no SYN is answered (RFC 5382 REQ-4); an address that a host has kept (plain-mode-08
 * §6) has connections of its own as well.
 */
static __always_inline int nobody_s(struct __sk_buff *skb, const struct segment *segment)
{
	if (is_within(&pool_prefixes, &segment->destination))
		return is_syn(segment) ? verdict(VERDICT_DROP, PLAIT_SYN_UNSOLICITED)
				       : answer_stateless(skb, segment);
	if (is_syn(segment))
		forget_lapsed(segment, DOWN);
	else if (has_lapsed(segment, DOWN))
		return answer_stateless(skb, segment);
	return VERDICT_NEXT;
}

/* From a pool, or a preserved source: ours if it has a socket here. */
static __always_inline int to_foreign_address(struct __sk_buff *skb, const struct segment *segment,
					      const struct plait_session_value *session)
{
	if (steer_to_connection(skb, segment) == STEER_DONE)
		return verdict(VERDICT_PASS, session ? PLAIT_STEERED : PLAIT_STEERED_CLOSING);
	if (session)
		return verdict(VERDICT_DROP, PLAIT_STEER_FAILED);
	return nobody_s(skb, segment);
}

/* A configured binding lets it in: plain-mode-08 §4.4.2 (1). */
static __always_inline bool is_let_in(const struct segment *segment)
{
	struct plait_binding_key key = {.external = segment->destination,
					.protocol = segment->protocol};
	struct plait_binding_value *binding = bpf_map_lookup_elem(&bindings, &key);

	return binding && binding->flags & PLAIT_BINDING_CONFIGURED &&
	       !is_for_this_machine(&segment->source);
}

/* From which UDP flows are sent, and which no interface has: pools', preserved ones. BPF writes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct plait_addr); /* port 0 */
	__type(value, __u8);
} flow_addresses SEC(".maps");

static __always_inline void note_flow_address(const struct segment *segment)
{
	struct plait_addr address = segment->source;
	__u8 yes = 1;

	address.port = 0;
	if (segment->protocol == IPPROTO_UDP && !bpf_map_lookup_elem(&flow_addresses, &address) &&
	    !is_local_address(&address))
		bpf_map_update_elem(&flow_addresses, &address, &yes, BPF_ANY);
}

static __always_inline bool has_datagrams(const struct plait_addr *address)
{
	return bpf_map_lookup_elem(&flow_addresses, address);
}

/* Without pools, datagram mode has ports of this machine's addresses. */
static __always_inline bool is_of_datagram_mode(const struct segment *segment)
{
	__u16 port = bpf_ntohs(segment->destination.port);

	return settings.udp == PLAIT_UDP_DATAGRAM && port >= settings.datagram_port_first &&
	       port <= settings.datagram_port_last;
}

/* Or the first fragment of one. Nobody is told that nobody waits for it (plain-mode-08 §5.1.1). */
static __always_inline int datagram_with_ports(struct __sk_buff *skb, const struct segment *segment)
{
	struct plait_session_value *session = session_find(segment, DOWN);
	struct bpf_sock *sk;

	if (session)
		session_account(session, skb, DOWN, segment->flags);
	if (is_local_address(&segment->destination))
		return is_of_datagram_mode(segment) ? verdict(VERDICT_DROP, PLAIT_UDP_UNSOLICITED)
						    : VERDICT_NEXT;
	sk = lookup_datagram(skb, segment);
	if (sk)
		bpf_sk_release(sk);
	if (sk || session || is_let_in(segment))
		return give_datagram(skb);
	if (is_within(&pool_prefixes, &segment->destination))
		return verdict(VERDICT_DROP, PLAIT_UDP_UNSOLICITED);
	return VERDICT_NEXT;
}

static __always_inline int datagram_from_internet(struct __sk_buff *skb,
						  const struct segment *segment)
{
	int done = datagram_with_ports(skb, segment);

	return segment->is_first_fragment ? first_fragment(skb, segment, done) : done;
}

/* One interface may be both. */
static __always_inline bool on_customer_side(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;

	return bpf_map_lookup_elem(&customer_interfaces, &ifindex);
}

/* A flow from inside has a socket of its own, connected, which the kernel finds before this. */
SEC("sk_lookup")
int udp_socket(struct bpf_sk_lookup *lookup)
{
	struct plait_session_value *session;
	struct segment segment = {};

	if (lookup->protocol != IPPROTO_UDP || !read_lookup(lookup, &segment))
		return SK_PASS;
	session = session_find(&segment, DOWN);
	return session || is_let_in(&segment) ? give_worker_s(lookup, &segment, session) : SK_PASS;
}

/* The kernel learns the path MTU, and what the agent sends leaves in fragments. */
static __always_inline int other_from_internet(struct __sk_buff *skb)
{
	struct segment datagram;

	if (is_error_for_us(skb, ETH_HLEN) ||
	    (datagram_was_too_long(skb, ETH_HLEN, &datagram) && session_find(&datagram, DOWN)))
		return steer_error(skb);
	return VERDICT_NEXT;
}

SEC("tc")
int internet_ingress(struct __sk_buff *skb)
{
	struct plait_session_value *session;
	struct segment segment;

	if (skb->mark == mark_of(PLAIT_MARK_LET_GO))
		return steer_let_go(skb, mark_of(PLAIT_MARK_STEER));
	if (is_turned(skb))
		return steer_error(skb);
	switch (parse_packet(skb, ETH_HLEN, &segment)) {
	case PARSED_TCP:
		break;
	case PARSED_UDP:
		return datagram_from_internet(skb, &segment);
	case PARSED_LATER_FRAGMENT:
		return later_fragment(skb, &segment, has_datagrams(&segment.destination));
	case PARSED_MALFORMED:
		return has_datagrams(&segment.destination)
			       ? verdict(VERDICT_DROP, PLAIT_DROP_MALFORMED)
			       : VERDICT_NEXT;
	case PARSED_OTHER:
		return other_from_internet(skb);
	}
	if (is_for_customers(&segment) && !on_customer_side(skb))
		return verdict(VERDICT_DROP, PLAIT_SOURCE_NOT_ALLOWED);
	note_answer(&segment);
	session = session_find(&segment, DOWN);
	if (session)
		session_account(session, skb, DOWN, segment.flags);
	if (is_syn(&segment) && is_let_in(&segment)) {
		forget_lapsed(&segment, DOWN);
		return hold_plain(skb, &segment);
	}
	if (is_local_address(&segment.destination))
		return VERDICT_NEXT; /* the kernel knows what to do */
	return to_foreign_address(skb, &segment, session);
}

/*
 * The kernel opens a subflow to whatever address a CPE announces (ADD_ADDR, RFC 8684
 * §3.4.1). It may announce such as may connect, on customer-facing interfaces.
 */
static __always_inline int join_leaves(const struct segment *segment)
{
	if (is_within(&allowed, &segment->destination))
		return VERDICT_NEXT;
	return verdict(VERDICT_DROP, PLAIT_JOIN_NOT_ALLOWED);
}

SEC("tc")
int internet_egress(struct __sk_buff *skb)
{
	struct plait_session_value *session;
	struct segment segment;

	if (parse_packet(skb, ETH_HLEN, &segment) > PARSED_UDP)
		return is_error_for_us(skb, ETH_HLEN) ? turn_error_round(skb) : VERDICT_NEXT;
	if (is_of_leg(skb) && !on_customer_side(skb) && is_syn(&segment) &&
	    read_options(skb, &segment).mptcp == MPTCP_JOIN)
		return verdict(VERDICT_DROP, PLAIT_JOIN_NOT_ALLOWED);
	session = session_find(&segment, UP);
	if (session) {
		session_account(session, skb, UP, segment.flags);
		note_flow_address(&segment);
	} else if (is_syn(&segment)) {
		forget_lapsed(&segment, UP);
	}
	return VERDICT_NEXT;
}

SEC("tc")
int customer_egress(struct __sk_buff *skb)
{
	struct segment segment;

	if (!is_of_leg(skb))
		return is_error_for_us(skb, ETH_HLEN) ? turn_error_round(skb) : VERDICT_NEXT;
	switch (leg_leaves(skb, ETH_HLEN, &segment)) {
	case LEG_CAPABLE:
		return capable_leaves(skb, &segment);
	case LEG_JOIN:
		return join_leaves(&segment);
	case LEG_OTHER:
		break;
	}
	return VERDICT_NEXT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
