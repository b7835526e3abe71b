/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * TCP-formatted packets that were cut after conversion are put together before it is
 * undone (plain-mode-08 §5.3). The last fragment to arrive becomes the packet.
 */
#ifndef PLAIT_BPF_DATAGRAM_WHOLE_H
#define PLAIT_BPF_DATAGRAM_WHOLE_H

#include "datagram_asides.h"
#include "datagram_cut.h"
#include "datagram_fragment_cache.h"

struct whole {
	__u8 octets[2 * PLAIT_WHOLE_MAX]; /* the second half is for the verifier */
};

/* Of the datagram in the same place of datagram_fragments. BPF writes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PLAIT_FRAGMENT_PLACES);
	__type(key, __u32);
	__type(value, struct whole);
} datagram_wholes SEC(".maps");

/* How long the whole is, once so many octets more are there; 0 before that. Then its place is free. */
static __always_inline __u32 keep(const struct noting *noting, __u32 bytes)
{
	struct fragment_place *place = bpf_map_lookup_elem(&datagram_fragments, &noting->place);
	__u32 total = 0;

	if (!place)
		return 0;
	bpf_spin_lock(&place->lock);
	if (place->name == noting->name) {
		place->kept_bytes += bytes;
		if (place->kept_bytes == place->total_bytes) {
			total = place->total_bytes;
			place->until_ns = 0;
		}
	}
	bpf_spin_unlock(&place->lock);
	return total;
}

/* The driver's buffer has no room for all: the agent puts it before the programs again. */
static __always_inline int hand_over(struct xdp_md *ctx, const struct whole *whole, __u64 bytes,
				     bool v4)
{
	__u32 zero = 0, headers = ETH_HLEN + (v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
	struct plait_early_fragment *held = bpf_map_lookup_elem(&datagram_early_scratch, &zero);

	if (!held)
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	held->datagram = 0;
	held->ifindex = ctx->ingress_ifindex;
	held->frame_bytes = headers + bytes;
	if (bpf_xdp_load_bytes(ctx, 0, held->frame, headers) ||
	    bpf_probe_read_kernel(held->frame + headers, PLAIT_WHOLE_MAX, whole->octets) ||
	    bpf_ringbuf_output(&datagram_early, held, sizeof(*held), 0))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FRAGMENT_LIMIT);
	return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FRAGMENT_EARLY);
}

/* Headers as if it had arrived like this; its program begins anew. */
static __always_inline int become_whole(struct xdp_md *ctx, struct packet *packet,
					const struct whole *whole, __u64 bytes)
{
	const struct ip_header header = {.old = packet,
					 .source = &packet->source,
					 .destination = &packet->destination,
					 .l4_bytes = bytes,
					 .protocol = IPPROTO_TCP};
	__u32 l4_offset = ETH_HLEN + ip_header_bytes(&packet->source);
	const struct ethhdr *ether = packet_at(ctx, 0);
	struct macs macs;

	if (ends_before(ctx, ether + 1))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	__builtin_memcpy(&macs, ether, sizeof(macs));
	packet->ttl++; /* put_headers() takes one off */
	packet->dont_fragment = 0;
	if (!resize(ctx, packet, (int)packet->l4_offset - (int)l4_offset) ||
	    !put_headers(ctx, &macs, &header, 0))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	if (bpf_xdp_adjust_tail(ctx, (int)bytes - (int)packet->l4_bytes))
		return hand_over(ctx, whole, bytes, packet->source.family == AF_INET);
	if (bpf_xdp_store_bytes(ctx, l4_offset, (void *)whole->octets,
				count_up_to(bytes, PLAIT_WHOLE_MAX)))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	return aside(ctx, ASIDE_WHOLE, XDP_PASS);
}

/* A fragment that was noted. */
static __always_inline int add_to_whole(struct xdp_md *ctx, struct packet *packet,
					const struct noting *noting)
{
	struct whole *whole = bpf_map_lookup_elem(&datagram_wholes, &noting->place);
	__u64 offset = noting->piece.offset, bytes = packet->l4_bytes;

	if (!whole || offset + bytes > PLAIT_WHOLE_MAX)
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FRAGMENT_LIMIT);
	barrier_var(offset);
	bytes = count_up_to(bytes, PLAIT_WHOLE_MAX);
	if (bpf_xdp_load_bytes(ctx, packet->l4_offset,
			       whole->octets + (offset & (PLAIT_WHOLE_MAX - 1)), bytes))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	bytes = keep(noting, bytes);
	if (!bytes)
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FRAGMENT_KEPT);
	give_back(noting);
	return become_whole(ctx, packet, whole, bytes);
}

#endif
