// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* leg_egress_ether and _raw: which packets of MPTCP legs are sent twice. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/socket.h>

#include "live.h"

#define MP_CAPABLE 30, 4, 0x01, 0x01
#define MP_JOIN    30, 12, 0x10, 1, 1, 2, 3, 4, 5, 6, 7, 8

enum { LEG = MARK_BASE + PLAIT_MARK_LEG, TWIN = MARK_BASE + PLAIT_MARK_TWIN };

static const struct recipe leg_v4 = {
	.from = "192.0.2.2", .to = "203.0.113.1", .from_port = 40000, .to_port = 6824};
static const struct recipe leg_v6 = {
	.from = "2001:db8:1::2", .to = "2001:db8:c::1", .from_port = 40000, .to_port = 6824};
static const struct octets preamble = {"\x1e\x08\xe0\x06\xc6\x33\x64\x07\x00", 9};
static const struct octets nothing;

static struct recipe leg(struct recipe recipe, uint8_t flags, struct octets options,
			 struct octets payload)
{
	recipe.flags = flags;
	recipe.options = options;
	recipe.payload = payload;
	return recipe;
}

static const char *run_program(struct stage *stage, const char *program,
			       const struct recipe *recipe, uint32_t mark)
{
	struct packet packet = packet_build(recipe);

	return stage_run(stage, program, &packet,
			 (struct stage_context){.interface = "wan0", .mark = mark});
}

static const char *run(struct stage *stage, const struct recipe *recipe, uint32_t mark)
{
	return run_program(stage, "leg_egress_ether", recipe, mark);
}

static int count_copies(int fd, const struct packet *expected)
{
	struct packet got;
	int copies = 0;

	while (live_receive(fd, &got, LIVE_SOON_MS)) {
		cr_expect_eq(got.bytes, expected->bytes);
		cr_expect_arr_eq(got.frame, expected->frame, expected->bytes);
		copies++;
	}
	return copies;
}

/* Through the attached program: 1 is once, 2 is twice, 0 is dropped. */
static int copies_sent(struct stage *stage, const struct recipe *recipe, uint32_t mark,
		       const char *counted)
{
	struct packet packet = packet_build(recipe);
	int wan = live_open("wan0", mark), isp = live_open("isp0", 0);
	int copies;

	live_send(wan, &packet);
	copies = count_copies(isp, &packet);
	cr_expect_str_eq(stage_counted(stage), counted);
	return copies;
}

Test(leg_egress, sends_syns_with_payload_and_syn_acks_twice)
{
	struct stage *stage = stage_open(CPE);
	struct recipe recipe;

	live_attach(stage, "leg_egress_ether", "wan0", LIVE_EGRESS);
	recipe = leg(leg_v4, SYN, OCTETS(MP_CAPABLE), preamble);
	cr_expect_eq(copies_sent(stage, &recipe, LEG, "syn_sent_twice"), 2);
	recipe = leg(leg_v6, SYN, OCTETS(MP_CAPABLE), preamble);
	cr_expect_eq(copies_sent(stage, &recipe, LEG, "syn_sent_twice"), 2);
	recipe = leg(leg_v4, SYN | ACK, OCTETS(30, 12, 0x01, 1, 1, 2, 3, 4, 5, 6, 7, 8), nothing);
	cr_expect_eq(copies_sent(stage, &recipe, LEG, "syn_sent_twice"), 2);
	recipe = leg(leg_v4, SYN | ACK, nothing, nothing);
	cr_expect_eq(copies_sent(stage, &recipe, LEG, "syn_sent_twice"), 2);
}

Test(leg_egress, drops_bare_syns)
{
	struct stage *stage = stage_open(CPE);
	struct recipe recipe;

	live_attach(stage, "leg_egress_ether", "wan0", LIVE_EGRESS);
	recipe = leg(leg_v4, SYN, OCTETS(MP_CAPABLE), nothing);
	cr_expect_eq(copies_sent(stage, &recipe, LEG, "syn_bare_dropped"), 0);
	recipe = leg(leg_v6, SYN, OCTETS(MP_CAPABLE), nothing);
	cr_expect_eq(copies_sent(stage, &recipe, LEG, "syn_bare_dropped"), 0);
	recipe = leg(leg_v4, SYN, nothing, nothing);
	cr_expect_eq(copies_sent(stage, &recipe, LEG, "syn_bare_dropped"), 0);
}

