// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Segments of connections that nobody has: who gets a RST, and who goes on. */
#include <criterion/criterion.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "live.h"

#define HOST   .from = "10.0.0.2", .from_port = 40000
#define SERVER .to = "198.51.100.7", .to_port = 443

static const struct recipe up = {
	HOST, SERVER, .flags = ACK | PSH, .seq = 1000, .ack = 0xfffffff0, .payload = {"hello", 5}};
static const struct recipe up_v6 = {.from = "fd00:1::2",
				    .from_port = 40000,
				    .to = "2001:db8:f::7",
				    .to_port = 443,
				    .flags = ACK,
				    .ack = 77};
/* from the internet to an address that is lent */
static const struct recipe down = {.from = "198.51.100.7",
				   .from_port = 443,
				   .to = "203.0.113.66",
				   .to_port = 2000,
				   .flags = ACK};

static void lapse_for(const struct stage *stage, const struct recipe *recipe, int seconds)
{
	struct plait_session_key key = {.inside = packet_addr(recipe->from, recipe->from_port),
					.remote = packet_addr(recipe->to, recipe->to_port),
					.protocol = IPPROTO_TCP};
	struct plait_lapsed_value value;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	value.until_ns = (uint64_t)(now.tv_sec + seconds) * 1000000000;
	stage_put(stage, "lapsed_sessions", &key, &value);
}

static void lend(const struct stage *stage)
{
	struct plait_addr lent = packet_addr("203.0.113.64", 0);
	struct plait_prefix_key key = {.bits = 8 + 28, .family = AF_INET};

	for (int i = 0; i < 4; i++)
		key.ip[i] = lent.ip[i];
	stage_put(stage, "pool_prefixes", &key, &(uint8_t){1});
}

#define EXPECT(stage, recipe, outcome) \
	cr_expect_str_eq(stage_run_recipe(stage, "lan_ingress", recipe), outcome)
#define EXPECT_DOWN(stage, recipe, outcome) \
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", recipe), outcome)

static uint32_t read32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

/* The listener's answer, as the host sees it. */
static void expect_reset(const struct recipe *recipe)
{
	struct stage *stage = stage_open(CPE);
	int host = live_open("host0", 0);
	struct recipe mirror = {.from = recipe->to,
				.from_port = recipe->to_port,
				.to = recipe->from,
				.to_port = recipe->from_port};
	struct packet sent = packet_build(recipe), expected = packet_build(&mirror), answer;
	size_t l4 = packet_l4_offset(recipe);
	size_t addresses = recipe == &up ? ETH_HLEN + 12 : ETH_HLEN + 8;

	live_deliver_marked();
	live_listener(AF_INET, 0);
	live_listener(AF_INET6, 0);
	live_attach(stage, "lan_ingress", "lan0", LIVE_INGRESS);
	lapse_for(stage, recipe, 60);
	cr_expect_str_eq(live_run(stage, host, &sent), "stateless_reset");
	cr_assert(live_receive(host, &answer, LIVE_WAIT_MS));
	cr_expect_arr_eq(answer.frame + addresses, expected.frame + addresses, l4 - addresses + 4,
			 "addresses and ports");
	cr_expect_eq(read32(answer.frame + l4 + 4), recipe->ack);
	cr_expect_eq(read32(answer.frame + l4 + 8), 0);
	cr_expect_eq(answer.frame[l4 + 13], RST);
	sent.frame[l4 + 16] ^= 1;
	live_send(host, &sent);
	cr_expect_not(live_receive(host, &answer, LIVE_SOON_MS), "wrong checksum");
}

Test(stateless, segment_of_a_lapsed_session_gets_a_reset_with_its_ack_for_sequence)
{
	expect_reset(&up);
}

Test(stateless, likewise_ipv6)
{
	expect_reset(&up_v6);
}

Test(stateless, connections_that_never_were_bonded_go_on)
{
	struct stage *stage = stage_open(CPE);
	struct recipe other = up;

	lapse_for(stage, &up, 60);
	other.from_port++;
	EXPECT(stage, &other, "next direct_stateless");
	lapse_for(stage, &up, -1);
	EXPECT(stage, &up, "next direct_stateless");
}

