/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* From a packet to the few things plait asks of a TCP segment or a UDP datagram. */
#ifndef PLAIT_BPF_PARSE_H
#define PLAIT_BPF_PARSE_H

#include <stdbool.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "plait_addr.h"
#include "plait_pm.h"

#ifndef AF_INET
#define AF_INET  2
#define AF_INET6 10
#endif

#ifndef barrier_var
#define barrier_var(var) asm volatile("" : "+r"(var))
#endif

enum {
	IP_MORE_FRAGMENTS = 0x2000,
	IP_FRAGMENT_OFFSET = 0x1fff, /* in eights of octets */
	IPV6_FRAGMENT_OFFSET = 0xfff8, /* in octets */
	IPV6_MORE_FRAGMENTS = 1,
	LONGEST_HEADERS = ETH_HLEN + 60 + 60,
	EXTENSION_HEADERS_MAX = 3,
	TCP_OPTIONS_MAX = 40,
};

enum tcp_flag { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_ACK = 0x10 };

enum parsed {
	PARSED_TCP,
	PARSED_UDP,
	PARSED_LATER_FRAGMENT, /* of a UDP datagram: addresses and fragment_id only */
	PARSED_OTHER, /* fragments of TCP segments too: no TCP makes them */
	PARSED_MALFORMED,
};

struct segment {
	struct plait_addr source, destination;
	__u32 l4_offset;
	__u32 header_bytes; /* TCP header with options */
	__u32 payload_bytes; /* by the IP header */
	__u32 sequence; /* host byte order */
	__u8 flags; /* enum tcp_flag */
	__u8 traffic_class; /* DSCP and ECN */
	__u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	bool is_first_fragment, is_later_fragment;
	__u32 fragment_id; /* as in the header */
};

static __always_inline bool is_syn(const struct segment *segment)
{
	return (segment->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* TCP whole, UDP in fragments too. */
static __always_inline bool is_ours(const struct segment *segment)
{
	bool in_fragments = segment->is_first_fragment || segment->is_later_fragment;

	return segment->protocol == IPPROTO_UDP ||
	       (segment->protocol == IPPROTO_TCP && !in_fragments);
}

/* Moves past the IPv4 header; returns the IP packet's length after it, or -1 / -2. */
static __always_inline int parse_ipv4(struct __sk_buff *skb, __u32 l3, struct segment *out)
{
	void *end = (void *)(long)skb->data_end;
	struct iphdr *ip = (void *)(long)skb->data + l3;
	int header, total, left;

	if ((void *)(ip + 1) > end)
		return -2;
	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	out->protocol = ip->protocol;
	out->is_later_fragment = ip->frag_off & bpf_htons(IP_FRAGMENT_OFFSET);
	out->is_first_fragment =
		!out->is_later_fragment && ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS);
	out->fragment_id = ip->id;
	if (!is_ours(out))
		return -1;
	if (ip->version != 4 || header < (int)sizeof(*ip))
		return -2;
	__builtin_memcpy(out->source.ip, &ip->saddr, 4);
	__builtin_memcpy(out->destination.ip, &ip->daddr, 4);
	out->source.family = out->destination.family = AF_INET;
	out->traffic_class = ip->tos;
	out->l4_offset = l3 + header;
	/* a GRO packet beyond 64 KB (BIG TCP) has total length 0 */
	left = total ? total - header : (int)skb->len - (int)l3 - header;
	return left < 0 ? -2 : left; /* -1 means something else */
}

/* RFC 8200 §4.5 */
static __always_inline void take_fragment(const __u8 *header, struct segment *out)
{
	__u16 at = header[2] << 8 | header[3];

	out->is_later_fragment = at & IPV6_FRAGMENT_OFFSET;
	out->is_first_fragment = !out->is_later_fragment && at & IPV6_MORE_FRAGMENTS;
	__builtin_memcpy(&out->fragment_id, header + 4, 4);
}

/* Likewise for IPv6, past hop-by-hop and destination options, and a fragment header. */
static __always_inline int parse_ipv6(struct __sk_buff *skb, __u32 l3, struct segment *out)
{
	void *end = (void *)(long)skb->data_end;
	struct ipv6hdr *ip = (void *)(long)skb->data + l3;
	__u32 offset = l3 + sizeof(*ip);
	__u8 next;
	int left;

	if ((void *)(ip + 1) > end)
		return -2;
	next = ip->nexthdr;
	left = bpf_ntohs(ip->payload_len);
	if (!left)
		left = (int)skb->len - (int)offset;
	for (int i = 0; i < EXTENSION_HEADERS_MAX; i++) {
		__u8 *extension = (void *)(long)skb->data + offset;
		__u32 bytes;

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS && next != IPPROTO_FRAGMENT)
			break;
		if (offset > LONGEST_HEADERS || (void *)(extension + 8) > end)
			return -2;
		bytes = 8;
		if (next == IPPROTO_FRAGMENT)
			take_fragment(extension, out);
		else
			bytes += extension[1] * 8;
		next = extension[0];
		offset += bytes;
		left -= bytes;
	}
	out->protocol = next;
	if (!is_ours(out))
		return -1;
	__builtin_memcpy(out->source.ip, &ip->saddr, 16);
	__builtin_memcpy(out->destination.ip, &ip->daddr, 16);
	out->source.family = out->destination.family = AF_INET6;
	out->traffic_class = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	out->l4_offset = offset;
	return left < 0 ? -2 : left;
}

static __always_inline enum parsed parse_tcp_header(struct __sk_buff *skb, int left,
						    struct segment *out)
{
	struct tcphdr *tcp;

