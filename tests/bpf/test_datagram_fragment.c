// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * U2, S3: datagrams that arrive in fragments, octet by octet on the link and behind it;
 * and what is refused of them.
 */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

#include "datagram_stage.h"
#include "plait_pm.h"

enum { UDP_BYTES = 8, GROWS = 24, PAYLOAD = 3200, DATAGRAM_ID = 0x1234 };

static const struct datagram_inner *const v4 = &datagram_inners[0];

/* Where UDP's octets are cut, and how many there are. */
static const size_t cuts[] = {0, 1200, 1208, 2400, UDP_BYTES + PAYLOAD};
enum { PIECES = 4 };

static struct slice slice_of(int i)
{
	return (struct slice){.from = cuts[i],
			      .bytes = cuts[i + 1] - cuts[i],
			      .offset = cuts[i],
			      .more = i + 1 < PIECES,
			      .id = DATAGRAM_ID};
}

/* The same octets in a TCP-formatted packet, whose offsets are still UDP's. */
static struct slice slice_on_link(int i, uint32_t id)
{
	struct slice out = slice_of(i);

	out.id = id;
	out.from += i ? GROWS : 0;
	out.bytes += i ? 0 : GROWS;
	return out;
}

static struct packet whole_udp(enum stage_role role)
{
	struct recipe udp = datagram_to_send(role, v4);

	udp.payload = datagram_payload(PAYLOAD);
	udp.traffic_class = 0xb8;
	return packet_build_udp(&udp);
}

/* As it would be on the link to that role. */
static struct packet whole_tcp(enum stage_role to, uint8_t link, uint32_t n, uint16_t window)
{
	struct recipe tcp = datagram_formatted(to, link, v4);

	tcp.payload = datagram_payload(PAYLOAD);
	tcp.traffic_class = 0xb8;
	tcp.ttl = 63;
	tcp.seq = tcp.ack = n;
	tcp.window = window;
	return packet_build(&tcp);
}

static struct packet udp_piece(enum stage_role role, int i)
{
	struct packet whole = whole_udp(role);

	return packet_fragment(&whole, slice_of(i));
}

/* The n-th datagram of its link to that role. */
static struct packet link_piece(enum stage_role to, uint8_t link, uint32_t n, int i)
{
	struct packet whole = whole_tcp(to, link, n, UDP_BYTES + PAYLOAD);

	return packet_fragment(&whole, slice_on_link(i, n));
}

static void expect_becomes(struct stage *stage, const char *program, const struct packet *in,
			   const char *outcome, const struct packet *expected)
{
	struct conversion got = datagram_run(stage, program, in);

	cr_assert_str_eq(got.outcome, outcome, "%s: %s, not %s", program, got.outcome, outcome);
	datagram_expect_packet(&got.packet, expected);
}

/* MF and offset stay, addresses and identification are the link's: plain-mode-08 §5.3.1, §5.3.2. */
Test(datagram_fragment, U2_S3_sent_as_they_come_octet_by_octet)
{
	BOTH_ROLES(role)
	{
		for (uint8_t link = 0; link < 2; link++) {
			struct stage *stage = datagram_open(role);

			datagram_use_link(stage, link);
			for (uint32_t n = 1; n < 3; n++) {
				for (int i = 0; i < PIECES; i++) {
					enum stage_role to = role == CPE ? CONCENTRATOR : CPE;
					struct packet in = udp_piece(role, i),
						      expected = link_piece(to, link, n, i);

					expect_becomes(stage, datagram_senders[role], &in,
						       i ? "redirect datagram_fragment_sent"
							 : "redirect datagram_sent",
						       &expected);
				}
			}
		}
	}
}

/* What a receiver makes of piece i; the identification is any, but the same for all. */
static struct packet received_piece(enum stage_role role, int i, const struct packet *got)
{
	struct recipe udp = datagram_received(role, v4);
	struct slice slice = slice_of(i);
	struct packet whole;

	udp.payload = datagram_payload(PAYLOAD);
	udp.traffic_class = 0xb8;
	udp.ttl = 62;
	whole = packet_build_udp(&udp);
	slice.id = (uint32_t)(got->frame[18] << 8 | got->frame[19]);
	return packet_fragment(&whole, slice);
}

