/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Fragments of TCP-formatted packets. Those whose first has UDP's length as window are a
 * datagram's that came in fragments, and leave as such; others were cut on their way.
 */
#ifndef PLAIT_BPF_DATAGRAM_FRAGMENT_RECEIVE_H
#define PLAIT_BPF_DATAGRAM_FRAGMENT_RECEIVE_H

#include "datagram_fragment_send.h"
#include "datagram_receive.h"
#include "datagram_whole.h"

/* Addressed to where TCP-formatted packets come to, at whatever port. */
static __always_inline bool is_fragment_ours(const struct packet *packet)
{
	return bpf_map_lookup_elem(&datagram_addresses, &packet->destination);
}

/* Of so many octets behind the IP header; PLAIT_REASON_COUNT: hop is its way. */
static __always_inline enum plait_reason find_way(struct xdp_md *ctx, const struct packet *packet,
						  const struct noting *noting, __u32 l4_bytes,
						  const struct next_hop **hop)
{
	const struct next_hop *found = next_hop_find(ctx, packet, &noting->fate.source,
						     &noting->fate.destination, noting->now_ns);

	if (!found)
		return PLAIT_DATAGRAM_NO_NEXT_HOP;
	*hop = found;
	return sizeof(struct iphdr) + l4_bytes > found->mtu ? PLAIT_DATAGRAM_TOO_BIG
							    : PLAIT_REASON_COUNT;
}

/* UDP's header, if it is the first one's. */
static __always_inline int put_fragment(struct xdp_md *ctx, const struct packet *packet,
					const struct noting *noting, const struct next_hop *hop,
					const struct udphdr *udp)
{
	const struct piece piece = piece_of(noting);
	const struct ip_header header = {.old = packet,
					 .source = &noting->fate.source,
					 .destination = &noting->fate.destination,
					 .piece = &piece,
					 .l4_bytes = noting->bytes,
					 .protocol = IPPROTO_UDP};
	int shorter = (int)packet->l4_offset - ETH_HLEN - (int)sizeof(struct iphdr) +
		      (udp ? TCP_GROWS : 0);
	struct udphdr *at;

	if (!resize(ctx, packet, shorter))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	at = put_headers(ctx, &hop->macs, &header, udp ? sizeof(*udp) : 0);
	if (!at)
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	if (udp)
		*at = *udp;
	count_packet(udp ? PLAIT_DATAGRAM_RECEIVED : PLAIT_DATAGRAM_FRAGMENT_RECEIVED);
	return bpf_redirect(hop->ifindex, 0);
}

/* Where packets are put in order: this one is where it belongs. */
static __always_inline void take_number(struct xdp_md *ctx, const struct receiving *in)
{
	const struct tcp_formatted *tcp = l4_of(ctx, &in->packet);

	if (in->packet.has_turn && !ends_before(ctx, (void *)tcp + TCP_V4_BYTES))
		pass_by(in->binding, bpf_ntohl(tcp->acknowledgement));
}

/* Of a datagram that came in fragments, what the first says of it. udp_bytes: of the whole. */
static __always_inline enum plait_reason decide_apart(struct receiving *in, struct noting *noting,
						      enum role role, __u32 udp_bytes)
{
	const struct plait_addr *inner = &in->binding->inner;

	if (in->remote.family != AF_INET)
		return PLAIT_DATAGRAM_OPTION;
	noting->bytes = in->packet.l4_bytes - TCP_GROWS;
	if (udp_bytes <= noting->bytes)
		return PLAIT_DATAGRAM_MALFORMED;
	noting->fate.source = role == CPE ? in->remote : *inner;
	noting->fate.destination = role == CPE ? *inner : in->remote;
	noting->fate.id = bpf_get_prandom_u32() & 0xffff;
	noting->fate.action = FATE_RECEIVE;
	return PLAIT_REASON_COUNT;
}

/*
 * What becomes of a datagram whose first fragment this is. UDP's length, if it came in
 * fragments, is the window; 0: it was cut, or is not taken.
 */
