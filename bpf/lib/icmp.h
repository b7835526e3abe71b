/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ICMP errors about segments sent from an address that is not this machine's:
 * they are addressed to its owner, but meant for the agent's socket (design T4).
 */
#ifndef PLAIT_BPF_ICMP_H
#define PLAIT_BPF_ICMP_H

#include <stddef.h>

#include "steer.h"

/* RFC 792 and RFC 4443; linux/icmp.h drags in libc. */
enum {
	ICMP_HEADER_BYTES = 8,
	ICMP_DEST_UNREACH = 3,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETERPROB = 12,
	ICMPV6_PKT_TOOBIG = 2,
	ICMPV6_INFOMSG_MASK = 0x80, /* set: no error */
};

struct ports {
	__be16 source, destination;
};

/* The quoted segment's addresses; false if the packet is no error about TCP over IPv4. */
static __always_inline bool quoted_ipv4(struct __sk_buff *skb, __u32 l3, struct segment *out)
{
	struct iphdr outer, inner;
	struct ports ports;
	__u32 at;
	__u8 type;

	if (bpf_skb_load_bytes(skb, l3, &outer, sizeof(outer)) || outer.protocol != IPPROTO_ICMP)
		return false;
	at = l3 + outer.ihl * 4;
	if (bpf_skb_load_bytes(skb, at, &type, sizeof(type)) ||
	    (type != ICMP_DEST_UNREACH && type != ICMP_TIME_EXCEEDED && type != ICMP_PARAMETERPROB))
		return false;
	at += ICMP_HEADER_BYTES;
	if (bpf_skb_load_bytes(skb, at, &inner, sizeof(inner)) || inner.protocol != IPPROTO_TCP ||
	    bpf_skb_load_bytes(skb, at + inner.ihl * 4, &ports, sizeof(ports)))
		return false;
	out->source.family = out->destination.family = AF_INET;
	__builtin_memcpy(out->source.ip, &inner.saddr, 4);
	__builtin_memcpy(out->destination.ip, &inner.daddr, 4);
	out->source.port = ports.source;
	out->destination.port = ports.destination;
	return true;
}

static __always_inline bool quoted_ipv6(struct __sk_buff *skb, __u32 l3, struct segment *out)
{
	__u32 at = l3 + sizeof(struct ipv6hdr);
	struct ipv6hdr outer, inner;
	struct ports ports;
	__u8 type;

	if (bpf_skb_load_bytes(skb, l3, &outer, sizeof(outer)) || outer.nexthdr != IPPROTO_ICMPV6)
		return false;
	if (bpf_skb_load_bytes(skb, at, &type, sizeof(type)) || type & ICMPV6_INFOMSG_MASK)
		return false;
	at += ICMP_HEADER_BYTES;
	if (bpf_skb_load_bytes(skb, at, &inner, sizeof(inner)) || inner.nexthdr != IPPROTO_TCP ||
	    bpf_skb_load_bytes(skb, at + sizeof(inner), &ports, sizeof(ports)))
		return false;
	out->source.family = out->destination.family = AF_INET6;
	__builtin_memcpy(out->source.ip, &inner.saddr, 16);
	__builtin_memcpy(out->destination.ip, &inner.daddr, 16);
	out->source.port = ports.source;
	out->destination.port = ports.destination;
	return true;
}

/* The packet is an ICMP error about a segment of a connection that has a socket here. */
static __always_inline bool is_error_for_us(struct __sk_buff *skb, __u32 l2_bytes)
{
	struct segment quoted = {};
	struct bpf_sock *sk;
	bool ours;

	if (skb->protocol == bpf_htons(ETH_P_IP) ? !quoted_ipv4(skb, l2_bytes, &quoted)
						 : (skb->protocol != bpf_htons(ETH_P_IPV6) ||
						    !quoted_ipv6(skb, l2_bytes, &quoted)))
		return false;
	sk = lookup_tuple(skb, &quoted.destination, &quoted.source);
	if (!sk)
		return false;
	ours = sk->state != BPF_TCP_LISTEN;
	bpf_sk_release(sk);
	return ours;
}