Test(datagram_fragment, U2_S3_received_as_they_were_sent_octet_by_octet)
{
	BOTH_ROLES(role)
	{
		for (uint8_t link = 0; link < 2; link++) {
			struct stage *stage = datagram_open(role);
			uint32_t id = 0;

			for (int i = 0; i < PIECES; i++) {
				struct packet in = link_piece(role, link, 1, i), expected;
				struct conversion got =
					datagram_run(stage, datagram_receivers[role], &in);
				uint32_t its = (uint32_t)(got.packet.frame[18] << 8 |
							  got.packet.frame[19]);

				cr_assert_str_eq(got.outcome,
						 i ? "redirect datagram_fragment_received"
						   : "redirect datagram_received",
						 "%s", got.outcome);
				expected = received_piece(role, i, &got.packet);
				datagram_expect_packet(&got.packet, &expected);
				cr_assert(!i || its == id);
				id = its;
			}
			cr_expect_eq(datagram_traffic(stage, link).received, 1);
		}
	}
}

/* What the agent has been given. */
static struct plait_early_fragment early[64];
static int earlies;

static int take_early(void *context, void *record, size_t bytes)
{
	cr_assert_lt(earlies, 64);
	memcpy(&early[earlies], record, bytes < sizeof(early[0]) ? bytes : sizeof(early[0]));
	cr_assert_geq(bytes,
		      offsetof(struct plait_early_fragment, frame) + early[earlies].frame_bytes);
	earlies++;
	return 0;
}

static int read_early(const struct stage *stage)
{
	earlies = 0;
	stage_read_ring(stage_map(stage, "datagram_early"), take_early, NULL);
	return earlies;
}

/* Held ones are given back as the agent does it; the outcome of each is that one. */
static void let_go(struct stage *stage, const char *program, const char *outcome)
{
	uint64_t datagram = early[earlies - 1].datagram;

	for (int i = 0; i < earlies; i++) {
		struct packet packet = {.bytes = early[i].frame_bytes};
		struct conversion got;

		cr_assert_eq(early[i].datagram, datagram);
		if (!packet.bytes)
			continue;
		memcpy(packet.frame, early[i].frame, packet.bytes);
		got = datagram_run(stage, program, &packet);
		cr_assert_str_eq(got.outcome, outcome, "%s", got.outcome);
	}
}

static void run_piece(struct stage *stage, const char *program, const struct packet *packet,
		      const char *outcome)
{
	struct conversion got = datagram_run(stage, program, packet);

	cr_assert_str_eq(got.outcome, outcome, "%s, not %s", got.outcome, outcome);
}

/* Those before the first wait with the agent, as they came, until it does. */
static void expect_early(enum stage_role role, const char *program,
			 struct packet piece(enum stage_role, int), const char *first,
			 const char *later)
{
	struct stage *stage = datagram_open(role);
	struct packet packet;

	for (int i = PIECES - 1; i > 0; i--) {
		packet = piece(role, i);
		run_piece(stage, program, &packet, "drop datagram_fragment_early");
	}
	cr_assert_eq(read_early(stage), PIECES - 1);
	for (int i = 0; i < PIECES - 1; i++) {
		packet = piece(role, PIECES - 1 - i);
		cr_assert_eq(early[i].frame_bytes, packet.bytes);
		cr_assert_arr_eq(early[i].frame, packet.frame, packet.bytes);
		cr_assert_eq(early[i].ifindex, stage_ifindex("wan0"));
	}
	struct plait_early_fragment held[PIECES];
	memcpy(held, early, sizeof(held));
	packet = piece(role, 0);
	run_piece(stage, program, &packet, first);
	cr_assert_eq(read_early(stage), 1);
	cr_assert_eq(early[0].frame_bytes, 0);
	cr_assert_eq(early[0].datagram, held[0].datagram);
	memcpy(early, held, sizeof(held));
	earlies = PIECES - 1;
	let_go(stage, program, later);
}

static struct packet any_link_piece(enum stage_role role, int i)
{
	return link_piece(role, LINK_V6, 7, i);
}

