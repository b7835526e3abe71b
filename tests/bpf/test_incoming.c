// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Connections from the internet: what is held at either end, plain-mode-08 §4.4.2. */
#include <criterion/criterion.h>
#include <netinet/in.h>

#include "stage.h"

/* RFC 8684: a SYN's MP_CAPABLE version 1 (§3.1), and its MP_JOIN (§3.2) */
#define MP_CAPABLE 30, 4, 0x01, 0x01
#define MP_JOIN    30, 12, 0x10, 1, 1, 2, 3, 4, 5, 6, 7, 8

static const struct octets preamble = {"\x1e\x0a\xe8\x06\xc6\x33\x64\x07\x9c\x40\x00", 11};

/* From a concentrator to a CPE's link. */
static const struct recipe leg_v4 = {.from = "203.0.113.1",
				     .to = "192.0.2.2",
				     .from_port = 40000,
				     .to_port = 8080,
				     .flags = SYN};
static const struct recipe leg_v6 = {.from = "2001:db8:c::1",
				     .to = "2001:db8:1::2",
				     .from_port = 40000,
				     .to_port = 8080,
				     .flags = SYN};

static struct stage *cpe(void)
{
	struct stage *stage = stage_open(CPE);

	stage_put_binding(stage, NULL, 8080);
	stage_put_addr(stage, "concentrators", "203.0.113.1", 0);
	stage_put_addr(stage, "concentrators", "2001:db8:c::1", 0);
	stage_put_addr(stage, "local_addresses", "192.0.2.2", 0);
	stage_put_addr(stage, "local_addresses", "2001:db8:1::2", 0);
	return stage;
}

static const char *run(struct stage *stage, struct recipe recipe, struct octets options,
		       struct octets payload)
{
	recipe.options = options;
	recipe.payload = payload;
	return stage_run_recipe(stage, "leg_ingress_ether", &recipe);
}

Test(incoming, cpe_holds_a_leg_to_a_binding)
{
	struct stage *stage = cpe();

	cr_expect_str_eq(run(stage, leg_v4, OCTETS(MP_CAPABLE), preamble), "drop syn_held");
	cr_assert(stage_take_held(stage));
	cr_expect_eq(stage->held.side, PLAIT_SIDE_LEG);
	cr_expect_str_eq(run(stage, leg_v6, OCTETS(MP_CAPABLE), preamble), "drop syn_held");
}

/* Its preamble may come on the stream; and what is no MPTCP the agent refuses. */
Test(incoming, cpe_holds_what_has_no_preamble)
{
	struct stage *stage = cpe();

	cr_expect_str_eq(run(stage, leg_v4, OCTETS(MP_CAPABLE), (struct octets){}),
			 "drop syn_held");
	cr_expect_str_eq(run(stage, leg_v4, (struct octets){}, preamble), "drop syn_held");
}

Test(incoming, cpe_leaves_the_rest_to_the_kernel)
{
	struct stage *stage = cpe();
	struct recipe recipe = leg_v4;

	recipe.from = "203.0.113.9";
	cr_expect_str_eq(run(stage, recipe, OCTETS(MP_CAPABLE), preamble),
			 "next source_not_allowed");
	recipe = leg_v4;
	recipe.to_port = 8081;
	cr_expect_str_eq(run(stage, recipe, OCTETS(MP_CAPABLE), preamble), "next");
	recipe = leg_v4;
	recipe.to = "10.0.0.2"; /* through the CPE, not to it */
	cr_expect_str_eq(run(stage, recipe, OCTETS(MP_CAPABLE), preamble), "next");
	recipe = leg_v4;
	recipe.flags = SYN | ACK;
	cr_expect_str_eq(run(stage, recipe, OCTETS(MP_CAPABLE), preamble), "next");
	cr_expect_not(stage_take_held(stage));
}

Test(incoming, cpe_drops_joins_that_cannot_be)
{
	struct stage *stage = cpe();

	cr_expect_str_eq(run(stage, leg_v4, OCTETS(MP_JOIN), preamble), "drop join_with_payload");
	cr_expect_str_eq(run(stage, leg_v4, OCTETS(MP_JOIN), (struct octets){}),
			 "drop steer_failed", "nobody listens");
}

/* From the internet to a concentrator's binding. */
static const struct recipe syn_v4 = {.from = "198.51.100.7",
				     .to = "203.0.113.65",
				     .from_port = 40000,
				     .to_port = 443,
				     .flags = SYN};
static const struct recipe syn_v6 = {.from = "2001:db8:f::7",
				     .to = "2001:db8:77::65",
				     .from_port = 40000,
				     .to_port = 443,
				     .flags = SYN};

static struct stage *concentrator(void)
{
	struct stage *stage = stage_open(CONCENTRATOR);

	stage_put_binding(stage, syn_v4.to, syn_v4.to_port);
	stage_put_binding(stage, syn_v6.to, syn_v6.to_port);
	return stage;
}

Test(incoming, concentrator_holds_what_a_binding_lets_in)
{
	struct stage *stage = concentrator();

	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &syn_v4), "drop syn_held");
	cr_assert(stage_take_held(stage));
	cr_expect_eq(stage->held.side, PLAIT_SIDE_PLAIN);
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &syn_v6), "drop syn_held");
}

Test(incoming, concentrator_holds_nothing_else)
{
	static const char *const sources[] = {"127.0.0.1", "224.0.0.1", "0.0.0.0"};
	struct stage *stage = concentrator();
	struct plait_binding_key lent = {.protocol = IPPROTO_TCP};
	struct plait_binding_value value = {};
	struct recipe recipe = syn_v4;

	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		recipe.from = sources[i];
		cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &recipe), "next");
	}
	recipe = syn_v4;
	recipe.flags = ACK;
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &recipe), "next");
	recipe.flags = SYN;
	recipe.to_port = 444;
	lent.external = packet_addr(recipe.to, recipe.to_port);
	stage_put(stage, "bindings", &lent, &value);
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &recipe), "next",
			 "a binding of a connection from inside");
	cr_expect_not(stage_take_held(stage));
}
