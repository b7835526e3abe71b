/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Handing segments to the agent's sockets by sk_assign. Nothing in the packet
 * changes; the mark makes the routing rule of plaitd deliver it here.
 */
#ifndef PLAIT_BPF_STEER_H
#define PLAIT_BPF_STEER_H

#include "count.h"
#include "parse.h"

static __always_inline __u32 mark_of(enum plait_mark_kind kind)
{
	return settings.mark_base + kind;
}

static __always_inline struct bpf_sock *
lookup_tuple(struct __sk_buff *skb, const struct plait_addr *from, const struct plait_addr *to)
{
	struct bpf_sock_tuple tuple = {};

	if (from->family == AF_INET) {
		__builtin_memcpy(&tuple.ipv4.saddr, from->ip, 4);
		__builtin_memcpy(&tuple.ipv4.daddr, to->ip, 4);
		tuple.ipv4.sport = from->port;
		tuple.ipv4.dport = to->port;
		return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	__builtin_memcpy(tuple.ipv6.saddr, from->ip, 16);
	__builtin_memcpy(tuple.ipv6.daddr, to->ip, 16);
	tuple.ipv6.sport = from->port;
	tuple.ipv6.dport = to->port;
	return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

enum steered { STEER_DONE, STEER_NO_SOCKET };

/*
 * To the socket of the segment's own connection. A listener that happens to sit
 * on the destination is none, and neither is TIME_WAIT for a new SYN.
 */
static __always_inline enum steered steer_to_connection(struct __sk_buff *skb,
							const struct segment *segment)
{
	struct bpf_sock *sk = lookup_tuple(skb, &segment->source, &segment->destination);
	long failed = -1;

	if (!sk)
		return STEER_NO_SOCKET;
	if (sk->state != BPF_TCP_LISTEN && !(sk->state == BPF_TCP_TIME_WAIT && is_syn(segment)))
		failed = bpf_sk_assign(skb, sk, 0);
	bpf_sk_release(sk);
	if (failed)
		return STEER_NO_SOCKET;
	skb->mark = mark_of(PLAIT_MARK_STEER);
	return STEER_DONE;
}

/* True if the segment's own connection has a socket that is still in use. */
static __always_inline bool connection_exists(struct __sk_buff *skb, const struct segment *segment)
{
	struct bpf_sock *sk = lookup_tuple(skb, &segment->source, &segment->destination);
	bool exists;

	if (!sk)
		return false;
	exists = sk->state != BPF_TCP_LISTEN && sk->state != BPF_TCP_TIME_WAIT;
	bpf_sk_release(sk);
	return exists;
}

static __always_inline struct bpf_sock *worker_listener(struct __sk_buff *skb, __u32 worker)
{
	struct plait_addr nobody = {.family = AF_INET}, loopback = {.family = AF_INET};

	worker &= PLAIT_MAX_WORKERS - 1;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		loopback.ip[0] = 127;
		loopback.ip[3] = 1;
		loopback.port = settings.listener_v4[worker];
	} else {
		nobody.family = loopback.family = AF_INET6;
		loopback.ip[15] = 1;
		loopback.port = settings.listener_v6[worker];
	}
	return lookup_tuple(skb, &nobody, &loopback);
}

/*
 * A held SYN that came back through the TAP device: its source MAC names the
 * worker whose listener answers. mark is what the packet leaves with.
 */
static __always_inline int steer_let_go(struct __sk_buff *skb, __u32 mark)
{
	struct plait_let_go let_go;
	struct bpf_sock *sk;
	long failed;

	if (bpf_skb_load_bytes(skb, ETH_ALEN, &let_go, sizeof(let_go)))
		return verdict(VERDICT_DROP, PLAIT_DROP_MALFORMED);
	sk = worker_listener(skb, let_go.worker);
	if (!sk)
		return verdict(VERDICT_DROP, PLAIT_STEER_FAILED);
	failed = bpf_sk_assign(skb, sk, 0);
	bpf_sk_release(sk);
	if (failed)
		return verdict(VERDICT_DROP, PLAIT_STEER_FAILED);
	skb->mark = mark;
	return verdict(VERDICT_PASS, PLAIT_SYN_LET_GO);
}

#endif
