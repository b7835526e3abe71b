/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One packet that becomes two fragments (plain-mode-08 §5.3). XDP sends one packet for
 * each that it gets, so it converts this one whole, and writes before it, as metadata,
 * how it is to be cut; a TC program of the same interface does so, and sends both. Frames
 * from outside bring no metadata.
 */
#ifndef PLAIT_BPF_DATAGRAM_CUT_H
#define PLAIT_BPF_DATAGRAM_CUT_H

#include <stddef.h>

#include "count.h"
#include "datagram_fragment.h"

#define CUT_MAGIC 0x706c6374

struct cut_order {
	__u32 magic;
	__u32 ifindex; /* out of here */
	__u16 ip_bytes; /* of the IP header, with IPv6's fragment header */
	__u16 first_bytes; /* behind it, in the first fragment: a multiple of eight */
	__u16 offset; /* of the first, in octets */
	__u16 second_offset;
	__u32 more; /* follow */
};

/* How much of what is behind the IP header goes into the first. */
static __always_inline __u32 first_bytes(const struct ip_header *header, __u32 mtu)
{
	return (mtu - all_ip_bytes(header)) & ~7U;
}

/* Two will do, the shortest path taking 1280 octets, and none is longer when put together. */
static __always_inline bool may_be_cut(const struct ip_header *header, __u32 mtu)
{
	return fragmentation_is_on() && header->l4_bytes <= PLAIT_WHOLE_MAX &&
	       header->l4_bytes <= 2 * first_bytes(header, mtu);
}

/*
 * Of a packet whose headers stand. grown: octets that the first is longer by than its part
 * of the datagram, where offsets are those of UDP.
 */
static __always_inline int order_cut(struct xdp_md *ctx, const struct ip_header *header,
				     __u32 ifindex, __u32 mtu, __u32 grown)
{
	const struct piece *piece = header->piece;
	__u32 first = first_bytes(header, mtu);
	struct cut_order *order;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*order)))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	order = (void *)(long)ctx->data_meta;
	if ((void *)(order + 1) > (void *)(long)ctx->data)
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	order->magic = CUT_MAGIC;
	order->ifindex = ifindex;
	order->ip_bytes = all_ip_bytes(header);
	order->first_bytes = first;
	order->offset = piece->offset;
	order->second_offset = piece->offset + first - grown;
	order->more = piece->more;
	return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_CUT);
}

struct cut_scratch {
	__u8 octets[PLAIT_WHOLE_MAX];
};

/* What is in the second. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cut_scratch);
} datagram_cut_scratch SEC(".maps");

static __always_inline bool take_order(struct __sk_buff *skb, struct cut_order *out)
{
	const struct cut_order *order = (void *)(long)skb->data_meta;

	if ((void *)(order + 1) > (void *)(long)skb->data || order->magic != CUT_MAGIC)
		return false;
	*out = *order;
	return true;
}

static __always_inline bool put_ipv4_place(struct __sk_buff *skb, __u32 offset, bool more,
					   __u32 bytes)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
		return false;
	ip.tot_len = bpf_htons(sizeof(ip) + bytes);
	ip.frag_off = bpf_htons(offset / 8 | (more ? IPV4_MORE_FRAGMENTS : 0));
	ip.check = 0;
	ip.check = ~sum_fold(sum_words(&ip, sizeof(ip)));
	return !bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), 0);
}

static __always_inline bool put_ipv6_place(struct __sk_buff *skb, __u32 offset, bool more,
					   __u32 bytes)
{
	__be16 payload = bpf_htons(IPV6_FRAGMENT_BYTES + bytes),
	       place = bpf_htons(offset | (more ? IPV6_MORE_FRAGMENTS : 0));

	return !bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, payload_len), &payload,
				    sizeof(payload), 0) &&
	       !bpf_skb_store_bytes(skb,
				    ETH_HLEN + sizeof(struct ipv6hdr) +
					    offsetof(struct ipv6_fragment, place),
				    &place, sizeof(place), 0);
}

/* Its IP header says where so many octets belong. */
static __always_inline bool put_place(struct __sk_buff *skb, const struct cut_order *order,
				      __u32 offset, bool more, __u32 bytes)
{
	return order->ip_bytes == sizeof(struct iphdr) ? put_ipv4_place(skb, offset, more, bytes)
						       : put_ipv6_place(skb, offset, more, bytes);
}

/* 1 to max, a power of two: it is so already, but the verifier has not seen it. */
static __always_inline __u64 count_up_to(__u64 count, __u32 max)
{
	barrier_var(count);
	return ((count - 1) & (max - 1)) + 1;
}

/* TC. The packet is the second fragment afterwards. */
static __always_inline int cut(struct __sk_buff *skb, const struct cut_order *order)
{
	__u32 headers = ETH_HLEN + order->ip_bytes, second = headers + order->first_bytes, zero = 0;
	struct cut_scratch *scratch = bpf_map_lookup_elem(&datagram_cut_scratch, &zero);
	__u64 bytes = skb->len - second;

	if (!scratch || bytes - 1 >= sizeof(scratch->octets))
		return verdict(VERDICT_DROP, PLAIT_DATAGRAM_FAILED);
	bytes = count_up_to(bytes, sizeof(scratch->octets));
	if (bpf_skb_load_bytes(skb, second, scratch->octets, bytes) ||
	    bpf_skb_change_tail(skb, second, 0) ||
	    !put_place(skb, order, order->offset, true, order->first_bytes) ||
	    bpf_clone_redirect(skb, order->ifindex, 0) ||
	    bpf_skb_change_tail(skb, headers + bytes, 0) ||
	    bpf_skb_store_bytes(skb, headers, scratch->octets, bytes, 0) ||
	    !put_place(skb, order, order->second_offset, order->more, bytes)) {
		return verdict(VERDICT_DROP, PLAIT_DATAGRAM_FAILED);
	}
	return bpf_redirect(order->ifindex, 0);
}

#endif
