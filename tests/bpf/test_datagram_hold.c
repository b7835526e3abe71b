// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What TC programs make of packets that datagram mode's XDP programs have let through. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "datagram_stage.h"

#define HOST .from = "10.0.0.2", .from_port = 5000
#define LINK .from = "192.0.2.77", .from_port = 61000, .to = "203.0.113.1", .to_port = 6824
#define PM_OPTION(subtype)                                            \
	{                                                             \
		"\x1e\x0a" subtype "\0\xc6\x33\x64\x4d\0\x35\1\1", 12 \
	}

static struct plait_held_syn last;
static unsigned int held_count;

static int take(void *context, void *record, size_t size)
{
	const struct plait_held_syn *held = record;

	memcpy(&last, held, offsetof(struct plait_held_syn, frame) + held->frame_bytes);
	held_count++;
	return 0;
}

static void read_ring(const struct stage *stage)
{
	held_count = 0;
	stage_read_ring(stage_map(stage, "held_datagrams"), take, NULL);
}

static struct stage *open_datagrams(enum stage_role role)
{
	struct plait_settings settings = stage_settings();

	settings.udp = PLAIT_UDP_DATAGRAM;
	settings.datagram_port_first = 61000;
	settings.datagram_port_last = 65535;
	return stage_open_with(role, &settings);
}

static struct recipe to_server(uint16_t port)
{
	return (struct recipe){HOST, .to = "198.51.100.7", .to_port = port, .protocol = IPPROTO_UDP,
			       .payload = TEXT("a datagram")};
}

Test(datagram_hold, U3_host_s_first_packet_comes_to_the_agent_as_it_was)
{
	struct stage *stage = open_datagrams(CPE);
	struct recipe udp = to_server(53);
	struct packet packet = packet_build_udp(&udp);

	cr_expect_str_eq(stage_run_recipe(stage, "lan_ingress", &udp), "drop datagram_held");
	read_ring(stage);
	cr_assert_eq(held_count, 1);
	cr_expect_eq(last.frame_bytes, packet.bytes);
	cr_expect_arr_eq(last.frame, packet.frame, packet.bytes);
}

Test(datagram_hold, W4_policy_comes_before)
{
	struct stage *stage = open_datagrams(CPE);
	struct recipe direct = to_server(80), dropped = to_server(81);
	struct plait_policy_rule rule = {.source_port_last = 65535, .in_use = 1};

	rule.destination_port_first = rule.destination_port_last = 80;
	rule.action = PLAIT_DIRECT;
	stage_put_policy(stage, 0, &rule);
	rule.destination_port_first = rule.destination_port_last = 81;
	rule.action = PLAIT_DROP;
	stage_put_policy(stage, 1, &rule);

	cr_expect_str_eq(stage_run_recipe(stage, "lan_ingress", &direct), "next direct_policy");
	cr_expect_str_eq(stage_run_recipe(stage, "lan_ingress", &dropped), "drop drop_policy");
	read_ring(stage);
	cr_expect_eq(held_count, 0);
}

Test(datagram_hold, U3_what_has_a_binding_or_is_a_fragment_goes_on)
{
	struct stage *stage = open_datagrams(CPE);
	struct plait_addr host = packet_addr("10.0.0.2", 5000);
	struct plait_datagram_binding binding = {.inner = host};
	struct recipe udp = to_server(53), fragment = to_server(53);

	fragment.fragment = 0x2000;
	cr_expect_str_eq(stage_run_recipe(stage, "lan_ingress", &fragment), "next");
	stage_put(stage, "datagram_senders", &host, &binding);
	cr_expect_str_eq(stage_run_recipe(stage, "lan_ingress", &udp), "next");
	read_ring(stage);
	cr_expect_eq(held_count, 0);
}

static struct stage *open_concentrator(void)
{
	struct stage *stage = open_datagrams(CONCENTRATOR);

	stage_put_addr(stage, "customer_addresses", "203.0.113.1", 6824);
	return stage;
}

Test(datagram_hold, U3_subscriber_s_packet_comes_to_the_agent)
{
	struct stage *stage = open_concentrator();
	struct recipe tcp = {LINK, .flags = ACK | PSH, .options = PM_OPTION("\xe4")};

	cr_expect_str_eq(stage_run_recipe(stage, "customer_ingress", &tcp), "drop datagram_held");
	read_ring(stage);
	cr_expect_eq(held_count, 1);
	stage_disallow(stage, NULL, 0);
	stage_allow(stage, "192.0.3.0", 24);
	cr_expect_str_eq(stage_run_recipe(stage, "customer_ingress", &tcp), "drop datagram_source");
}

Test(datagram_hold, U3_other_segments_are_none)
{
	struct stage *stage = open_concentrator();
	struct recipe plain = {LINK, .flags = ACK | PSH};
	struct recipe without_u = {LINK, .flags = ACK | PSH, .options = PM_OPTION("\xe0")};
	struct recipe elsewhere = {LINK, .flags = ACK | PSH, .options = PM_OPTION("\xe4")};

	elsewhere.to_port = 6825;
	cr_expect_str_eq(stage_run_recipe(stage, "customer_ingress", &plain), "next");
	cr_expect_str_eq(stage_run_recipe(stage, "customer_ingress", &without_u), "next");
	cr_expect_str_eq(stage_run_recipe(stage, "customer_ingress", &elsewhere), "next");
	read_ring(stage);
	cr_expect_eq(held_count, 0);
}

