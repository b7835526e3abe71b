// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Datagrams for the agent, plain-mode-08 §5.1.1 and §5.3: marked, whole or in fragments. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "live.h"

#define GIVEN "pass mark 0x7000 udp_steered"

static const struct recipe up_v4 = {.from = "10.0.0.2",
				    .from_port = 40000,
				    .to = "198.51.100.7",
				    .to_port = 443,
				    .protocol = IPPROTO_UDP,
				    .payload = {"hello", 5}};
static const struct recipe up_v6 = {.from = "fd00:1::2",
				    .from_port = 40000,
				    .to = "2001:db8::7",
				    .to_port = 443,
				    .protocol = IPPROTO_UDP,
				    .payload = {"hello", 5}};

static struct stage *cpe(void)
{
	struct plait_settings settings = stage_settings();

	settings.udp = PLAIT_UDP_STREAM;
	return stage_open_with(CPE, &settings);
}

static const char *up(struct stage *stage, struct recipe recipe)
{
	return stage_run_recipe(stage, "lan_ingress", &recipe);
}

Test(udp, of_hosts_are_given_to_the_agent)
{
	struct stage *stage = cpe();
	struct recipe empty = up_v4;

	empty.payload = (struct octets){};
	cr_expect_str_eq(up(stage, up_v4), GIVEN);
	cr_expect_str_eq(up(stage, up_v6), GIVEN);
	cr_expect_str_eq(up(stage, empty), GIVEN);
	cr_expect_not(stage_take_held(stage));
}

Test(udp, are_left_alone_unless_udp_is_bonded)
{
	struct stage *stage = stage_open(CPE);
	struct recipe fragment = up_v4;
	struct packet wrong = packet_build(&up_v4);

	cr_expect_str_eq(up(stage, up_v4), "next direct_other");
	cr_expect_str_eq(up(stage, up_v6), "next direct_other");
	fragment.fragment = 0x2000;
	cr_expect_str_eq(up(stage, fragment), "next direct_other");
	fragment.fragment = 1;
	cr_expect_str_eq(up(stage, fragment), "next direct_other");
	wrong.frame[packet_l4_offset(&up_v4) + 5] = 3; /* length */
	cr_expect_str_eq(stage_run(stage, "lan_ingress", &wrong, (struct stage_context){}),
			 "next direct_other");
}

Test(udp, follow_the_policy)
{
	struct stage *stage = cpe();
	struct plait_policy_rule rule = {.in_use = 1,
					 .source_port_last = 65535,
					 .destination_port_first = 443,
					 .destination_port_last = 443,
					 .protocol = IPPROTO_TCP,
					 .action = PLAIT_DROP};
	struct recipe local = up_v4, lan = up_v4, group = up_v4;

	stage_put_policy(stage, 0, &rule);
	cr_expect_str_eq(up(stage, up_v4), GIVEN, "a rule for TCP");
	rule.protocol = IPPROTO_UDP;
	stage_put_policy(stage, 0, &rule);
	cr_expect_str_eq(up(stage, up_v4), "drop drop_policy");
	rule.action = PLAIT_DIRECT;
	rule.protocol = 0;
	stage_put_policy(stage, 0, &rule);
	cr_expect_str_eq(up(stage, up_v4), "next direct_policy");
	stage_put_addr(stage, "local_addresses", "10.0.0.1", 0);
	local.to = "10.0.0.1";
	cr_expect_str_eq(up(stage, local), "next direct_local");
	lan.to = "10.1.0.7";
	cr_expect_str_eq(up(stage, lan), "next direct_lan");
	group.to = "239.1.1.1";
	cr_expect_str_eq(up(stage, group), "next direct_local");
}

/* What is known goes on as it began, and is counted. */
Test(udp, of_a_session_are_accounted)
{
	struct stage *stage = cpe();
	struct plait_policy_rule rule = {.in_use = 1,
					 .source_port_last = 65535,
					 .destination_port_last = 65535,
					 .action = PLAIT_DIRECT};
	struct recipe down = {.from = up_v4.to,
			      .from_port = up_v4.to_port,
			      .to = up_v4.from,
			      .to_port = up_v4.from_port,
			      .protocol = IPPROTO_UDP,
			      .payload = {"answer", 6}};
	struct plait_session_value session;

	stage_put_policy(stage, 0, &rule);
	stage_add_session(stage, &up_v4);
	cr_expect_str_eq(up(stage, up_v4), GIVEN);
	cr_expect_str_eq(stage_run_recipe(stage, "lan_egress", &down), "next");
	session = stage_session(stage, &up_v4);
	cr_expect_eq(session.up_packets, 1);
	cr_expect_eq(session.up_bytes, 20 + 8 + 5);
	cr_expect_eq(session.down_packets, 1);
	cr_expect_eq(session.down_bytes, 20 + 8 + 6);
	cr_expect_eq(session.state, PLAIT_SESSION_ESTABLISHED);
}

