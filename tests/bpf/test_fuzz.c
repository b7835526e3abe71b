// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Mutated packets through every program. Each run's verdict and count must be one
 * of the program's, each of these must come up, and what is held is the frame.
 */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

#include "live.h"
#include "mutation.h"

enum { MUTATIONS = 20000, LEAST_BYTES = 54, OUTCOMES_MAX = 12 };

static struct recipe seeds[] = {
	{.from = "10.0.0.2",
	 .to = "198.51.100.7",
	 .from_port = 40000,
	 .to_port = 6824,
	 .flags = SYN,
	 .options = {"\2\4\5\xb4\4\2\1\1\x1e\4\1\1", 12},
	 .payload = {"\x1e\x08", 2}},
	{.from = "10.0.0.2",
	 .to = "198.51.100.7",
	 .from_port = 40000,
	 .to_port = 6824,
	 .flags = SYN,
	 .options = {"\x1e\x0c\x10\1\0\0\0\0\0\0\0", 12},
	 .payload = {"\0\0", 2}},
	{.from = "10.0.0.2",
	 .to = "198.51.100.7",
	 .from_port = 40000,
	 .to_port = 443,
	 .flags = ACK,
	 .extra = {"\1\1\1\1", 4},
	 .payload = {"hello", 5}},
	{.from = "10.0.0.2", .to = "10.1.0.7", .from_port = 40000, .to_port = 80, .flags = SYN},
	{.from = "fd00:1::2",
	 .to = "2001:db8:f::7",
	 .from_port = 40000,
	 .to_port = 6824,
	 .flags = SYN,
	 .options = {"\x1e\4\1\1\1\3\3\7", 8},
	 .payload = {"\x1e\x14", 2}},
	{.from = "fd00:1::2",
	 .to = "2001:db8:f::7",
	 .from_port = 40000,
	 .to_port = 81,
	 .flags = SYN,
	 .first_extension = IPPROTO_HOPOPTS,
	 .extra = {"\x3c\0\1\4\0\0\0\0\6\1\1\x0c\0\0\0\0\0\0\0\0\0\0\0", 24}},
	{.from = "fd00:1::2",
	 .to = "fd00:1::1",
	 .from_port = 40000,
	 .to_port = 80,
	 .flags = SYN | ACK,
	 .payload = {"0123456789", 10}},
};

struct tried {
	const char *program;
	const char *outcomes[OUTCOMES_MAX];
	unsigned int times[OUTCOMES_MAX];
};

/* xorshift32: the same mutations every time */
/* A seed, or an ICMP error about it. */
static struct packet seed(void)
{
	const struct recipe *recipe = &seeds[any(sizeof(seeds) / sizeof(seeds[0]))];

	if (any(4))
		return packet_build(recipe);
	return strchr(recipe->from, ':') ? packet_icmp_error("2001:db8::9", recipe, 1, 3)
					 : packet_icmp_error("203.0.113.9", recipe, 3, 1);
}

static struct packet mutated(void)
{
	struct packet packet = seed();

	for (uint32_t i = any(4); i; i--)
		mutate_once(&packet, LEAST_BYTES);
	return packet;
}

static void judge(struct tried *tried, const char *outcome)
{
	for (int i = 0; i < OUTCOMES_MAX && tried->outcomes[i]; i++) {
		if (!strcmp(tried->outcomes[i], outcome)) {
			tried->times[i]++;
			return;
		}
	}
	cr_assert_fail("%s: %s", tried->program, outcome);
}

static void try_one(struct stage *stage, struct tried *tried, const struct packet *packet)
{
	struct stage_context context = {.interface = "wan0", .gso_segs = any(4)};
	const char *outcome;

	if (any(2))
		context.mark = MARK_BASE + any(5);
	outcome = stage_run(stage, tried->program, packet, context);
	judge(tried, outcome);
	if (strcmp(outcome, "drop syn_held"))
		return;
	cr_assert(stage_take_held(stage));
	cr_assert_eq(stage->held.frame_bytes, packet->bytes);
	cr_assert_arr_eq(stage->held.frame, packet->frame, packet->bytes);
}

