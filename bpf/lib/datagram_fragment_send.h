/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * UDP that leaves in fragments: what arrives so is sent on as it is, each by itself
 * (plain-mode-08 §5.3.1, §5.3.2); what became too long is cut. IPv4 only.
 */
#ifndef PLAIT_BPF_DATAGRAM_FRAGMENT_SEND_H
#define PLAIT_BPF_DATAGRAM_FRAGMENT_SEND_H

#include "datagram_cut.h"
#include "datagram_fragment_cache.h"
#include "datagram_long.h"

enum { TCP_GROWS = TCP_V4_BYTES - sizeof(struct udphdr) };

/* What is to be written; for the stack it is too big. */
struct departure {
	struct next_hop hop;
	struct tcp_formatted tcp; /* in the first */
};

/* The one at hand. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct departure);
} datagram_departure SEC(".maps");

/* One fragment of UDP on its way out, or what is to be cut into two. */
struct sending_piece {
	struct sending out;
	struct departure *as;
};

static __always_inline bool prepare(struct sending_piece *it)
{
	__u32 zero = 0;

	it->as = bpf_map_lookup_elem(&datagram_departure, &zero);
	if (!it->as)
		return false;
	__builtin_memset(it->as, 0, sizeof(*it->as));
	return true;
}

static __always_inline bool fits(const struct sending_piece *it, const struct ip_header *header)
{
	return all_ip_bytes(header) + header->l4_bytes <= it->out.path->mtu;
}

/* Not kept with the rest: the verifier would have to believe that piece is still there. */
static __always_inline struct ip_header header_of(const struct sending_piece *it,
						  const struct piece *piece, __u32 l4_bytes)
{
	return (struct ip_header){.old = &it->out.packet,
				  .source = &it->out.path->local,
				  .destination = &it->out.path->remote,
				  .piece = piece,
				  .l4_bytes = l4_bytes,
				  .protocol = IPPROTO_TCP};
}

/* The point of no return. first: with the TCP header; grown: see order_cut(). */
static __always_inline int send_piece(struct xdp_md *ctx, struct sending_piece *it,
				      const struct ip_header *header, bool first, __u32 grown,
				      enum plait_reason reason)
{
	const struct packet *packet = &it->out.packet;
	int grows = (int)all_ip_bytes(header) - (int)ip_header_bytes(&packet->source) +
		    (first ? TCP_GROWS : 0);
	struct v4 {
		__u32 words[TCP_V4_BYTES / 4];
	} * at;

	if (!resize(ctx, packet, -grows))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	at = put_headers(ctx, &it->as->hop.macs, header, first ? sizeof(*at) : 0);
	if (!at)
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	if (first)
		*at = *(const struct v4 *)&it->as->tcp;
	if (!fits(it, header))
		return order_cut(ctx, header, it->as->hop.ifindex, it->out.path->mtu, grown);
	count_packet(reason);
	return bpf_redirect(it->as->hop.ifindex, 0);
}

/*
 * A device that was to make the checksum would do so in the fragments, for TC cannot take
 * its order back: what looks like that goes direct, one in 65,536 for no reason.
 */
static __always_inline bool is_left_to_device(struct xdp_md *ctx, const struct packet *packet)
{
	const struct udphdr *udp = l4_of(ctx, packet);

	return ends_before(ctx, udp + 1) ||
	       udp->check == sum_fold(sum_pseudo_header(&packet->source, &packet->destination,
							IPPROTO_UDP, packet->l4_bytes));
}