Test(datagram_fragment, S3_early_ones_wait_for_the_first_to_be_sent)
{
	expect_early(CPE, "datagram_lan", udp_piece, "redirect datagram_sent",
		     "redirect datagram_fragment_sent");
}

Test(datagram_fragment, S3_early_ones_wait_for_the_first_to_be_received)
{
	expect_early(CONCENTRATOR, "datagram_customer", any_link_piece,
		     "redirect datagram_received", "redirect datagram_fragment_received");
}

/* Whose first is not bonded goes direct with it, early ones too. */
Test(datagram_fragment, all_of_a_datagram_goes_direct_if_its_first_does)
{
	struct stage *stage = datagram_open(CPE);
	struct packet whole = whole_udp(CPE), packet;

	whole.frame[35]++; /* of another port, that has no binding */
	for (int i = 0; i < PIECES; i++) {
		packet = packet_fragment(&whole, slice_of(i));
		datagram_expect(stage, "datagram_lan", &packet,
				i ? "pass datagram_fragment" : "pass datagram_new");
	}
	packet = packet_fragment(&whole, slice_of(1));
	run_piece(stage, "datagram_lan", &packet, "drop datagram_fragment_early");
	packet = packet_fragment(&whole, slice_of(0));
	datagram_expect(stage, "datagram_lan", &packet, "pass datagram_new");
	cr_assert_eq(read_early(stage), 2);
	earlies = 1;
	let_go(stage, "datagram_lan", "pass datagram_fragment");
}

Test(datagram_fragment, what_is_not_bonded_is_not_looked_up)
{
	struct stage *stage = datagram_open(CPE);
	struct recipe udp = datagram_from_host(v4);
	struct packet whole, packet;

	datagram_put_direct(stage, "198.51.100.77", 32);
	packet = udp_piece(CPE, 1);
	datagram_expect(stage, "datagram_lan", &packet, "pass datagram_direct");
	udp.to = "224.0.0.5";
	udp.payload = datagram_payload(PAYLOAD);
	whole = packet_build_udp(&udp);
	packet = packet_fragment(&whole, slice_of(1));
	datagram_expect(stage, "datagram_lan", &packet, "pass datagram_fragment");
}

/* off: of a datagram whose first does not fit, nothing is bonded (plain-mode-08 §5.3). */
Test(datagram_fragment, U2_too_long_a_first_goes_direct_with_all_behind_it)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = datagram_open(role);

		datagram_put_mtu(stage, LINK_V4, 1500);
		struct packet whole = whole_udp(role);
		const struct slice first = {.bytes = 1480, .more = true},
				   last = {.from = 1480, .bytes = 1480, .offset = 1480};
		struct packet packet = packet_fragment(&whole, first);

		datagram_expect(stage, datagram_senders[role], &packet, "pass datagram_too_big");
		packet = packet_fragment(&whole, last);
		datagram_expect(stage, datagram_senders[role], &packet, "pass datagram_fragment");
	}
}

/* RFC 7915 §4.5: what has no checksum cannot be converted unless it is whole. */
Test(datagram_fragment, without_a_checksum_it_goes_direct)
{
	struct stage *stage = datagram_open(CPE);
	struct packet packet = udp_piece(CPE, 0);

	packet.frame[40] = packet.frame[41] = 0;
	datagram_expect(stage, "datagram_lan", &packet, "pass datagram_fragment");
	packet = udp_piece(CPE, 1);
	datagram_expect(stage, "datagram_lan", &packet, "pass datagram_fragment");
}

/* RFC 1858 §3, RFC 3128: a first without all of the header that decides. */
Test(datagram_fragment, S3_tiny_ones_are_dropped)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = datagram_open(role);
		struct packet tcp = whole_tcp(role, LINK_V4, 1, UDP_BYTES + PAYLOAD);
		struct packet six = whole_tcp(role, LINK_V6, 1, UDP_BYTES + PAYLOAD);

		for (size_t bytes = 8; bytes < 32; bytes += 8) {
			struct slice slice = {.bytes = bytes, .more = true, .id = (uint32_t)bytes};
			struct packet packet = packet_fragment(&tcp, slice);

			datagram_expect(stage, datagram_receivers[role], &packet,
					"drop datagram_fragment_tiny");
			packet = packet_fragment(&six, slice);
			datagram_expect(stage, datagram_receivers[role], &packet,
					"drop datagram_fragment_tiny");
			/* the rest is behind it, but not in the packet */
			packet = packet_fragment(&tcp, slice);
			memcpy(packet.frame + packet.bytes, tcp.frame + packet.bytes, 32);
			packet.bytes += 32;
			datagram_expect(stage, datagram_receivers[role], &packet,
					"drop datagram_fragment_tiny");
			/* and what follows */
			slice = (struct slice){
				.from = bytes, .bytes = 64, .offset = bytes, .id = slice.id};
			packet = packet_fragment(&tcp, slice);
			datagram_expect(stage, datagram_receivers[role], &packet,
					"drop datagram_fragment_refused");
		}
	}
}