static void fuzz(struct stage *stage, struct tried *programs, size_t count)
{
	int log = kernel_log_from_here();

	/* one connection has a socket; a test run finds it, but cannot assign it */
	seeds[0].seq = live_connect_here(&seeds[0]).seq;
	stage_add_session(stage, &seeds[2]);
	stage_put_addr(stage, "local_addresses", "fd00:1::1", 0);
	for (int i = 0; i < MUTATIONS; i++) {
		struct packet packet = mutated();

		for (size_t k = 0; k < count; k++)
			try_one(stage, &programs[k], &packet);
	}
	for (size_t k = 0; k < count; k++)
		for (int i = 0; i < OUTCOMES_MAX && programs[k].outcomes[i]; i++)
			cr_expect_gt(programs[k].times[i], 0, "%s never: %s", programs[k].program,
				     programs[k].outcomes[i]);
	kernel_log_expect_no_warning(log);
}

static struct tried cpe_programs[] = {
	{"lan_ingress",
	 {"next direct_other", "next direct_local", "next direct_lan", "next direct_policy",
	  "next direct_stateless", "drop drop_policy", "drop drop_malformed", "drop steer_failed",
	  "pass mark 0x7000 steered_error", "pass steered_error", "drop syn_held"},
	 {}},
	{"lan_egress", {"next"}, {}},
	{"leg_egress_ether",
	 {"next", "next mark 0x7002 syn_sent_twice", "drop syn_bare_dropped"},
	 {}},
	/* reads a MAC header as an IP header here, and must survive that */
	{"leg_egress_raw", {"next"}, {}},
	{"leg_ingress_ether", {"next", "drop steer_failed"}, {}},
	{"leg_ingress_raw", {"next"}, {}},
	{"let_go", {"redirect mark 0x7003", "redirect"}, {}},
};

static struct tried concentrator_programs[] = {
	{"customer_ingress",
	 {"next", "next syn_without_payload", "drop join_with_payload", "drop steer_failed",
	  "drop syn_held", "drop syn_duplicate", "next syn_met_connection",
	  "pass mark 0x7000 steered_error"},
	 {}},
	{"internet_ingress",
	 {"next", "drop source_not_allowed", "drop steer_failed", "pass mark 0x7000 steered_error",
	  "pass steered_error"},
	 {}},
	{"internet_egress",
	 {"next", "redirect mark 0x7004", "redirect", "drop join_not_allowed"},
	 {}},
	{"customer_egress",
	 {"next", "redirect mark 0x7004", "redirect", "next mark 0x7002 syn_sent_twice",
	  "drop syn_bare_dropped"},
	 {}},
};

Test(fuzz, programs_of_the_cpe)
{
	struct stage *stage = stage_open(CPE);
	struct plait_policy_rule rule = {.source_port_last = 65535, .in_use = 1};

	rule.destination_port_first = rule.destination_port_last = 80;
	rule.action = PLAIT_DIRECT;
	stage_put_policy(stage, 0, &rule);
	rule.destination_port_first = rule.destination_port_last = 81;
	rule.action = PLAIT_DROP;
	stage_put_policy(stage, 1, &rule);
	fuzz(stage, cpe_programs, sizeof(cpe_programs) / sizeof(cpe_programs[0]));
}

Test(fuzz, programs_of_the_concentrator)
{
	struct stage *stage = stage_open(CONCENTRATOR);
	const struct recipe reverse = {
		.from = seeds[2].to, .from_port = 443, .to = seeds[2].from, .to_port = 40000};

	stage_put_addr(stage, "customer_addresses", "198.51.100.7", 6824);
	stage_put_addr(stage, "customer_addresses", "2001:db8:f::7", 6824);
	stage_add_session(stage, &reverse);
	fuzz(stage, concentrator_programs,
	     sizeof(concentrator_programs) / sizeof(concentrator_programs[0]));
}
