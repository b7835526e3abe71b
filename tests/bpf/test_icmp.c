// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* ICMP errors about connections from addresses that are not this machine's. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "live.h"

enum {
	UNREACHABLE = 3,
	REDIRECT = 5,
	TIME_EXCEEDED = 11,
	PARAMETER_PROBLEM = 12,
	UNREACHABLE_V6 = 1,
	TOO_BIG_V6 = 2,
	ECHO_V6 = 128,
	PORT_V4 = 3,
	PORT_V6 = 4,
};

static const struct recipe up_v4 = {
	.from = "203.0.113.50", .to = "198.51.100.7", .from_port = 5000, .to_port = 80};
static const struct recipe up_v6 = {
	.from = "2001:db8:5::50", .to = "2001:db8:f::7", .from_port = 5000, .to_port = 80};
/* both ends of it are here, see live_connect_here() */
static const struct recipe here = {
	.from = "192.0.2.77", .to = "203.0.113.1", .from_port = 40000, .to_port = 6824};

static int error_of(int fd)
{
	int error;
	socklen_t len = sizeof(error);

	cr_expect(live_ready(fd));
	cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	return error;
}

/* The router's error is addressed to the owner of the address: it must not get there. */
static void refuse_by_icmp(const struct recipe *up, const char *router, uint8_t type, uint8_t code)
{
	struct foreign foreign = foreign_open(up, "internet_ingress");
	struct packet error;

	foreign_connect(&foreign);
	error = packet_icmp_error(router, &foreign.up, type, code);
	cr_expect_str_eq(live_run(foreign.stage, foreign.isp, &error), "steered_error");
	cr_expect_eq(error_of(foreign.socket), ECONNREFUSED);
}

Test(icmp, reaches_the_socket_ipv4)
{
	refuse_by_icmp(&up_v4, "198.51.100.1", UNREACHABLE, PORT_V4);
}

Test(icmp, reaches_the_socket_ipv6)
{
	refuse_by_icmp(&up_v6, "2001:db8:f::1", UNREACHABLE_V6, PORT_V6);
}

/* The kernel's own error goes out where the address's owner is; it turns round there. */
static void turn_round(const char *egress, const char *ingress, const struct recipe *up,
		       const char *from, uint8_t type, uint8_t code)
{
	struct foreign foreign = foreign_open(up, ingress);
	int wan = live_open("wan0", 0);
	struct packet error, got;

	live_attach(foreign.stage, egress, "wan0", LIVE_EGRESS);
	foreign_connect(&foreign);
	error = packet_icmp_error(from, &foreign.up, type, code);
	memcpy(error.frame, "\2\0\0\0\0\2", 6); /* the next hop's */
	cr_expect_str_eq(live_run(foreign.stage, wan, &error), "steered_error");
	cr_expect_eq(error_of(foreign.socket), ECONNREFUSED, "%s", from);
	cr_expect_not(live_receive(foreign.isp, &got, LIVE_SOON_MS), "nothing leaves");
}

Test(icmp, turns_round_at_the_internet_side)
{
	turn_round("internet_egress", "internet_ingress", &up_v4, "192.0.2.2", UNREACHABLE,
		   PORT_V4);
	turn_round("internet_egress", "internet_ingress", &up_v6, "2001:db8:1::2", UNREACHABLE_V6,
		   PORT_V6);
}

Test(icmp, turns_round_at_the_customer_side)
{
	turn_round("customer_egress", "customer_ingress", &up_v4, "192.0.2.2", UNREACHABLE,
		   PORT_V4);
	turn_round("customer_egress", "customer_ingress", &up_v6, "2001:db8:1::2", UNREACHABLE_V6,
		   PORT_V6);
}

/* Nobody answers for the next hop: the kernel itself says so, to the address's owner. */
static void unreachable_next_hop(const struct recipe *up, const char *route, const char *neigh)
{
	struct foreign foreign = foreign_open(up, "internet_ingress");

	live_attach(foreign.stage, "internet_egress", "wan0", LIVE_EGRESS);
	stage_ip(route);
	stage_sysctl(neigh, "50");
	foreign_start(&foreign);
	cr_expect_str_eq(live_counted(foreign.stage), "steered_error");
	cr_expect_eq(error_of(foreign.socket), EHOSTUNREACH);
}

Test(icmp, of_the_kernel_itself_reaches_the_socket_ipv4)
{
	unreachable_next_hop(&up_v4, "route add 198.51.100.0/24 via 192.0.2.9\n",
			     "ipv4/neigh/wan0/retrans_time_ms");
}

Test(icmp, of_the_kernel_itself_reaches_the_socket_ipv6)
{
	unreachable_next_hop(&up_v6, "route add 2001:db8:f::/64 via 2001:db8:1::9\n",
			     "ipv6/neigh/wan0/retrans_time_ms");
}

static struct recipe reverse(struct recipe recipe)
{
	const char *from = recipe.from;
	uint16_t from_port = recipe.from_port;

	recipe.from = recipe.to;
	recipe.from_port = recipe.to_port;
	recipe.to = from;
	recipe.to_port = from_port;
	return recipe;
}

static const char *run(struct stage *stage, const char *program, const struct recipe *quoted,
		       uint8_t type)
{
	bool v6 = strchr(quoted->from, ':');
	struct packet packet =
		packet_icmp_error(v6 ? "2001:db8::9" : "198.51.100.1", quoted, type, 1);

	return stage_run(stage, program, &packet, (struct stage_context){});
}

