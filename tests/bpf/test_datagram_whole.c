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

static const char *const receivers[] = {"datagram_link", "datagram_customer"};
static const struct datagram_inner *const v4 = &datagram_inners[0];
static const uint8_t from_us[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
static uint8_t filling[PAYLOAD];

#define BOTH_ROLES(role) for (enum stage_role role = CPE; role <= CONCENTRATOR; role++)

static struct stage *open_cutting(enum stage_role role)
{
	struct stage *stage = datagram_open(role);

	for (size_t i = 0; i < sizeof(filling); i++)
		filling[i] = (uint8_t)(i * 7 + i / 256);
	datagram_put_fragmentation(stage, true);
	datagram_put_mtu(stage, LINK_V4, MTU);
	datagram_put_mtu(stage, LINK_V6, MTU);
	return stage;
}

static struct packet whole_tcp(enum stage_role to, uint8_t link, uint32_t n)
{
	struct recipe tcp = datagram_formatted(to, link, v4);

	tcp.payload = (struct octets){filling, PAYLOAD};
	tcp.ttl = 63;
	tcp.seq = tcp.ack = n;
	return packet_build(&tcp);
}

/* What becomes of it; the identification is the first one's. */
static struct packet whole_udp(enum stage_role role, const struct packet *got)
{
	struct recipe udp = role == CPE ? datagram_from_remote(v4) : datagram_from_host(v4);

	if (role == CPE) {
		udp.to = v4->host;
		udp.to_port = v4->host_port;
	} else {
		udp.from = v4->external;
		udp.from_port = v4->external_port;
	}
	udp.payload = (struct octets){filling, PAYLOAD};
	udp.ttl = 62;
	udp.macs = from_us;
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

				expect_kept(stage, receivers[role], &whole,
					    (struct slice){
						    .bytes = at, .more = true, .id = (uint32_t)at});
				expect_kept(stage, receivers[role], &whole,
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
				got = datagram_run(stage, receivers[role], &last);
				cr_assert_str_eq(got.outcome, "redirect datagram_received", "%s",
						 got.outcome);
				expected = whole_udp(role, &got.packet);
				datagram_expect_packet(&got.packet, &expected);
			}
		}
	}
}