/* A whole one, good, that is too long and may be fragmented. */
static __always_inline int send_cut(struct xdp_md *ctx, struct sending_piece *it, enum role role)
{
	struct piece piece = {};
	const struct ip_header header = header_of(it, &piece, it->out.packet.l4_bytes + TCP_GROWS);

	if (!may_be_cut(&header, it->out.path->mtu) || is_left_to_device(ctx, &it->out.packet))
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_TOO_BIG);
	if (!next_hop_of(ctx, &it->out.packet, it->out.path, &it->as->hop))
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_NO_NEXT_HOP);
	if (!take_payload_sum(ctx, &it->out))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	make_tcp(&it->out, role, DATAGRAM_TCP_WINDOW, &it->as->tcp, bpf_ktime_get_ns());
	piece.id = bpf_ntohl(it->as->tcp.sequence);
	return send_piece(ctx, it, &header, true, 0, it->out.reason);
}

/* The whole of a program for what is longer than its path takes. */
static __always_inline int send_long(struct xdp_md *ctx, enum role role)
{
	struct sending_piece it;
	struct packet *packet = &it.out.packet;
	enum looked_at looked;

	if (!prepare(&it))
		return XDP_PASS;
	looked = look_at(ctx, IPPROTO_UDP, packet);
	if (looked != LOOKED_GOOD)
		return not_good(looked);
	it.out.binding = bpf_map_lookup_elem(&datagram_senders, inner_of(packet, role));
	if (!it.out.binding || !choose_path(&it.out, role))
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_NO_PATH);
	if (packet->family == AF_INET && !packet->dont_fragment)
		return send_cut(ctx, &it, role);
	return send_too_long(ctx, &it.out, role);
}

/* The first of a datagram that the kernel has, by that reason. */
static __always_inline enum plait_reason leave(struct noting *noting, enum plait_reason reason)
{
	noting->fate.action = FATE_PASS;
	return reason;
}

/* So many octets behind the IP header, as one fragment or as two. */
static __always_inline bool may_leave(const struct sending_piece *it, __u32 l4_bytes)
{
	const struct piece piece = {};
	const struct ip_header header = header_of(it, &piece, l4_bytes);

	return fits(it, &header) || may_be_cut(&header, it->out.path->mtu);
}

/* What is wrong with the first of a datagram of ours; PLAIT_REASON_COUNT: nothing. */
static __always_inline enum plait_reason first_fault(const struct packet *packet,
						     const struct udphdr *udp)
{
	if (packet->has_extras)
		return PLAIT_DATAGRAM_IP_OPTIONS;
	if (bpf_ntohs(udp->len) <= packet->l4_bytes)
		return PLAIT_DATAGRAM_MALFORMED;
	if (!packet->source.port || !packet->destination.port || is_forbidden(&packet->source))
		return PLAIT_DATAGRAM_FORBIDDEN;
	return PLAIT_REASON_COUNT;
}

/*
 * What becomes of a datagram whose first fragment this is: fate and, if it is not sent, for
 * which reason. Without a checksum it cannot be made TCP-formatted unless it is whole
 * (RFC 7915 §4.5).
 */
static __always_inline enum plait_reason
decide_sending(struct xdp_md *ctx, struct sending_piece *it, struct noting *noting, enum role role)
{
	struct packet *packet = &it->out.packet;
	const struct udphdr *udp = l4_of(ctx, packet);
	enum plait_reason fault;
	__u32 bytes = packet->l4_bytes;

	noting->fate.action = FATE_DROP;
	if (!take_ports(ctx, packet) || ends_before(ctx, udp + 1))
		return PLAIT_DATAGRAM_FRAGMENT_TINY;
	it->out.binding = bpf_map_lookup_elem(&datagram_senders, inner_of(packet, role));
	if (!it->out.binding)
		return leave(noting, role == CPE ? PLAIT_DATAGRAM_NEW : PLAIT_DATAGRAM_FRAGMENT);
	fault = first_fault(packet, udp);
	if (fault != PLAIT_REASON_COUNT)
		return fault;
	if (!is_let_in(it->out.binding, remote_of(packet, role)))
		return PLAIT_DATAGRAM_FILTERED;
	if (packet->ttl <= 1)
		return role == CPE ? leave(noting, PLAIT_DATAGRAM_TTL_LEFT) : PLAIT_DATAGRAM_TTL;
	packet->l4_bytes = bpf_ntohs(udp->len);
	if (!take_payload_sum_of(udp, &it->out))
		return leave(noting, PLAIT_DATAGRAM_FRAGMENT);
	if (!choose_path_index(&it->out, role, &noting->fate.path))
		return leave(noting, PLAIT_DATAGRAM_NO_PATH);
	if (!next_hop_of(ctx, packet, it->out.path, &it->as->hop))
		return leave(noting, PLAIT_DATAGRAM_NO_NEXT_HOP);
	if (!may_leave(it, bytes + TCP_GROWS))
		return leave(noting, PLAIT_DATAGRAM_TOO_BIG);
	make_tcp(&it->out, role, packet->l4_bytes, &it->as->tcp, noting->now_ns);
	packet->l4_bytes = bytes;
	noting->fate.id = bpf_ntohl(it->as->tcp.sequence);
	noting->fate.action = FATE_SEND;
	return PLAIT_REASON_COUNT;
}

