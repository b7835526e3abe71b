// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* customer_ingress: which SYNs are held, by their MPTCP option. */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "live.h"

/* RFC 8684: a SYN's MP_CAPABLE version 1 (§3.1), and its MP_JOIN (§3.2) */
#define MP_CAPABLE 30, 4, 0x01, 0x01
#define MP_JOIN    30, 12, 0x10, 1, 1, 2, 3, 4, 5, 6, 7, 8

static const struct recipe syn_v4 = {.from = "192.0.2.77",
				     .to = "203.0.113.1",
				     .from_port = 40000,
				     .to_port = 6824,
				     .flags = SYN};
static const struct recipe syn_v6 = {.from = "2001:db8:7::7",
				     .to = "2001:db8:c::1",
				     .from_port = 40000,
				     .to_port = 6824,
				     .flags = SYN};

static const struct octets preamble = {"\x1e\x08\xe0\x06\xc6\x33\x64\x07\x00", 9};

static struct stage *concentrator(const struct plait_settings *settings)
{
	struct stage *stage = stage_open_with(CONCENTRATOR, settings);

	stage_put_addr(stage, "customer_addresses", "203.0.113.1", 6824);
	stage_put_addr(stage, "customer_addresses", "2001:db8:c::1", 6824);
	return stage;
}

static struct stage *holding(void)
{
	struct plait_settings settings = stage_settings();

	return concentrator(&settings);
}

static const char *run_with(struct stage *stage, struct recipe recipe, struct octets options,
			    struct octets payload)
{
	recipe.options = options;
	recipe.payload = payload;
	return stage_run_recipe(stage, "customer_ingress", &recipe);
}

#define RUN_WITH_PAYLOAD(stage, ...) run_with(stage, syn_v4, OCTETS(__VA_ARGS__), preamble)

Test(customer_ingress, holds_mp_capable_with_payload)
{
	struct stage *stage = holding();
	struct recipe recipe = syn_v6;
	struct packet packet;

	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, MP_CAPABLE), "drop syn_held");
	cr_assert(stage_take_held(stage));
	recipe.options = OCTETS(MP_CAPABLE);
	recipe.payload = preamble;
	packet = packet_build(&recipe);
	cr_expect_str_eq(stage_run(stage, "customer_ingress", &packet,
				   (struct stage_context){.interface = "wan0"}),
			 "drop syn_held");
	cr_assert(stage_take_held(stage));
	cr_expect_eq(stage->held.ifindex, stage_ifindex("wan0"));
	cr_expect_eq(stage->held.frame_bytes, packet.bytes);
	cr_expect_arr_eq(stage->held.frame, packet.frame, packet.bytes);
}

/* What has no payload asks whether to come here. */
Test(customer_ingress, answers_no_question_while_draining)
{
	struct stage *stage = holding();
	uint32_t zero = 0, one = 1;

	stage_put(stage, "draining", &zero, &one);
	cr_expect_str_eq(run_with(stage, syn_v4, OCTETS(MP_CAPABLE), (struct octets){}),
			 "drop draining");
	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, 8, 14, MP_CAPABLE), "drop syn_held");
	stage_put(stage, "draining", &zero, &zero);
	cr_expect_str_eq(run_with(stage, syn_v4, OCTETS(MP_CAPABLE), (struct octets){}),
			 "next syn_without_payload");
}

/* Stripped on the way, or a retransmission: the preamble comes on the stream (T5). */
Test(customer_ingress, passes_mp_capable_without_payload)
{
	struct stage *stage = holding();

	cr_expect_str_eq(run_with(stage, syn_v4, OCTETS(MP_CAPABLE), (struct octets){}),
			 "next syn_without_payload");
	cr_expect_str_eq(run_with(stage, syn_v6, OCTETS(MP_CAPABLE), (struct octets){}),
			 "next syn_without_payload");
	cr_expect_not(stage_take_held(stage));
}