/* Slices of a datagram whose first 1200 octets were sent, and 1600 to 2400. */
struct overlap {
	size_t from, to;
	bool more;
	const char *outcome;
};

Test(datagram_fragment, S3_overlapping_ones_are_dropped_with_their_datagram)
{
	static const struct overlap rows[] = {
		{1200, 1608, true, "drop datagram_fragment_overlap"}, /* from behind */
		{1192, 1600, true, "drop datagram_fragment_overlap"}, /* from before */
		{8, 1600, true, "drop datagram_fragment_overlap"}, /* over the header's end */
		{1400, 2600, true, "drop datagram_fragment_overlap"}, /* around one */
		{2000, 3208, false, "drop datagram_fragment_overlap"},
		{1200, 1600, false, "drop datagram_fragment_overlap"}, /* the end before others */
	};

	BOTH_ROLES(role)
	{
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			static const struct slice there[] = {
				{.bytes = 1200, .more = true},
				{.from = 1600, .bytes = 800, .offset = 1600, .more = true}};
			const struct overlap *row = &rows[i];
			struct slice slice = {.from = row->from,
					      .bytes = row->to - row->from,
					      .offset = row->from,
					      .more = row->more};
			struct stage *stage = datagram_open(role);
			struct packet whole = whole_udp(role), packet;

			for (int n = 0; n < 2; n++) {
				packet = packet_fragment(&whole, there[n]);
				run_piece(stage, datagram_senders[role], &packet,
					  n ? "redirect datagram_fragment_sent"
					    : "redirect datagram_sent");
			}
			packet = packet_fragment(&whole, slice);
			datagram_expect(stage, datagram_senders[role], &packet, row->outcome);
			/* what would have been good */
			slice = (struct slice){.from = 2400, .bytes = 808, .offset = 2400};
			packet = packet_fragment(&whole, slice);
			datagram_expect(stage, datagram_senders[role], &packet,
					"drop datagram_fragment_refused");
		}
	}
}

/* The network makes copies, too: they harm nobody. */
Test(datagram_fragment, S3_a_copy_is_dropped_alone)
{
	struct stage *stage = datagram_open(CPE);
	struct packet packet;

	for (int i = 0; i < PIECES; i++) {
		packet = udp_piece(CPE, i);
		run_piece(stage, "datagram_lan", &packet,
			  i ? "redirect datagram_fragment_sent" : "redirect datagram_sent");
		packet = udp_piece(CPE, i);
		if (i + 1 < PIECES)
			run_piece(stage, "datagram_lan", &packet, "drop datagram_fragment_overlap");
	}
}

/* Beyond the end, of no octets, not in steps of eight, and more than IP has room for. */
Test(datagram_fragment, S3_impossible_ones_are_dropped)
{
	static const struct slice slices[] = {
		{.offset = 800, .bytes = 0, .more = true},
		{.offset = 800, .bytes = 12, .more = true},
		{.offset = 65528, .bytes = 8},
		{.offset = 65504, .bytes = 40},
	};

	BOTH_ROLES(role)
	{
		struct stage *stage = datagram_open(role);

		for (size_t i = 0; i < sizeof(slices) / sizeof(slices[0]); i++) {
			struct packet udp = whole_udp(role), tcp = whole_tcp(role, LINK_V6, 1, 1);

			udp = packet_fragment(&udp, slices[i]);
			tcp = packet_fragment(&tcp, slices[i]);
			datagram_expect(stage, datagram_senders[role], &udp,
					"drop datagram_malformed");
			datagram_expect(stage, datagram_receivers[role], &tcp,
					"drop datagram_malformed");
		}
	}
}

