// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* lan_ingress without sockets: what is left alone, dropped or held. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "live.h"

static const struct recipe syn_v4 = {.from = "10.0.0.2",
				     .to = "198.51.100.7",
				     .from_port = 40000,
				     .to_port = 443,
				     .flags = SYN,
				     .seq = 1000};
static const struct recipe syn_v6 = {.from = "fd00:1::2",
				     .to = "2001:db8:f::7",
				     .from_port = 40000,
				     .to_port = 443,
				     .flags = SYN,
				     .seq = 1000};

static struct recipe to(struct recipe recipe, const char *destination)
{
	recipe.to = destination;
	return recipe;
}

static struct recipe flags(struct recipe recipe, uint8_t tcp_flags)
{
	recipe.flags = tcp_flags;
	return recipe;
}

static struct recipe with_payload(struct recipe recipe, const void *octets, size_t count)
{
	recipe.payload = (struct octets){octets, count};
	return recipe;
}

#define EXPECT(stage, recipe, ...) \
	cr_expect_str_eq(stage_run_recipe(stage, "lan_ingress", recipe), __VA_ARGS__)

/* A frame whose octet at `at` is changed. */
static const char *run_changed(struct stage *stage, const struct recipe *recipe, size_t at,
			       uint8_t value)
{
	struct packet packet = packet_build(recipe);

	packet.frame[at] = value;
	return stage_run(stage, "lan_ingress", &packet, (struct stage_context){});
}

Test(lan_ingress, leaves_what_is_not_tcp)
{
	struct stage *stage = stage_open(CPE);
	struct recipe udp_v4 = syn_v4, udp_v6 = syn_v6;

	udp_v4.protocol = udp_v6.protocol = IPPROTO_UDP;
	EXPECT(stage, &udp_v4, "next direct_other");
	EXPECT(stage, &udp_v6, "next direct_other");
	cr_expect_str_eq(run_changed(stage, &syn_v4, 13, 0x06), "next direct_other", "ARP");
	cr_expect_str_eq(run_changed(stage, &syn_v4, 12, 0x81), "next direct_other", "VLAN");
	cr_expect_not(stage_take_held(stage));
}

Test(lan_ingress, leaves_fragments)
{
	struct stage *stage = stage_open(CPE);
	struct recipe fragment = syn_v4, fragment_v6 = syn_v6;

	fragment.fragment = 0x2000;
	EXPECT(stage, &fragment, "next direct_other", "first");
	fragment.fragment = 0x2001;
	EXPECT(stage, &fragment, "next direct_other", "middle");
	fragment.fragment = 0x0001;
	EXPECT(stage, &fragment, "next direct_other", "last");
	fragment.fragment = 0x4000;
	EXPECT(stage, &fragment, "drop syn_held", "do not fragment");
	fragment_v6.first_extension = IPPROTO_FRAGMENT;
	fragment_v6.extra = OCTETS(IPPROTO_TCP, 0, 0, 1, 0, 0, 0, 9);
	EXPECT(stage, &fragment_v6, "next direct_other", "IPv6");
}

static const char *run_cut(struct stage *stage, const struct packet *whole, size_t bytes)
{
	struct packet cut = *whole;

	cut.bytes = bytes;
	return stage_run(stage, "lan_ingress", &cut, (struct stage_context){});
}

/* The IP header is cut nowhere: test runs refuse that, see the test after the next. */
Test(lan_ingress, drops_headers_cut_at_any_length)
{
	struct stage *stage = stage_open(CPE);
	struct packet v4 = packet_build(&syn_v4), v6 = packet_build(&syn_v6);

	for (size_t bytes = ETH_HLEN + 20; bytes < v4.bytes; bytes++)
		cr_expect_str_eq(run_cut(stage, &v4, bytes), "drop drop_malformed", "%zu", bytes);
	for (size_t bytes = ETH_HLEN + 40; bytes < v6.bytes; bytes++)
		cr_expect_str_eq(run_cut(stage, &v6, bytes), "drop drop_malformed", "%zu", bytes);
	cr_expect_str_eq(run_cut(stage, &v4, v4.bytes), "drop syn_held");
	cr_expect_str_eq(run_cut(stage, &v6, v6.bytes), "drop syn_held");
}

