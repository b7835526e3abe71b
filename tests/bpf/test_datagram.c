// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* U3, datagram mode: every conversion, octet by octet. */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "datagram_stage.h"

enum { AT_ID = 18 };

/* With a header that has something to keep. */
static struct recipe particular(struct recipe recipe)
{
	recipe.fragment = 0x4000;
	recipe.id = 0x1234;
	recipe.ttl = 61;
	recipe.traffic_class = 0xb9;
	recipe.flow_label = 0xabcde;
	recipe.payload = datagram_payload(100);
	return recipe;
}

static bool is_v6(const char *address)
{
	return strchr(address, ':');
}

/* What a conversion keeps; the identification of IPv4 from IPv6 is any, if it may count. */
static void inherit(struct recipe *out, const struct recipe *in, const struct packet *got)
{
	out->ttl = (uint8_t)(in->ttl - 1);
	out->traffic_class = in->traffic_class;
	out->payload = in->payload;
	out->flow_label = is_v6(in->from) ? in->flow_label : 0;
	if (is_v6(in->from) == is_v6(out->from)) {
		out->id = in->id;
		out->fragment = in->fragment;
	} else if (got->bytes - 14 > 1260) {
		out->id = 0;
		out->fragment = 0x4000;
	} else {
		out->id = (uint16_t)(got->frame[AT_ID] << 8 | got->frame[AT_ID + 1]);
		out->fragment = 0;
	}
}

/* UDP in, the n-th packet of its link and binding out. */
static void expect_sent(struct stage *stage, const char *program, const struct recipe *udp,
			uint8_t link, uint32_t n)
{
	bool up = !strcmp(program, "datagram_lan");
	const struct datagram_inner *inner = &datagram_inners[is_v6(udp->from)];
	struct packet in = packet_build_udp(udp), expected;
	struct conversion got = datagram_run(stage, program, &in);
	struct recipe out = datagram_formatted(up ? CONCENTRATOR : CPE, link, inner);

	cr_assert_str_eq(got.outcome, "redirect datagram_sent", "%s: %s", program, got.outcome);
	inherit(&out, udp, &got.packet);
	out.seq = out.ack = n;
	expected = packet_build(&out);
	datagram_expect_packet(&got.packet, &expected);
}

static void send_all(enum stage_role role, const char *program)
{
	static const uint16_t lengths[] = {0, 1, 2, 17, 100, 1200, 1201, 1400, 3255};

	for (uint8_t link = 0; link < 2; link++) {
		for (size_t family = 0; family < 2; family++) {
			struct stage *stage = datagram_open(role);

			datagram_use_link(stage, link);
			for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
				struct recipe udp = particular(
					datagram_to_send(role, &datagram_inners[family]));

				udp.payload.count = lengths[i];
				expect_sent(stage, program, &udp, link, i + 1);
			}
		}
	}
}

Test(datagram, U3_lan_becomes_tcp_octet_by_octet)
{
	send_all(CPE, "datagram_lan");
}

Test(datagram, U3_internet_becomes_tcp_octet_by_octet)
{
	send_all(CONCENTRATOR, "datagram_internet");
}

static void expect_received(struct stage *stage, const char *program, const struct recipe *tcp,
			    const struct datagram_inner *inner)
{
	bool up = !strcmp(program, "datagram_customer");
	struct recipe out = datagram_received(up ? CONCENTRATOR : CPE, inner);
	struct packet in = packet_build(tcp), expected;
	struct conversion got = datagram_run(stage, program, &in);

	cr_assert_str_eq(got.outcome, "redirect datagram_received", "%s: %s", program, got.outcome);
	inherit(&out, tcp, &got.packet);
	expected = packet_build_udp(&out);
	datagram_expect_packet(&got.packet, &expected);
}

