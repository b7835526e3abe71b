/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which new connections are bonded: design W4, plain-mode-08 §4.2, §4.4.1. */
#ifndef PLAIT_BPF_POLICY_H
#define PLAIT_BPF_POLICY_H

#include "maps.h"
#include "parse.h"
#include "policy_rules.h"
#include "session.h"

/* Interface indices of the LAN. Agent writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PLAIT_MAX_INTERFACES);
	__type(key, __u32);
	__type(value, __u8);
} lan_interfaces SEC(".maps");

#ifndef BPF_FIB_LOOKUP_SKIP_NEIGH
#define BPF_FIB_LOOKUP_SKIP_NEIGH 4
#endif

/* Of what begins. */
static __always_inline enum plait_action policy_decide(const struct segment *segment)
{
	const struct policy_question question = {.source = &segment->source,
						 .destination = &segment->destination,
						 .protocol = segment->protocol};

	return policy_ask(&question);
}

static __always_inline bool is_towards_lan(struct __sk_buff *skb, const struct segment *segment)
{
	struct bpf_fib_lookup fib = {.ifindex = skb->ifindex};
	__u32 out;

	fib.family = segment->destination.family;
	fib.l4_protocol = segment->protocol;
	if (fib.family == AF_INET) {
		__builtin_memcpy(&fib.ipv4_src, segment->source.ip, 4);
		__builtin_memcpy(&fib.ipv4_dst, segment->destination.ip, 4);
	} else {
		__builtin_memcpy(fib.ipv6_src, segment->source.ip, 16);
		__builtin_memcpy(fib.ipv6_dst, segment->destination.ip, 16);
	}
	/* any answer but these two has no way out through a LAN interface */
	long answer = bpf_fib_lookup(skb, &fib, sizeof(fib), BPF_FIB_LOOKUP_SKIP_NEIGH);
	if (answer != BPF_FIB_LKUP_RET_SUCCESS && answer != BPF_FIB_LKUP_RET_NO_NEIGH)
		return false;
	out = fib.ifindex;
	return bpf_map_lookup_elem(&lan_interfaces, &out);
}

#endif