/* By their IP header they are whole; the octets that are missing are options. */
Test(lan_ingress, does_not_crash_on_options_cut_off)
{
	struct stage *stage = stage_open(CPE);
	struct recipe with_options = syn_v4;
	struct packet packet;

	with_options.options = OCTETS(2, 4, 5, 0xb4, 1, 3, 3, 7);
	packet = packet_build(&with_options);
	for (size_t bytes = ETH_HLEN + 20 + 20; bytes < packet.bytes; bytes++)
		cr_expect_str_eq(run_cut(stage, &packet, bytes), "drop syn_held", "%zu", bytes);
}

Test(lan_ingress, drops_ip_headers_cut_at_any_length)
{
	struct stage *stage = stage_open(CPE);
	int host = live_open("host0", 0);
	struct packet v4 = packet_build(&syn_v4), v6 = packet_build(&syn_v6);

	live_attach(stage, "lan_ingress", "lan0", LIVE_INGRESS);
	for (v4.bytes = ETH_HLEN; v4.bytes < ETH_HLEN + 20; v4.bytes++)
		cr_expect_str_eq(live_run(stage, host, &v4), "drop_malformed", "%zu", v4.bytes);
	for (v6.bytes = ETH_HLEN; v6.bytes < ETH_HLEN + 40; v6.bytes++)
		cr_expect_str_eq(live_run(stage, host, &v6), "drop_malformed", "%zu", v6.bytes);
}

/* Where TCP would start by such a header, there stands a SYN that is long enough. */
Test(lan_ingress, drops_ipv4_headers_shorter_than_themselves)
{
	struct stage *stage = stage_open(CPE);
	struct recipe after_16 = syn_v4, after_0 = syn_v4;

	after_16.ack = 0x50020000;
	after_0.from = "80.2.0.2";
	cr_expect_str_eq(run_changed(stage, &after_16, ETH_HLEN, 0x44), "drop drop_malformed");
	cr_expect_str_eq(run_changed(stage, &after_0, ETH_HLEN, 0x40), "drop drop_malformed");
}

Test(lan_ingress, drops_impossible_ip_headers)
{
	struct stage *stage = stage_open(CPE);
	enum { TOTAL_LOW = ETH_HLEN + 3, V6_LENGTH_LOW = ETH_HLEN + 5 };

	cr_expect_str_eq(run_changed(stage, &syn_v4, ETH_HLEN, 0x65), "drop drop_malformed",
			 "version 6");
	for (uint8_t total = 1; total < 40; total++)
		cr_expect_str_eq(run_changed(stage, &syn_v4, TOTAL_LOW, total),
				 "drop drop_malformed", "total %u", total);
	for (uint8_t length = 1; length < 20; length++)
		cr_expect_str_eq(run_changed(stage, &syn_v6, V6_LENGTH_LOW, length),
				 "drop drop_malformed", "length %u", length);
}

Test(lan_ingress, drops_bad_data_offsets)
{
	struct stage *stage = stage_open(CPE);
	size_t v4 = packet_l4_offset(&syn_v4) + 12, v6 = packet_l4_offset(&syn_v6) + 12;

	for (uint8_t words = 0; words < 16; words++) {
		const char *expected = words == 5 ? "drop syn_held" : "drop drop_malformed";

		cr_expect_str_eq(run_changed(stage, &syn_v4, v4, (uint8_t)(words << 4)), expected,
				 "%u", words);
		cr_expect_str_eq(run_changed(stage, &syn_v6, v6, (uint8_t)(words << 4)), expected,
				 "%u", words);
	}
}

Test(lan_ingress, steps_over_ipv4_options)
{
	static const uint8_t nops[40] = {[0 ... 39] = 1};
	struct stage *stage = stage_open(CPE);
	struct recipe session = syn_v4, recipe = syn_v4;

	stage_add_session(stage, &session);
	for (size_t bytes = 4; bytes <= sizeof(nops); bytes += 4) {
		recipe.extra = (struct octets){nops, bytes};
		recipe.flags = ACK;
		EXPECT(stage, &recipe, "drop steer_failed");
	}
	cr_expect_eq(stage_session(stage, &session).up_packets, 10);
}