/* Ethernet fills frames up to 60 octets; that is no payload. */
Test(customer_ingress, takes_padding_for_no_payload)
{
	struct stage *stage = holding();
	struct recipe recipe = syn_v4;
	struct packet packet;

	recipe.options = OCTETS(MP_CAPABLE);
	packet = packet_build(&recipe);
	packet.bytes += 6;
	cr_expect_str_eq(stage_run(stage, "customer_ingress", &packet, (struct stage_context){}),
			 "next syn_without_payload");
}

/* plain-mode-08 §4.2: a PM option must not come with MP_JOIN. */
Test(customer_ingress, mp_join_passes_only_without_payload)
{
	struct stage *stage = holding();

	cr_expect_str_eq(run_with(stage, syn_v4, OCTETS(MP_JOIN), (struct octets){}), "next");
	cr_expect_str_eq(run_with(stage, syn_v6, OCTETS(MP_JOIN), (struct octets){}), "next");
	cr_expect_str_eq(run_with(stage, syn_v4, OCTETS(MP_JOIN), preamble),
			 "drop join_with_payload");
	cr_expect_str_eq(run_with(stage, syn_v6, OCTETS(MP_JOIN), preamble),
			 "drop join_with_payload");
	cr_expect_not(stage_take_held(stage));
}

/* The agent refuses it with a RST. */
Test(customer_ingress, holds_plain_tcp)
{
	struct stage *stage = holding();

	cr_expect_str_eq(stage_run_recipe(stage, "customer_ingress", &syn_v4), "drop syn_held");
	cr_expect_str_eq(stage_run_recipe(stage, "customer_ingress", &syn_v6), "drop syn_held");
	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, 2, 4, 5, 0xb4), "drop syn_held");
}

Test(customer_ingress, leaves_what_is_not_for_its_addresses)
{
	struct stage *stage = holding();
	struct recipe other_port = syn_v4, other_addr = syn_v4, other_v6 = syn_v6;

	other_port.to_port = 6825;
	other_addr.to = "203.0.113.2";
	other_v6.to = "2001:db8:c::2";
	cr_expect_str_eq(stage_run_recipe(stage, "customer_ingress", &other_port), "next");
	cr_expect_str_eq(stage_run_recipe(stage, "customer_ingress", &other_addr), "next");
	cr_expect_str_eq(stage_run_recipe(stage, "customer_ingress", &other_v6), "next");
}

Test(customer_ingress, leaves_everything_but_first_syns)
{
	static const uint8_t others[] = {0,   ACK,       PSH | ACK, FIN | ACK,
					 RST, SYN | ACK, SYN | RST, SYN | FIN};
	struct stage *stage = holding();
	struct recipe recipe = syn_v4;

	for (size_t i = 0; i < sizeof(others); i++) {
		recipe.flags = others[i];
		cr_expect_str_eq(stage_run_recipe(stage, "customer_ingress", &recipe), "next");
	}
	recipe = syn_v4;
	recipe.protocol = IPPROTO_UDP;
	cr_expect_str_eq(stage_run_recipe(stage, "customer_ingress", &recipe), "next");
	recipe = syn_v4;
	recipe.fragment = 0x2000;
	cr_expect_str_eq(stage_run_recipe(stage, "customer_ingress", &recipe), "next");
}

Test(customer_ingress, does_not_hold_mp_capable_when_told_so)
{
	struct plait_settings settings = stage_settings();
	struct stage *stage;

	settings.hold = 0;
	stage = concentrator(&settings);
	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, MP_CAPABLE), "next");
	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, MP_JOIN), "drop join_with_payload");
	cr_expect_str_eq(stage_run_recipe(stage, "customer_ingress", &syn_v4), "drop syn_held",
			 "plain TCP is refused all the same");
}