Test(datagram_hold, U3_own_ports_of_datagram_mode_are_silent)
{
	struct stage *stage = open_concentrator();
	struct recipe udp = {.from = "198.51.100.7",
			     .from_port = 53,
			     .to = "198.51.100.1",
			     .to_port = 61000,
			     .protocol = IPPROTO_UDP};

	stage_put_addr(stage, "local_addresses", "198.51.100.1", 0);
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &udp), "drop udp_unsolicited");
	udp.to_port = 60999;
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &udp), "next");
}

/* An echo request, in whose header the ports of UDP stand for type and code. */
static struct packet echo(bool v4, const struct plait_told *told)
{
	struct recipe udp = {.from = v4 ? "192.0.2.77" : "2001:db8:7::1",
			     .from_port = v4 ? 8 << 8 : 128 << 8,
			     .to = v4 ? "203.0.113.1" : "2001:db8:c::1",
			     .protocol = IPPROTO_UDP,
			     .payload = {(const uint8_t *)told, sizeof(*told)}};

	struct packet packet = packet_build_udp(&udp);

	packet.frame[v4 ? ETH_HLEN + 9 : ETH_HLEN + 6] = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	return packet;
}

Test(datagram_hold, U3_what_a_cpe_tells_of_its_links_is_noted)
{
	struct stage *stage = open_concentrator();
	struct plait_told told = {.magic = "plt1", .count = 1};
	struct plait_told_value value = {}, got;

	for (int v4 = 0; v4 < 2; v4++) {
		struct plait_addr link = packet_addr(v4 ? "192.0.2.77" : "2001:db8:7::1", 0);
		struct packet packet = echo(v4, &told);

		cr_expect_str_eq(
			stage_run(stage, "customer_ingress", &packet, (struct stage_context){}),
			"next");
		stage_put(stage, "datagram_told", &link, &value);
		cr_expect_str_eq(
			stage_run(stage, "customer_ingress", &packet, (struct stage_context){}),
			"next");
		cr_assert_eq(bpf_map_lookup_elem(stage_map(stage, "datagram_told"), &link, &got),
			     0);
		cr_expect_gt(got.heard_ns, 0);
		cr_expect_arr_eq(&got.told, &told, sizeof(told));
		stage_put(stage, "datagram_told", &link, &value);
		packet = echo(v4, &(struct plait_told){.magic = "plt2"});
		stage_run(stage, "customer_ingress", &packet, (struct stage_context){});
		cr_assert_eq(bpf_map_lookup_elem(stage_map(stage, "datagram_told"), &link, &got),
			     0);
		cr_expect_eq(got.heard_ns, 0, "another's echo");
	}
}

Test(datagram_hold, U3_who_has_no_binding_is_heard_if_it_is_a_subscriber)
{
	struct stage *stage = open_concentrator();
	const struct plait_told told = {.magic = "plt1", .count = 1};
	const struct plait_addr anybody = {};
	struct plait_told_value value = {};
	struct packet packet = echo(true, &told);

	stage_put(stage, "datagram_told", &anybody, &value);
	stage_disallow(stage, NULL, 0);
	stage_run(stage, "customer_ingress", &packet, (struct stage_context){});
	cr_assert_eq(bpf_map_lookup_elem(stage_map(stage, "datagram_told"), &anybody, &value), 0);
	cr_expect_eq(value.heard_ns, 0, "a stranger's");
	stage_allow(stage, "192.0.2.0", 24);
	stage_run(stage, "customer_ingress", &packet, (struct stage_context){});
	cr_assert_eq(bpf_map_lookup_elem(stage_map(stage, "datagram_told"), &anybody, &value), 0);
	cr_expect_gt(value.heard_ns, 0);
}

/* A host's port that is bonded keeps to the policy for each remote. */
Test(datagram_hold, W4_policy_is_asked_for_what_has_a_binding_too)
{
	struct stage *stage = datagram_open(CPE);
	struct recipe udp = datagram_from_host(&datagram_inners[0]);
	struct packet packet = packet_build_udp(&udp);
	struct plait_policy_rule rule = {.source_port_last = 65535,
					 .destination_port_first = 53,
					 .destination_port_last = 53,
					 .in_use = 1,
					 .action = PLAIT_DIRECT};

	cr_expect_str_eq(datagram_run(stage, "datagram_lan", &packet).outcome,
			 "redirect datagram_sent");
	stage_put_policy(stage, 0, &rule);
	datagram_expect(stage, "datagram_lan", &packet, "pass datagram_direct");
	rule.new_only = 1;
	stage_put_policy(stage, 0, &rule);
	cr_expect_str_eq(datagram_run(stage, "datagram_lan", &packet).outcome,
			 "redirect datagram_sent");
	rule = (struct plait_policy_rule){.source_port_last = 65535,
					  .destination_port_first = 54,
					  .destination_port_last = 65535,
					  .in_use = 1,
					  .action = PLAIT_DROP};
	stage_put_policy(stage, 0, &rule);
	cr_expect_str_eq(datagram_run(stage, "datagram_lan", &packet).outcome,
			 "redirect datagram_sent");
}