Test(lan_ingress, steps_over_ipv6_extension_headers)
{
	struct stage *stage = stage_open(CPE);
	struct recipe recipe = syn_v6;

	recipe.first_extension = IPPROTO_HOPOPTS;
	recipe.extra = OCTETS(IPPROTO_TCP, 0, 1, 4, 0, 0, 0, 0);
	EXPECT(stage, &recipe, "drop syn_held");
	recipe.extra =
		OCTETS(IPPROTO_DSTOPTS, 0, 1, 4, 0, 0, 0, 0, IPPROTO_TCP, 1, 1, 12, [22] = 0, 0);
	EXPECT(stage, &recipe, "drop syn_held");
	recipe.first_extension = IPPROTO_DSTOPTS;
	recipe.extra = OCTETS(IPPROTO_DSTOPTS, 0, 1, 4, 0, 0, 0, 0, IPPROTO_DSTOPTS, 0, 1, 4, 0, 0,
			      0, 0, IPPROTO_TCP, 0, 1, 4, 0, 0, 0, 0);
	EXPECT(stage, &recipe, "drop syn_held", "three");
	recipe.extra = OCTETS(IPPROTO_SCTP, 0, 1, 4, 0, 0, 0, 0);
	EXPECT(stage, &recipe, "next direct_other", "neither TCP nor UDP");
	recipe.first_extension = IPPROTO_ROUTING;
	recipe.extra = OCTETS(IPPROTO_TCP, 0, 4, 0, 0, 0, 0, 0);
	EXPECT(stage, &recipe, "next direct_other", "routing header");
}

Test(lan_ingress, leaves_more_ipv6_extension_headers_than_it_follows)
{
	struct stage *stage = stage_open(CPE);
	struct recipe recipe = syn_v6;

	recipe.first_extension = IPPROTO_DSTOPTS;
	recipe.extra =
		OCTETS(IPPROTO_DSTOPTS, 0, 1, 4, 0, 0, 0, 0, IPPROTO_DSTOPTS, 0, 1, 4, 0, 0, 0, 0,
		       IPPROTO_DSTOPTS, 0, 1, 4, 0, 0, 0, 0, IPPROTO_TCP, 0, 1, 4, 0, 0, 0, 0);
	EXPECT(stage, &recipe, "next direct_other");
}

/* Every payload length shorter than the extension header it must hold. */
Test(lan_ingress, drops_ipv6_extension_headers_beyond_the_packet)
{
	struct stage *stage = stage_open(CPE);
	struct recipe recipe = syn_v6;
	enum { LENGTH_LOW = ETH_HLEN + 5, EXTENSION_LENGTH = ETH_HLEN + 40 + 1 };

	recipe.first_extension = IPPROTO_DSTOPTS;
	recipe.extra = OCTETS(IPPROTO_TCP, 0, 1, 4, 0, 0, 0, 0);
	for (uint8_t length = 1; length < 28; length++)
		cr_expect_str_eq(run_changed(stage, &recipe, LENGTH_LOW, length),
				 "drop drop_malformed", "%u", length);
	cr_expect_str_eq(run_changed(stage, &recipe, EXTENSION_LENGTH, 255), "drop drop_malformed");
}

/* Total length 0 stands for a packet beyond 64 KB; its length is then the frame's. */
Test(lan_ingress, drops_ipv4_options_beyond_a_packet_of_total_length_0)
{
	static const uint8_t filling[40];
	struct stage *stage = stage_open(CPE);
	struct recipe recipe = with_payload(syn_v4, filling, sizeof(filling));
	struct packet packet = packet_build(&recipe);

	packet.frame[ETH_HLEN] = 0x4f;
	packet.frame[ETH_HLEN + 2] = packet.frame[ETH_HLEN + 3] = 0;
	for (size_t bytes = ETH_HLEN + 20; bytes < packet.bytes; bytes++)
		cr_expect_str_eq(run_cut(stage, &packet, bytes), "drop drop_malformed", "%zu",
				 bytes);
}

