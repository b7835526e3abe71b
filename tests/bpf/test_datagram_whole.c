// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * U2: TCP-formatted packets that do not fit are cut after conversion, and put together
 * before it is undone (plain-mode-08 §5.3).
 */
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <linux/if_link.h>
#include <string.h>

#include "datagram_stage.h"
#include "live.h"

enum { MTU = 1500, PAYLOAD = 1472, TCP_BYTES = 32, L4_BYTES = TCP_BYTES + PAYLOAD };

static const struct datagram_inner *const v4 = &datagram_inners[0];

static struct stage *open_cutting(enum stage_role role)
{
	struct stage *stage = datagram_open(role);

	datagram_put_fragmentation(stage, true);
	datagram_put_mtu(stage, LINK_V4, MTU);
	datagram_put_mtu(stage, LINK_V6, MTU);
	return stage;
}

static struct packet whole_tcp(enum stage_role to, uint8_t link, uint32_t n)
{
	struct recipe tcp = datagram_formatted(to, link, v4);

	tcp.payload = datagram_payload(PAYLOAD);
	tcp.ttl = 63;
	tcp.seq = tcp.ack = n;
	return packet_build(&tcp);
}

/* What becomes of it; the identification is the first one's. */
static struct packet whole_udp(enum stage_role role, const struct packet *got)
{
	struct recipe udp = datagram_received(role, v4);

	udp.payload = datagram_payload(PAYLOAD);
	udp.ttl = 62;
	udp.id = (uint16_t)(got->frame[18] << 8 | got->frame[19]);
	udp.fragment = (uint16_t)(got->frame[20] << 8 | got->frame[21]) & 0x4000;
	return packet_build_udp(&udp);
}

static void expect_kept(struct stage *stage, const char *program, const struct packet *whole,
			struct slice slice)
{
	struct packet packet = packet_fragment(whole, slice);

	cr_assert_str_eq(datagram_run(stage, program, &packet).outcome,
			 "drop datagram_fragment_kept");
}

Test(datagram_whole, U2_put_together_before_conversion_octet_by_octet)
{
	BOTH_ROLES(role)
	{
		for (uint8_t link = 0; link < 2; link++) {
			struct stage *stage = open_cutting(role);

			/* in two or in three, as others may cut */
			for (size_t at = 32; at < L4_BYTES; at += 184) {
				struct packet whole = whole_tcp(role, link, 1), expected, last;
				struct conversion got;

				expect_kept(stage, datagram_receivers[role], &whole,
					    (struct slice){
						    .bytes = at, .more = true, .id = (uint32_t)at});
				expect_kept(stage, datagram_receivers[role], &whole,
					    (struct slice){.from = at,
							   .bytes = 8,
							   .offset = at,
							   .more = true,
							   .id = (uint32_t)at});
				last = packet_fragment(&whole,
						       (struct slice){.from = at + 8,
								      .bytes = L4_BYTES - at - 8,
								      .offset = at + 8,
								      .id = (uint32_t)at});
				got = datagram_run(stage, datagram_receivers[role], &last);
				cr_assert_str_eq(got.outcome, "redirect datagram_received", "%s",
						 got.outcome);
				expected = whole_udp(role, &got.packet);
				datagram_expect_packet(&got.packet, &expected);
			}
		}
	}
}

/* Those behind the first may come before it; none is put together twice. */
Test(datagram_whole, U2_in_any_order_and_several_at_a_time)
{
	struct stage *stage = open_cutting(CONCENTRATOR);
	struct packet whole = whole_tcp(CONCENTRATOR, LINK_V4, 1), packet;
	struct slice first = {.bytes = 1480, .more = true},
		     last = {.from = 1480, .bytes = L4_BYTES - 1480, .offset = 1480};

	for (uint32_t id = 0; id < 20; id++) {
		first.id = id;
		expect_kept(stage, "datagram_customer", &whole, first);
	}
	for (uint32_t id = 20; id-- > 0;) {
		last.id = id;
		packet = packet_fragment(&whole, last);
		cr_assert_str_eq(datagram_run(stage, "datagram_customer", &packet).outcome,
				 "redirect datagram_received");
		cr_assert_str_eq(datagram_run(stage, "datagram_customer", &packet).outcome,
				 "drop datagram_fragment_early");
	}
}

Test(datagram_whole, too_long_a_whole_is_dropped)
{
	static const uint8_t payload[2100];
	struct stage *stage = open_cutting(CPE);
	struct recipe tcp = datagram_formatted(CPE, LINK_V4, v4);
	struct packet whole, packet;

	tcp.payload = (struct octets){payload, sizeof(payload)};
	whole = packet_build(&tcp);
	expect_kept(stage, "datagram_link", &whole, (struct slice){.bytes = 1480, .more = true});
	packet =
		packet_fragment(&whole, (struct slice){.from = 1480, .bytes = 652, .offset = 1480});
	datagram_expect(stage, "datagram_link", &packet, "drop datagram_fragment_limit");
}

/* off: it is the kernel's. */
Test(datagram_whole, U2_not_put_together_unless_configured)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = open_cutting(role);
		struct packet whole = whole_tcp(role, LINK_V6, 1), packet;

		datagram_put_fragmentation(stage, false);
		packet = packet_fragment(&whole, (struct slice){.bytes = 1440, .more = true});
		datagram_expect(stage, datagram_receivers[role], &packet, "pass datagram_fragment");
		packet = packet_fragment(
			&whole,
			(struct slice){.from = 1440, .bytes = L4_BYTES - 1440, .offset = 1440});
		datagram_expect(stage, datagram_receivers[role], &packet, "pass datagram_fragment");
	}
}