Test(udp, later_fragments_go_where_the_first_one_went)
{
	struct plait_policy_rule rule = {.in_use = 1,
					 .source_port_last = 65535,
					 .destination_port_first = 80,
					 .destination_port_last = 80,
					 .action = PLAIT_DIRECT};
	struct stage *stage = cpe();
	struct recipe first = up_v4, later = up_v4;

	first.fragment = 0x2000;
	cr_expect_str_eq(up(stage, first), GIVEN);
	later.fragment = 0x2000 | 185;
	cr_expect_str_eq(up(stage, later), GIVEN);
	later.fragment = 370;
	cr_expect_str_eq(up(stage, later), GIVEN);
	later.from = "10.0.0.3";
	cr_expect_str_eq(up(stage, later), "drop fragment_early", "another host's");
	later.from = first.from;
	first.to_port = 80;
	stage_put_policy(stage, 0, &rule);
	cr_expect_str_eq(up(stage, first), "next direct_policy", "the identification comes round");
	cr_expect_str_eq(up(stage, later), "next direct_other");
	rule.action = PLAIT_DROP;
	stage_put_policy(stage, 0, &rule);
	cr_expect_str_eq(up(stage, first), "drop drop_policy");
	cr_expect_str_eq(up(stage, later), "drop fragment_dropped");
}

/* plain-mode-08 §5.3.2: queued "till the first fragment is received". */
Test(udp, later_fragments_before_the_first_one_are_kept_for_it)
{
	struct stage *stage = cpe();
	struct recipe first = up_v4, later = up_v4;

	first.fragment = 0x2000;
	for (uint16_t at = 3; at > 0; at--) {
		later.fragment = (at < 3 ? 0x2000 : 0) | at;
		cr_expect_str_eq(up(stage, later), "drop fragment_early");
	}
	cr_expect_str_eq(up(stage, first), GIVEN " fragment_let_go*3");
	cr_expect_str_eq(up(stage, first), GIVEN, "once");
}

Test(udp, no_more_early_fragments_are_kept_than_a_datagram_can_have)
{
	static const uint8_t octets[2 * PLAIT_FRAME_MAX];
	struct stage *stage = cpe();
	struct recipe first = up_v4, later = up_v4;

	first.fragment = 0x2000;
	for (uint16_t at = 1; at <= 128; at++) {
		later.fragment = 0x2000 | at;
		cr_expect_str_eq(up(stage, later), "drop fragment_early", "%u", at);
	}
	later.fragment = 129;
	cr_expect_str_eq(up(stage, later), "drop fragment_dropped");
	cr_expect_str_eq(up(stage, first), GIVEN " fragment_let_go*128");
	later.from = first.from = "10.0.0.3";
	later.payload = (struct octets){octets, PLAIT_FRAME_MAX};
	cr_expect_str_eq(up(stage, later), "drop fragment_dropped", "too long");
	cr_expect_str_eq(up(stage, first), GIVEN);
}

/* All that is known of fragments is half a minute older: its first eight octets are the time. */
static void pass_half_a_minute(struct stage *stage)
{
	int map = stage_map(stage, "fragments");
	struct plait_fragment_key key, *last = NULL;
	uint64_t value[2];

	while (!bpf_map_get_next_key(map, last, &key)) {
		cr_assert_eq(bpf_map_lookup_elem(map, &key, value), 0);
		value[0] -= 30ULL * 1000 * 1000 * 1000;
		cr_assert_eq(bpf_map_update_elem(map, &key, value, BPF_ANY), 0);
		last = &key;
	}
}

Test(udp, fragments_are_remembered_for_half_a_minute)
{
	struct stage *stage = cpe();
	struct recipe first = up_v4, later = up_v4;

	first.fragment = 0x2000;
	later.fragment = 185;
	cr_expect_str_eq(up(stage, later), "drop fragment_early");
	pass_half_a_minute(stage);
	cr_expect_str_eq(up(stage, first), GIVEN, "of another datagram");
	cr_expect_str_eq(up(stage, later), GIVEN);
	pass_half_a_minute(stage);
	cr_expect_str_eq(up(stage, later), "drop fragment_early");
	cr_expect_str_eq(up(stage, first), GIVEN " fragment_let_go");
}

/* Those that are not for the agent whatever their ports are. */
Test(udp, early_fragments_to_this_machine_or_a_lan_are_left_to_the_kernel)
{
	struct stage *stage = cpe();
	struct recipe later = up_v4;

	later.fragment = 185;
	stage_put_addr(stage, "local_addresses", "10.0.0.1", 0);
	later.to = "10.0.0.1";
	cr_expect_str_eq(up(stage, later), "next direct_other");
	later.to = "10.1.0.7";
	cr_expect_str_eq(up(stage, later), "next direct_other");
	later.to = "239.1.1.1";
	cr_expect_str_eq(up(stage, later), "next direct_other");
}