static void expect_held(struct stage *stage, const struct recipe *recipe)
{
	struct packet packet = packet_build(recipe);

	cr_expect_str_eq(stage_run(stage, "lan_ingress", &packet, (struct stage_context){}),
			 "drop syn_held");
	cr_assert(stage_take_held(stage));
	cr_expect_eq(stage->held.ifindex, stage_ifindex("lan0"));
	cr_expect_eq(stage->held.frame_bytes, packet.bytes);
	cr_expect_arr_eq(stage->held.frame, packet.frame, packet.bytes);
}

Test(lan_ingress, holds_a_new_syn_whole)
{
	struct stage *stage = stage_open(CPE);
	struct recipe odd = syn_v4;

	expect_held(stage, &syn_v4);
	expect_held(stage, &syn_v6);
	odd.options = OCTETS(2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7);
	odd.payload = TEXT("hello");
	expect_held(stage, &odd);
	odd.flags = SYN | PSH | 0xe0; /* URG, ECE and CWR say nothing about the handshake */
	expect_held(stage, &odd);
	cr_expect_not(stage_take_held(stage));
}

Test(lan_ingress, copies_of_a_syn_go_to_one_worker_and_syns_spread_over_all)
{
	struct stage *stage = stage_open(CPE);
	unsigned int to_first = 0;

	for (uint16_t port = 1; port <= 200; port++) {
		struct recipe recipe = port % 2 ? syn_v4 : syn_v6;
		unsigned int worker;

		recipe.from_port = port;
		expect_held(stage, &recipe);
		worker = stage->held_worker;
		recipe.seq++;
		recipe.options = OCTETS(2, 4, 5, 0xb4);
		expect_held(stage, &recipe);
		cr_expect_eq(stage->held_worker, worker);
		to_first += !worker;
	}
	cr_expect(to_first > 60 && to_first < 140, "%u of 200", to_first);
}

Test(lan_ingress, drops_a_syn_longer_than_a_held_frame)
{
	static const uint8_t filling[PLAIT_FRAME_MAX];
	struct stage *stage = stage_open(CPE);
	size_t room = PLAIT_FRAME_MAX - ETH_HLEN - 40;
	struct recipe fits = with_payload(syn_v4, filling, room);
	struct recipe too_long = with_payload(syn_v4, filling, room + 1);

	expect_held(stage, &fits);
	EXPECT(stage, &too_long, "drop syn_hold_failed");
	cr_expect_not(stage_take_held(stage));
}

Test(lan_ingress, drops_syns_while_the_ring_is_full)
{
	static const uint8_t filling[PLAIT_FRAME_MAX];
	struct stage *stage = stage_open(CPE);
	struct recipe large = with_payload(syn_v4, filling, PLAIT_FRAME_MAX - ETH_HLEN - 40);
	/* a record takes 8 octets of header; 2048 + 8 + 8 into 1 MB, one octet to spare */
	int fit = (PLAIT_RING_BYTES - 1) / (8 + 8 + PLAIT_FRAME_MAX);

	for (int i = 0; i < fit; i++)
		EXPECT(stage, &large, "drop syn_held", "%d of %d", i, fit);
	EXPECT(stage, &large, "drop syn_hold_failed");
	cr_assert(stage_take_held(stage));
	EXPECT(stage, &large, "drop syn_held");
}

Test(lan_ingress, drops_syns_of_a_worker_without_ring)
{
	struct plait_settings settings = stage_settings();
	struct stage *stage;
	const char *outcome;
	int failed = 0;

	settings.workers = 2 * STAGE_WORKERS;
	stage = stage_open_with(CPE, &settings);
	for (uint16_t port = 1; port <= 50; port++) {
		struct recipe recipe = syn_v4;

		recipe.from_port = port;
		outcome = stage_run_recipe(stage, "lan_ingress", &recipe);
		failed += !strcmp(outcome, "drop syn_hold_failed");
		cr_expect(!strcmp(outcome, "drop syn_held") ||
				  !strcmp(outcome, "drop syn_hold_failed"),
			  "%s", outcome);
	}
	cr_expect(failed > 5 && failed < 45, "%d of 50", failed);
}

