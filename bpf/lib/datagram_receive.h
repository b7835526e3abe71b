/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* TCP-formatted packets that become UDP again. */
#ifndef PLAIT_BPF_DATAGRAM_RECEIVE_H
#define PLAIT_BPF_DATAGRAM_RECEIVE_H

#include "datagram_asides.h"
#include "datagram_filter.h"
#include "datagram_maps.h"
#include "datagram_order.h"
#include "datagram_packet.h"
#include "datagram_wire.h"
#include "forbidden.h"
#include "next_hop.h"

/* One packet on its way in. */
struct receiving {
	struct packet packet;
	struct plait_addr remote; /* the option's */
	struct plait_datagram_binding *binding;
	struct plait_path_traffic *traffic;
};

/* IN_ORDER: in a program of its own, which the other one comes to. */
enum sequence { AS_IT_COMES, IN_ORDER };

static __always_inline struct plait_datagram_binding *find_receiver(const struct packet *packet,
								    enum role role)
{
	struct plait_addr key = {};

	if (role == CONCENTRATOR)
		return bpf_map_lookup_elem(&datagram_receivers, &packet->source);
	set_port(&key, packet->destination.port, 0);
	return bpf_map_lookup_elem(&datagram_receivers, &key);
}

/* The concentrator's port counts; the other one is the binding's. */
static __always_inline bool is_of_path(const struct packet *packet, const struct plait_path *path,
				       enum role role)
{
	if (role == CPE ? packet->source.port != path->remote.port
			: packet->destination.port != path->local.port)
		return false;
	return is_same_ip(&packet->source, &path->remote) &&
	       is_same_ip(&packet->destination, &path->local);
}

/* By which of the CPE's links it came, to which of the concentrator's addresses, if any. */
static __always_inline bool find_path(struct receiving *in, enum role role)
{
	__u32 index = in->binding->set;
	const struct plait_path_set *set = bpf_map_lookup_elem(&datagram_sets, &index);

	if (!set)
		return false;
	for (__u32 i = 0; i < PLAIT_PATHS_MAX && i < set->count; i++) {
		const struct plait_path *path;

		index = set->first + i;
		path = bpf_map_lookup_elem(&datagram_paths, &index);
		if (path && is_of_path(&in->packet, path, role)) {
			in->traffic = bpf_map_lookup_elem(&datagram_traffic, &index);
			in->packet.has_turn = set->in_order;
			return in->traffic;
		}
	}
	return false;
}

static __always_inline const __u8 *datagram_address(const struct packet *packet, enum role role)
{
	struct plait_addr key = packet->destination;

	if (role == CPE)
		key.port = 0;
	return bpf_map_lookup_elem(&datagram_addresses, &key);
}

/* What is wrong with it, whosever it is; PLAIT_REASON_COUNT: nothing. */
static __always_inline enum plait_reason tcp_fault(const struct receiving *in,
						   enum option_found option)
{
	if (in->packet.has_extras)
		return PLAIT_DATAGRAM_IP_OPTIONS;
	if (in->packet.has_wrong_checksum)
		return PLAIT_DATAGRAM_IP_CHECKSUM;
	if (option != OPTION_GOOD)
		return PLAIT_DATAGRAM_OPTION;
	if (in->packet.l4_bytes < tcp_formatted_bytes(&in->remote))
		return PLAIT_DATAGRAM_MALFORMED;
	if (is_forbidden(&in->remote) || !in->remote.port)
		return PLAIT_DATAGRAM_FORBIDDEN;
	if (in->packet.ttl <= 1)
		return PLAIT_DATAGRAM_TTL;
	return PLAIT_REASON_COUNT;
}

/* Loss and order of a link, by its sequence numbers. Processors may meet here: an estimate. */
static __always_inline void measure(struct plait_path_traffic *traffic, __u32 sequence)
{
	__s32 ahead = sequence - traffic->highest;

	__sync_fetch_and_add(&traffic->received, 1);
	if (ahead >= PLAIT_SEQUENCE_WINDOW || ahead <= -PLAIT_SEQUENCE_WINDOW) {
		traffic->restarts++;
		traffic->highest = sequence;
	} else if (ahead > 0) {
		traffic->highest = sequence;
	} else {
		__sync_fetch_and_add(&traffic->late, 1);
	}
}

static __always_inline void account(struct receiving *in, __u32 ip_bytes, __u64 now_ns)
{
	__sync_fetch_and_add(&in->binding->packets, 1);
	__sync_fetch_and_add(&in->binding->bytes, ip_bytes);
	in->binding->last_seen_ns = now_ns;
	note_contact(in->binding, &in->remote, now_ns);
}

/* The payload's sum, from the TCP checksum. */
static __always_inline __u64 tcp_payload_sum(const struct packet *packet,
					     const struct tcp_formatted *tcp, __u32 header)
{
	__u64 sum = sum_pseudo_header(&packet->source, &packet->destination, IPPROTO_TCP,
				      packet->l4_bytes);

	sum += sum_words(tcp, TCP_V4_BYTES) - tcp->check;
	if (header == TCP_V6_BYTES)
		sum += sum_words((const void *)tcp + TCP_V4_BYTES, TCP_V6_BYTES - TCP_V4_BYTES);
	return (__u16)~sum_fold(sum) + (__u16)~tcp->check;
}