Test(leg_egress, leaves_the_rest_once)
{
	struct stage *stage = stage_open(CPE);
	struct recipe recipe;

	live_attach(stage, "leg_egress_ether", "wan0", LIVE_EGRESS);
	recipe = leg(leg_v4, SYN, OCTETS(MP_JOIN), nothing);
	cr_expect_eq(copies_sent(stage, &recipe, LEG, ""), 1, "MP_JOIN");
	recipe = leg(leg_v4, SYN | ACK, OCTETS(30, 16, 0x10, [15] = 0), nothing);
	cr_expect_eq(copies_sent(stage, &recipe, LEG, ""), 1, "its SYN+ACK");
	recipe = leg(leg_v4, PSH | ACK, nothing, TEXT("hello"));
	cr_expect_eq(copies_sent(stage, &recipe, LEG, ""), 1, "data");
	recipe = leg(leg_v4, SYN, OCTETS(MP_CAPABLE), preamble);
	cr_expect_eq(copies_sent(stage, &recipe, 0, ""), 1, "somebody else's");
	cr_expect_eq(copies_sent(stage, &recipe, TWIN, ""), 1, "a twin");
}

/* What is sent and what was asked for leave with the twin's mark, never to be doubled again. */
Test(leg_egress, marks_twins)
{
	struct stage *stage = stage_open(CPE);
	struct recipe syn = leg(leg_v4, SYN, OCTETS(MP_CAPABLE), preamble);
	struct recipe syn_ack = leg(leg_v6, SYN | ACK, OCTETS(MP_CAPABLE), nothing);

	cr_expect_str_eq(run(stage, &syn, LEG), "next mark 0x7002 syn_sent_twice");
	cr_expect_str_eq(run(stage, &syn_ack, LEG), "next mark 0x7002 syn_sent_twice");
}

Test(leg_egress, customer_egress_does_the_same)
{
	struct stage *stage = stage_open(CONCENTRATOR);
	struct recipe syn_ack = leg(leg_v4, SYN | ACK, OCTETS(MP_CAPABLE), nothing);
	struct recipe data = leg(leg_v4, ACK, nothing, preamble);

	cr_expect_str_eq(run_program(stage, "customer_egress", &syn_ack, LEG),
			 "next mark 0x7002 syn_sent_twice");
	cr_expect_str_eq(run_program(stage, "customer_egress", &syn_ack, TWIN), "next");
	cr_expect_str_eq(run_program(stage, "customer_egress", &syn_ack, 0), "next");
	cr_expect_str_eq(run_program(stage, "customer_egress", &data, LEG), "next");
}

/* What a CPE announces, its concentrator's kernel joins: customer.allow holds for that too. */
Test(leg_egress, concentrator_joins_none_but_allowed_addresses)
{
	struct stage *stage = stage_open(CONCENTRATOR);
	struct recipe join_v4 = leg(leg_v4, SYN, OCTETS(MP_JOIN), nothing);
	struct recipe join_v6 = leg(leg_v6, SYN, OCTETS(MP_JOIN), nothing);
	struct recipe answer = leg(leg_v4, SYN | ACK, OCTETS(30, 16, 0x10, [15] = 0), nothing);

	stage_disallow(stage, NULL, 0);
	stage_allow(stage, "203.0.113.0", 31);
	cr_expect_str_eq(run_program(stage, "customer_egress", &join_v4, LEG), "next");
	cr_expect_str_eq(run_program(stage, "customer_egress", &join_v6, LEG),
			 "drop join_not_allowed");
	stage_disallow(stage, "203.0.113.0", 31);
	cr_expect_str_eq(run_program(stage, "customer_egress", &join_v4, LEG),
			 "drop join_not_allowed");
	cr_expect_str_eq(run_program(stage, "customer_egress", &join_v4, 0), "next",
			 "somebody else's");
	cr_expect_str_eq(run_program(stage, "customer_egress", &answer, LEG), "next");
}

Test(leg_egress, concentrator_joins_nobody_in_the_internet)
{
	struct stage *stage = stage_open(CONCENTRATOR);
	struct recipe join = leg(leg_v4, SYN, OCTETS(MP_JOIN), nothing);
	struct recipe capable = leg(leg_v4, SYN, OCTETS(MP_CAPABLE), preamble);
	uint32_t ifindex = stage_ifindex("wan0");

	cr_expect_str_eq(run_program(stage, "internet_egress", &join, LEG),
			 "drop join_not_allowed");
	cr_expect_str_eq(run_program(stage, "internet_egress", &capable, LEG), "next");
	cr_expect_str_eq(run_program(stage, "internet_egress", &join, 0), "next");
	stage_put(stage, "customer_interfaces", &ifindex, &(uint8_t){1});
	cr_expect_str_eq(run_program(stage, "internet_egress", &join, LEG), "next",
			 "one interface is both");
}

