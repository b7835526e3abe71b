/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which new connections are bonded: design W4, plain-mode-08 §4.2, §4.4.1. */
#ifndef PLAIT_BPF_POLICY_H
#define PLAIT_BPF_POLICY_H

#include "maps.h"
#include "parse.h"
#include "session.h"

/*
 * Rules in order, in one half of the map; the agent writes new ones into the other before
 * it says so in policy_first.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * PLAIT_POLICY_SLOTS);
	__type(key, __u32);
	__type(value, struct plait_policy_rule);
} policy SEC(".maps");

/* Where the rules begin: 0 or PLAIT_POLICY_SLOTS. Agent writes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} policy_first SEC(".maps");

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

static __always_inline bool in_prefix(const struct plait_addr *addr,
				      const struct plait_prefix *prefix)
{
	const __u32 *a = (const __u32 *)addr->ip, *p = (const __u32 *)prefix->ip;
	int bits = prefix->bits;

	if (!prefix->family)
		return true;
	if (prefix->family != addr->family)
		return false;
	for (int i = 0; i < 4; i++, bits -= 32) {
		__u32 mask = bits >= 32 ? 0xffffffff : bits <= 0 ? 0 : ~(0xffffffffu >> bits);

		if ((a[i] ^ p[i]) & bpf_htonl(mask))
			return false;
	}
	return true;
}

static __always_inline bool rule_matches(const struct plait_policy_rule *rule,
					 const struct segment *segment)
{
	__u16 from = bpf_ntohs(segment->source.port), to = bpf_ntohs(segment->destination.port);

	if (rule->protocol && rule->protocol != segment->protocol)
		return false;
	if (from < rule->source_port_first || from > rule->source_port_last)
		return false;
	if (to < rule->destination_port_first || to > rule->destination_port_last)
		return false;
	return in_prefix(&segment->source, &rule->source) &&
	       in_prefix(&segment->destination, &rule->destination);
}

static __always_inline enum plait_action policy_decide(const struct segment *segment)
{
	__u32 zero = 0, *first = bpf_map_lookup_elem(&policy_first, &zero);
	__u32 begin = first ? *first : 0;

	for (__u32 i = 0; i < PLAIT_POLICY_SLOTS; i++) {
		__u32 index = begin + i;
		struct plait_policy_rule *rule = bpf_map_lookup_elem(&policy, &index);

		if (!rule || !rule->in_use)
			break;
		if (rule_matches(rule, segment))
			return rule->action;
	}
	return PLAIT_BOND;
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
