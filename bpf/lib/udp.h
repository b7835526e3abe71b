/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which socket of the agent's takes a datagram of the plain side (plain-mode-08 §5.1.1). */
#ifndef PLAIT_BPF_UDP_H
#define PLAIT_BPF_UDP_H

#include "hold.h"
#include "session.h"

/* By worker * 2, and 1 more for IPv6. Agent writes. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 2 * PLAIT_MAX_WORKERS);
	__type(key, __u32);
	__type(value, __u64);
} udp_sockets SEC(".maps");

/* Of a datagram that is to be delivered here. False: it is of another family. */
static __always_inline bool read_lookup(const volatile struct bpf_sk_lookup *lookup,
					struct segment *out)
{
	out->protocol = lookup->protocol;
	out->source.port = lookup->remote_port;
	out->destination.port = bpf_htons(lookup->local_port);
	out->source.family = out->destination.family = lookup->family;
	if (lookup->family == AF_INET) {
		*(__u32 *)out->source.ip = lookup->remote_ip4;
		*(__u32 *)out->destination.ip = lookup->local_ip4;
		return true;
	}
	/* the verifier takes a context's fields by their offsets only, no pointer to one */
	((__u32 *)out->source.ip)[0] = lookup->remote_ip6[0];
	((__u32 *)out->source.ip)[1] = lookup->remote_ip6[1];
	((__u32 *)out->source.ip)[2] = lookup->remote_ip6[2];
	((__u32 *)out->source.ip)[3] = lookup->remote_ip6[3];
	((__u32 *)out->destination.ip)[0] = lookup->local_ip6[0];
	((__u32 *)out->destination.ip)[1] = lookup->local_ip6[1];
	((__u32 *)out->destination.ip)[2] = lookup->local_ip6[2];
	((__u32 *)out->destination.ip)[3] = lookup->local_ip6[3];
	return lookup->family == AF_INET6;
}

/* To the worker that has its session, if there is one. */
static __always_inline int give_worker_s(struct bpf_sk_lookup *lookup,
					 const struct segment *segment,
					 const struct plait_session_value *session)
{
	__u32 worker = session ? session->worker : worker_of(segment);
	__u32 index = 2 * worker + (segment->source.family == AF_INET6);
	struct bpf_sock *sk = bpf_map_lookup_elem(&udp_sockets, &index);

	if (!sk)
		return SK_PASS;
	bpf_sk_assign(lookup, sk, 0);
	bpf_sk_release(sk);
	return SK_PASS;
}

#endif