Test(customer_ingress, finds_the_option_wherever_it_stands)
{
	struct stage *stage = holding();

	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, 2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0,
					  1, 3, 3, 7, MP_JOIN),
			 "drop join_with_payload", "Linux");
	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, 1, 1, 1, 1, MP_JOIN), "drop join_with_payload");
	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, 1, MP_JOIN, 1, 1, 1), "drop join_with_payload");
	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, 8, 10, 30, 12, 0, 0, 0, 0, 0, 0, MP_JOIN),
			 "drop join_with_payload", "30 within another option");
	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, 254, 2, 253, 3, 0, MP_JOIN),
			 "drop join_with_payload", "experimental options");
	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, [0 ... 27] = 1, MP_JOIN), "drop join_with_payload",
			 "28 NOPs, 40 octets in all");
	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, 1, 1, 30, 3, 0xf0, MP_JOIN),
			 "drop join_with_payload", "another MPTCP option first");
}

/* These carry a payload: MP_CAPABLE would be held too, so look for MP_JOIN's verdict. */
Test(customer_ingress, stops_where_tcp_stops_reading_options)
{
	struct stage *stage = holding();

	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, 0, MP_JOIN), "drop syn_held", "after EOL");
	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, 0, 2, MP_JOIN), "drop syn_held",
			 "EOL has no length");
	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, 8, 0, MP_JOIN), "drop syn_held", "length 0");
	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, 8, 1, MP_JOIN), "drop syn_held", "length 1");
	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, 8, 200, MP_JOIN), "drop syn_held", "too long");
	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, 8, 14, MP_JOIN), "drop syn_held", "swallowed");
	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, [0 ... 39] = 1), "drop syn_held", "only NOPs");
	cr_expect_str_eq(RUN_WITH_PAYLOAD(stage, [0 ... 38] = 1, [39] = 8), "drop syn_held",
			 "a kind without length at the very end");
}

/*
 * TCP does not read an option that goes beyond the header, and an MPTCP option
 * needs a third octet for its subtype. Without payload MP_CAPABLE would pass and
 * plain TCP be held, so look for that.
 */
Test(customer_ingress, takes_a_cut_mptcp_option_for_none)
{
	struct stage *stage = holding();
	static const struct octets none = {};

	cr_expect_str_eq(run_with(stage, syn_v4, OCTETS(1, 1, 30, 4), none), "drop syn_held",
			 "subtype beyond the header");
	cr_expect_str_eq(run_with(stage, syn_v4, OCTETS(1, 30, 4, 0x01), none), "drop syn_held",
			 "last octet beyond the header");
	cr_expect_str_eq(run_with(stage, syn_v4, OCTETS(30, 12, 0x01, 0x01), none), "drop syn_held",
			 "length beyond the header");
	cr_expect_str_eq(run_with(stage, syn_v4, OCTETS(1, 1, 1, 30), none), "drop syn_held",
			 "length beyond the header, payload follows");
	cr_expect_str_eq(run_with(stage, syn_v4, OCTETS(30, 2, 1, 1), none), "drop syn_held",
			 "no subtype");
	cr_expect_str_eq(run_with(stage, syn_v4, OCTETS([0 ... 37] = 1, [38] = 30, [39] = 4), none),
			 "drop syn_held", "at the end of 40 octets");
}

Test(customer_ingress, drops_copies_of_a_syn_already_answered)
{
	struct stage *stage = holding();
	struct pair pair = live_connect_here(&syn_v4);
	struct recipe copy = syn_v4, other = syn_v4;

	copy.seq = pair.seq;
	cr_expect_str_eq(run_with(stage, copy, OCTETS(MP_CAPABLE), preamble), "drop syn_duplicate");
	other.from_port++;
	cr_expect_str_eq(run_with(stage, other, OCTETS(MP_CAPABLE), preamble), "drop syn_held",
			 "the listener alone is no connection");
	shutdown(pair.server, SHUT_WR);
	cr_expect_str_eq(run_with(stage, copy, OCTETS(MP_CAPABLE), preamble), "drop syn_duplicate",
			 "half closed");
}

static const char *from(struct stage *stage, const char *address)
{
	struct recipe syn = strchr(address, ':') ? syn_v6 : syn_v4;

	syn.from = address;
	return run_with(stage, syn, OCTETS(MP_CAPABLE), preamble);
}

