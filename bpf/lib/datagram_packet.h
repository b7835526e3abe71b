/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* From a packet to what datagram mode asks of it, and headers back into one. */
#ifndef PLAIT_BPF_DATAGRAM_PACKET_H
#define PLAIT_BPF_DATAGRAM_PACKET_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "checksum.h"
#include "plait_addr.h"

#ifndef AF_INET
#define AF_INET  2
#define AF_INET6 10
#endif

#ifndef barrier_var
#define barrier_var(var) asm volatile("" : "+r"(var))
#endif

enum {
	IPV4_DONT_FRAGMENT = 0x4000,
	IPV4_MORE_FRAGMENTS = 0x2000,
	IPV4_OFFSET = 0x1fff, /* of eight octets each */
	IPV4_FRAGMENT = IPV4_MORE_FRAGMENTS | IPV4_OFFSET,
	IPV4_HEADER_WORDS_SUM = 0xffff,
	IPV6_FRAGMENT_HEADER = 44,
	IPV6_FRAGMENT_BYTES = 8,
	IPV6_MORE_FRAGMENTS = 1, /* beside the offset in octets */
	IPV6_EXTENSIONS_MAX = 3,
	IPV6_MAY_NOT_FRAGMENT = 1260, /* longer IPv4 packets come from IPv6: RFC 7915 §5.1 */
	IPV6_MTU_MIN = 1280,
	IP_BYTES_MAX = 65535,
	L4_OFFSET_MAX = ETH_HLEN + 40 + 64,
};

enum looked_at {
	LOOKED_GOOD,
	LOOKED_OTHER, /* another protocol */
	LOOKED_FRAGMENT, /* without ports; IPv6: of any protocol, its header is at l4_offset */
	LOOKED_MALFORMED, /* or truncated */
};

struct packet {
	struct plait_addr source, destination;
	__u32 l4_offset;
	__u32 l4_bytes; /* by the IP header */
	__u32 padding; /* behind the IP packet */
	__be32 flow_label;
	__be16 id, dont_fragment; /* of IPv4, as it stands */
	__u8 family, traffic_class, ttl;
	bool has_extras; /* IP options, or extension headers */
	bool has_wrong_checksum; /* of IPv4's header */
	bool has_turn; /* others of its binding go before it and behind it */
	bool is_let_go; /* by the agent, as its turn has come */
};

/* A whole word at once, as it will be read: octet by octet would cost a wait. */
static __always_inline void set_port(struct plait_addr *addr, __be16 port, __u8 family)
{
	const union {
		struct {
			__be16 port;
			__u8 family, pad;
		} of;
		__u32 word;
	} tail = {.of = {.port = port, .family = family}};
	__u32 *words = (void *)addr;

	words[4] = tail.word;
}

static __always_inline void *packet_at(struct xdp_md *ctx, __u32 offset)
{
	return (void *)(long)ctx->data + offset;
}

static __always_inline bool ends_before(struct xdp_md *ctx, const void *end)
{
	return end > (void *)(long)ctx->data_end;
}

/* The header behind IP's. L4_OFFSET_MAX is below the mask, which is for the verifier. */
static __always_inline void *l4_of(struct xdp_md *ctx, const struct packet *packet)
{
	__u64 offset = packet->l4_offset;

	barrier_var(offset);
	return (void *)(long)ctx->data + (offset & 127);
}

/* What IP says must be there; what is there beyond is the link layer's. */
static __always_inline bool fits_frame(struct xdp_md *ctx, __u32 ip_bytes, struct packet *out)
{
	__u64 frame = ctx->data_end - ctx->data, wanted = ETH_HLEN + ip_bytes;

	if (frame < wanted) /* a long one may have more pieces */
		frame = bpf_xdp_get_buff_len(ctx);
	out->padding = frame - wanted;
	return frame >= wanted;
}

static __always_inline enum looked_at look_at_ipv4(struct xdp_md *ctx, __u8 protocol,
						   struct packet *out)
{
	struct iphdr *ip = packet_at(ctx, ETH_HLEN);
	__u32 header, total;

	if (ends_before(ctx, ip + 1))
		return LOOKED_MALFORMED;
	if (ip->protocol != protocol)
		return LOOKED_OTHER;
	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header < sizeof(*ip) || total < header ||
	    !fits_frame(ctx, total, out))
		return LOOKED_MALFORMED;
	*(__u32 *)ip_words(&out->source) = ip->saddr;
	*(__u32 *)ip_words(&out->destination) = ip->daddr;
	out->family = AF_INET;
	out->l4_offset = ETH_HLEN + header;
	out->l4_bytes = total - header;
	out->id = ip->id;
	out->dont_fragment = ip->frag_off & bpf_htons(IPV4_DONT_FRAGMENT);
	out->traffic_class = ip->tos;
	out->ttl = ip->ttl;
	out->has_extras = header > sizeof(*ip);
	out->has_wrong_checksum = sum_fold(sum_words(ip, sizeof(*ip))) != IPV4_HEADER_WORDS_SUM;
	return ip->frag_off & bpf_htons(IPV4_FRAGMENT) ? LOOKED_FRAGMENT : LOOKED_GOOD;
}

