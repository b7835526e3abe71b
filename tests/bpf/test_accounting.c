// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What sessions count, at every program that sees their segments. */
#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

#include "stage.h"

enum { V4_HEADERS = 40, V6_HEADERS = 60 };

static const struct recipe up_v4 = {
	.from = "10.0.0.2", .to = "198.51.100.7", .from_port = 40000, .to_port = 443, .flags = ACK};
static const struct recipe up_v6 = {.from = "fd00:1::2",
				    .to = "2001:db8:f::7",
				    .from_port = 40000,
				    .to_port = 443,
				    .flags = ACK};

static struct recipe reverse(struct recipe recipe)
{
	const char *from = recipe.from;
	uint16_t from_port = recipe.from_port;

	recipe.from = recipe.to;
	recipe.from_port = recipe.to_port;
	recipe.to = from;
	recipe.to_port = from_port;
	return recipe;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

struct where {
	enum stage_role role;
	const char *program;
	bool up;
	const char *outcome; /* no socket exists anywhere here */
};

static const struct where places[] = {
	{CPE, "lan_ingress", true, "drop steer_failed"},
	{CPE, "lan_egress", false, "next"},
	{CONCENTRATOR, "internet_ingress", false, "next"},
	{CONCENTRATOR, "internet_egress", true, "next"},
};

static void expect_counts(const struct plait_session_value *got, bool up, uint64_t packets,
			  uint64_t bytes)
{
	cr_expect_eq(up ? got->up_packets : got->down_packets, packets);
	cr_expect_eq(up ? got->up_bytes : got->down_bytes, bytes);
	cr_expect_eq(up ? got->down_packets : got->up_packets, 0);
	cr_expect_eq(up ? got->down_bytes : got->up_bytes, 0);
}

static void account_one(const struct where *where, const struct recipe *up, uint64_t headers)
{
	struct stage *stage = stage_open(where->role);
	struct recipe recipe = where->up ? *up : reverse(*up);
	struct plait_session_value got;
	uint64_t before = now_ns();

	/* the concentrator's own external address: its session needs no steering */
	stage_put_addr(stage, "local_addresses", up->from, 0);
	stage_add_session(stage, up);
	recipe.payload = TEXT("GET / HTTP/1.0\r\n\r\n");
	cr_expect_str_eq(stage_run_recipe(stage, where->program, &recipe), where->outcome);
	got = stage_session(stage, up);
	expect_counts(&got, where->up, 1, headers + 18);
	cr_expect(got.last_seen_ns >= before && got.last_seen_ns <= now_ns());
	cr_expect_eq(got.created_ns, 1);
	cr_expect_eq(got.state, PLAIT_SESSION_ESTABLISHED);
	cr_expect_eq(got.flags, 0);
	recipe.payload = (struct octets){};
	stage_run_recipe(stage, where->program, &recipe);
	got = stage_session(stage, up);
	expect_counts(&got, where->up, 2, 2 * headers + 18);
}

Test(accounting, lan_ingress)
{
	account_one(&places[0], &up_v4, V4_HEADERS);
	account_one(&places[0], &up_v6, V6_HEADERS);
}

Test(accounting, lan_egress)
{
	account_one(&places[1], &up_v4, V4_HEADERS);
	account_one(&places[1], &up_v6, V6_HEADERS);
}

Test(accounting, internet_ingress)
{
	account_one(&places[2], &up_v4, V4_HEADERS);
	account_one(&places[2], &up_v6, V6_HEADERS);
}

Test(accounting, internet_egress)
{
	account_one(&places[3], &up_v4, V4_HEADERS);
	account_one(&places[3], &up_v6, V6_HEADERS);
}

/* A large packet of GRO or GSO is several on the wire. */
Test(accounting, counts_a_large_packet_as_its_segments)
{
	static const uint8_t filling[3000];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct stage *stage = stage_open(places[i].role);
		struct recipe recipe = places[i].up ? up_v4 : reverse(up_v4);
		struct plait_session_value got;
		struct packet packet;

		stage_put_addr(stage, "local_addresses", up_v4.from, 0);
		stage_add_session(stage, &up_v4);
		recipe.payload = (struct octets){filling, sizeof(filling)};
		packet = packet_build(&recipe);
		stage_run(stage, places[i].program, &packet, (struct stage_context){.gso_segs = 3});
		got = stage_session(stage, &up_v4);
		expect_counts(&got, places[i].up, 3, V4_HEADERS + sizeof(filling));
	}
}

