// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* internet_ingress: answers to addresses plait uses though they are not its own. */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "live.h"

/* From the concentrator to a server, with a host's own address kept (plain-mode-08 §6). */
static const struct recipe up_v4 = {
	.from = "203.0.113.50", .to = "198.51.100.7", .from_port = 5000, .to_port = 80};
static const struct recipe up_v6 = {
	.from = "2001:db8:5::50", .to = "2001:db8:f::7", .from_port = 5000, .to_port = 80};

static void establish(const struct recipe *up)
{
	struct foreign foreign = foreign_open(up, "internet_ingress");

	foreign_connect(&foreign);
	stage_add_session(foreign.stage, up);
	cr_expect_str_eq(live_run_recipe(foreign.stage, foreign.isp, &foreign.down), "steered");
	cr_expect(live_reaches(foreign.socket, TCP_ESTABLISHED));
	cr_expect_eq(stage_session(foreign.stage, up).down_packets, 1);
	stage_remove_session(foreign.stage, up);
	foreign.down.flags = FIN | ACK;
	foreign.down.seq++;
	cr_expect_str_eq(live_run_recipe(foreign.stage, foreign.isp, &foreign.down),
			 "steered_closing");
	cr_expect(live_reaches(foreign.socket, TCP_CLOSE_WAIT));
}

Test(internet_ingress, steers_to_a_foreign_address_with_socket)
{
	establish(&up_v4);
	establish(&up_v6);
}

Test(internet_ingress, marks_what_it_steers)
{
	struct foreign foreign = foreign_open(&up_v4, "internet_ingress");
	int raw = live_raw_socket(IPPROTO_TCP);

	foreign_connect(&foreign);
	live_run_recipe(foreign.stage, foreign.isp, &foreign.down);
	cr_expect_eq(live_mark_delivered(raw), MARK_BASE + PLAIT_MARK_STEER);
}

/* Its door is on the customers' side, unless one interface is both. */
Test(internet_ingress, drops_syns_for_customer_addresses)
{
	struct stage *stage = stage_open(CONCENTRATOR);
	struct recipe syn = {.from = "198.51.100.7",
			     .to = "203.0.113.1",
			     .from_port = 5000,
			     .to_port = 6824,
			     .flags = SYN};
	uint32_t lan0 = stage_ifindex("lan0");

	stage_put_addr(stage, "customer_addresses", "203.0.113.1", 6824);
	stage_put_addr(stage, "local_addresses", "203.0.113.1", 0);
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &syn),
			 "drop source_not_allowed");
	syn.flags = ACK;
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &syn), "next");
	syn.flags = SYN;
	stage_put(stage, "customer_interfaces", &lan0, &(uint8_t){1});
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &syn), "next");
}

/* The socket would be found; a machine's own addresses need no help. */
Test(internet_ingress, never_steers_to_a_local_address)
{
	struct foreign foreign = foreign_open(&up_v4, "internet_ingress");
	int raw = live_raw_socket(IPPROTO_TCP);

	stage_put_addr(foreign.stage, "local_addresses", up_v4.from, 0);
	stage_ip("addr add 203.0.113.50/32 dev lo\n");
	foreign_connect(&foreign);
	stage_add_session(foreign.stage, &up_v4);
	live_send(foreign.isp, &(struct packet[]){packet_build(&foreign.down)}[0]);
	cr_expect_eq(live_mark_delivered(raw), 0);
	cr_expect(live_reaches(foreign.socket, TCP_ESTABLISHED));
	cr_expect_str_eq(stage_counted(foreign.stage), "");
	cr_expect_eq(stage_session(foreign.stage, &up_v4).down_packets, 1);
}

Test(internet_ingress, drops_a_session_s_segments_without_socket)
{
	struct stage *stage = stage_open(CONCENTRATOR);
	struct recipe down = {.from = up_v4.to,
			      .from_port = up_v4.to_port,
			      .to = up_v4.from,
			      .to_port = up_v4.from_port,
			      .flags = ACK};

	stage_add_session(stage, &up_v4);
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &down), "drop steer_failed");
	stage_put_addr(stage, "local_addresses", up_v4.from, 0);
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &down), "next");
}

Test(internet_ingress, leaves_what_it_does_not_know)
{
	struct stage *stage = stage_open(CONCENTRATOR);
	static const uint8_t all_flags[] = {0, SYN, SYN | ACK, ACK, FIN | ACK, RST};
	struct recipe recipe = {
		.from = "198.51.100.7", .from_port = 80, .to = "203.0.113.50", .to_port = 5000};

	for (size_t i = 0; i < sizeof(all_flags); i++) {
		recipe.flags = all_flags[i];
		cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &recipe), "next");
	}
	recipe.protocol = IPPROTO_UDP;
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &recipe), "next");
	recipe.protocol = 0;
	recipe.fragment = 0x2000;
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &recipe), "next");
}

/* What it could not parse is the kernel's to judge here. */
Test(internet_ingress, leaves_malformed_segments)
{
	struct stage *stage = stage_open(CONCENTRATOR);
	struct recipe recipe = {.from = "198.51.100.7",
				.from_port = 80,
				.to = "203.0.113.50",
				.to_port = 5000,
				.flags = ACK};
	struct packet packet = packet_build(&recipe);

	for (packet.bytes = 34; packet.bytes < 54; packet.bytes++) {
		cr_expect_str_eq(
			stage_run(stage, "internet_ingress", &packet, (struct stage_context){}),
			"next");
		cr_expect_str_eq(
			stage_run(stage, "internet_egress", &packet, (struct stage_context){}),
			"next");
		cr_expect_str_eq(
			stage_run(stage, "customer_ingress", &packet, (struct stage_context){}),
			"next");
	}
}