Test(icmp, only_errors_about_connections_here_are_taken)
{
	static const uint8_t errors[] = {UNREACHABLE, TIME_EXCEEDED, PARAMETER_PROBLEM};
	static const uint8_t others[] = {0, 8, REDIRECT, 13, 255};
	struct stage *stage = stage_open(CPE);
	struct recipe down = reverse(here), other = here;

	live_connect_here(&here);
	for (size_t i = 0; i < sizeof(errors); i++) {
		cr_expect_str_eq(run(stage, "lan_ingress", &here, errors[i]),
				 "pass mark 0x7000 steered_error");
		cr_expect_str_eq(run(stage, "lan_ingress", &down, errors[i]),
				 "pass mark 0x7000 steered_error");
	}
	for (size_t i = 0; i < sizeof(others); i++)
		cr_expect_str_eq(run(stage, "lan_ingress", &here, others[i]), "next direct_other");
	other.from_port++;
	cr_expect_str_eq(run(stage, "lan_ingress", &other, UNREACHABLE), "next direct_other");
	other = here;
	other.protocol = IPPROTO_UDP;
	cr_expect_str_eq(run(stage, "lan_ingress", &other, UNREACHABLE), "next direct_other");
	/* a listener's answer, from a connection that is none */
	other = reverse(here);
	other.to_port++;
	cr_expect_str_eq(run(stage, "lan_ingress", &other, UNREACHABLE), "next direct_other");
	cr_expect_str_eq(run(stage, "lan_ingress", &up_v6, UNREACHABLE_V6), "next direct_other");
	cr_expect_str_eq(run(stage, "lan_ingress", &up_v6, ECHO_V6), "next direct_other");
}

Test(icmp, only_icmpv6_errors_about_connections_here_are_taken)
{
	static const uint8_t types[] = {0, UNREACHABLE_V6, TOO_BIG_V6, 3, 4, 127};
	static const uint8_t others[] = {ECHO_V6, 129, 135, 255};
	struct foreign foreign = foreign_open(&up_v6, "internet_ingress");
	struct recipe down = reverse(up_v6);

	foreign_connect(&foreign);
	for (size_t i = 0; i < sizeof(types); i++)
		cr_expect_str_eq(run(foreign.stage, "internet_ingress", &up_v6, types[i]),
				 "pass mark 0x7000 steered_error", "%u", types[i]);
	for (size_t i = 0; i < sizeof(others); i++)
		cr_expect_str_eq(run(foreign.stage, "internet_ingress", &up_v6, others[i]), "next",
				 "%u", others[i]);
	cr_expect_str_eq(run(foreign.stage, "internet_ingress", &down, UNREACHABLE_V6), "next",
			 "the other end is not here");
}

Test(icmp, steps_over_the_quoted_packet_s_options)
{
	struct stage *stage = stage_open(CPE);
	struct recipe quoted = here;

	live_connect_here(&here);
	quoted.extra = OCTETS(1, 1, 1, 1, 1, 1, 1, 1);
	cr_expect_str_eq(run(stage, "lan_ingress", &quoted, UNREACHABLE),
			 "pass mark 0x7000 steered_error");
}

Test(icmp, cut_at_any_length_is_left_alone)
{
	struct stage *stage = stage_open(CPE);
	struct packet packet = packet_icmp_error("198.51.100.1", &here, UNREACHABLE, 1);
	/* the ports are what is read last; the quoted sequence number follows */
	size_t needed = packet.bytes - 4;

	live_connect_here(&here);
	for (packet.bytes = ETH_HLEN + 20; packet.bytes < needed; packet.bytes++)
		cr_expect_str_eq(stage_run(stage, "lan_ingress", &packet, (struct stage_context){}),
				 "next direct_other", "%zu", packet.bytes);
	cr_expect_str_eq(stage_run(stage, "lan_ingress", &packet, (struct stage_context){}),
			 "pass mark 0x7000 steered_error");
}

Test(icmp, egress_leaves_errors_about_others)
{
	struct stage *stage = stage_open(CONCENTRATOR);

	cr_expect_str_eq(run(stage, "internet_egress", &here, UNREACHABLE), "next");
	cr_expect_str_eq(run(stage, "customer_egress", &here, UNREACHABLE), "next");
	cr_expect_str_eq(run(stage, "internet_ingress", &here, UNREACHABLE), "next");
	live_connect_here(&here);
	cr_expect_str_eq(run(stage, "internet_egress", &here, UNREACHABLE), "redirect mark 0x7004");
	cr_expect_str_eq(run(stage, "customer_egress", &here, UNREACHABLE), "redirect mark 0x7004");
	cr_expect_str_eq(run(stage, "internet_ingress", &here, UNREACHABLE),
			 "pass mark 0x7000 steered_error");
}

/* To the agent's socket for the host, whose segments bear the server's address. */
Test(icmp, from_the_lan_s_host_is_delivered_here)
{
	const struct recipe up = {
		.from = "10.0.0.2", .to = "198.51.100.7", .from_port = 40000, .to_port = 443};
	struct recipe down = reverse(up);
	struct stage *stage = stage_open(CPE);
	struct bonded bonded = bonded_stage(stage, &up);
	struct packet error = packet_icmp_error("10.0.0.2", &down, UNREACHABLE, 1);
	int raw;

	bonded_establish(&bonded);
	raw = live_raw_socket(IPPROTO_ICMP);
	cr_expect_str_eq(live_run(stage, bonded.host, &error), "steered_error");
	cr_expect_eq(live_mark_delivered(raw), MARK_BASE + PLAIT_MARK_STEER);
}