/* Each differs from the session's own in one thing. */
Test(accounting, takes_no_other_segments)
{
	struct recipe others[6] = {up_v4, up_v4, up_v4, up_v4, up_v4, up_v4};

	others[0].from = "10.0.0.3";
	others[1].to = "198.51.100.8";
	others[2].from_port++;
	others[3].to_port++;
	others[4] = reverse(up_v4);
	others[5].protocol = 17;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct stage *stage = stage_open(places[i].role);
		struct plait_session_value got;

		stage_put_addr(stage, "local_addresses", up_v4.from, 0);
		stage_add_session(stage, &up_v4);
		for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++) {
			struct recipe recipe = places[i].up ? others[k] : reverse(others[k]);

			stage_run_recipe(stage, places[i].program, &recipe);
		}
		got = stage_session(stage, &up_v4);
		cr_expect_eq(got.up_packets + got.down_packets, 0, "%s", places[i].program);
	}
}

Test(accounting, egress_leaves_every_packet_alone)
{
	static const char *const programs[] = {"lan_egress", "internet_egress"};
	static const uint8_t all_flags[] = {0, ACK, SYN, SYN | ACK, RST, FIN | ACK};

	for (enum stage_role role = CPE; role <= CONCENTRATOR; role++) {
		struct stage *stage = stage_open(role);

		for (size_t i = 0; i < sizeof(all_flags); i++) {
			struct recipe v4 = up_v4, v6 = reverse(up_v6);

			v4.flags = v6.flags = all_flags[i];
			cr_expect_str_eq(stage_run_recipe(stage, programs[role], &v4), "next");
			cr_expect_str_eq(stage_run_recipe(stage, programs[role], &v6), "next");
			v4.protocol = 17;
			v6.protocol = 58;
			cr_expect_str_eq(stage_run_recipe(stage, programs[role], &v4), "next");
			cr_expect_str_eq(stage_run_recipe(stage, programs[role], &v6), "next");
		}
	}
}

struct transition {
	uint8_t flags;
	enum plait_session_state after;
};

static void expect_states(const struct transition *transitions, size_t count)
{
	struct stage *stage = stage_open(CPE);

	stage_add_session(stage, &up_v4);
	for (size_t i = 0; i < count; i++) {
		struct recipe recipe = reverse(up_v4);

		recipe.flags = transitions[i].flags;
		stage_run_recipe(stage, "lan_egress", &recipe);
		cr_expect_eq(stage_session(stage, &up_v4).state, transitions[i].after, "step %zu",
			     i);
	}
}

#define EXPECT_STATES(...)                                               \
	expect_states((const struct transition[]){__VA_ARGS__},          \
		      sizeof((const struct transition[]){__VA_ARGS__}) / \
			      sizeof(struct transition))

Test(accounting, state_of_an_orderly_connection)
{
	EXPECT_STATES({SYN, PLAIT_SESSION_OPENING}, {SYN | ACK, PLAIT_SESSION_OPENING},
		      {ACK, PLAIT_SESSION_ESTABLISHED}, {PSH | ACK, PLAIT_SESSION_ESTABLISHED},
		      {SYN, PLAIT_SESSION_ESTABLISHED}, {FIN | ACK, PLAIT_SESSION_CLOSING},
		      {ACK, PLAIT_SESSION_CLOSING}, {FIN | ACK, PLAIT_SESSION_CLOSING},
		      {RST, PLAIT_SESSION_RESET});
}

Test(accounting, state_after_a_reset_stays)
{
	EXPECT_STATES({RST | ACK, PLAIT_SESSION_RESET}, {ACK, PLAIT_SESSION_RESET},
		      {FIN | ACK, PLAIT_SESSION_RESET}, {SYN, PLAIT_SESSION_RESET});
	EXPECT_STATES({ACK, PLAIT_SESSION_ESTABLISHED}, {RST, PLAIT_SESSION_RESET});
	EXPECT_STATES({FIN | ACK, PLAIT_SESSION_CLOSING}, {FIN | RST, PLAIT_SESSION_RESET});
}
