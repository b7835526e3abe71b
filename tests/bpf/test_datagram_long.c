// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* UDP that becomes longer than its path takes. */
#include <criterion/criterion.h>
#include <string.h>

#include "datagram_stage.h"

enum { MTU = 1500, ETHERNET = 14 };

static const struct datagram_inner *const v4 = &datagram_inners[0], *const v6 = &datagram_inners[1];

static struct stage *open_with_mtu(enum stage_role role, uint16_t mtu)
{
	struct stage *stage = datagram_open(role);

	datagram_put_mtu(stage, LINK_V4, mtu);
	datagram_put_mtu(stage, LINK_V6, mtu);
	return stage;
}

/* UDP of so many octets with its IP header; DF is set. */
static struct recipe of_bytes(enum stage_role role, const struct datagram_inner *inner,
			      size_t bytes)
{
	struct recipe out = datagram_to_send(role, inner);

	out.fragment = 0x4000;
	out.payload = datagram_payload(bytes - (inner == v4 ? 28 : 48));
	return out;
}

static void expect_told(struct stage *stage, const char *program, const struct recipe *udp,
			uint16_t mtu)
{
	struct packet in = packet_build_udp(udp), expected;
	struct conversion got = datagram_run(stage, program, &in);

	cr_assert_str_eq(got.outcome, "tx datagram_mtu_told", "%s", got.outcome);
	expected = packet_mtu_error(strchr(udp->from, ':') ? ROUTER_V6 : ROUTER_V4, &in, mtu);
	datagram_expect_packet(&got.packet, &expected);
}

/* What is told is the longest that fits, whatever the families of both sides are. */
Test(datagram_long, path_mtu_is_told_octet_by_octet)
{
	static const uint16_t overhead[2][2] = {{24, 16}, {44, 36}};

	BOTH_ROLES(role)
	{
		struct stage *stage = open_with_mtu(role, MTU);

		for (uint8_t link = 0; link < 2; link++) {
			datagram_use_link(stage, link);
			for (int family = 0; family < 2; family++) {
				const struct datagram_inner *inner = &datagram_inners[family];
				uint16_t mtu = (uint16_t)(MTU - overhead[link][family]);
				struct recipe udp = of_bytes(role, inner, mtu + 1);
				struct packet fits;

				expect_told(stage, datagram_senders[role], &udp, mtu);
				udp = of_bytes(role, inner, 2000);
				expect_told(stage, datagram_senders[role], &udp, mtu);
				udp = of_bytes(role, inner, mtu);
				fits = packet_build_udp(&udp);
				datagram_expect(stage, datagram_senders[role], &fits,
						"redirect datagram_sent");
			}
		}
	}
}

/* The next packet may take another path. */
Test(datagram_long, the_smallest_mtu_of_paths_that_packets_take_in_turn)
{
	struct stage *stage = open_with_mtu(CPE, MTU);
	struct plait_path_set set = {.count = 2, .per_packet = 1};
	struct recipe udp = of_bytes(CPE, v4, 1600);

	datagram_put_mtu(stage, LINK_V6, 1400);
	datagram_put_set(stage, 0, &set);
	expect_told(stage, "datagram_lan", &udp, 1476); /* link 1 is in no slot */
	set.slot[63] = LINK_V6;
	datagram_put_set(stage, 0, &set);
	expect_told(stage, "datagram_lan", &udp, 1356);
}

/* IPv6 hosts may send 1280 octets in any case: RFC 8201 §4. */
Test(datagram_long, no_ipv6_host_is_told_less_than_1280)
{
	struct stage *stage = open_with_mtu(CPE, 1280);
	struct recipe udp = of_bytes(CPE, v6, 1280);
	struct packet packet = packet_build_udp(&udp);

	datagram_expect(stage, "datagram_lan", &packet, "pass datagram_too_big");
	udp = of_bytes(CPE, v6, 1281);
	expect_told(stage, "datagram_lan", &udp, 1280);
	udp = of_bytes(CPE, v4, 1280);
	expect_told(stage, "datagram_lan", &udp, 1256);
}

Test(datagram_long, what_may_be_fragmented_is_left_to_the_kernel)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = open_with_mtu(role, MTU);
		struct recipe udp = of_bytes(role, v4, MTU);
		struct packet packet;

		udp.fragment = 0;
		packet = packet_build_udp(&udp);
		datagram_expect(stage, datagram_senders[role], &packet, "pass datagram_too_big");
	}
}

/* RFC 1812 §4.3.2.7, RFC 4443 §2.4 (e). */
Test(datagram_long, who_is_not_told)
{
	static const char *const forbidden[] = {"224.0.0.1", "127.0.0.1", "0.0.0.0"};
	struct stage *stage = open_with_mtu(CONCENTRATOR, MTU);
	struct recipe udp = of_bytes(CONCENTRATOR, v4, MTU);
	struct packet packet = packet_with(packet_build_udp(&udp), 0, 1);
	uint32_t wan = stage_ifindex("wan0");
	const struct plait_router only_v6 = {.ipv6 = packet_addr(ROUTER_V6, 0)};

	datagram_expect(stage, "datagram_internet", &packet, "pass datagram_too_big");
	for (int i = 0; i < 3; i++) {
		udp.from = forbidden[i];
		packet = packet_build_udp(&udp);
		datagram_expect(stage, "datagram_internet", &packet, "drop datagram_forbidden");
	}
	udp.from = v4->remote;
	packet = packet_build_udp(&udp);
	stage_put(stage, "datagram_routers", &wan, &only_v6);
	datagram_expect(stage, "datagram_internet", &packet, "pass datagram_too_big");
	stage_put(stage, "datagram_routers", &wan, &(struct plait_router){});
	datagram_expect(stage, "datagram_internet", &packet, "pass datagram_too_big");
}

/* A thousand a second, and fifty at a time. */
Test(datagram_long, errors_are_few)
{
	struct stage *stage = open_with_mtu(CPE, MTU);
	struct recipe udp = of_bytes(CPE, v4, MTU);
	struct packet in = packet_build_udp(&udp), out;
	uint32_t told = 0, dropped = 0;

	for (int i = 0; i < 2000; i++) {
		uint32_t verdict = datagram_verdict_of(stage, "datagram_lan", &in, &out);

		told += verdict == XDP_TX;
		dropped += verdict == XDP_DROP;
	}
	cr_expect_geq(told, 50);
	cr_expect_gt(dropped, 0);
	cr_expect_eq(told + dropped, 2000);
	cr_expect_not_null(strstr(stage_counted(stage), "datagram_mtu_limited"));
}
