// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Policy rules: the first that matches decides; design W4. */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

#include "stage.h"

static const struct recipe syn_v4 = {
	.from = "10.0.0.2", .to = "198.51.100.7", .from_port = 40000, .to_port = 443, .flags = SYN};
static const struct recipe syn_v6 = {.from = "fd00:1::2",
				     .to = "2001:db8:f::7",
				     .from_port = 40000,
				     .to_port = 443,
				     .flags = SYN};

static struct plait_policy_rule rule(enum plait_action action)
{
	return (struct plait_policy_rule){.source_port_last = 65535,
					  .destination_port_last = 65535,
					  .in_use = 1,
					  .action = action};
}

static struct plait_prefix prefix(const char *text, uint8_t bits)
{
	struct plait_addr addr = packet_addr(text, 0);
	struct plait_prefix out = {.family = addr.family, .bits = bits};

	memcpy(out.ip, addr.ip, sizeof(out.ip));
	return out;
}

#define EXPECT(stage, recipe, ...) \
	cr_expect_str_eq(stage_run_recipe(stage, "lan_ingress", recipe), __VA_ARGS__)

Test(policy, each_action)
{
	struct stage *stage = stage_open(CPE);
	struct plait_policy_rule direct = rule(PLAIT_DIRECT), drop = rule(PLAIT_DROP);
	struct plait_policy_rule bond = rule(PLAIT_BOND);

	EXPECT(stage, &syn_v4, "drop syn_held", "no rule");
	stage_put_policy(stage, 0, &direct);
	EXPECT(stage, &syn_v4, "next direct_policy");
	EXPECT(stage, &syn_v6, "next direct_policy");
	stage_put_policy(stage, 0, &drop);
	EXPECT(stage, &syn_v4, "drop drop_policy");
	stage_put_policy(stage, 0, &bond);
	EXPECT(stage, &syn_v4, "drop syn_held");
}

Test(policy, first_match_wins_and_an_unused_rule_ends_the_list)
{
	struct stage *stage = stage_open(CPE);
	struct plait_policy_rule port_80 = rule(PLAIT_DROP), all = rule(PLAIT_DIRECT), none = {};

	port_80.destination_port_first = port_80.destination_port_last = 80;
	stage_put_policy(stage, 0, &port_80);
	stage_put_policy(stage, 1, &all);
	stage_put_policy(stage, 2, &(struct plait_policy_rule){.in_use = 1, .action = PLAIT_DROP});
	EXPECT(stage, &syn_v4, "next direct_policy", "second, the first does not match");
	stage_put_policy(stage, 0, &all);
	stage_put_policy(stage, 1, &port_80);
	EXPECT(stage, &syn_v4, "next direct_policy");
	stage_put_policy(stage, 0, &none);
	EXPECT(stage, &syn_v4, "drop syn_held");
}

Test(policy, rules_begin_where_the_agent_says)
{
	struct stage *stage = stage_open(CPE);
	struct plait_policy_rule direct = rule(PLAIT_DIRECT), drop = rule(PLAIT_DROP);
	uint32_t zero = 0, first = PLAIT_POLICY_SLOTS;

	stage_put_policy(stage, 0, &direct);
	stage_put_policy(stage, first, &drop);
	EXPECT(stage, &syn_v4, "next direct_policy");
	stage_put(stage, "policy_first", &zero, &first);
	EXPECT(stage, &syn_v4, "drop drop_policy");
	stage_put(stage, "policy_first", &zero, &zero);
	EXPECT(stage, &syn_v4, "next direct_policy");
}

Test(policy, the_last_of_all_rules_counts)
{
	struct stage *stage = stage_open(CPE);
	struct plait_policy_rule other = rule(PLAIT_DROP), last = rule(PLAIT_DIRECT);

	other.destination = prefix("203.0.113.0", 24);
	for (uint32_t i = 0; i < PLAIT_POLICY_SLOTS - 1; i++)
		stage_put_policy(stage, i, &other);
	stage_put_policy(stage, PLAIT_POLICY_SLOTS - 1, &last);
	EXPECT(stage, &syn_v4, "next direct_policy");
	stage_put_policy(stage, PLAIT_POLICY_SLOTS - 1, &other);
	EXPECT(stage, &syn_v4, "drop syn_held");
}

static const char *run_ports(struct stage *stage, uint16_t from_port, uint16_t to_port)
{
	struct recipe recipe = syn_v4;

	recipe.from_port = from_port;
	recipe.to_port = to_port;
	return stage_run_recipe(stage, "lan_ingress", &recipe);
}

Test(policy, port_ranges_include_both_ends)
{
	struct stage *stage = stage_open(CPE);
	struct plait_policy_rule ports = rule(PLAIT_DIRECT);

	ports.source_port_first = 256;
	ports.source_port_last = 511;
	ports.destination_port_first = 1000;
	ports.destination_port_last = 2000;
	stage_put_policy(stage, 0, &ports);
	cr_expect_str_eq(run_ports(stage, 256, 1000), "next direct_policy");
	cr_expect_str_eq(run_ports(stage, 511, 2000), "next direct_policy");
	cr_expect_str_eq(run_ports(stage, 255, 1500), "drop syn_held");
	cr_expect_str_eq(run_ports(stage, 512, 1500), "drop syn_held");
	cr_expect_str_eq(run_ports(stage, 300, 999), "drop syn_held");
	cr_expect_str_eq(run_ports(stage, 300, 2001), "drop syn_held");
}