/* RFC 8200 §4.5: next header, reserved, offset and M, identification */
#define FRAGMENT_HEADER(offset_and_more, id) \
	OCTETS(IPPROTO_UDP, 0, (offset_and_more) >> 8, (offset_and_more)&0xff, 0, 0, 0, id)

Test(udp, fragments_of_ipv6_too)
{
	struct stage *stage = cpe();
	struct recipe fragment = up_v6;

	fragment.first_extension = IPPROTO_FRAGMENT;
	fragment.extra = FRAGMENT_HEADER(1, 7);
	cr_expect_str_eq(up(stage, fragment), GIVEN);
	fragment.extra = FRAGMENT_HEADER(1448, 8);
	cr_expect_str_eq(up(stage, fragment), "drop fragment_early", "another datagram's");
	fragment.extra = FRAGMENT_HEADER(1448, 7);
	cr_expect_str_eq(up(stage, fragment), GIVEN);
	fragment.extra = FRAGMENT_HEADER(0, 9);
	cr_expect_str_eq(up(stage, fragment), GIVEN, "atomic, RFC 6946");
}

Test(udp, with_lengths_that_cannot_be_are_dropped)
{
	struct stage *stage = cpe();
	size_t length = packet_l4_offset(&up_v4) + 4;

	for (unsigned int bytes = 0; bytes < 20; bytes++) {
		struct packet packet = packet_build(&up_v4);

		packet.frame[length + 1] = (uint8_t)bytes;
		cr_expect_str_eq(stage_run(stage, "lan_ingress", &packet, (struct stage_context){}),
				 bytes < 8 || bytes > 13 ? "drop drop_malformed" : GIVEN);
	}
}

/* On the concentrator */

static struct recipe answer(void)
{
	return (struct recipe){.from = "198.51.100.7",
			       .from_port = 443,
			       .to = "203.0.113.66",
			       .to_port = 40000,
			       .protocol = IPPROTO_UDP,
			       .payload = {"answer", 6}};
}

static int connected(const struct recipe *down)
{
	const struct sockaddr_in local = {.sin_family = AF_INET,
					  .sin_port = htons(down->to_port),
					  .sin_addr.s_addr = inet_addr(down->to)};
	const struct sockaddr_in peer = {.sin_family = AF_INET,
					 .sin_port = htons(down->from_port),
					 .sin_addr.s_addr = inet_addr(down->from)};
	int on = 1, fd = socket(AF_INET, SOCK_DGRAM, 0);

	cr_assert_eq(setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)), 0);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&local, sizeof(local)), 0);
	cr_assert_eq(connect(fd, (const struct sockaddr *)&peer, sizeof(peer)), 0);
	return fd;
}

Test(udp, to_a_pool_are_for_the_socket_that_expects_them)
{
	struct stage *stage = stage_open(CONCENTRATOR);
	struct plait_prefix_key anywhere = {};
	struct recipe down = answer();

	stage_put(stage, "pool_prefixes", &anywhere, &(uint8_t){1});
	stage_ip("route add 198.51.100.0/24 dev wan0");
	connected(&down);
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &down), GIVEN);
	down.from_port = 444;
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &down), "drop udp_unsolicited",
			 "another port");
	down.from_port = 443;
	down.fragment = 0x2000;
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &down), GIVEN);
	down.fragment = 185;
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &down), GIVEN);
}

/* An address that flows have, a pool's or a host's own: what comes early is kept. */
Test(udp, early_fragments_from_the_internet_are_kept_where_flows_are)
{
	struct stage *stage = stage_open(CONCENTRATOR);
	struct plait_prefix_key anywhere = {};
	struct recipe down = answer(), later = answer(), up = answer();

	up.from = down.to, up.from_port = down.to_port;
	up.to = down.from, up.to_port = down.from_port;
	later.fragment = 185;
	down.fragment = 0x2000;
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &later), "next direct_other");
	stage_put(stage, "pool_prefixes", &anywhere, &(uint8_t){1});
	stage_add_session(stage, &up);
	cr_expect_str_eq(stage_run_recipe(stage, "internet_egress", &up), "next");
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &later),
			 "drop fragment_early");
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &down),
			 GIVEN " fragment_let_go");
	down.from_port = 444;
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &down), "drop udp_unsolicited",
			 "the identification comes round");
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &later),
			 "drop fragment_dropped");
}