static void attach_xdp(const struct stage *stage, const char *program, const char *interface)
{
	struct bpf_program *found = bpf_object__find_program_by_name(stage->object, program);

	cr_assert_eq(bpf_xdp_attach((int)stage_ifindex(interface), bpf_program__fd(found),
				    XDP_FLAGS_DRV_MODE, NULL),
		     0);
}

/* A CPE whose LAN is lan0, cutting for real; a socket at its link's far end. */
static int open_live(struct stage *stage)
{
	attach_xdp(stage, "datagram_lan", "lan0");
	live_attach(stage, "datagram_cut", "lan0", LIVE_INGRESS);
	return live_open("isp0", 0);
}

static void expect_at(int isp, const struct packet *whole, struct slice slice)
{
	struct packet expected = packet_fragment(whole, slice), got;

	cr_assert(live_receive(isp, &got, LIVE_WAIT_MS));
	datagram_expect_packet(&got, &expected);
}

/* On the wire: two fragments, of which any receiver of IP makes the TCP-formatted packet. */
Test(datagram_whole, U2_cut_after_conversion_octet_by_octet)
{
	struct stage *stage = open_cutting(CPE);
	struct recipe udp = datagram_from_host(v4);
	int host = live_open("host0", 0), isp = open_live(stage);

	udp.payload = datagram_payload(PAYLOAD);
	for (uint8_t link = 0; link < 2; link++) {
		size_t first = link == LINK_V4 ? 1480 : 1448;
		struct packet in = packet_build_udp(&udp), whole = whole_tcp(CONCENTRATOR, link, 1);

		/* the binding counts on */
		if (link == LINK_V6) {
			struct recipe tcp = datagram_formatted(CONCENTRATOR, link, v4);

			tcp.payload = udp.payload;
			tcp.ttl = 63;
			tcp.seq = 1;
			tcp.ack = 2;
			whole = packet_build(&tcp);
		}
		datagram_use_link(stage, link);
		live_send(host, &in);
		expect_at(isp, &whole, (struct slice){.bytes = first, .more = true, .id = 1});
		expect_at(isp, &whole,
			  (struct slice){.from = first,
					 .bytes = L4_BYTES - first,
					 .offset = first,
					 .id = 1});
		cr_assert_str_eq(live_counted(stage), "datagram_cut");
	}
}

/* Of a datagram that comes in fragments each may be cut; offsets stay those of UDP. */
Test(datagram_whole, U2_a_fragment_that_does_not_fit_is_cut)
{
	enum { LONG = 2952, GROWS = 24 };
	struct stage *stage = open_cutting(CPE);
	struct recipe udp = datagram_from_host(v4),
		      tcp = datagram_formatted(CONCENTRATOR, LINK_V6, v4);
	int host = live_open("host0", 0), isp = open_live(stage);
	struct packet whole, on_link, piece;

	udp.payload = tcp.payload = datagram_payload(LONG);
	tcp.ttl = 63;
	tcp.seq = tcp.ack = 1;
	tcp.window = 8 + LONG;
	whole = packet_build_udp(&udp);
	on_link = packet_build(&tcp);
	datagram_use_link(stage, LINK_V6);
	piece = packet_fragment(&whole, (struct slice){.bytes = 1480, .more = true, .id = 9});
	live_send(host, &piece);
	expect_at(isp, &on_link, (struct slice){.bytes = 1448, .more = true, .id = 1});
	expect_at(
		isp, &on_link,
		(struct slice){
			.from = 1448, .bytes = 56, .offset = 1448 - GROWS, .more = true, .id = 1});
	piece = packet_fragment(
		&whole, (struct slice){.from = 1480, .bytes = 1480, .offset = 1480, .id = 9});
	live_send(host, &piece);
	expect_at(isp, &on_link,
		  (struct slice){.from = 1480 + GROWS,
				 .bytes = 1448,
				 .offset = 1480,
				 .more = true,
				 .id = 1});
	expect_at(isp, &on_link,
		  (struct slice){.from = 2928 + GROWS, .bytes = 32, .offset = 2928, .id = 1});
}

/* It goes direct. */
Test(datagram_whole, what_is_not_cut)
{
	static const uint8_t longer[2100];
	struct stage *stage = open_cutting(CPE);
	struct recipe udp = datagram_from_host(v4);
	struct packet packet;

	/* the checksum is its device's to make */
	udp.payload = datagram_payload(PAYLOAD);
	packet = packet_build_udp(&udp);
	uint32_t sum = 17 + 8 + PAYLOAD;
	for (int i = 26; i < 34; i += 2)
		sum += (uint32_t)(packet.frame[i] << 8 | packet.frame[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	packet.frame[40] = (uint8_t)(sum >> 8);
	packet.frame[41] = (uint8_t)sum;
	datagram_expect(stage, "datagram_lan", &packet, "pass datagram_too_big");
	/* longer than a receiver puts together */
	udp.payload = (struct octets){longer, 2048 - 24};
	packet = packet_build_udp(&udp);
	datagram_expect(stage, "datagram_lan", &packet, "pass datagram_too_big");
	udp.payload.count -= 8;
	packet = packet_build_udp(&udp);
	cr_expect_str_eq(datagram_run(stage, "datagram_lan", &packet).outcome, "pass datagram_cut");
	/* off */
	datagram_put_fragmentation(stage, false);
	datagram_expect(stage, "datagram_lan", &packet, "pass datagram_too_big");
}
