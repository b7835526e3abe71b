/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A fragment as it arrives. */
#ifndef PLAIT_BPF_DATAGRAM_FRAGMENT_H
#define PLAIT_BPF_DATAGRAM_FRAGMENT_H

#include "datagram_maps.h"
#include "datagram_packet.h"

/* What fragments of one datagram have in common; addresses with port 0. */
struct fragment_key {
	struct plait_addr source, destination;
	__u32 id, protocol;
} __attribute__((aligned(8)));

static __always_inline bool fragmentation_is_on(void)
{
	const struct plait_datagram_settings *settings = datagram_settings_now();

	return settings && settings->fragmentation;
}

static __always_inline enum looked_at take_ipv4_piece(struct xdp_md *ctx, struct piece *out)
{
	const struct iphdr *ip = packet_at(ctx, ETH_HLEN);
	__u32 place;

	if (ends_before(ctx, ip + 1))
		return LOOKED_MALFORMED;
	place = bpf_ntohs(ip->frag_off);
	out->id = bpf_ntohs(ip->id);
	out->offset = (place & IPV4_OFFSET) * 8;
	out->more = place & IPV4_MORE_FRAGMENTS;
	return LOOKED_GOOD;
}

/* The header is counted off. Alone in its datagram it is no fragment (RFC 6946). */
static __always_inline enum looked_at take_ipv6_piece(struct xdp_md *ctx, __u8 protocol,
						      struct packet *packet, struct piece *out)
{
	const struct ipv6_fragment *at = l4_of(ctx, packet);
	__u32 place;

	if (ends_before(ctx, at + 1) || packet->l4_bytes < sizeof(*at))
		return LOOKED_MALFORMED;
	place = bpf_ntohs(at->place);
	if (at->next != protocol || !(place & ~6U))
		return LOOKED_OTHER;
	out->id = bpf_ntohl(at->id);
	out->offset = place & ~7U;
	out->more = place & IPV6_MORE_FRAGMENTS;
	packet->l4_offset += sizeof(*at);
	packet->l4_bytes -= sizeof(*at);
	return LOOKED_GOOD;
}

/* RFC 791: all but the last end at a multiple of eight octets, and none beyond 65,535. */
static __always_inline bool is_possible(const struct packet *packet, const struct piece *piece)
{
	__u32 bytes = packet->l4_bytes;

	return bytes && !(piece->more && bytes % 8) && piece->offset + bytes <= IP_BYTES_MAX;
}

/*
 * Of a packet that look_at() calls a fragment: l4_offset and l4_bytes are those of what it
 * has of its datagram, ports are 0.
 */
static __always_inline enum looked_at look_at_fragment(struct xdp_md *ctx, __u8 protocol,
						       struct packet *packet, struct piece *piece,
						       struct fragment_key *key)
{
	enum looked_at looked;

	looked = look_at(ctx, protocol, packet);
	if (looked != LOOKED_FRAGMENT)
		return looked == LOOKED_GOOD ? LOOKED_OTHER : looked;
	set_port(&packet->source, 0, packet->family);
	set_port(&packet->destination, 0, packet->family);
	looked = packet->family == AF_INET ? take_ipv4_piece(ctx, piece)
					   : take_ipv6_piece(ctx, protocol, packet, piece);
	if (looked != LOOKED_GOOD)
		return looked;
	if (!is_possible(packet, piece))
		return LOOKED_MALFORMED;
	key->source = packet->source;
	key->destination = packet->destination;
	key->id = piece->id;
	key->protocol = protocol;
	return LOOKED_GOOD;
}

/* Of a first one that has them. */
static __always_inline bool take_ports(struct xdp_md *ctx, struct packet *packet)
{
	const struct udphdr *ports = l4_of(ctx, packet);

	if (ends_before(ctx, ports + 1) || packet->l4_bytes < sizeof(*ports))
		return false;
	set_port(&packet->source, ports->source, packet->family);
	set_port(&packet->destination, ports->dest, packet->family);
	return true;
}

#endif