Test(policy, protocol)
{
	struct stage *stage = stage_open(CPE);
	struct plait_policy_rule udp = rule(PLAIT_DIRECT), tcp = rule(PLAIT_DROP);

	udp.protocol = IPPROTO_UDP;
	tcp.protocol = IPPROTO_TCP;
	stage_put_policy(stage, 0, &udp);
	EXPECT(stage, &syn_v4, "drop syn_held");
	stage_put_policy(stage, 1, &tcp);
	EXPECT(stage, &syn_v4, "drop drop_policy");
}

struct prefix_case {
	const char *prefix;
	uint8_t bits;
	const char *inside, *outside; /* destinations; NULL: none */
};

static const struct prefix_case prefix_cases[] = {
	{"198.51.100.7", 32, "198.51.100.7", "198.51.100.6"},
	{"198.51.100.6", 31, "198.51.100.7", "198.51.100.8"},
	{"198.51.100.0", 25, "198.51.100.127", "198.51.100.128"},
	{"198.51.100.0", 24, "198.51.100.255", "198.51.101.0"},
	{"198.51.0.0", 17, "198.51.127.1", "198.51.128.1"},
	{"198.0.0.0", 8, "198.255.0.1", "199.0.0.1"},
	{"128.0.0.0", 1, "198.51.100.7", "100.0.0.1"},
	{"0.0.0.0", 0, "198.51.100.7", NULL},
	{"0.0.0.0", 0, NULL, "2001:db8:f::7"},
	{"::", 0, "2001:db8:f::7", "198.51.100.7"},
	{"2001:db8:f::7", 128, "2001:db8:f::7", "2001:db8:f::6"},
	{"2001:db8:f::", 127, "2001:db8:f::1", "2001:db8:f::2"},
	{"2001:db8:f::", 97, "2001:db8:f::7fff:ffff", "2001:db8:f::8000:0"},
	{"2001:db8:f::", 96, "2001:db8:f::ffff:ffff", "2001:db8:f::1:0:0"},
	{"2001:db8:f:8000::", 49, "2001:db8:f:ffff::1", "2001:db8:f:7fff::1"},
	{"2001:db8::", 33, "2001:db8:7fff::1", "2001:db8:8000::1"},
	{"2001:db8::", 32, "2001:db8:ffff::1", "2001:db9::1"},
	{"2000::", 3, "3fff::1", "4000::1"},
	/* octets after the prefix do not count */
	{"198.51.100.99", 24, "198.51.100.7", "198.51.99.99"},
};

static const char *run_destination(struct stage *stage, const char *destination)
{
	struct recipe recipe = strchr(destination, ':') ? syn_v6 : syn_v4;

	recipe.to = destination;
	return stage_run_recipe(stage, "lan_ingress", &recipe);
}

Test(policy, destination_prefixes)
{
	struct stage *stage = stage_open(CPE);

	for (size_t i = 0; i < sizeof(prefix_cases) / sizeof(prefix_cases[0]); i++) {
		const struct prefix_case *at = &prefix_cases[i];
		struct plait_policy_rule one = rule(PLAIT_DIRECT);

		one.destination = prefix(at->prefix, at->bits);
		stage_put_policy(stage, 0, &one);
		if (at->inside)
			cr_expect_str_eq(run_destination(stage, at->inside), "next direct_policy",
					 "%s/%u", at->prefix, at->bits);
		if (at->outside)
			cr_expect_str_eq(run_destination(stage, at->outside), "drop syn_held",
					 "%s/%u", at->prefix, at->bits);
	}
}

Test(policy, source_prefixes_and_all_conditions_together)
{
	struct stage *stage = stage_open(CPE);
	struct plait_policy_rule one = rule(PLAIT_DIRECT);

	one.source = prefix("10.0.0.2", 32);
	stage_put_policy(stage, 0, &one);
	EXPECT(stage, &syn_v4, "next direct_policy");
	EXPECT(stage, &syn_v6, "drop syn_held");
	one.source = prefix("10.0.0.3", 32);
	stage_put_policy(stage, 0, &one);
	EXPECT(stage, &syn_v4, "drop syn_held");
	one.source = prefix("10.0.0.2", 32);
	one.destination = prefix("198.51.100.8", 32);
	stage_put_policy(stage, 0, &one);
	EXPECT(stage, &syn_v4, "drop syn_held", "the source alone is not enough");
}

/* A rule is asked after what must never be bonded at all. */
Test(policy, does_not_reach_local_destinations)
{
	struct stage *stage = stage_open(CPE);
	struct plait_policy_rule drop = rule(PLAIT_DROP);

	stage_put_policy(stage, 0, &drop);
	cr_expect_str_eq(run_destination(stage, "224.0.0.1"), "next direct_local");
	cr_expect_str_eq(run_destination(stage, "10.1.0.7"), "next direct_lan");
}
