/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Handing segments to the agent's sockets by sk_assign. Nothing in the packet
 * changes; the mark makes the routing rule of plaitd deliver it here.
 */
#ifndef PLAIT_BPF_STEER_H
#define PLAIT_BPF_STEER_H

#include <bpf/bpf_core_read.h>

#include "count.h"
#include "maps.h"
#include "parse.h"

static __always_inline __u32 mark_of(enum plait_mark_kind kind)
{
	return settings.mark_base + kind;
}

/* Its length is that of its family's part, which the helpers ask for. */
static __always_inline __u32 tuple_of(const struct plait_addr *from, const struct plait_addr *to,
				      struct bpf_sock_tuple *out)
{
	if (from->family == AF_INET) {
		__builtin_memcpy(&out->ipv4.saddr, from->ip, 4);
		__builtin_memcpy(&out->ipv4.daddr, to->ip, 4);
		out->ipv4.sport = from->port;
		out->ipv4.dport = to->port;
		return sizeof(out->ipv4);
	}
	__builtin_memcpy(out->ipv6.saddr, from->ip, 16);
	__builtin_memcpy(out->ipv6.daddr, to->ip, 16);
	out->ipv6.sport = from->port;
	out->ipv6.dport = to->port;
	return sizeof(out->ipv6);
}

static __always_inline struct bpf_sock *
lookup_tuple(struct __sk_buff *skb, const struct plait_addr *from, const struct plait_addr *to)
{
	struct bpf_sock_tuple tuple = {};
	__u32 bytes = tuple_of(from, to, &tuple);

	return bpf_skc_lookup_tcp(skb, &tuple, bytes, BPF_F_CURRENT_NETNS, 0);
}

/* A socket connected to exactly that source; one that takes from anybody is none. */
static __always_inline struct bpf_sock *lookup_datagram(struct __sk_buff *skb,
							const struct segment *segment)
{
	struct bpf_sock_tuple tuple = {};
	__u32 bytes = tuple_of(&segment->source, &segment->destination, &tuple);
	struct bpf_sock *sk = bpf_sk_lookup_udp(skb, &tuple, bytes, BPF_F_CURRENT_NETNS, 0);

	if (sk && sk->state != BPF_TCP_ESTABLISHED) {
		bpf_sk_release(sk);
		return NULL;
	}
	return sk;
}

enum steered { STEER_DONE, STEER_NO_SOCKET };

/*
 * To the socket of the segment's own connection. A listener that happens to sit
 * on the destination is none.
 */
static __always_inline enum steered steer_to_connection(struct __sk_buff *skb,
							const struct segment *segment)
{
	struct bpf_sock *sk = lookup_tuple(skb, &segment->source, &segment->destination);
	long failed = -1;

	if (!sk)
		return STEER_NO_SOCKET;
	if (sk->state != BPF_TCP_LISTEN)
		failed = bpf_sk_assign(skb, sk, 0);
	bpf_sk_release(sk);
	if (failed)
		return STEER_NO_SOCKET;
	skb->mark = mark_of(PLAIT_MARK_STEER);
	return STEER_DONE;
}

/* What the kernel knows of the addresses and ports of a new SYN. */
enum met {
	MET_NOTHING,
	MET_TIME_WAIT, /* the SYN may take them over */
	MET_ITSELF, /* its connection is open: it is a copy */
	MET_ANOTHER, /* an earlier connection, which must answer (RFC 9293 §3.10.7.4) */
};

/* The kernel's, as far as RFC 6191 needs them. */
struct sock_common {
	__u32 skc_tw_rcv_nxt;
} __attribute__((preserve_access_index));
struct inet_timewait_sock {
	struct sock_common __tw_common;
} __attribute__((preserve_access_index));
struct tcp_timewait_sock {
	struct inet_timewait_sock tw_sk;
	__u32 tw_ts_recent;
} __attribute__((preserve_access_index));

void *bpf_rdonly_cast(const void *object, __u32 btf_id) __ksym;