static __always_inline struct piece piece_of(const struct noting *noting)
{
	return (struct piece){
		.id = noting->fate.id, .offset = noting->piece.offset, .more = noting->piece.more};
}

/* The first: its TCP header has UDP's length as window, as nothing else does before the last. */
static __always_inline int send_first(struct xdp_md *ctx, struct sending_piece *it,
				      struct noting *noting, enum role role)
{
	enum plait_reason reason = decide_sending(ctx, it, noting, role);
	bool passes = noting->fate.action == FATE_PASS;
	enum noted noted = note(noting);

	let_early_go(ctx, noting);
	if (reason == PLAIT_REASON_COUNT && has_fate(noting, noted)) {
		struct piece piece = piece_of(noting);
		struct ip_header header =
			header_of(it, &piece, it->out.packet.l4_bytes + TCP_GROWS);

		return send_piece(ctx, it, &header, true, TCP_GROWS, PLAIT_DATAGRAM_SENT);
	}
	if (reason == PLAIT_REASON_COUNT)
		return without_fate(ctx, noting, noted);
	return datagram_verdict(passes ? XDP_PASS : XDP_DROP, reason);
}

/* Any other: as it came, from and to the ends of the path that the first took. */
static __always_inline int send_later(struct xdp_md *ctx, struct sending_piece *it,
				      struct noting *noting)
{
	enum noted noted = note(noting);
	struct piece piece = piece_of(noting);
	struct ip_header header;

	if (!has_fate(noting, noted))
		return without_fate(ctx, noting, noted);
	if (it->out.packet.has_extras)
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_IP_OPTIONS);
	if (it->out.packet.ttl <= 1)
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_TTL);
	it->out.path = bpf_map_lookup_elem(&datagram_paths, &noting->fate.path);
	if (!it->out.path || !next_hop_of(ctx, &it->out.packet, it->out.path, &it->as->hop))
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_NO_NEXT_HOP);
	header = header_of(it, &piece, it->out.packet.l4_bytes);
	if (!may_leave(it, header.l4_bytes))
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_TOO_BIG);
	return send_piece(ctx, it, &header, false, 0, PLAIT_DATAGRAM_FRAGMENT_SENT);
}

/* A fragment of UDP from a host or the internet that look_at_fragment() found good. */
static __always_inline int send_fragment(struct xdp_md *ctx, struct sending_piece *it,
					 struct noting *noting, enum role role)
{
	noting->now_ns = bpf_ktime_get_ns();
	noting->bytes = it->out.packet.l4_bytes;
	noting->share = share_of(inner_of(&it->out.packet, role));
	if (it->out.packet.family != AF_INET)
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_FRAGMENT);
	if (it->out.packet.has_wrong_checksum) /* whosever: it says nothing about a datagram */
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_IP_CHECKSUM);
	return noting->piece.offset ? send_later(ctx, it, noting)
				    : send_first(ctx, it, noting, role);
}

#endif
