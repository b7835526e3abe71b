// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Datagram mode: whom an endpoint of a subscriber hears from (RFC 4787 §5). */
#include <criterion/criterion.h>

#include "datagram_stage.h"

static const uint64_t minute_ns = 60ULL * 1000 * 1000 * 1000;

static struct stage *open_filtering(enum plait_filtering filtering)
{
	struct stage *stage = datagram_open(CONCENTRATOR);

	datagram_put_filtering(stage, filtering, minute_ns);
	return stage;
}

/* The subscriber sends to the remote. */
static void send_up(struct stage *stage, const struct datagram_inner *inner)
{
	struct recipe tcp = datagram_formatted(CONCENTRATOR, LINK_V4, inner);
	struct packet packet = packet_build(&tcp);

	cr_assert_str_eq(datagram_run(stage, "datagram_customer", &packet).outcome,
			 "redirect datagram_received");
}

static void expect_from(struct stage *stage, const struct datagram_inner *inner, bool arrives)
{
	struct recipe udp = datagram_from_remote(inner);
	struct packet packet = packet_build_udp(&udp);

	cr_expect_str_eq(datagram_run(stage, "datagram_internet", &packet).outcome,
			 arrives ? "redirect datagram_sent" : "drop datagram_filtered",
			 "from %s:%u", inner->remote, inner->remote_port);
}

static struct datagram_inner at_port(const struct datagram_inner *inner, uint16_t remote_port)
{
	struct datagram_inner other = *inner;

	other.remote_port = remote_port;
	return other;
}

static struct datagram_inner at_address(const struct datagram_inner *inner)
{
	struct datagram_inner other = *inner;

	other.remote = inner == &datagram_inners[0] ? "198.51.100.78" : "2001:db8:f::8";
	return other;
}

/* What is let in before, and after the subscriber has sent to port 53 of an address. */
static void expect_filtering(enum plait_filtering filtering, bool anybody, bool other_port)
{
	struct stage *stage = open_filtering(filtering);

	for (int family = 0; family < 2; family++) {
		const struct datagram_inner *inner = &datagram_inners[family];
		struct datagram_inner port = at_port(inner, 54), address = at_address(inner);

		expect_from(stage, inner, anybody);
		send_up(stage, inner);
		expect_from(stage, inner, true);
		expect_from(stage, &port, other_port);
		expect_from(stage, &address, anybody);
	}
}

Test(datagram_filter, U3_endpoint_independent)
{
	expect_filtering(PLAIT_FILTERING_ENDPOINT_INDEPENDENT, true, true);
}

Test(datagram_filter, U3_address_dependent)
{
	expect_filtering(PLAIT_FILTERING_ADDRESS_DEPENDENT, false, true);
}

Test(datagram_filter, U3_address_and_port_dependent)
{
	expect_filtering(PLAIT_FILTERING_ADDRESS_AND_PORT_DEPENDENT, false, false);
}

/* Whom another endpoint of the same subscriber has sent to is nobody to this one. */
Test(datagram_filter, each_endpoint_has_its_own)
{
	struct stage *stage = open_filtering(PLAIT_FILTERING_ADDRESS_DEPENDENT);
	struct datagram_inner other = datagram_inners[0];

	other.wan_port = 40003;
	other.external_port = 7003;
	datagram_put_binding(stage, &other);
	send_up(stage, &other);
	expect_from(stage, &other, true);
	expect_from(stage, &datagram_inners[0], false);
}

Test(datagram_filter, ends_with_the_lifetime_and_is_refreshed_by_what_is_sent)
{
	struct stage *stage = open_filtering(PLAIT_FILTERING_ADDRESS_AND_PORT_DEPENDENT);

	send_up(stage, &datagram_inners[0]);
	datagram_put_filtering(stage, PLAIT_FILTERING_ADDRESS_AND_PORT_DEPENDENT, 1);
	expect_from(stage, &datagram_inners[0], false);
	expect_from(stage, &datagram_inners[0], false);
	send_up(stage, &datagram_inners[0]);
	datagram_put_filtering(stage, PLAIT_FILTERING_ADDRESS_AND_PORT_DEPENDENT, minute_ns);
	expect_from(stage, &datagram_inners[0], true);
}

/* Nobody has sent what does not leave. */
Test(datagram_filter, what_is_refused_opens_nothing)
{
	struct stage *stage = open_filtering(PLAIT_FILTERING_ADDRESS_DEPENDENT);
	struct recipe tcp = datagram_formatted(CONCENTRATOR, LINK_V4, &datagram_inners[0]);
	struct packet packet;

	tcp.ttl = 1;
	packet = packet_build(&tcp);
	datagram_expect(stage, "datagram_customer", &packet, "drop datagram_ttl");
	expect_from(stage, &datagram_inners[0], false);
}

static const char *run_piece(struct stage *stage, const char *program, const struct packet *whole,
			     struct slice slice)
{
	struct packet piece = packet_fragment(whole, slice);

	return datagram_run(stage, program, &piece).outcome;
}

/* The first decides, and a datagram that leaves in fragments opens the way. */
Test(datagram_filter, fragments)
{
	static uint8_t payload[1472];
	struct stage *stage = open_filtering(PLAIT_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
	struct recipe udp = datagram_from_remote(&datagram_inners[0]);
	struct recipe tcp = datagram_formatted(CONCENTRATOR, LINK_V4, &datagram_inners[0]);
	struct slice first = {.bytes = 800, .more = true},
		     last = {.from = 800, .bytes = 680, .offset = 800};
	struct packet down, up;

	udp.payload = tcp.payload = (struct octets){payload, sizeof(payload)};
	tcp.window = sizeof(payload) + 8;
	down = packet_build_udp(&udp);
	up = packet_build(&tcp);
	cr_expect_str_eq(run_piece(stage, "datagram_internet", &down, first),
			 "drop datagram_filtered");
	cr_expect_str_eq(run_piece(stage, "datagram_internet", &down, last),
			 "drop datagram_fragment_refused");
	cr_expect_str_eq(run_piece(stage, "datagram_customer", &up, first),
			 "redirect datagram_received");
	first.id = last.id = 1;
	cr_expect_str_eq(run_piece(stage, "datagram_internet", &down, first),
			 "redirect datagram_sent");
	cr_expect_str_eq(run_piece(stage, "datagram_internet", &down, last),
			 "redirect datagram_fragment_sent");
}

/* One subscriber is to another what anybody is. */
Test(datagram_filter, hairpin)
{
	struct stage *stage = open_filtering(PLAIT_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
	struct datagram_inner one = datagram_inners[0], other = one;
	struct recipe up, back;
	struct packet packet;

	other.wan_port = 40003;
	other.external_port = 7003;
	one.remote = other.remote = one.external;
	one.remote_port = other.external_port;
	other.remote_port = one.external_port;
	stage_ip("addr add 198.51.100.1/32 dev lo\n");
	datagram_put_binding(stage, &other);
	up = datagram_formatted(CONCENTRATOR, LINK_V4, &one);
	back = datagram_formatted(CONCENTRATOR, LINK_V4, &other);
	packet = packet_build(&up);
	cr_expect_str_eq(datagram_run(stage, "datagram_customer", &packet).outcome,
			 "drop datagram_received datagram_filtered");
	packet = packet_build(&back);
	cr_expect_str_eq(datagram_run(stage, "datagram_customer", &packet).outcome,
			 "redirect datagram_sent datagram_received");
	packet = packet_build(&up);
	cr_expect_str_eq(datagram_run(stage, "datagram_customer", &packet).outcome,
			 "redirect datagram_sent datagram_received");
}