/* RFC 6191 §2: a later sequence number, or a later timestamp. */
static __always_inline bool may_take_over(struct __sk_buff *skb, const struct segment *segment,
					  struct bpf_sock *sk)
{
	/* bpf_skc_to_tcp_timewait_sock() does not know MPTCP's subflows */
	struct tcp_timewait_sock *time_wait =
		bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct tcp_timewait_sock));
	struct options options;

	if ((__s32)(segment->sequence - time_wait->tw_sk.__tw_common.skc_tw_rcv_nxt) > 0)
		return true;
	options = read_options(skb, segment);
	return options.has_timestamp && (__s32)(options.timestamp - time_wait->tw_ts_recent) > 0;
}

enum { COPY_WINDOW = 1 << 20 }; /* what a connection may have received before its SYN's copy */

static __always_inline bool is_copy(const struct segment *segment, struct bpf_sock *sk)
{
	struct bpf_tcp_sock *tcp = bpf_tcp_sock(sk);

	/* a connection request is no full socket, and soon gone */
	return !tcp || tcp->rcv_nxt - segment->sequence - 1 < COPY_WINDOW;
}

static __always_inline enum met syn_meets(struct __sk_buff *skb, const struct segment *segment)
{
	struct bpf_sock *sk = lookup_tuple(skb, &segment->source, &segment->destination);
	enum met met = MET_ANOTHER;

	if (!sk)
		return MET_NOTHING;
	if (sk->state == BPF_TCP_LISTEN)
		met = MET_NOTHING;
	else if (sk->state == BPF_TCP_TIME_WAIT)
		met = may_take_over(skb, segment, sk) ? MET_TIME_WAIT : MET_ANOTHER;
	else if (is_copy(segment, sk))
		met = MET_ITSELF;
	bpf_sk_release(sk);
	return met;
}

/* number: worker * 2 + enum plait_side */
static __always_inline struct bpf_sock *private_listener(struct __sk_buff *skb, __u32 number)
{
	struct plait_addr nobody = {.family = AF_INET}, loopback = {.family = AF_INET};

	number &= PLAIT_MAX_LISTENERS - 1;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		loopback.ip[0] = 127;
		loopback.ip[3] = 1;
		loopback.port = settings.listener_v4[number];
	} else {
		nobody.family = loopback.family = AF_INET6;
		loopback.ip[15] = 1;
		loopback.port = settings.listener_v6[number];
	}
	return lookup_tuple(skb, &nobody, &loopback);
}

/* sk is released; mark is what the packet leaves with, reason what it counts as. */
static __always_inline int steer_to_socket(struct __sk_buff *skb, struct bpf_sock *sk, __u32 mark,
					   enum plait_reason reason)
{
	long failed;

	if (!sk)
		return verdict(VERDICT_DROP, PLAIT_STEER_FAILED);
	failed = bpf_sk_assign(skb, sk, 0);
	bpf_sk_release(sk);
	if (failed)
		return verdict(VERDICT_DROP, PLAIT_STEER_FAILED);
	skb->mark = mark;
	return verdict(VERDICT_PASS, reason);
}

static __always_inline int steer_to_listener(struct __sk_buff *skb, __u32 number, __u32 mark,
					     enum plait_reason reason)
{
	return steer_to_socket(skb, private_listener(skb, number), mark, reason);
}

/*
 * A held SYN that came back through the TAP device: its source MAC names the
 * listener that answers. mark is what the packet leaves with.
 */
static __always_inline int steer_let_go(struct __sk_buff *skb, __u32 mark)
{
	struct plait_let_go let_go;

	if (bpf_skb_load_bytes(skb, ETH_ALEN, &let_go, sizeof(let_go)))
		return verdict(VERDICT_DROP, PLAIT_DROP_MALFORMED);
	return steer_to_listener(skb, let_go.listener, mark, PLAIT_SYN_LET_GO);
}

#endif