/* Whatever becomes of it, direct for instance, the host does not mean the earlier one. */
Test(stateless, new_syn_ends_a_lapsed_session)
{
	struct stage *stage = stage_open(CPE);
	struct recipe syn = up;

	lapse_for(stage, &up, 60);
	syn.flags = SYN;
	EXPECT(stage, &syn, "drop syn_held");
	EXPECT(stage, &up, "next direct_stateless");
}

Test(stateless, live_session_is_never_reset)
{
	struct stage *stage = stage_open(CPE);

	lapse_for(stage, &up, 60);
	stage_add_session(stage, &up);
	EXPECT(stage, &up, "drop steer_failed");
}

/* A test run may not assign sockets: where a RST would come, steering fails. */
Test(stateless, what_is_not_answered)
{
	static const uint8_t silent[] = {RST, RST | ACK, FIN, PSH, 0};
	static const char *const sources[] = {"224.0.0.1", "255.255.255.255", "127.0.0.1",
					      "0.0.0.0",   "240.0.0.1",       "10.0.0.255"};
	struct stage *stage = stage_open(CONCENTRATOR);
	struct recipe recipe = down;
	struct packet packet;

	lend(stage);
	stage_put_addr(stage, "local_addresses", "10.0.0.255", 0);
	EXPECT_DOWN(stage, &down, "drop steer_failed");
	for (size_t i = 0; i < sizeof(silent); i++) {
		recipe.flags = silent[i];
		EXPECT_DOWN(stage, &recipe, "drop stateless_dropped");
	}
	recipe = down;
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		recipe.from = sources[i];
		EXPECT_DOWN(stage, &recipe, "drop stateless_dropped");
	}
	packet = packet_build(&down);
	packet.frame[0] = 0xff;
	cr_expect_str_eq(stage_run(stage, "internet_ingress", &packet, (struct stage_context){}),
			 "drop stateless_dropped", "to a group of machines");
	recipe = down;
	recipe.flags = SYN;
	EXPECT_DOWN(stage, &recipe, "drop syn_unsolicited");
}

Test(stateless, beside_a_pool_only_lapsed_sessions_are_answered)
{
	struct stage *stage = stage_open(CONCENTRATOR);
	struct recipe beside = down, outgoing = {.from = "203.0.113.80",
						 .from_port = 2000,
						 .to = "198.51.100.7",
						 .to_port = 443,
						 .flags = SYN};

	lend(stage);
	beside.to = "203.0.113.80";
	EXPECT_DOWN(stage, &beside, "next");
	lapse_for(stage, &outgoing, 60);
	EXPECT_DOWN(stage, &beside, "drop steer_failed");
	cr_expect_str_eq(stage_run_recipe(stage, "internet_egress", &outgoing), "next");
	EXPECT_DOWN(stage, &beside, "next");
	lapse_for(stage, &outgoing, 60);
	beside.flags = SYN;
	EXPECT_DOWN(stage, &beside, "next");
	beside.flags = ACK;
	EXPECT_DOWN(stage, &beside, "next");
}

Test(stateless, a_hundred_at_once_and_then_one_each_hundredth_of_a_second)
{
	const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
	struct stage *stage = stage_open(CONCENTRATOR);
	struct timespec begun, ended;
	int limited = 0, allowed;

	lend(stage);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	for (int i = 0; i < 400; i++)
		limited += !strcmp(stage_run_recipe(stage, "internet_ingress", &down),
				   "drop stateless_limited");
	clock_gettime(CLOCK_MONOTONIC, &ended);
	allowed = 101 + (int)((ended.tv_sec - begun.tv_sec) * 100 +
			      (ended.tv_nsec - begun.tv_nsec) / 10000000);
	cr_expect_geq(400 - limited, 100);
	cr_expect_leq(400 - limited, allowed);
	nanosleep(&pause, NULL);
	EXPECT_DOWN(stage, &down, "drop steer_failed");
}
