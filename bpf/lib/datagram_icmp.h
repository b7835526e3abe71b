/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * UDP that is longer than its path can take and may not be fragmented: its sender is told
 * by the ICMP error that a router would send (RFC 1191, RFC 8201).
 */
#ifndef PLAIT_BPF_DATAGRAM_ICMP_H
#define PLAIT_BPF_DATAGRAM_ICMP_H

#include "datagram_maps.h"
#include "datagram_packet.h"
#include "forbidden.h"

enum {
	ICMP_HEADER_BYTES = 8,
	ICMP_DEST_UNREACH = 3,
	ICMP_FRAG_NEEDED = 4, /* a code of it */
	ICMPV6_PACKET_TOO_BIG = 2,
	ICMP_TTL = 64,
	ICMP_TRAFFIC_CLASS = 0xc0, /* RFC 1812 §4.3.2.5: internetwork control */
	/* the error is of 576 octets (RFC 1812 §4.3.2.3), or 1280 (RFC 4443 §2.4 (c)) */
	ICMP_QUOTED = 576 - 20 - ICMP_HEADER_BYTES,
	ICMPV6_QUOTED = 1280 - 40 - ICMP_HEADER_BYTES,
	ICMP_INTERVAL_NS = 1000000, /* RFC 4443 §2.4 (f), RFC 1812 §4.3.2.8 */
	ICMP_BURST_NS = 50 * ICMP_INTERVAL_NS,
};

/* What this machine is called in ICMP errors, by the interface they leave by. Agent writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PLAIT_MAX_INTERFACES);
	__type(key, __u32);
	__type(value, struct plait_router);
} datagram_routers SEC(".maps");

/* Of each processor: when it will have sent no error for long. BPF writes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} datagram_icmp_paid_ns SEC(".maps");

struct icmp_error {
	__u8 type, code;
	__u16 check;
	__be32 mtu; /* IPv4: the low half */
} __attribute__((aligned(4)));

/* One each millisecond, 50 at a time. */
static __always_inline bool may_tell(void)
{
	__u64 now_ns = bpf_ktime_get_ns(), *paid_ns;
	__u32 zero = 0;

	paid_ns = bpf_map_lookup_elem(&datagram_icmp_paid_ns, &zero);
	if (!paid_ns || *paid_ns > now_ns + ICMP_BURST_NS - ICMP_INTERVAL_NS)
		return false;
	*paid_ns = (*paid_ns > now_ns ? *paid_ns : now_ns) + ICMP_INTERVAL_NS;
	return true;
}

/* false: this interface has no such address. */
static __always_inline bool router_of(struct xdp_md *ctx, __u8 family, struct plait_addr *out)
{
	__u32 ifindex = ctx->ingress_ifindex;
	const struct plait_router *router = bpf_map_lookup_elem(&datagram_routers, &ifindex);

	if (!router)
		return false;
	*out = family == AF_INET ? router->ipv4 : router->ipv6;
	return out->family == family;
}

/* RFC 1812 §4.3.2.7, RFC 4443 §2.4 (e): not to a group, nor to what is no one machine. */
static __always_inline bool may_be_told(struct xdp_md *ctx, const struct packet *packet)
{
	const struct ethhdr *ether = packet_at(ctx, 0);

	return !ends_before(ctx, ether + 1) && !(ether->h_dest[0] & 1) &&
	       !is_forbidden(&packet->source);
}

/* Back to whence it came. */
static __always_inline bool take_macs_back(struct xdp_md *ctx, struct macs *out)
{
	const struct ethhdr *ether = packet_at(ctx, 0);

	if (ends_before(ctx, ether + 1))
		return false;
	__builtin_memcpy((void *)out, ether->h_source, ETH_ALEN);
	__builtin_memcpy((void *)out + ETH_ALEN, ether->h_dest, ETH_ALEN);
	return true;
}

/* quoted: octets of the packet that stand behind the error. */
static __always_inline bool put_icmp(struct xdp_md *ctx, const struct macs *macs,
				     const struct ip_header *header, __u32 quoted, __u32 mtu)
{
	bool v4 = header->source->family == AF_INET;
	struct icmp_error error = {.type = v4 ? ICMP_DEST_UNREACH : ICMPV6_PACKET_TOO_BIG,
				   .code = v4 ? ICMP_FRAG_NEEDED : 0,
				   .mtu = bpf_htonl(mtu)};
	__u64 sum = sum_octets(ctx, ETH_HLEN + ip_header_bytes(header->source) + ICMP_HEADER_BYTES,
			       quoted);
	struct icmp_error *at = put_headers(ctx, macs, header, sizeof(*at));

	if (!at)
		return false;
	sum += sum_words(&error, sizeof(error));
	if (!v4)
		sum += sum_pseudo_header(header->source, header->destination, IPPROTO_ICMPV6,
					 header->l4_bytes);
	error.check = ~sum_fold(sum);
	*at = error;
	return true;
}

/*
 * Makes of the packet the error about it: mtu is what its sender may send. It is at least
 * as long as what is quoted. XDP_PASS: nobody can be told, the packet is as it was.
 */
static __always_inline int tell_mtu(struct xdp_md *ctx, const struct packet *packet, __u32 mtu)
{
	bool v4 = packet->family == AF_INET;
	__u32 quoted = v4 ? ICMP_QUOTED : ICMPV6_QUOTED;
	const struct packet as = {.family = packet->family,
				  .dont_fragment = bpf_htons(IPV4_DONT_FRAGMENT),
				  .traffic_class = ICMP_TRAFFIC_CLASS,
				  .ttl = ICMP_TTL + 1};
	struct plait_addr router;
	struct ip_header header = {.old = &as,
				   .source = &router,
				   .destination = &packet->source,
				   .l4_bytes = ICMP_HEADER_BYTES + quoted,
				   .protocol = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6};
	__u32 frame = bpf_xdp_get_buff_len(ctx);
	struct macs macs;

	if (frame < ETH_HLEN + quoted || !may_be_told(ctx, packet) ||
	    !router_of(ctx, packet->family, &router) || !take_macs_back(ctx, &macs))
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_TOO_BIG);
	if (!may_tell())
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_MTU_LIMITED);
	if (bpf_xdp_adjust_tail(ctx, -(int)(frame - ETH_HLEN - quoted)) ||
	    bpf_xdp_adjust_head(ctx, -(int)(ip_header_bytes(&router) + ICMP_HEADER_BYTES)) ||
	    !put_icmp(ctx, &macs, &header, quoted, mtu))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	return datagram_verdict(XDP_TX, PLAIT_DATAGRAM_MTU_TOLD);
}

#endif