static void receive_all(enum stage_role role, const char *program)
{
	static const uint16_t lengths[] = {0, 1, 2, 17, 100, 1232, 1233, 1400};

	for (uint8_t link = 0; link < 2; link++) {
		for (size_t family = 0; family < 2; family++) {
			struct stage *stage = datagram_open(role);

			for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
				struct recipe tcp = particular(
					datagram_formatted(role, link, &datagram_inners[family]));

				tcp.macs = NULL;
				tcp.seq = i + 1;
				tcp.payload.count = lengths[i];
				expect_received(stage, program, &tcp, &datagram_inners[family]);
			}
		}
	}
}

Test(datagram, U3_link_becomes_udp_octet_by_octet)
{
	receive_all(CPE, "datagram_link");
}

Test(datagram, U3_customer_becomes_udp_octet_by_octet)
{
	receive_all(CONCENTRATOR, "datagram_customer");
}

static struct packet udp_to(enum stage_role role, const struct datagram_inner *inner)
{
	struct recipe udp = particular(datagram_to_send(role, inner));

	return packet_build_udp(&udp);
}

static void set_udp_checksum(struct packet *packet, uint16_t value)
{
	uint8_t *at = packet->frame + ((packet->frame[14] >> 4) == 4 ? 40 : 60);

	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* The sum of the pseudo header alone, not complemented: what a device is left to complete. */
static uint16_t pseudo_sum(const struct packet *packet)
{
	bool v4 = packet->frame[14] >> 4 == 4;
	const uint8_t *from = packet->frame + (v4 ? 26 : 22);
	uint32_t sum = 17 + (uint32_t)(packet->bytes - (v4 ? 34 : 54));

	for (int i = 0; i < (v4 ? 8 : 32); i += 2)
		sum += (uint32_t)(from[i] << 8 | from[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Of each length, as a host that makes the checksum would have it sent. */
static void expect_summed(enum stage_role role, const struct datagram_inner *inner, bool partial)
{
	static const uint16_t lengths[] = {0, 1, 63, 64, 65, 127, 1400, 3199};
	struct stage *with = datagram_open(role);

	for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct recipe udp = particular(datagram_to_send(role, inner));
		struct recipe out =
			datagram_formatted(role == CPE ? CONCENTRATOR : CPE, LINK_V4, inner);
		struct packet in, expected;
		struct conversion got;

		udp.payload.count = lengths[i];
		in = packet_build_udp(&udp);
		set_udp_checksum(&in, partial ? pseudo_sum(&in) : 0);
		got = datagram_run(with, datagram_senders[role], &in);
		cr_assert_str_eq(got.outcome, "redirect datagram_sent_summed", "%s", got.outcome);
		inherit(&out, &udp, &got.packet);
		out.seq = out.ack = i + 1;
		expected = packet_build(&out);
		datagram_expect_packet(&got.packet, &expected);
	}
}

Test(datagram, a_checksum_is_made_where_there_is_none)
{
	for (enum stage_role role = CPE; role <= CONCENTRATOR; role++) {
		expect_summed(role, &datagram_inners[0], false);
		expect_summed(role, &datagram_inners[0], true);
		expect_summed(role, &datagram_inners[1], true);
	}
}

static uint16_t at16(const struct packet *packet, size_t at)
{
	return (uint16_t)(packet->frame[at] << 8 | packet->frame[at + 1]);
}

/* Nobody looks at all octets on the way: the receiver finds it as wrong as it was sent. */
Test(datagram, a_wrong_checksum_stays_wrong)
{
	for (enum stage_role role = CPE; role <= CONCENTRATOR; role++) {
		struct stage *stage = datagram_open(role);
		struct packet in = udp_to(role, &datagram_inners[0]);
		struct conversion right = datagram_run(stage, datagram_senders[role], &in), wrong;
		uint16_t checksum = at16(&in, 40);

		/* that the sequence numbers are the same */
		stage = datagram_open(role);
		set_udp_checksum(&in, (uint16_t)(checksum - 3));
		wrong = datagram_run(stage, datagram_senders[role], &in);
		cr_expect_str_eq(wrong.outcome, "redirect datagram_sent");
		cr_expect_eq((at16(&right.packet, 50) + 0xffff - at16(&wrong.packet, 50)) % 0xffff,
			     3);
	}
}

/* A sum of zero is written as its other form (RFC 768). */
Test(datagram, no_udp_checksum_of_zero)
{
	struct stage *stage = datagram_open(CPE);
	uint8_t payload[2] = {};
	struct recipe tcp = datagram_formatted(CPE, LINK_V4, &datagram_inners[0]);
	struct recipe udp = {.from = datagram_inners[0].remote,
			     .from_port = 53,
			     .to = datagram_inners[0].host,
			     .to_port = 5000,
			     .payload = {payload, 2}};
	struct packet in = packet_build_udp(&udp);
	uint16_t short_of = at16(&in, 40);
	struct conversion got;

	payload[0] = (uint8_t)(short_of >> 8);
	payload[1] = (uint8_t)short_of;
	tcp.payload = udp.payload;
	in = packet_build(&tcp);
	got = datagram_run(stage, "datagram_link", &in);
	cr_assert_str_eq(got.outcome, "redirect datagram_received");
	cr_expect_eq(at16(&got.packet, 40), 0xffff);
}

/* What a CPE makes of it is what its concentrator takes, and the reverse. */
Test(datagram, there_and_back)
{
	struct stage *cpe = datagram_open(CPE), *concentrator = datagram_open(CONCENTRATOR);

	for (uint8_t link = 0; link < 2; link++) {
		datagram_use_link(cpe, link);
		datagram_use_link(concentrator, link);
		for (int family = 0; family < 2; family++) {
			const struct datagram_inner *inner = &datagram_inners[family];
			struct packet in = udp_to(CPE, inner), expected;
			struct conversion got = datagram_run(cpe, "datagram_lan", &in);
			struct recipe out = particular(datagram_from_host(inner));

			got = datagram_run(concentrator, "datagram_customer", &got.packet);
			cr_assert_str_eq(got.outcome, "redirect datagram_received");
			out.from = inner->external;
			out.from_port = inner->external_port;
			out.ttl = 59;
			out.macs = datagram_macs;
			if (link != family) {
				out.id = at16(&got.packet, AT_ID);
				out.fragment = 0;
				out.flow_label = 0;
			}
			expected = packet_build_udp(&out);
			datagram_expect_packet(&got.packet, &expected);
		}
	}
}

static uint32_t sequence_of(const struct packet *packet)
{
	const uint8_t *at = packet->frame + ((packet->frame[14] >> 4) == 4 ? 38 : 58);

	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Each link counts its packets, whosever they are; each binding its own, whatever the link. */
Test(datagram, numbers)
{
	for (enum stage_role role = CPE; role <= CONCENTRATOR; role++) {
		struct stage *stage = datagram_open(role);
		uint32_t sent[2] = {}, of_binding[2] = {};

		for (uint32_t i = 0; i < 40; i++) {
			uint8_t link = i % 3 == 0, family = i % 5 < 2;
			struct packet in = udp_to(role, &datagram_inners[family]);
			struct conversion got;
			size_t ack = link == LINK_V4 ? 42 : 62;

			datagram_use_link(stage, link);
			got = datagram_run(stage, datagram_senders[role], &in);
			cr_assert_eq(sequence_of(&got.packet), ++sent[link]);
			cr_assert_eq(at16(&got.packet, ack + 2), ++of_binding[family]);
		}
		cr_expect_eq(datagram_traffic(stage, LINK_V4).sent, sent[LINK_V4]);
		cr_expect_eq(datagram_traffic(stage, LINK_V6).sent, sent[LINK_V6]);
	}
}

/* 32 bits are on the wire, 64 in the map. */
Test(datagram, numbers_come_round)
{
	struct stage *stage = datagram_open(CPE);
	struct plait_path_traffic traffic = {.sent = 0xffffffff};
	struct packet in = udp_to(CPE, &datagram_inners[0]);
	uint32_t link = LINK_V4;
	struct conversion got;

	stage_put(stage, "datagram_traffic", &link, &traffic);
	got = datagram_run(stage, "datagram_lan", &in);
	cr_expect_eq(sequence_of(&got.packet), 0);
	cr_expect_eq(datagram_traffic(stage, LINK_V4).sent, 0x100000000);
}

static void receive_numbers(struct stage *stage, enum stage_role role, const uint32_t *numbers,
			    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct recipe tcp = datagram_formatted(role, LINK_V6, &datagram_inners[0]);
		struct packet packet;

		tcp.seq = numbers[i];
		packet = packet_build(&tcp);
		datagram_expect(stage, datagram_receivers[role], &packet,
				"redirect datagram_received");
	}
}

static void expect_traffic(const struct stage *stage, uint64_t received, uint64_t late,
			   uint32_t highest, uint32_t restarts)
{
	struct plait_path_traffic got = datagram_traffic(stage, LINK_V6);

	cr_expect_eq(got.received, received);
	cr_expect_eq(got.late, late);
	cr_expect_eq(got.highest, highest);
	cr_expect_eq(got.restarts, restarts);
	cr_expect_eq(datagram_traffic(stage, LINK_V4).received, 0);
}

#define RECEIVE(...)                                                  \
	receive_numbers(stage, role, (const uint32_t[]){__VA_ARGS__}, \
			sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

Test(datagram, loss_and_order_of_a_link_are_measured)
{
	for (enum stage_role role = CPE; role <= CONCENTRATOR; role++) {
		struct stage *stage = datagram_open(role);

		RECEIVE(1, 2, 3);
		expect_traffic(stage, 3, 0, 3, 0);
		RECEIVE(7); /* three are lost */
		expect_traffic(stage, 4, 0, 7, 0);
		RECEIVE(5, 6, 7); /* or two late, and one is here twice */
		expect_traffic(stage, 7, 3, 7, 0);
		RECEIVE(7 + 65535);
		expect_traffic(stage, 8, 3, 7 + 65535, 0);
		RECEIVE(1); /* the sender has begun anew */
		expect_traffic(stage, 9, 3, 1, 1);
		RECEIVE(0xfffffffe, 0xffffffff);
		expect_traffic(stage, 11, 5, 1, 1);
		RECEIVE(1 + 65536);
		expect_traffic(stage, 12, 5, 1 + 65536, 2);
	}
}

Test(datagram, numbers_received_come_round)
{
	const struct plait_path_traffic before = {.highest = 0xfffffff0};
	enum stage_role role = CONCENTRATOR;
	struct stage *stage = datagram_open(role);
	uint32_t link = LINK_V6;

	stage_put(stage, "datagram_traffic", &link, &before);
	RECEIVE(0xfffffffe, 0xffffffff, 0, 1, 0xffffffff);
	expect_traffic(stage, 5, 1, 1, 0);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void expect_accounted(const struct plait_datagram_binding *got, uint64_t before,
			     uint64_t bytes)
{
	cr_expect_eq(got->packets, 2);
	cr_expect_eq(got->bytes, bytes);
	cr_expect(got->last_seen_ns >= before && got->last_seen_ns <= now_ns());
	cr_expect_eq(got->created_ns, 1);
}

/* By what UDP has, the same at both ends. */
Test(datagram, bindings_are_accounted_and_refreshed)
{
	for (enum stage_role role = CPE; role <= CONCENTRATOR; role++) {
		struct stage *stage = datagram_open(role);
		uint64_t before = now_ns();

		for (int family = 0; family < 2; family++) {
			const struct datagram_inner *inner = &datagram_inners[family];
			struct recipe tcp = particular(datagram_formatted(role, LINK_V4, inner));
			struct packet out = udp_to(role, inner), in = packet_build(&tcp);
			bool cpe = role == CPE;
			struct plait_datagram_binding got;

			for (int i = 0; i < 2; i++) {
				datagram_run(stage, datagram_senders[role], &out);
				datagram_run(stage, datagram_receivers[role], &in);
			}
			got = datagram_binding(stage, "datagram_senders",
					       cpe ? inner->host : inner->external,
					       cpe ? inner->host_port : inner->external_port);
			expect_accounted(&got, before, 2 * (out.bytes - 14));
			got = datagram_binding(stage, "datagram_receivers",
					       cpe ? NULL : "192.0.2.2", inner->wan_port);
			expect_accounted(&got, before, 2 * (out.bytes - 14));
		}
	}
}

/* Slots as an agent would spread weights 3 and 1. */
static struct plait_path_set weighted(uint8_t per_packet)
{
	struct plait_path_set set = {.count = 2, .per_packet = per_packet};

	for (size_t i = 0; i < PLAIT_PATH_SLOTS; i++)
		set.slot[i] = i % 4 == 3;
	return set;
}

static uint8_t link_taken(struct stage *stage, enum stage_role role, const struct recipe *udp)
{
	struct packet in = packet_build_udp(udp);
	struct conversion got = datagram_run(stage, datagram_senders[role], &in);

	cr_assert_str_eq(got.outcome, "redirect datagram_sent");
	return got.packet.frame[14] >> 4 == 6;
}

Test(datagram, packets_are_shared_out_by_weight)
{
	for (enum stage_role role = CPE; role <= CONCENTRATOR; role++) {
		struct stage *stage = datagram_open(role);
		struct plait_path_set set = weighted(1);
		struct recipe udp = datagram_to_send(role, &datagram_inners[0]);
		int taken[2] = {};

		datagram_put_set(stage, 0, &set);
		for (int i = 0; i < 400; i++)
			taken[link_taken(stage, role, &udp)]++;
		cr_expect_eq(taken[LINK_V4], 300);
		cr_expect_eq(taken[LINK_V6], 100);
	}
}

/* 4,000 flows, of remotes and ports that are near each other: within a tenth of its share. */
Test(datagram, flows_are_shared_out_by_weight_and_stay)
{
	for (enum stage_role role = CPE; role <= CONCENTRATOR; role++) {
		struct stage *stage = datagram_open(role);
		struct plait_path_set set = weighted(0);
		int taken[2] = {};

		datagram_put_set(stage, 0, &set);
		for (unsigned int i = 0; i < 4000; i++) {
			const struct datagram_inner *inner = &datagram_inners[i % 2];
			struct recipe udp = datagram_to_send(role, inner);
			uint16_t *port = role == CPE ? &udp.to_port : &udp.from_port;
			char remote[32];
			uint8_t link;

			snprintf(remote, sizeof(remote), i % 2 ? "2001:db8:f::%x" : "198.51.100.%u",
				 1 + i / 2 % 50);
			*(role == CPE ? &udp.to : &udp.from) = remote;
			*port = (uint16_t)(1000 + i / 100);
			link = link_taken(stage, role, &udp);
			cr_assert_eq(link, link_taken(stage, role, &udp));
			taken[link]++;
		}
		cr_expect(taken[LINK_V6] > 900 && taken[LINK_V6] < 1100, "%d of 4000, not 1000",
			  taken[LINK_V6]);
	}
}

/* Paths of another set are another subscriber's. */
Test(datagram, sets_have_paths_of_their_own)
{
	struct stage *stage = datagram_open(CONCENTRATOR);
	struct plait_path_set set = {.first = 5, .count = 1};
	struct plait_path path = datagram_path(stage, LINK_V4);
	struct plait_datagram_binding binding =
		datagram_binding(stage, "datagram_senders", datagram_inners[0].external, 7001);
	struct packet in = udp_to(CONCENTRATOR, &datagram_inners[0]);
	struct recipe tcp = datagram_formatted(CONCENTRATOR, LINK_V4, &datagram_inners[0]);
	struct plait_addr key = packet_addr("192.0.2.2", 40001);

	path.remote = packet_addr("192.0.2.99", 0);
	datagram_put_set(stage, 3, &set);
	datagram_put_path(stage, 5, &path);
	binding.set = 3;
	stage_put(stage, "datagram_senders", &binding.inner, &binding);
	stage_put(stage, "datagram_receivers", &key, &binding);
	cr_expect_str_eq(datagram_run(stage, "datagram_internet", &in).outcome,
			 "redirect datagram_sent");
	cr_expect_eq(datagram_traffic(stage, 5).sent, 1);
	cr_expect_eq(datagram_traffic(stage, LINK_V4).sent, 0);
	/* by a link that the subscriber has no more: the agent is asked */
	in = packet_build(&tcp);
	datagram_expect(stage, "datagram_customer", &in, "pass datagram_new");
	tcp.from = "192.0.2.99";
	key = packet_addr("192.0.2.99", 40001);
	stage_put(stage, "datagram_receivers", &key, &binding);
	in = packet_build(&tcp);
	datagram_expect(stage, "datagram_customer", &in, "redirect datagram_received");
	cr_expect_eq(datagram_traffic(stage, 5).received, 1);
}

/* No next hop in the path's entry: the FIB has the one at 02:00:00:00:00:02. */
Test(datagram, the_fib_is_asked_for_a_path_without_next_hop)
{
	for (enum stage_role role = CPE; role <= CONCENTRATOR; role++) {
		struct stage *stage = datagram_open(role);
		struct plait_path path = datagram_path(stage, LINK_V4);
		struct packet in = udp_to(role, &datagram_inners[0]);
		struct conversion got;

		path.ifindex = 0;
		if (role ==
		    CONCENTRATOR) /* nobody is at the CPE's address, which is our own here */
			path.remote = packet_addr("192.0.2.1", 0);
		datagram_put_path(stage, LINK_V4, &path);
		got = datagram_run(stage, datagram_senders[role], &in);
		cr_expect_str_eq(got.outcome, "redirect datagram_sent");
		cr_expect_arr_eq(got.packet.frame, datagram_macs, sizeof(datagram_macs));
		path.remote = packet_addr("192.0.2.9", 0);
		datagram_put_path(stage, LINK_V4, &path);
		datagram_expect(stage, datagram_senders[role], &in, "pass datagram_no_next_hop");
	}
}

static const char own_external[] = "addr add 198.51.100.1/32 dev lo\n"
				   "addr add 2001:db8:e::1/128 dev lo nodad\n";

/* Another binding of the same external address, from which the first one is a remote. */
static struct datagram_inner other_than(const struct datagram_inner *first)
{
	struct datagram_inner other = *first;

	other.wan_port = 40003;
	other.external_port = 7003;
	other.remote = first->external;
	other.remote_port = first->external_port;
	return other;
}

/* The first one sends to the other one's external address. */
static struct recipe towards(const struct datagram_inner *first, const struct datagram_inner *other,
			     uint8_t link)
{
	struct datagram_inner aim = *first;

	aim.remote = other->external;
	aim.remote_port = other->external_port;
	return particular(datagram_formatted(CONCENTRATOR, link, &aim));
}

/* What leaves is as if it had come from the internet, from the external address. */
Test(datagram, U3_hairpin_octet_by_octet)
{
	struct stage *stage = datagram_open(CONCENTRATOR);

	stage_ip(own_external);
	for (uint8_t family = 0; family < 2; family++) {
		const struct datagram_inner *first = &datagram_inners[family];
		const struct datagram_inner other = other_than(first);
		struct recipe up = towards(first, &other, family);
		struct recipe down = particular(datagram_formatted(CPE, family, &other));
		struct packet in = packet_build(&up), expected;
		struct conversion got;

		datagram_put_binding(stage, &other);
		datagram_use_link(stage, family);
		got = datagram_run(stage, "datagram_customer", &in);
		cr_assert_str_eq(got.outcome, "redirect datagram_sent datagram_received", "%s",
				 got.outcome);
		down.seq = down.ack = 1;
		down.ttl = (uint8_t)(up.ttl - 2);
		expected = packet_build(&down);
		datagram_expect_packet(&got.packet, &expected);
	}
}

/* Nobody is told of what does not arrive. */
Test(datagram, hairpin_that_cannot_be)
{
	struct stage *stage = datagram_open(CONCENTRATOR);
	const struct datagram_inner *first = &datagram_inners[0];
	const struct datagram_inner other = other_than(first);
	struct recipe up = towards(first, &other, LINK_V4);
	struct packet in = packet_build(&up);

	stage_ip(own_external);
	datagram_expect(stage, "datagram_customer", &in, "pass datagram_no_next_hop");
	datagram_put_binding(stage, &other);
	up.ttl = 2;
	in = packet_build(&up);
	cr_expect_str_eq(datagram_run(stage, "datagram_customer", &in).outcome,
			 "drop datagram_received datagram_ttl");
	up.ttl = 3;
	in = packet_build(&up);
	datagram_use_link(stage, PLAIT_NO_PATH);
	cr_expect_str_eq(datagram_run(stage, "datagram_customer", &in).outcome,
			 "pass datagram_received datagram_no_path");
}

/* A second later another neighbour counts. */
Test(datagram, a_next_hop_is_kept_for_a_second)
{
	struct stage *stage = datagram_open(CONCENTRATOR);
	struct recipe tcp = datagram_formatted(CONCENTRATOR, LINK_V4, &datagram_inners[0]);
	struct packet in = packet_build(&tcp);
	const uint8_t other[] = {2, 0, 0, 0, 0, 7};
	struct conversion got = datagram_run(stage, "datagram_customer", &in);

	cr_expect_arr_eq(got.packet.frame, datagram_macs, sizeof(datagram_macs));
	stage_ip("neigh replace 192.0.2.1 lladdr 02:00:00:00:00:07 dev wan0\n");
	nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 100000000}, NULL);
	got = datagram_run(stage, "datagram_customer", &in);
	cr_expect_arr_eq(got.packet.frame, other, sizeof(other));
}

/* A frame of more than a page comes in pieces; only the first has what programs look at. */
Test(datagram, jumbo_frames)
{
	enum { PAYLOAD = 8900, UDP_FRAME = 42 + PAYLOAD, TCP_FRAME = 66 + PAYLOAD };
	struct stage *stage = datagram_open(CPE);
	struct plait_path path = datagram_path(stage, LINK_V4);
	static uint8_t in[UDP_FRAME], out[TCP_FRAME + 100];
	struct packet start = udp_to(CPE, &datagram_inners[0]);
	struct bpf_program *lan = bpf_object__find_program_by_name(stage->object, "datagram_lan");

	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in, .data_size_in = sizeof(in),
		    .data_out = out, .data_size_out = sizeof(out));
	path.mtu = 9000;
	datagram_put_path(stage, LINK_V4, &path);
	start = packet_with(start, 16, (UDP_FRAME - 14) >> 8);
	start = packet_with_ipv4(start, 17, (UDP_FRAME - 14) & 0xff);
	memcpy(in, start.frame, 42);
	in[38] = (PAYLOAD + 8) >> 8;
	in[39] = (PAYLOAD + 8) & 0xff;
	in[40] = in[41] = 0; /* all is summed */
	for (size_t i = 42; i < UDP_FRAME; i++)
		in[i] = (uint8_t)(i * 11 + i / 256);
	cr_assert_eq(bpf_prog_test_run_opts(bpf_program__fd(lan), &options), 0);
	cr_assert_str_eq(stage_counted(stage), "datagram_sent_summed");
	cr_assert_eq(options.data_size_out, TCP_FRAME);
	cr_expect_arr_eq(out + 66, in + 42, PAYLOAD);
	uint32_t sum = 6 + TCP_FRAME - 34;

	for (size_t i = 26; i < TCP_FRAME; i++)
		sum += i & 1 ? out[i] : (uint32_t)out[i] << 8;
	cr_expect_eq((sum & 0xffff) + (sum >> 16), 0xffff);
}