/* Past extension headers, so that a packet with some is known for whose it is. */
static __always_inline enum looked_at skip_extensions(struct xdp_md *ctx, __u8 next, __u8 protocol,
						      struct packet *out)
{
	for (int i = 0; i < IPV6_EXTENSIONS_MAX && next != protocol; i++) {
		__u8 *extension = l4_of(ctx, out);
		__u32 bytes;

		if (next == IPV6_FRAGMENT_HEADER)
			return LOOKED_FRAGMENT;
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS && next != IPPROTO_ROUTING)
			return LOOKED_OTHER;
		if (ends_before(ctx, extension + 2))
			return LOOKED_MALFORMED;
		bytes = 8 + extension[1] * 8;
		next = extension[0];
		if (out->l4_offset + bytes > L4_OFFSET_MAX)
			return LOOKED_OTHER;
		if (bytes > out->l4_bytes)
			return LOOKED_MALFORMED;
		out->l4_offset += bytes;
		out->l4_bytes -= bytes;
		out->has_extras = true;
	}
	return next == protocol ? LOOKED_GOOD : LOOKED_OTHER;
}

static __always_inline enum looked_at look_at_ipv6(struct xdp_md *ctx, __u8 protocol,
						   struct packet *out)
{
	struct ipv6hdr *ip = packet_at(ctx, ETH_HLEN);
	__u32 first;

	if (ends_before(ctx, ip + 1))
		return LOOKED_MALFORMED;
	/* the two that are not worth a closer look */
	if (ip->nexthdr != protocol && (ip->nexthdr == IPPROTO_TCP || ip->nexthdr == IPPROTO_UDP))
		return LOOKED_OTHER;
	out->l4_bytes = bpf_ntohs(ip->payload_len);
	if (!out->l4_bytes && ip->nexthdr == IPPROTO_HOPOPTS)
		return LOOKED_OTHER; /* a jumbogram (RFC 2675) */
	if (ip->version != 6 || !fits_frame(ctx, sizeof(*ip) + out->l4_bytes, out))
		return LOOKED_MALFORMED;
	__builtin_memcpy(out->source.ip, &ip->saddr, 16);
	__builtin_memcpy(out->destination.ip, &ip->daddr, 16);
	out->family = AF_INET6;
	first = bpf_ntohl(*(__be32 *)ip);
	out->traffic_class = first >> 20;
	out->flow_label = bpf_htonl(first & 0xfffff);
	out->ttl = ip->hop_limit;
	out->l4_offset = ETH_HLEN + sizeof(*ip);
	return skip_extensions(ctx, ip->nexthdr, protocol, out);
}

/*
 * A packet of that protocol, with its ports. Lengths are checked as far as IP knows them;
 * extras and a wrong header checksum are noted, for those whose packet it is.
 */
static __always_inline enum looked_at look_at(struct xdp_md *ctx, __u8 protocol, struct packet *out)
{
	struct ethhdr *ether = packet_at(ctx, 0);
	enum looked_at looked = LOOKED_OTHER;
	struct udphdr *ports;

	if (ends_before(ctx, ether + 1))
		return LOOKED_OTHER;
	__builtin_memset(out, 0, sizeof(*out));
	if (ether->h_proto == bpf_htons(ETH_P_IP))
		looked = look_at_ipv4(ctx, protocol, out);
	else if (ether->h_proto == bpf_htons(ETH_P_IPV6))
		looked = look_at_ipv6(ctx, protocol, out);
	if (looked != LOOKED_GOOD)
		return looked;
	ports = l4_of(ctx, out);
	if (ends_before(ctx, ports + 1) || out->l4_bytes < sizeof(*ports))
		return LOOKED_MALFORMED;
	/* TCP has them in the same place */
	set_port(&out->source, ports->source, out->family);
	set_port(&out->destination, ports->dest, out->family);
	return LOOKED_GOOD;
}

struct ip_octets {
	__u32 words[4];
};

/* Where a fragment belongs. */
struct piece {
	__u32 id; /* IPv4: the low half */
	__u32 offset; /* octets */
	bool more; /* follow */
};

/* An IP header to be written, and what of the old one goes into it. */
struct ip_header {
	const struct packet *old;
	const struct plait_addr *source, *destination;
	const struct piece *piece; /* NULL: it is whole */
	__u32 l4_bytes;
	__u8 protocol;
};

