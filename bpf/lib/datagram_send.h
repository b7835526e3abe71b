/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* UDP that becomes TCP-formatted: hosts' on a CPE, the internet's on a concentrator. */
#ifndef PLAIT_BPF_DATAGRAM_SEND_H
#define PLAIT_BPF_DATAGRAM_SEND_H

#include "datagram_asides.h"
#include "datagram_filter.h"
#include "datagram_maps.h"
#include "datagram_packet.h"
#include "datagram_wire.h"
#include "forbidden.h"
#include "next_hop.h"

/* One packet on its way out. */
struct sending {
	struct packet packet;
	struct plait_datagram_binding *binding;
	const struct plait_path *path;
	struct plait_path_traffic *traffic;
	__u64 payload_sum;
	enum plait_reason reason; /* what it counts as */
};

static __always_inline const struct plait_addr *inner_of(const struct packet *packet,
							 enum role role)
{
	return role == CPE ? &packet->source : &packet->destination;
}

static __always_inline const struct plait_addr *remote_of(const struct packet *packet,
							  enum role role)
{
	return role == CPE ? &packet->destination : &packet->source;
}

/* What is wrong with one of ours, whole; PLAIT_REASON_COUNT: nothing. */
static __always_inline enum plait_reason udp_fault(struct xdp_md *ctx, const struct packet *packet)
{
	struct udphdr *udp = l4_of(ctx, packet);

	if (packet->has_extras)
		return PLAIT_DATAGRAM_IP_OPTIONS;
	if (packet->has_wrong_checksum)
		return PLAIT_DATAGRAM_IP_CHECKSUM;
	if (ends_before(ctx, udp + 1) || bpf_ntohs(udp->len) != packet->l4_bytes)
		return PLAIT_DATAGRAM_MALFORMED;
	if (!udp->check && packet->source.family == AF_INET6)
		return PLAIT_DATAGRAM_NO_CHECKSUM;
	return PLAIT_REASON_COUNT;
}

static __always_inline __u32 flow_hash(const struct packet *packet, enum role role)
{
	const struct plait_addr *inner = inner_of(packet, role), *remote = remote_of(packet, role);

	/* the inner address is the CPE's own business, and another one at the far end */
	return mix(hash_ip(remote) ^ (__u32)remote->port << 16 ^ inner->port);
}

/* path: its index; false: no link works. */
static __always_inline bool choose_path_index(struct sending *out, enum role role, __u32 *path)
{
	const struct plait_path_set *set;
	__u32 index = out->binding->set, slot;

	set = bpf_map_lookup_elem(&datagram_sets, &index);
	if (!set)
		return false;
	slot = set->per_packet ? out->binding->packets : flow_hash(&out->packet, role);
	slot = set->slot[slot % PLAIT_PATH_SLOTS];
	if (slot >= set->count)
		return false;
	*path = index = set->first + slot;
	out->path = bpf_map_lookup_elem(&datagram_paths, &index);
	out->traffic = bpf_map_lookup_elem(&datagram_traffic, &index);
	return out->path && out->traffic;
}

static __always_inline bool choose_path(struct sending *out, enum role role)
{
	__u32 path;

	return choose_path_index(out, role, &path);
}

static __always_inline __u32 out_bytes(const struct sending *out, enum role role)
{
	return ip_header_bytes(&out->path->local) +
	       tcp_formatted_bytes(remote_of(&out->packet, role)) + out->packet.l4_bytes -
	       sizeof(struct udphdr);
}

/* From the UDP checksum, if there is one. */
static __always_inline bool take_payload_sum_of(const struct udphdr *udp, struct sending *out)
{
	const struct packet *packet = &out->packet;
	__u64 headers = sum_pseudo_header(&packet->source, &packet->destination, IPPROTO_UDP,
					  packet->l4_bytes);

	if (!udp->check || udp->check == sum_fold(headers))
		return false;
	headers += udp->source + udp->dest + udp->len;
	out->payload_sum = (__u16)~sum_fold(headers) + (__u16)~udp->check;
	return true;
}

/*
 * The payload's sum, from the UDP checksum. That is not one if it is 0 (RFC 768), or the
 * pseudo header's sum alone: a neighbour on this machine leaves the rest to its device.
 */
static __always_inline bool take_payload_sum(struct xdp_md *ctx, struct sending *out)
{
	const struct packet *packet = &out->packet;
	struct udphdr *udp = l4_of(ctx, packet);

	if (ends_before(ctx, udp + 1))
		return false;
	if (take_payload_sum_of(udp, out)) {
		out->reason = PLAIT_DATAGRAM_SENT;
		return true;
	}
	out->payload_sum =
		sum_octets(ctx, packet->l4_offset + sizeof(*udp), packet->l4_bytes - sizeof(*udp));
	out->reason = PLAIT_DATAGRAM_SENT_SUMMED;
	return true;
}