static __always_inline enum plait_reason decide_receiving(struct xdp_md *ctx, struct receiving *in,
							  struct noting *noting, enum role role,
							  __u32 *udp_bytes)
{
	const struct tcp_formatted *tcp = l4_of(ctx, &in->packet);
	enum option_found option;
	enum plait_reason fault;
	__u32 window;

	noting->fate.action = FATE_DROP;
	if (!take_ports(ctx, &in->packet) || in->packet.l4_bytes < TCP_V4_BYTES ||
	    ends_before(ctx, (void *)tcp + TCP_V4_BYTES))
		return PLAIT_DATAGRAM_FRAGMENT_TINY;
	window = bpf_ntohs(tcp->window);
	option = find_option(ctx, &in->packet, role == CPE ? CONCENTRATOR : CPE, &in->remote);
	if (option == OPTION_NONE || option == OPTION_NOT_UDP)
		return leave(noting, PLAIT_DATAGRAM_FRAGMENT);
	in->binding = find_receiver(&in->packet, role);
	if (!in->binding && role == CPE)
		return PLAIT_DATAGRAM_UNKNOWN;
	if (!in->binding || !find_path(in, role))
		return role == CPE ? PLAIT_DATAGRAM_SOURCE : PLAIT_DATAGRAM_NEW;
	fault = tcp_fault(in, option);
	if (fault != PLAIT_REASON_COUNT)
		return fault;
	if (in->remote.family != in->binding->inner.family)
		return PLAIT_DATAGRAM_OPTION;
	if (window != DATAGRAM_TCP_WINDOW) {
		*udp_bytes = window;
		take_number(ctx, in);
		return decide_apart(in, noting, role, window);
	}
	if (!fragmentation_is_on())
		return leave(noting, PLAIT_DATAGRAM_FRAGMENT);
	noting->fate.action = FATE_WHOLE;
	return PLAIT_REASON_COUNT;
}

/* The first, of a datagram that came in fragments: UDP's header is that of the whole. */
static __always_inline int receive_apart(struct xdp_md *ctx, struct receiving *in,
					 const struct noting *noting, const struct next_hop *hop,
					 __u32 udp_bytes)
{
	const struct tcp_formatted *tcp = l4_of(ctx, &in->packet);
	const struct ip_header ends = {.source = &noting->fate.source,
				       .destination = &noting->fate.destination};
	struct udphdr udp;

	if (ends_before(ctx, (void *)tcp + TCP_V4_BYTES))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	in->packet.l4_bytes = udp_bytes + TCP_GROWS; /* what its checksum is of */
	make_udp(&ends, udp_bytes, tcp_payload_sum(&in->packet, tcp, TCP_V4_BYTES), &udp);
	measure(in->traffic, bpf_ntohl(tcp->sequence));
	account(in, sizeof(struct iphdr) + udp_bytes, noting->now_ns);
	return put_fragment(ctx, &in->packet, noting, hop, &udp);
}

static __always_inline int receive_first(struct xdp_md *ctx, struct receiving *in,
					 struct noting *noting, enum role role)
{
	const struct next_hop *hop = NULL;
	__u32 udp_bytes = 0;
	enum plait_reason reason = decide_receiving(ctx, in, noting, role, &udp_bytes);
	enum noted noted;
	bool passes;

	if (reason == PLAIT_DATAGRAM_NEW) /* the agent's, and so are those behind it */
		return datagram_verdict(XDP_PASS, reason);
	if (reason == PLAIT_REASON_COUNT && udp_bytes) {
		reason = find_way(ctx, &in->packet, noting, noting->bytes, &hop);
		if (reason != PLAIT_REASON_COUNT)
			leave(noting, reason);
	}
	passes = noting->fate.action == FATE_PASS;
	noted = note(noting);
	let_early_go(ctx, noting);
	if (reason != PLAIT_REASON_COUNT)
		return datagram_verdict(passes ? XDP_PASS : XDP_DROP, reason);
	if (!has_fate(noting, noted))
		return without_fate(ctx, noting, noted);
	return hop ? receive_apart(ctx, in, noting, hop, udp_bytes)
		   : add_to_whole(ctx, &in->packet, noting);
}

static __always_inline int receive_later(struct xdp_md *ctx, struct packet *packet,
					 struct noting *noting)
{
	const struct next_hop *hop = NULL;
	enum noted noted = note(noting);
	enum plait_reason reason;

	if (!has_fate(noting, noted))
		return without_fate(ctx, noting, noted);
	if (packet->has_extras)
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_IP_OPTIONS);
	if (packet->ttl <= 1)
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_TTL);
	if (noting->fate.action == FATE_WHOLE)
		return add_to_whole(ctx, packet, noting);
	reason = find_way(ctx, packet, noting, noting->bytes, &hop);
	if (reason != PLAIT_REASON_COUNT || !hop)
		return datagram_verdict(XDP_PASS, reason);
	return put_fragment(ctx, packet, noting, hop, NULL);
}

/* A fragment of TCP to an address of ours that look_at_fragment() found good. */
static __always_inline int receive_fragment(struct xdp_md *ctx, struct receiving *in,
					    struct noting *noting, enum role role)
{
	if (in->packet.has_wrong_checksum)
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_IP_CHECKSUM);
	noting->now_ns = bpf_ktime_get_ns();
	noting->bytes = in->packet.l4_bytes;
	noting->share = share_of(&in->packet.source);
	return noting->piece.offset ? receive_later(ctx, &in->packet, noting)
				    : receive_first(ctx, in, noting, role);
}

#endif