Test(lan_ingress, leaves_segments_that_open_nothing)
{
	static const uint8_t others[] = {
		0,         ACK,       PSH | ACK, FIN | ACK, RST,
		RST | ACK, SYN | ACK, SYN | FIN, SYN | RST, SYN | FIN | RST | ACK};
	struct stage *stage = stage_open(CPE);

	for (size_t i = 0; i < sizeof(others); i++) {
		struct recipe recipe = flags(syn_v4, others[i]);

		EXPECT(stage, &recipe, "next direct_stateless", "flags %#x", others[i]);
	}
}

Test(lan_ingress, leaves_syns_to_this_machine)
{
	static const char *const here_v4[] = {"0.0.0.0",   "0.1.2.3",         "127.0.0.1",
					      "224.0.0.1", "239.255.255.255", "255.255.255.255",
					      "10.0.0.1",  "192.0.2.2",       "10.0.0.255"};
	static const char *const here_v6[] = {"ff02::1", "fe80::1", "febf::1", "fd00:1::1"};
	struct stage *stage = stage_open(CPE);

	stage_put_addr(stage, "local_addresses", "10.0.0.1", 0);
	stage_put_addr(stage, "local_addresses", "192.0.2.2", 0);
	stage_put_addr(stage, "local_addresses", "10.0.0.255", 0);
	stage_put_addr(stage, "local_addresses", "fd00:1::1", 0);
	for (size_t i = 0; i < sizeof(here_v4) / sizeof(here_v4[0]); i++) {
		struct recipe recipe = to(syn_v4, here_v4[i]);

		EXPECT(stage, &recipe, "next direct_local", "%s", here_v4[i]);
	}
	for (size_t i = 0; i < sizeof(here_v6) / sizeof(here_v6[0]); i++) {
		struct recipe recipe = to(syn_v6, here_v6[i]);

		EXPECT(stage, &recipe, "next direct_local", "%s", here_v6[i]);
	}
}

/* Neither can be a destination on the wire (RFC 4291 §2.5.2, §2.5.3). */
Test(lan_ingress, leaves_syns_to_ipv6_unspecified_and_loopback)
{
	struct stage *stage = stage_open(CPE);
	struct recipe unspecified = to(syn_v6, "::"), loopback = to(syn_v6, "::1");

	EXPECT(stage, &unspecified, "next direct_local");
	EXPECT(stage, &loopback, "next direct_local");
}

Test(lan_ingress, holds_syns_next_to_the_addresses_left_alone)
{
	static const char *const v4[] = {"1.0.0.0", "126.255.255.255", "128.0.0.0",
					 "223.255.255.255"};
	static const char *const v6[] = {"fec0::1", "fe7f::1", "::2", "2001:db8::1"};
	struct stage *stage = stage_open(CPE);

	for (size_t i = 0; i < sizeof(v4) / sizeof(v4[0]); i++) {
		struct recipe recipe = to(syn_v4, v4[i]);

		EXPECT(stage, &recipe, "drop syn_held", "%s", v4[i]);
	}
	for (size_t i = 0; i < sizeof(v6) / sizeof(v6[0]); i++) {
		struct recipe recipe = to(syn_v6, v6[i]);

		EXPECT(stage, &recipe, "drop syn_held", "%s", v6[i]);
	}
}

Test(lan_ingress, leaves_syns_towards_a_lan_by_route)
{
	struct stage *stage = stage_open(CPE);
	struct recipe v4 = to(syn_v4, "10.1.0.7"), v6 = to(syn_v6, "fd00:2::7");
	struct recipe routed = to(syn_v4, "172.16.0.1"), beyond = to(syn_v4, "10.2.0.7");

	stage_ip("route add 172.16.0.0/16 via 10.1.0.9\n");
	EXPECT(stage, &v4, "next direct_lan");
	EXPECT(stage, &v6, "next direct_lan");
	EXPECT(stage, &routed, "next direct_lan");
	EXPECT(stage, &beyond, "drop syn_held", "by the default route");
	stage_ip("route add unreachable 10.3.0.0/16\n");
	beyond = to(syn_v4, "10.3.0.1");
	EXPECT(stage, &beyond, "drop syn_held", "no way out at all: the agent will say so");
}