/* udp_bytes: of the whole datagram. */
static __always_inline void make_udp(const struct ip_header *header, __u32 udp_bytes,
				     __u64 payload_sum, struct udphdr *udp)
{
	__u64 sum = sum_pseudo_header(header->source, header->destination, IPPROTO_UDP, udp_bytes);

	udp->source = header->source->port;
	udp->dest = header->destination->port;
	udp->len = bpf_htons(udp_bytes);
	udp->check = ~sum_fold(sum + payload_sum + udp->source + udp->dest + udp->len);
	if (!udp->check) /* that would mean none: RFC 768 */
		udp->check = 0xffff;
}

static __always_inline bool put_udp_packet(struct xdp_md *ctx, const struct next_hop *hop,
					   const struct ip_header *header, const struct udphdr *udp)
{
	struct udphdr *at = put_headers(ctx, &hop->macs, header, sizeof(*udp));

	if (!at)
		return false;
	*at = *udp;
	return true;
}

/* The point of no return: from here on it is received, or lost (false). */
static __always_inline bool become_udp(struct xdp_md *ctx, struct receiving *in,
				       const struct ip_header *header, const struct next_hop *hop,
				       __u64 now_ns)
{
	__u32 tcp_bytes = tcp_formatted_bytes(&in->remote);
	__u32 ip_bytes = ip_header_bytes(header->source) + header->l4_bytes;
	struct tcp_formatted *tcp = l4_of(ctx, &in->packet);
	struct udphdr udp;
	__u64 sum;

	if (ends_before(ctx, (void *)tcp + TCP_V4_BYTES) ||
	    (tcp_bytes == TCP_V6_BYTES && ends_before(ctx, tcp + 1)))
		return false;
	sum = tcp_payload_sum(&in->packet, tcp, tcp_bytes);
	if (!in->packet.is_let_go)
		measure(in->traffic, bpf_ntohl(tcp->sequence));
	account(in, ip_bytes, now_ns);
	make_udp(header, header->l4_bytes, sum, &udp);
	return resize(ctx, &in->packet,
		      (int)ip_header_bytes(&in->packet.source) -
			      (int)ip_header_bytes(header->source) + (int)tcp_bytes -
			      (int)sizeof(udp)) &&
	       put_udp_packet(ctx, hop, header, &udp);
}

static __always_inline int receive_by(struct xdp_md *ctx, struct receiving *in,
				      const struct ip_header *header, const struct next_hop *hop,
				      __u64 now_ns)
{
	if (!become_udp(ctx, in, header, hop, now_ns))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	count_packet(PLAIT_DATAGRAM_RECEIVED);
	return bpf_redirect(hop->ifindex, 0);
}

/* False: its turn has not come, and the agent has it. */
static __always_inline bool takes_turn(struct xdp_md *ctx, struct receiving *in)
{
	const struct tcp_formatted *tcp = l4_of(ctx, &in->packet);
	__u32 sequence;

	in->packet.is_let_go = is_let_go(ctx);
	if (ends_before(ctx, (void *)tcp + TCP_V4_BYTES))
		return true;
	sequence = bpf_ntohl(tcp->sequence);
	if (is_its_turn(ctx, &in->binding->inner, bpf_ntohl(tcp->acknowledgement),
			in->packet.is_let_go))
		return true;
	if (!in->packet.is_let_go)
		measure(in->traffic, sequence);
	return false;
}

/* A TCP-formatted packet of a binding, not yet found good. */
static __always_inline int receive_of_binding(struct xdp_md *ctx, struct receiving *in,
					      enum role role, enum option_found option,
					      enum sequence sequence)
{
	enum plait_reason fault = tcp_fault(in, option);
	const struct plait_addr *inner = &in->binding->inner;
	struct ip_header header = {.old = &in->packet,
				   .source = role == CPE ? &in->remote : inner,
				   .destination = role == CPE ? inner : &in->remote,
				   .protocol = IPPROTO_UDP};
	const struct next_hop *hop;
	__u64 now_ns;

	if (fault != PLAIT_REASON_COUNT)
		return datagram_verdict(XDP_DROP, fault);
	if (in->remote.family != inner->family)
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_OPTION);
	if (sequence == AS_IT_COMES && in->packet.has_turn)
		return aside(ctx, ASIDE_IN_ORDER, XDP_PASS);
	if (sequence == IN_ORDER && !takes_turn(ctx, in))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_OUT_OF_TURN);
	header.l4_bytes =
		in->packet.l4_bytes - tcp_formatted_bytes(&in->remote) + sizeof(struct udphdr);
	now_ns = bpf_ktime_get_ns();
	hop = next_hop_find(ctx, &in->packet, header.source, header.destination, now_ns);
	if (!hop)
		return aside(ctx, ASIDE_NO_NEXT_HOP, XDP_PASS);
	if (ip_header_bytes(inner) + header.l4_bytes > hop->mtu)
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_TOO_BIG);
	return receive_by(ctx, in, &header, hop, now_ns);
}

/* A PM option with U, but of no binding that this one could be of. */
static __always_inline int receive_of_nobody(struct xdp_md *ctx, const struct receiving *in,
					     enum role role)
{
	if (!datagram_address(&in->packet, role))
		return XDP_PASS; /* for somebody else */
	return in->binding ? datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_SOURCE)
			   : datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_UNKNOWN);
}

#endif