Test(leg_egress, touches_its_own_mark_only)
{
	struct stage *stage = stage_open(CPE);
	struct recipe syn = leg(leg_v4, SYN, OCTETS(MP_CAPABLE), preamble);
	struct recipe bare = leg(leg_v4, SYN, OCTETS(MP_CAPABLE), nothing);

	for (uint32_t mark = MARK_BASE - 2; mark < MARK_BASE + 20; mark++) {
		if (mark == LEG)
			continue;
		cr_expect_str_eq(run(stage, &syn, mark), "next", "%#x", mark);
		cr_expect_str_eq(run(stage, &bare, mark), "next", "%#x", mark);
	}
	cr_expect_str_eq(run(stage, &syn, 0), "next");
	cr_expect_str_eq(run(stage, &syn, LEG | 0x10000), "next");
}

Test(leg_egress, leaves_every_segment_without_syn)
{
	static const uint8_t others[] = {0, ACK, PSH | ACK, FIN | ACK, RST, RST | ACK};
	struct stage *stage = stage_open(CPE);
	struct recipe recipe = leg_v4;

	for (size_t i = 0; i < sizeof(others); i++) {
		recipe.flags = others[i];
		recipe.payload = preamble;
		cr_expect_str_eq(run(stage, &recipe, LEG), "next");
	}
	recipe.flags = SYN;
	recipe.protocol = 17;
	cr_expect_str_eq(run(stage, &recipe, LEG), "next");
}

/* A packet without link-layer header, to a device that has none. */
static void send_raw(const struct packet *packet, uint32_t mark)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_ifindex = (int)stage_ifindex("tun0")};
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	ssize_t bytes = (ssize_t)packet->bytes - ETH_HLEN, sent;

	memcpy(&to.sll_protocol, packet->frame + 12, 2);
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	sent = sendto(fd, packet->frame + ETH_HLEN, (size_t)bytes, 0, (struct sockaddr *)&to,
		      sizeof(to));
	/* a program at egress that drops a packet makes ENOBUFS of it */
	cr_assert(sent == bytes || errno == ENOBUFS, "%s", strerror(errno));
}

static int raw_copies(struct stage *stage, int tun, const struct recipe *recipe, uint32_t mark,
		      const char *counted)
{
	struct packet packet = packet_build(recipe), got;
	int copies = 0;

	send_raw(&packet, mark);
	while (live_tun_receive(tun, &got, LIVE_SOON_MS)) {
		cr_expect_eq(got.bytes, packet.bytes - ETH_HLEN);
		cr_expect_arr_eq(got.frame, packet.frame + ETH_HLEN, got.bytes);
		copies++;
	}
	cr_expect_str_eq(stage_counted(stage), counted);
	return copies;
}

Test(leg_egress, raw_does_the_same_without_link_layer_header)
{
	struct stage *stage = stage_open(CPE);
	int tun = live_tun("tun0", IFF_TUN);
	struct recipe recipe;

	live_attach(stage, "leg_egress_raw", "tun0", LIVE_EGRESS);
	recipe = leg(leg_v4, SYN, OCTETS(MP_CAPABLE), preamble);
	cr_expect_eq(raw_copies(stage, tun, &recipe, LEG, "syn_sent_twice"), 2);
	cr_expect_eq(raw_copies(stage, tun, &recipe, 0, ""), 1);
	recipe = leg(leg_v4, SYN | ACK, OCTETS(MP_CAPABLE), nothing);
	cr_expect_eq(raw_copies(stage, tun, &recipe, LEG, "syn_sent_twice"), 2);
	recipe = leg(leg_v4, SYN, OCTETS(MP_CAPABLE), nothing);
	cr_expect_eq(raw_copies(stage, tun, &recipe, LEG, "syn_bare_dropped"), 0);
	recipe = leg(leg_v4, SYN, OCTETS(MP_JOIN), nothing);
	cr_expect_eq(raw_copies(stage, tun, &recipe, LEG, ""), 1);
	recipe = leg(leg_v4, PSH | ACK, nothing, TEXT("hello"));
	cr_expect_eq(raw_copies(stage, tun, &recipe, LEG, ""), 1);
}

Test(leg_egress, raw_reads_ipv6)
{
	struct stage *stage = stage_open(CPE);
	struct recipe bare = leg(leg_v6, SYN, OCTETS(MP_CAPABLE), nothing);
	struct recipe whole = leg(leg_v6, SYN, OCTETS(MP_CAPABLE), preamble);
	struct packet packet = packet_build(&bare);

	live_tun("tun0", IFF_TUN);
	live_attach(stage, "leg_egress_raw", "tun0", LIVE_EGRESS);
	send_raw(&packet, LEG);
	cr_expect_str_eq(live_counted(stage), "syn_bare_dropped");
	packet = packet_build(&whole);
	send_raw(&packet, LEG);
	cr_expect_str_eq(live_counted(stage), "syn_sent_twice");
}
