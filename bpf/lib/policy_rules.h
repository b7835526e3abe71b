/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The policy's rules, and what they say of two addresses: design W4. */
#ifndef PLAIT_BPF_POLICY_RULES_H
#define PLAIT_BPF_POLICY_RULES_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "plait_maps.h"

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

/* What the rules are asked about. */
struct policy_question {
	const struct plait_addr *source, *destination;
	__u8 protocol; /* IANA number */
	bool is_bonded; /* already: while all that is new goes direct, it does not */
};

static __always_inline bool rule_matches(const struct plait_policy_rule *rule,
					 const struct policy_question *question)
{
	__u16 from = bpf_ntohs(question->source->port);
	__u16 to = bpf_ntohs(question->destination->port);

	if (rule->protocol && rule->protocol != question->protocol)
		return false;
	if (from < rule->source_port_first || from > rule->source_port_last)
		return false;
	if (to < rule->destination_port_first || to > rule->destination_port_last)
		return false;
	return in_prefix(question->source, &rule->source) &&
	       in_prefix(question->destination, &rule->destination);
}

static __always_inline const struct plait_policy_rule *rule_at(__u32 index)
{
	const struct plait_policy_rule *rule = bpf_map_lookup_elem(&policy, &index);

	return rule && rule->in_use ? rule : NULL;
}

struct policy_asking {
	const struct policy_question *question;
	__u32 begin;
	enum plait_action said;
};

/* Whether it is the last one to be asked. */
static long ask_rule(__u32 i, void *context)
{
	struct policy_asking *asking = context;
	const struct plait_policy_rule *rule = rule_at(asking->begin + i);

	if (!rule)
		return 1;
	if (!rule_matches(rule, asking->question))
		return 0;
	asking->said = rule->new_only && asking->question->is_bonded ? PLAIT_BOND : rule->action;
	return 1;
}

/* By bpf_loop(): the verifier follows each way through a loop as often as it may go round. */
static __always_inline enum plait_action policy_ask(const struct policy_question *question)
{
	__u32 zero = 0, *first = bpf_map_lookup_elem(&policy_first, &zero);
	struct policy_asking asking = {
		.question = question, .begin = first ? *first : 0, .said = PLAIT_BOND};

	if (rule_at(asking.begin)) /* many have none */
		bpf_loop(PLAIT_POLICY_SLOTS, ask_rule, &asking, 0);
	return asking.said;
}

#endif