/* Each host, or subscriber, has a share of places and of the queue; others do not notice. */
Test(datagram_fragment, S3_incomplete_ones_of_an_address_are_few)
{
	struct stage *stage = datagram_open(CPE);
	struct packet whole = whole_udp(CPE), packet;
	uint32_t held = 0, dropped = 0;
	struct slice slice = slice_of(1);

	for (slice.id = 0; slice.id < 1000; slice.id++) {
		struct conversion got;

		packet = packet_fragment(&whole, slice);
		got = datagram_run(stage, "datagram_lan", &packet);
		held += !strcmp(got.outcome, "drop datagram_fragment_early");
		dropped += !strcmp(got.outcome, "drop datagram_fragment_limit");
	}
	cr_expect_eq(held + dropped, 1000);
	cr_expect_gt(held, 64);
	cr_expect_leq(held, PLAIT_FRAGMENT_PLACES / 8);
	whole.frame[29]++; /* another host */
	packet = packet_fragment(&whole, slice_of(1));
	run_piece(stage, "datagram_lan", &packet, "drop datagram_fragment_early");
}

Test(datagram_fragment, S3_the_queue_of_a_datagram_is_bounded)
{
	struct stage *stage = datagram_open(CPE);
	struct packet whole = whole_udp(CPE), packet;

	for (uint32_t i = 0; i < 49; i++) {
		struct slice slice = {.from = 8, .bytes = 8, .offset = 8 + 8 * i, .more = true};

		packet = packet_fragment(&whole, slice);
		run_piece(stage, "datagram_lan", &packet,
			  i < 48 ? "drop datagram_fragment_early" : "drop datagram_fragment_limit");
	}
}

Test(datagram_fragment, S3_one_that_is_never_complete_is_forgotten)
{
	struct stage *stage = datagram_open(CPE);
	struct packet packet = udp_piece(CPE, 0);

	run_piece(stage, "datagram_lan", &packet, "redirect datagram_sent");
	datagram_make_fragments_old(stage);
	packet = udp_piece(CPE, 1);
	run_piece(stage, "datagram_lan", &packet,
		  "drop datagram_fragment_early datagram_fragment_expired");
	packet = udp_piece(CPE, 0);
	run_piece(stage, "datagram_lan", &packet, "redirect datagram_sent");
}

/* A place is free as soon as its datagram is complete. */
Test(datagram_fragment, as_many_complete_ones_as_may_be)
{
	struct stage *stage = datagram_open(CPE);
	struct packet whole = whole_udp(CPE);

	for (uint32_t id = 0; id < 3 * PLAIT_FRAGMENT_PLACES; id++) {
		for (int i = 0; i < PIECES; i++) {
			struct slice slice = slice_of(i);
			struct packet packet;

			slice.id = id;
			packet = packet_fragment(&whole, slice);
			run_piece(stage, "datagram_lan", &packet,
				  i ? "redirect datagram_fragment_sent" : "redirect datagram_sent");
		}
	}
}

/* Like whole packets; and nothing is learnt from one with a wrong header checksum. */
Test(datagram_fragment, header_checksum_and_ttl)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = datagram_open(role);
		struct packet packet = udp_piece(role, 0);

		packet = packet_with(packet, 24, 0);
		datagram_expect(stage, datagram_senders[role], &packet,
				"drop datagram_ip_checksum");
		packet = udp_piece(role, 0);
		run_piece(stage, datagram_senders[role], &packet, "redirect datagram_sent");
		packet = packet_with(udp_piece(role, 1), 24, 0);
		datagram_expect(stage, datagram_senders[role], &packet,
				"drop datagram_ip_checksum");
		packet = packet_with_ipv4(udp_piece(role, 1), 22, 1);
		datagram_expect(stage, datagram_senders[role], &packet, "drop datagram_ttl");
		packet = packet_with(link_piece(role, LINK_V4, 1, 1), 24, 0);
		datagram_expect(stage, datagram_receivers[role], &packet,
				"drop datagram_ip_checksum");
		packet = packet_with_ipv4(link_piece(role, LINK_V4, 1, 0), 22, 1);
		datagram_expect(stage, datagram_receivers[role], &packet, "drop datagram_ttl");
		packet = link_piece(role, LINK_V4, 1, 1);
		datagram_expect(stage, datagram_receivers[role], &packet,
				"drop datagram_fragment_refused");
	}
}

