/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* DSCP across the relay, where sockets alone cannot carry it (plain-mode-08 §6). */
#ifndef PLAIT_BPF_DSCP_H
#define PLAIT_BPF_DSCP_H

#include <bpf/bpf_core_read.h>

#include "maps.h"
#include "parse.h"

/*
 * What far sides answered with: DSCP, unless 0, of SYN+ACKs, by the addresses of the
 * SYN. BPF writes, the agent takes. Other programs' are pushed out unread.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct plait_session_key);
	__type(value, __u8);
} answers SEC(".maps");

static __always_inline void note_answer(const struct segment *segment)
{
	struct plait_session_key key = {.protocol = IPPROTO_TCP};
	__u8 dscp = segment->traffic_class >> 2;

	if ((segment->flags & (TCP_SYN | TCP_ACK)) != (TCP_SYN | TCP_ACK))
		return;
	key.inside = segment->destination;
	key.remote = segment->source;
	if (dscp)
		bpf_map_update_elem(&answers, &key, &dscp, BPF_ANY);
	else
		bpf_map_delete_elem(&answers, &key);
}

struct inet_sock {
	__u8 tos;
} __attribute__((preserve_access_index));

void *bpf_rdonly_cast(const void *object, __u32 btf_id) __ksym;

/*
 * MPTCP sockets take no IPV6_TCLASS, but IP_TOS, which the kernel writes into IPv4
 * packets only: its DSCP goes into IPv6 ones here. ECN stays.
 */
static __always_inline void mark_as_socket(struct __sk_buff *skb, __u32 l2_bytes)
{
	struct bpf_sock *sk = skb->sk;
	struct inet_sock *inet;
	__u8 octets[2], dscp;

	if (skb->protocol != bpf_htons(ETH_P_IPV6) || !sk)
		return;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return;
	inet = bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct inet_sock));
	dscp = inet->tos >> 2;
	if (!dscp || bpf_skb_load_bytes(skb, l2_bytes, octets, sizeof(octets)))
		return;
	octets[0] = (octets[0] & 0xf0) | dscp >> 2;
	octets[1] = (octets[1] & 0x3f) | dscp << 6;
	bpf_skb_store_bytes(skb, l2_bytes, octets, sizeof(octets), 0);
}

#endif