static __always_inline __u32 ip_header_bytes(const struct plait_addr *source)
{
	return source->family == AF_INET ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

static __always_inline __u32 all_ipv6_bytes(const struct ip_header *header)
{
	return sizeof(struct ipv6hdr) + (header->piece ? IPV6_FRAGMENT_BYTES : 0);
}

/* With the fragment header of IPv6. */
static __always_inline __u32 all_ip_bytes(const struct ip_header *header)
{
	return header->source->family == AF_INET ? sizeof(struct iphdr) : all_ipv6_bytes(header);
}

/* Identification and flags. Where IPv6 knew neither: RFC 7915 §5.1. */
static __always_inline __u32 fragmentation(const struct ip_header *header, __u32 total)
{
	const struct piece *piece = header->piece;

	if (piece)
		return piece->id << 16 | bpf_ntohs(header->old->dont_fragment) |
		       (piece->more ? IPV4_MORE_FRAGMENTS : 0) | piece->offset / 8;
	if (header->old->family == AF_INET)
		return bpf_ntohs(header->old->id) << 16 | bpf_ntohs(header->old->dont_fragment);
	if (total > IPV6_MAY_NOT_FRAGMENT)
		return IPV4_DONT_FRAGMENT;
	return bpf_get_prandom_u32() << 16;
}

/* By words, whose sum is then at hand. */
static __always_inline void put_ipv4(const struct ip_header *header, __u32 *words)
{
	__u32 total = sizeof(struct iphdr) + header->l4_bytes, check;

	words[0] = bpf_htonl(0x45 << 24 | header->old->traffic_class << 16 | total);
	words[1] = bpf_htonl(fragmentation(header, total));
	words[2] = bpf_htonl((header->old->ttl - 1) << 24 | header->protocol << 16);
	words[3] = ip_words(header->source)[0];
	words[4] = ip_words(header->destination)[0];
	check = (__u16)~sum_fold(sum_words(words, sizeof(struct iphdr)));
	words[2] |= bpf_htonl(bpf_ntohs(check));
}

static __always_inline void put_ipv6(const struct ip_header *header, struct ipv6hdr *ip)
{
	*(__be32 *)ip =
		bpf_htonl(6 << 28 | header->old->traffic_class << 20) | header->old->flow_label;
	ip->payload_len = bpf_htons(all_ipv6_bytes(header) - sizeof(*ip) + header->l4_bytes);
	ip->nexthdr = header->piece ? IPV6_FRAGMENT_HEADER : header->protocol;
	ip->hop_limit = header->old->ttl - 1;
	*(struct ip_octets *)&ip->saddr = *(const struct ip_octets *)ip_words(header->source);
	*(struct ip_octets *)&ip->daddr = *(const struct ip_octets *)ip_words(header->destination);
}

/* RFC 8200 §4.5. */
struct ipv6_fragment {
	__u8 next, reserved;
	__be16 place; /* octets, and IPV6_MORE_FRAGMENTS */
	__be32 id;
};

static __always_inline void put_ipv6_fragment(const struct ip_header *header,
					      struct ipv6_fragment *at)
{
	const struct piece *piece = header->piece;

	at->next = header->protocol;
	at->reserved = 0;
	at->place = bpf_htons(piece->offset | (piece->more ? IPV6_MORE_FRAGMENTS : 0));
	at->id = bpf_htonl(piece->id);
}

/* Destination and source, as they stand in a frame. */
struct macs {
	__u32 words[3];
};

/*
 * Ethernet and IP header. What follows has room for so many octets, a constant; NULL if
 * the packet has not.
 */
static __always_inline void *put_headers(struct xdp_md *ctx, const struct macs *macs,
					 const struct ip_header *header, __u32 room)
{
	struct ethhdr *ether = packet_at(ctx, 0);
	void *ip = ether + 1;

	if (header->source->family == AF_INET) {
		if (ends_before(ctx, ip + sizeof(struct iphdr) + room))
			return NULL;
		ether->h_proto = bpf_htons(ETH_P_IP);
		put_ipv4(header, ip);
		ip += sizeof(struct iphdr);
	} else {
		if (ends_before(ctx, ip + all_ipv6_bytes(header) + room))
			return NULL;
		ether->h_proto = bpf_htons(ETH_P_IPV6);
		put_ipv6(header, ip);
		ip += sizeof(struct ipv6hdr);
		if (header->piece) {
			put_ipv6_fragment(header, ip);
			ip += IPV6_FRAGMENT_BYTES;
		}
	}
	*(struct macs *)ether = *macs;
	return ip;
}

/* Cuts the padding off, then makes the headers shorter (or, negative, longer). */
static __always_inline bool resize(struct xdp_md *ctx, const struct packet *packet, int shorter)
{
	if (packet->padding && bpf_xdp_adjust_tail(ctx, -(int)packet->padding))
		return false;
	return !bpf_xdp_adjust_head(ctx, shorter);
}

/* The verdict on what is neither LOOKED_GOOD nor a fragment. */
static __always_inline int not_good(enum looked_at looked)
{
	if (looked == LOOKED_MALFORMED)
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_MALFORMED);
	return XDP_PASS;
}

#endif