Test(udp, to_a_pool_are_not_for_a_socket_that_takes_from_anybody)
{
	struct stage *stage = stage_open(CONCENTRATOR);
	const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(40000)};
	struct plait_prefix_key anywhere = {};
	struct recipe down = answer();
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	stage_put(stage, "pool_prefixes", &anywhere, &(uint8_t){1});
	cr_assert_eq(bind(fd, (const struct sockaddr *)&any, sizeof(any)), 0);
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &down),
			 "drop udp_unsolicited");
}

Test(udp, elsewhere_are_left_to_the_kernel)
{
	struct stage *stage = stage_open(CONCENTRATOR);
	struct recipe down = answer();

	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &down), "next");
	stage_put_addr(stage, "local_addresses", down.to, 0);
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &down), "next");
}

/* Packet too big (RFC 4443 §3.2) about what was sent as `sent`, to who has it. */
static const char *too_big(struct stage *stage, const char *ingress, const struct recipe *sent)
{
	struct packet error = packet_icmp_error("2001:db8:bad::1", sent, 2, 0);

	return stage_run(stage, ingress, &error, (struct stage_context){});
}

static void are_heeded_if_too_long(struct stage *stage, const char *ingress,
				   const struct recipe *up, struct recipe sent, const char *else_is)
{
	struct recipe tcp = sent;

	tcp.protocol = IPPROTO_TCP;
	cr_expect_str_eq(too_big(stage, ingress, &sent), else_is, "of no session");
	stage_add_session(stage, up);
	cr_expect_str_eq(too_big(stage, ingress, &sent), "pass mark 0x7000 steered_error");
	cr_expect_str_eq(too_big(stage, ingress, &tcp), else_is);
	sent.first_extension = IPPROTO_FRAGMENT;
	sent.extra = (struct octets)FRAGMENT_HEADER(1, 7);
	cr_expect_str_eq(too_big(stage, ingress, &sent), "pass mark 0x7000 steered_error",
			 "its first fragment");
	sent.extra = (struct octets)FRAGMENT_HEADER(1448, 7);
	cr_expect_str_eq(too_big(stage, ingress, &sent), else_is, "a later one: no ports");
	sent.extra = (struct octets){};
	sent.first_extension = 0;
	sent.to_port++;
	cr_expect_str_eq(too_big(stage, ingress, &sent), else_is, "another port");
}

Test(udp, to_a_host_are_too_long_on_the_way)
{
	struct recipe sent = up_v6;

	sent.from = up_v6.to, sent.from_port = up_v6.to_port;
	sent.to = up_v6.from, sent.to_port = up_v6.from_port;
	are_heeded_if_too_long(cpe(), "lan_ingress", &up_v6, sent, "next direct_other");
}

Test(udp, to_the_internet_are_too_long_on_the_way)
{
	are_heeded_if_too_long(stage_open(CONCENTRATOR), "internet_ingress", &up_v6, up_v6, "next");
}

/* Which socket takes it. A test run knows no interface but number 0. */

static bool looked_up(struct stage *stage, const char *to)
{
	struct bpf_sk_lookup lookup = {.family = AF_INET,
				       .protocol = IPPROTO_UDP,
				       .remote_ip4 = inet_addr("10.0.0.2"),
				       .remote_port = htons(40000),
				       .local_ip4 = inet_addr(to),
				       .local_port = 443};
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &lookup, .ctx_size_in = sizeof(lookup),
		    .ctx_out = &lookup, .ctx_size_out = sizeof(lookup));
	struct bpf_program *program = bpf_object__find_program_by_name(stage->object, "udp_socket");

	cr_assert_eq(bpf_prog_test_run_opts(bpf_program__fd(program), &options), 0);
	cr_assert_eq(options.retval, SK_PASS);
	return lookup.cookie != 0;
}

Test(udp, of_a_lan_to_elsewhere_find_a_workers_socket)
{
	struct stage *stage = cpe();
	uint32_t lan = 0;

	for (uint32_t i = 0; i < 2 * STAGE_WORKERS; i += 2) {
		const struct sockaddr_in at = {.sin_family = AF_INET,
					       .sin_addr.s_addr = inet_addr("127.0.0.1")};
		int own = socket(AF_INET, SOCK_DGRAM, 0);

		cr_assert_eq(bind(own, (const struct sockaddr *)&at, sizeof(at)), 0);
		stage_put(stage, "udp_sockets", &i, &(uint64_t){(uint64_t)own});
	}
	stage_put_addr(stage, "local_addresses", "10.0.0.1", 0);
	cr_expect_not(looked_up(stage, "198.51.100.7"), "not of a LAN");
	stage_put(stage, "lan_interfaces", &lan, &(uint8_t){1});
	cr_expect(looked_up(stage, "198.51.100.7"));
	cr_expect_not(looked_up(stage, "10.0.0.1"), "for this machine");
	cr_expect_not(looked_up(stage, "255.255.255.255"));
}