/* Wrong as in a whole packet: all of the datagram is refused. */
Test(datagram_fragment, S3_a_wrong_first_is_refused_with_all_behind_it)
{
	BOTH_ROLES(role)
	{
		static const struct {
			size_t at;
			uint8_t flip;
			const char *outcome;
		} rows[] = {
			{56, PLAIT_PM_D, "drop datagram_option"},
			{47, SYN, "drop datagram_option"},
			{48, (UDP_BYTES + PAYLOAD) >> 8, "drop datagram_malformed"}, /* window */
			{58, 198 ^ 127, "drop datagram_forbidden"}, /* remote */
		};
		struct stage *stage = datagram_open(role);

		for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct packet packet = link_piece(role, LINK_V4, i + 1, 0);

			packet.frame[rows[i].at] ^= rows[i].flip;
			datagram_expect(stage, datagram_receivers[role], &packet, rows[i].outcome);
			packet = link_piece(role, LINK_V4, i + 1, 1);
			datagram_expect(stage, datagram_receivers[role], &packet,
					"drop datagram_fragment_refused");
		}
	}
}

/* Strangers' are not kept at all; those to other machines are the kernel's. */
Test(datagram_fragment, S3_concentrator_takes_subscribers_only)
{
	struct stage *stage = datagram_open(CONCENTRATOR);
	struct packet whole = whole_tcp(CONCENTRATOR, LINK_V4, 1, UDP_BYTES + PAYLOAD), packet;

	whole.frame[28] = 3; /* 192.0.3.2 */
	for (int i = 0; i < 2; i++) {
		packet = packet_fragment(&whole, slice_on_link(i, 1));
		datagram_expect(stage, "datagram_customer", &packet, "drop datagram_source");
	}
	whole.frame[33] = 99;
	packet = packet_fragment(&whole, slice_on_link(1, 1));
	datagram_expect(stage, "datagram_customer", &packet, "pass datagram_fragment");
}

/* The agent makes the binding while those behind the first wait. */
Test(datagram_fragment, first_of_a_binding_is_left_to_the_agent)
{
	struct stage *stage = datagram_open(CONCENTRATOR);
	struct plait_addr key = packet_addr("192.0.2.2", v4->wan_port);
	struct packet packet = link_piece(CONCENTRATOR, LINK_V4, 1, 0);
	struct plait_datagram_binding binding =
		datagram_binding(stage, "datagram_receivers", "192.0.2.2", v4->wan_port);

	cr_assert_eq(bpf_map_delete_elem(stage_map(stage, "datagram_receivers"), &key), 0);
	datagram_expect(stage, "datagram_customer", &packet, "pass datagram_new");
	packet = link_piece(CONCENTRATOR, LINK_V4, 1, 1);
	run_piece(stage, "datagram_customer", &packet, "drop datagram_fragment_early");
	stage_put(stage, "datagram_receivers", &key, &binding);
	packet = link_piece(CONCENTRATOR, LINK_V4, 1, 0);
	run_piece(stage, "datagram_customer", &packet, "redirect datagram_received");
	cr_assert_eq(read_early(stage), 2);
	earlies = 1;
	let_go(stage, "datagram_customer", "redirect datagram_fragment_received");
}

/* IPv6's are the kernel's: plain-mode-08 §5.3 is about IPv4. */
Test(datagram_fragment, ipv6_goes_direct)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = datagram_open(role);
		const struct datagram_inner *v6 = &datagram_inners[1];
		struct recipe udp = datagram_to_send(role, v6);
		struct packet whole, packet;

		udp.payload = datagram_payload(PAYLOAD);
		whole = packet_build_udp(&udp);
		for (int i = 0; i < PIECES; i++) {
			packet = packet_fragment(&whole, slice_of(i));
			datagram_expect(stage, datagram_senders[role], &packet,
					"pass datagram_fragment");
		}
	}
}
