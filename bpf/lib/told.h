/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What CPEs tell of their links by echo requests (docs/datagram.md). */
#ifndef PLAIT_BPF_TOLD_H
#define PLAIT_BPF_TOLD_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "allowed.h"
#include "parse.h"
#include "plait_datagram.h"
#include "prefixes.h"

/* By link's address, of those that have bindings. The agent adds and removes; sized by it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct plait_addr);
	__type(value, struct plait_told_value);
} datagram_told SEC(".maps");

enum { ECHO_V4 = 8, ECHO_V6 = 128, ECHO_BYTES = 8 };

/* Of an echo request without IP options: who asks, and where its payload begins; 0: none. */
static __always_inline __u32 read_echo(struct __sk_buff *skb, struct plait_addr *source)
{
	struct iphdr v4;
	struct ipv6hdr v6;
	__u32 icmp = 0;
	__u8 type;

	if (skb->protocol == bpf_htons(ETH_P_IP) &&
	    !bpf_skb_load_bytes(skb, ETH_HLEN, &v4, sizeof(v4)) && v4.ihl == 5 &&
	    v4.protocol == IPPROTO_ICMP) {
		icmp = ETH_HLEN + sizeof(v4);
		source->family = AF_INET;
		__builtin_memcpy(source->ip, &v4.saddr, 4);
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6) &&
		   !bpf_skb_load_bytes(skb, ETH_HLEN, &v6, sizeof(v6)) &&
		   v6.nexthdr == IPPROTO_ICMPV6) {
		icmp = ETH_HLEN + sizeof(v6);
		source->family = AF_INET6;
		__builtin_memcpy(source->ip, &v6.saddr, 16);
	}
	if (!icmp || bpf_skb_load_bytes(skb, icmp, &type, sizeof(type)) ||
	    type != (source->family == AF_INET ? ECHO_V4 : ECHO_V6))
		return 0;
	return icmp + ECHO_BYTES;
}

/* Of a subscriber without bindings it is only noted that there is one. */
static __always_inline struct plait_told_value *told_by(const struct plait_addr *source)
{
	struct plait_told_value *value = bpf_map_lookup_elem(&datagram_told, source);
	const struct plait_addr anybody = {};

	if (value || !is_within(&allowed, source))
		return value;
	return bpf_map_lookup_elem(&datagram_told, &anybody);
}

/* The kernel answers it all the same. */
static __always_inline void note_told(struct __sk_buff *skb)
{
	struct plait_told_value *value;
	struct plait_addr source = {};
	__u32 offset = read_echo(skb, &source);
	__u8 magic[4];

	if (!offset || bpf_skb_load_bytes(skb, offset, magic, sizeof(magic)) ||
	    __builtin_memcmp(magic, PLAIT_TOLD_MAGIC, sizeof(magic)))
		return;
	value = told_by(&source);
	if (value && !bpf_skb_load_bytes(skb, offset, &value->told, sizeof(value->told)))
		value->heard_ns = bpf_ktime_get_ns();
}

#endif
