/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which socket of the agent's takes a host's datagram (plain-mode-08 §5.1.1). */
#ifndef PLAIT_BPF_DATAGRAM_H
#define PLAIT_BPF_DATAGRAM_H

#include "hold.h"
#include "policy.h"
#include "session.h"

/* By worker * 2, and 1 more for IPv6. Agent writes. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 2 * PLAIT_MAX_WORKERS);
	__type(key, __u32);
	__type(value, __u64);
} datagram_sockets SEC(".maps");

/* Of a datagram that is to be delivered here. False: it is of another family. */
static __always_inline bool read_lookup(const struct bpf_sk_lookup *lookup, struct segment *out)
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
	for (int i = 0; i < 4; i++) {
		((__u32 *)out->source.ip)[i] = lookup->remote_ip6[i];
		((__u32 *)out->destination.ip)[i] = lookup->local_ip6[i];
	}
	return lookup->family == AF_INET6;
}

static __always_inline __u32 worker_of_datagram(const struct segment *segment)
{
	struct plait_session_value *session = session_find(segment, UP);

	return session ? session->worker : worker_of(segment);
}

/*
 * From a LAN, to what is not this machine's: such a datagram is delivered here only if
 * lan_ingress has marked it.
 */
SEC("sk_lookup")
int datagram_socket(struct bpf_sk_lookup *lookup)
{
	__u32 ifindex = lookup->ingress_ifindex, index;
	struct segment segment = {};
	struct bpf_sock *sk;

	if (lookup->protocol != IPPROTO_UDP || !bpf_map_lookup_elem(&lan_interfaces, &ifindex) ||
	    !read_lookup(lookup, &segment) || is_for_this_machine(&segment.destination))
		return SK_PASS;
	index = 2 * worker_of_datagram(&segment) + (segment.source.family == AF_INET6);
	sk = bpf_map_lookup_elem(&datagram_sockets, &index);
	if (!sk)
		return SK_PASS;
	bpf_sk_assign(lookup, sk, 0);
	bpf_sk_release(sk);
	return SK_PASS;
}

#endif