Test(customer_ingress, takes_syns_from_allowed_prefixes_only)
{
	struct stage *stage = holding();

	stage_disallow(stage, NULL, 0);
	cr_expect_str_eq(from(stage, "192.0.2.77"), "drop source_not_allowed");
	stage_allow(stage, "192.0.2.64", 28);
	stage_allow(stage, "2001:db8:7::", 64);
	cr_expect_str_eq(from(stage, "192.0.2.64"), "drop syn_held");
	cr_expect_str_eq(from(stage, "192.0.2.79"), "drop syn_held");
	cr_expect_str_eq(from(stage, "192.0.2.63"), "drop source_not_allowed");
	cr_expect_str_eq(from(stage, "192.0.2.80"), "drop source_not_allowed");
	cr_expect_str_eq(from(stage, "2001:db8:7::ffff:1"), "drop syn_held");
	cr_expect_str_eq(from(stage, "2001:db8:7:1::1"), "drop source_not_allowed");
	cr_expect_str_eq(from(stage, "c000:240::"), "drop source_not_allowed",
			 "the octets of 192.0.2.64, of another family");
	cr_expect_str_eq(run_with(stage, syn_v4, OCTETS(MP_JOIN), (struct octets){}), "next");
	stage_disallow(stage, "192.0.2.64", 28);
	cr_expect_str_eq(run_with(stage, syn_v4, OCTETS(MP_JOIN), (struct octets){}),
			 "drop source_not_allowed");
}

/* RFC 9293 §3.10.7.4: the old connection's socket sends a challenge ACK. */
Test(customer_ingress, leaves_a_syn_to_the_connection_that_has_its_addresses)
{
	struct stage *stage = holding();
	struct pair pair = live_connect_here(&syn_v4);
	struct recipe another = syn_v4;

	another.seq = pair.seq + (1U << 30);
	cr_expect_str_eq(run_with(stage, another, OCTETS(MP_CAPABLE), preamble),
			 "next syn_met_connection");
	another.seq = pair.seq - 1000;
	cr_expect_str_eq(run_with(stage, another, OCTETS(MP_CAPABLE), preamble),
			 "drop syn_duplicate", "as good as a copy");
}

#define TIMESTAMP(value) 8, 10, (value) >> 24, (value) >> 16, (value) >> 8, (value), 0, 0, 0, 0

/* RFC 6191: by a later sequence number or a later timestamp, else TIME_WAIT answers. */
Test(customer_ingress, a_later_syn_takes_over_from_time_wait)
{
	struct stage *stage = holding();
	struct pair pair = live_connect_here(&syn_v4);
	uint32_t later = pair.timestamp, earlier = later - (1U << 30);
	struct recipe syn = syn_v4;

	/* who closes first is the one that waits */
	shutdown(pair.server, SHUT_WR);
	shutdown(pair.client, SHUT_WR);
	/* the socket itself is done with, and leaves its TIME_WAIT behind */
	cr_assert(live_reaches(pair.server, TCP_CLOSE));

	syn.seq = pair.seq + 1000;
	cr_expect_str_eq(run_with(stage, syn, OCTETS(MP_CAPABLE), preamble), "drop syn_held");
	cr_assert(stage_take_held(stage));
	cr_expect(stage->held.in_time_wait);
	syn.seq = pair.seq - 1000;
	cr_expect_str_eq(run_with(stage, syn, OCTETS(MP_CAPABLE), preamble),
			 "next syn_met_connection");
	cr_expect_str_eq(run_with(stage, syn, OCTETS(MP_CAPABLE, TIMESTAMP(earlier)), preamble),
			 "next syn_met_connection");
	cr_expect_str_eq(run_with(stage, syn, OCTETS(MP_CAPABLE, TIMESTAMP(later)), preamble),
			 "drop syn_held");
	cr_assert(stage_take_held(stage));
	cr_expect(stage->held.in_time_wait);
	syn.from_port++;
	run_with(stage, syn, OCTETS(MP_CAPABLE), preamble);
	cr_assert(stage_take_held(stage));
	cr_expect_not(stage->held.in_time_wait, "nobody has these addresses");
}