static __always_inline void number(struct sending *out, struct tcp_formatted *tcp, __u64 now_ns)
{
	__u64 bytes = ip_header_bytes(&out->packet.source) + out->packet.l4_bytes;

	tcp->sequence = bpf_htonl(__sync_fetch_and_add(&out->traffic->sent, 1) + 1);
	tcp->acknowledgement = bpf_htonl(__sync_fetch_and_add(&out->binding->packets, 1) + 1);
	__sync_fetch_and_add(&out->binding->bytes, bytes);
	out->binding->last_seen_ns = now_ns;
}

/* window: UDP's length in the first of several fragments, else DATAGRAM_TCP_WINDOW. */
static __always_inline void make_tcp(struct sending *out, enum role role, __u32 window,
				     struct tcp_formatted *tcp, __u64 now_ns)
{
	const struct plait_addr *remote = remote_of(&out->packet, role);
	const struct plait_path *path = out->path;
	__u32 header = tcp_formatted_bytes(remote);
	__u64 sum = sum_pseudo_header(&path->local, &path->remote, IPPROTO_TCP,
				      header + out->packet.l4_bytes - sizeof(struct udphdr));

	tcp->source = role == CPE ? out->binding->wan_port : path->local.port;
	tcp->destination = role == CPE ? path->remote.port : out->binding->wan_port;
	number(out, tcp, now_ns);
	tcp->offset = header / 4 << 4;
	tcp->flags = DATAGRAM_TCP_FLAGS;
	tcp->window = bpf_htons(window);
	make_option(role, remote, &tcp->option);
	tcp->check = ~sum_fold(sum + sum_words(tcp, sizeof(*tcp)) + out->payload_sum);
}

static __always_inline bool put_packet(struct xdp_md *ctx, const struct next_hop *hop,
				       const struct ip_header *header,
				       const struct tcp_formatted *tcp)
{
	void *at = put_headers(ctx, &hop->macs, header, TCP_V4_BYTES);
	struct v4 {
		__u32 words[TCP_V4_BYTES / 4];
	};

	if (!at)
		return false;
	if (tcp->option.length == PLAIT_PM_LEN_V4_PORT) {
		*(struct v4 *)at = *(const struct v4 *)tcp;
		return true;
	}
	if (ends_before(ctx, at + TCP_V6_BYTES))
		return false;
	*(struct tcp_formatted *)at = *tcp;
	return true;
}

/* The point of no return: from here on it is sent, or lost. */
static __always_inline int send_over(struct xdp_md *ctx, struct sending *out, enum role role,
				     const struct next_hop *hop, __u64 now_ns)
{
	const struct plait_path *path = out->path;
	struct tcp_formatted tcp = {};
	struct ip_header header = {.old = &out->packet,
				   .source = &path->local,
				   .destination = &path->remote,
				   .protocol = IPPROTO_TCP};
	__u32 tcp_bytes = tcp_formatted_bytes(remote_of(&out->packet, role));
	int grows = (int)ip_header_bytes(&path->local) - (int)ip_header_bytes(&out->packet.source) +
		    (int)tcp_bytes - (int)sizeof(struct udphdr);

	header.l4_bytes = tcp_bytes + out->packet.l4_bytes - sizeof(struct udphdr);
	make_tcp(out, role, DATAGRAM_TCP_WINDOW, &tcp, now_ns);
	if (!resize(ctx, &out->packet, -grows) || !put_packet(ctx, hop, &header, &tcp))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	count_packet(out->reason);
	return bpf_redirect(hop->ifindex, 0);
}

/* By the path's own next hop, which the agent keeps, or by the FIB's; false: there is none. */
static __always_inline bool next_hop_of(struct xdp_md *ctx, const struct packet *packet,
					const struct plait_path *path, struct next_hop *out)
{
	out->ifindex = path->ifindex;
	if (!path->ifindex)
		return ask_fib(ctx, packet, &path->local, &path->remote, out);
	out->macs = *(const struct macs *)path->macs;
	return true;
}

static __always_inline int send_by_next_hop(struct xdp_md *ctx, struct sending *out, enum role role)
{
	struct next_hop hop = {};

	if (!next_hop_of(ctx, &out->packet, out->path, &hop))
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_NO_NEXT_HOP);
	if (!take_payload_sum(ctx, out))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	return send_over(ctx, out, role, &hop, bpf_ktime_get_ns());
}

/* UDP of a binding, not yet found good. */
static __always_inline int send_of_binding(struct xdp_md *ctx, struct sending *out, enum role role)
{
	enum plait_reason fault = udp_fault(ctx, &out->packet);

	if (fault != PLAIT_REASON_COUNT)
		return datagram_verdict(XDP_DROP, fault);
	if (out->packet.ttl <= 1)
		return role == CPE ? datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_TTL_LEFT)
				   : datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_TTL);
	if (!choose_path(out, role))
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_NO_PATH);
	if (out_bytes(out, role) > out->path->mtu)
		return aside(ctx, ASIDE_LONG, XDP_PASS);
	return send_by_next_hop(ctx, out, role);
}

#endif