/* Where UDP begins in the quoted IPv6 packet, which may be a datagram's first fragment; or 0. */
static __always_inline __u32 quoted_datagram(struct __sk_buff *skb, __u32 at, __u8 next)
{
	__u8 fragment[8]; /* RFC 8200 §4.5 */

	if (next == IPPROTO_UDP)
		return at;
	if (next != IPPROTO_FRAGMENT || bpf_skb_load_bytes(skb, at, fragment, sizeof(fragment)) ||
	    fragment[0] != IPPROTO_UDP || fragment[2] || fragment[3] & ~IPV6_MORE_FRAGMENTS)
		return 0;
	return at + sizeof(fragment);
}

/*
 * Somewhere an IPv6 datagram that was sent from here is too long. Its answer, as far as
 * addresses go, is `answer`; false if the packet says nothing of the kind. In IPv4 nobody says
 * it: what is sent may be put in fragments on the way.
 */
static __always_inline bool datagram_was_too_long(struct __sk_buff *skb, __u32 l3,
						  struct segment *answer)
{
	__u32 at = l3 + sizeof(struct ipv6hdr);
	struct ipv6hdr outer, inner;
	struct ports ports;
	__u8 type;

	if (bpf_skb_load_bytes(skb, l3, &outer, sizeof(outer)) || outer.version != 6 ||
	    outer.nexthdr != IPPROTO_ICMPV6 || bpf_skb_load_bytes(skb, at, &type, sizeof(type)) ||
	    type != ICMPV6_PKT_TOOBIG)
		return false;
	at += ICMP_HEADER_BYTES;
	if (bpf_skb_load_bytes(skb, at, &inner, sizeof(inner)))
		return false;
	at = quoted_datagram(skb, at + sizeof(inner), inner.nexthdr);
	if (!at || bpf_skb_load_bytes(skb, at, &ports, sizeof(ports)))
		return false;
	__builtin_memset(answer, 0, sizeof(*answer));
	answer->protocol = IPPROTO_UDP;
	answer->source.family = answer->destination.family = AF_INET6;
	__builtin_memcpy(answer->source.ip, &inner.daddr, 16);
	__builtin_memcpy(answer->destination.ip, &inner.saddr, 16);
	answer->source.port = ports.destination;
	answer->destination.port = ports.source;
	return true;
}

/* On ingress: deliver it here, whomever it is addressed to. */
static __always_inline int steer_error(struct __sk_buff *skb)
{
	skb->mark = mark_of(PLAIT_MARK_STEER);
	return verdict(VERDICT_PASS, PLAIT_STEERED_ERROR);
}

/*
 * The kernel's own errors have its own source, which IPv4 takes for a forgery on
 * ingress. So the quoted segment's destination speaks; nobody looks at who does.
 */
static __always_inline void disown_ipv4(struct __sk_buff *skb, __u32 l3)
{
	struct iphdr outer;
	__be32 source;

	if (bpf_skb_load_bytes(skb, l3, &outer, sizeof(outer)) || outer.version != 4 ||
	    bpf_skb_load_bytes(
		    skb, l3 + outer.ihl * 4 + ICMP_HEADER_BYTES + offsetof(struct iphdr, daddr),
		    &source, sizeof(source)))
		return;
	bpf_l3_csum_replace(skb, l3 + offsetof(struct iphdr, check), outer.saddr, source,
			    sizeof(source));
	bpf_skb_store_bytes(skb, l3 + offsetof(struct iphdr, saddr), &source, sizeof(source), 0);
}

/*
 * On egress: the kernel itself has made it (no neighbour, no route), and would send
 * it away. It turns round; is_turned() recognizes it.
 */
static __always_inline int turn_error_round(struct __sk_buff *skb)
{
	disown_ipv4(skb, ETH_HLEN);
	skb->mark = mark_of(PLAIT_MARK_TURNED);
	return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

static __always_inline bool is_turned(struct __sk_buff *skb)
{
	if (skb->mark != mark_of(PLAIT_MARK_TURNED))
		return false;
	bpf_skb_change_type(skb, 0 /* PACKET_HOST: its MAC is the next hop's */);
	return true;
}

#endif
