/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Where a packet goes next, of which the kernel's FIB knows. Asking it costs more than
 * all else that is done with a packet, so an answer is kept for a second.
 */
#ifndef PLAIT_BPF_NEXT_HOP_H
#define PLAIT_BPF_NEXT_HOP_H

#include "datagram_maps.h"
#include "datagram_packet.h"

enum { NEXT_HOPS = 4096, NEXT_HOP_LIFE_NS = 1000000000 };

struct next_hop {
	__u64 until_ns;
	struct plait_addr to; /* port 0 */
	__u32 ifindex;
	struct macs macs;
	__u16 mtu;
	__u8 pad[2];
};

/* Each processor its own, at the place an address hashes to. BPF writes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NEXT_HOPS);
	__type(key, __u32);
	__type(value, struct next_hop);
} next_hops SEC(".maps");

/* Each bit of the value counts in each of the result. */
static __always_inline __u32 mix(__u32 value)
{
	value = (value ^ value >> 16) * 0x7feb352d;
	value = (value ^ value >> 15) * 0x846ca68b;
	return value ^ value >> 16;
}

static __always_inline __u32 hash_ip(const struct plait_addr *addr)
{
	const __u32 *words = ip_words(addr);

	return mix(words[0] * 0x9e3779b1 + words[1] * 0x85ebca77 + words[2] * 0xc2b2ae3d +
		   words[3] * 0x27d4eb2f);
}

/* false: no way, or no neighbour known there. */
static __always_inline bool ask_fib(struct xdp_md *ctx, const struct packet *packet,
				    const struct plait_addr *source,
				    const struct plait_addr *destination, struct next_hop *out)
{
	struct bpf_fib_lookup fib = {.family = destination->family,
				     .ifindex = ctx->ingress_ifindex};

	if (fib.family == AF_INET) {
		fib.tos = packet->traffic_class;
		fib.ipv4_src = ip_words(source)[0];
		fib.ipv4_dst = ip_words(destination)[0];
	} else {
		__builtin_memcpy(fib.ipv6_src, source->ip, 16);
		__builtin_memcpy(fib.ipv6_dst, destination->ip, 16);
	}
	if (bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) != BPF_FIB_LKUP_RET_SUCCESS)
		return false;
	out->ifindex = fib.ifindex;
	out->mtu = fib.mtu_result;
	__builtin_memcpy(&out->macs, fib.dmac, ETH_ALEN);
	__builtin_memcpy((void *)&out->macs + ETH_ALEN, fib.smac, ETH_ALEN);
	return true;
}

static __always_inline bool is_same_ip(const struct plait_addr *a, const struct plait_addr *b)
{
	const __u32 *x = ip_words(a), *y = ip_words(b);

	return a->family == b->family &&
	       !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]));
}

/*
 * For UDP from source to destination; NULL: none, or by an interface that UDP may not
 * leave by.
 */
static __always_inline const struct next_hop *
next_hop_find(struct xdp_md *ctx, const struct packet *packet, const struct plait_addr *source,
	      const struct plait_addr *destination, __u64 now_ns)
{
	__u32 place = hash_ip(destination) % NEXT_HOPS;
	struct next_hop *hop = bpf_map_lookup_elem(&next_hops, &place);

	if (!hop)
		return NULL;
	if (hop->until_ns > now_ns && is_same_ip(&hop->to, destination))
		return hop;
	hop->until_ns = 0;
	if (!ask_fib(ctx, packet, source, destination, hop) ||
	    !bpf_map_lookup_elem(&datagram_interfaces, &hop->ifindex))
		return NULL;
	hop->to = *destination;
	hop->until_ns = now_ns + NEXT_HOP_LIFE_NS;
	return hop;
}

#endif