	if (out->l4_offset > LONGEST_HEADERS)
		return PARSED_MALFORMED;
	tcp = (void *)(long)skb->data + out->l4_offset;
	if ((void *)(tcp + 1) > (void *)(long)skb->data_end)
		return PARSED_MALFORMED;
	out->header_bytes = tcp->doff * 4;
	if (out->header_bytes < sizeof(*tcp) || left < (int)out->header_bytes)
		return PARSED_MALFORMED;
	out->payload_bytes = left - out->header_bytes;
	out->source.port = tcp->source;
	out->destination.port = tcp->dest;
	out->sequence = bpf_ntohl(tcp->seq);
	out->flags = ((__u8 *)tcp)[13];
	return PARSED_TCP;
}

/* The length in a first fragment's header is the whole datagram's. */
static __always_inline enum parsed parse_udp_header(struct __sk_buff *skb, int left,
						    struct segment *out)
{
	struct udphdr *udp;
	int bytes;

	if (out->is_later_fragment)
		return PARSED_LATER_FRAGMENT;
	if (out->l4_offset > LONGEST_HEADERS)
		return PARSED_MALFORMED;
	udp = (void *)(long)skb->data + out->l4_offset;
	if ((void *)(udp + 1) > (void *)(long)skb->data_end || left < (int)sizeof(*udp))
		return PARSED_MALFORMED;
	bytes = bpf_ntohs(udp->len);
	if (bytes < (int)sizeof(*udp) || (bytes > left && !out->is_first_fragment))
		return PARSED_MALFORMED;
	out->header_bytes = sizeof(*udp);
	out->payload_bytes = left - sizeof(*udp);
	out->source.port = udp->source;
	out->destination.port = udp->dest;
	return PARSED_UDP;
}

/* l2_bytes: length of the link-layer header, 14 or 0. */
static __always_inline enum parsed parse_packet(struct __sk_buff *skb, __u32 l2_bytes,
						struct segment *out)
{
	__u32 wanted = skb->len < LONGEST_HEADERS ? skb->len : LONGEST_HEADERS;
	int left;

	if ((void *)(long)skb->data + wanted > (void *)(long)skb->data_end &&
	    bpf_skb_pull_data(skb, wanted))
		return PARSED_OTHER;
	__builtin_memset(out, 0, sizeof(*out));
	if (skb->protocol == bpf_htons(ETH_P_IP))
		left = parse_ipv4(skb, l2_bytes, out);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		left = parse_ipv6(skb, l2_bytes, out);
	else
		return PARSED_OTHER;
	if (left < 0)
		return left == -1 ? PARSED_OTHER : PARSED_MALFORMED;
	if (out->protocol == IPPROTO_UDP)
		return parse_udp_header(skb, left, out);
	return parse_tcp_header(skb, left, out);
}

enum mptcp_kind { MPTCP_NONE, MPTCP_CAPABLE, MPTCP_JOIN };

struct options {
	enum mptcp_kind mptcp; /* which handshake is asked for (RFC 8684 §3.1, §3.2) */
	bool has_timestamp;
	__u32 timestamp; /* TSval, host byte order (RFC 7323 §3) */
};

struct option_walk {
	__u8 octets[64]; /* a power of two, so that a mask bounds every index */
	__u32 bytes, at;
	struct options found;
};

static __always_inline void take_mptcp(struct option_walk *walk)
{
	__u8 subtype = walk->octets[(walk->at + 2) & 63] >> 4;

	if (walk->found.mptcp != MPTCP_NONE)
		return;
	if (subtype == PLAIT_MPTCP_MP_CAPABLE)
		walk->found.mptcp = MPTCP_CAPABLE;
	else if (subtype == PLAIT_MPTCP_MP_JOIN)
		walk->found.mptcp = MPTCP_JOIN;
}

static __always_inline void take_timestamp(struct option_walk *walk)
{
	walk->found.has_timestamp = true;
	walk->found.timestamp = 0;
	for (int i = 2; i < 6; i++)
		walk->found.timestamp =
			walk->found.timestamp << 8 | walk->octets[(walk->at + i) & 63];
}

/* One option a call (bpf_loop: the verifier then follows it once). */
static long option_step(__u32 step, void *context)
{
	struct option_walk *walk = context;
	__u8 kind, length;

	if (walk->at >= walk->bytes)
		return 1;
	kind = walk->octets[walk->at & 63];
	length = walk->octets[(walk->at + 1) & 63];
	if (kind == PLAIT_TCPOPT_NOP) {
		walk->at++;
		return 0;
	}
	/* the kernel stops at a cut option too, and the agent must see the same handshake */
	if (kind == PLAIT_TCPOPT_EOL || length < 2 || walk->at + length > walk->bytes)
		return 1;
	if (kind == PLAIT_TCPOPT_MPTCP && length > 2)
		take_mptcp(walk);
	else if (kind == PLAIT_TCPOPT_TIMESTAMP && length == 10)
		take_timestamp(walk);
	walk->at += length;
	return 0;
}

/* What plait asks of a segment's options; those behind a broken one are not seen. */
static __always_inline struct options read_options(struct __sk_buff *skb,
						   const struct segment *segment)
{
	struct option_walk walk = {};
	__u64 bytes = segment->header_bytes - sizeof(struct tcphdr);

	barrier_var(bytes); /* what follows is for the verifier, and must stay */
	if (bytes > TCP_OPTIONS_MAX)
		return walk.found;
	barrier_var(bytes);
	if (bytes < 4)
		return walk.found;
	if (bpf_skb_load_bytes(skb, segment->l4_offset + sizeof(struct tcphdr), walk.octets, bytes))
		return walk.found;
	walk.bytes = bytes;
	bpf_loop(TCP_OPTIONS_MAX, option_step, &walk, 0);
	return walk.found;
}

#endif
