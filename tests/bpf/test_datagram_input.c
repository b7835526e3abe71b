// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Datagram mode: what is refused, what is left to others, and what none of its business is. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

#include "codec/pm_option.h"
#include "datagram_stage.h"

enum {
	AT_TOTAL = 16,
	AT_TTL = 22,
	AT_IPV6_HOPS = 21,
	AT_IPV6_PAYLOAD = 18,
	AT_V4_UDP_LENGTH = 38,
	AT_V4_UDP_CHECKSUM = 40,
	AT_V6_UDP_CHECKSUM = 60,
	AT_V4_TCP_OFFSET = 46,
	AT_V4_TCP_FLAGS = 47,
	AT_V4_OPTION = 54,
};

static const struct datagram_inner *const v4 = &datagram_inners[0], *const v6 = &datagram_inners[1];

static struct packet udp_to(enum stage_role role, const struct datagram_inner *inner)
{
	struct recipe recipe = datagram_to_send(role, inner);

	return packet_build_udp(&recipe);
}

static struct packet tcp_to(enum stage_role role, const struct datagram_inner *inner)
{
	struct recipe recipe = datagram_formatted(role, LINK_V4, inner);

	recipe.payload = TEXT("a datagram");
	return packet_build(&recipe);
}

static struct stage *stage_of(enum stage_role role)
{
	static struct stage *open[2];

	if (!open[role])
		open[role] = datagram_open(role);
	return open[role];
}

static void expect_sender(enum stage_role role, const struct packet *packet, const char *outcome)
{
	datagram_expect(stage_of(role), datagram_senders[role], packet, outcome);
}

static void expect_receiver(enum stage_role role, const struct packet *packet, const char *outcome)
{
	datagram_expect(stage_of(role), datagram_receivers[role], packet, outcome);
}

Test(datagram_input, what_is_not_theirs_passes_uncounted)
{
	const struct recipe tcp = {
		.from = "10.0.0.2", .from_port = 5000, .to = "198.51.100.77", .to_port = 53};
	const struct recipe leg = {
		.from = "192.0.2.2", .from_port = 40001, .to = "203.0.113.1", .to_port = 6824};
	struct packet others[5] = {packet_build(&tcp), packet_build(&leg)};

	others[2] = packet_icmp_error("203.0.113.9", &tcp, 3, 1);
	others[3] = packet_with(others[0], 13, 0x06); /* ARP */
	others[4] = (struct packet){.bytes = 14};
	BOTH_ROLES(role)
	{
		for (int i = 0; i < 5; i++) {
			expect_sender(role, &others[i], "pass");
			expect_receiver(role, &others[i], "pass");
		}
	}
}

Test(datagram_input, cpe_leaves_multicast_alone)
{
	static const char *const to[][2] = {{"10.0.0.2", "224.0.0.251"},
					    {"10.0.0.2", "255.255.255.255"},
					    {"fd00:1::2", "ff02::fb"},
					    {"fd00:1::2", "fe80::1"}};

	for (int i = 0; i < 4; i++) {
		struct recipe udp = {
			.from = to[i][0], .from_port = 5000, .to = to[i][1], .to_port = 5353};
		struct packet packet = packet_build_udp(&udp);

		expect_sender(CPE, &packet, "pass");
	}
}

Test(datagram_input, cpe_sends_direct_what_is_not_bonded)
{
	struct stage *stage = datagram_open(CPE);
	struct packet packet = udp_to(CPE, v4);

	datagram_put_direct(stage, "198.51.100.0", 24);
	datagram_expect(stage, "datagram_lan", &packet, "pass datagram_direct");
	packet = udp_to(CPE, v6);
	datagram_expect(stage, "datagram_lan", &packet, "redirect datagram_sent");
	datagram_put_direct(stage, "2001:db8:f::", 48);
	datagram_expect(stage, "datagram_lan", &packet, "pass datagram_direct");
}

Test(datagram_input, without_a_binding)
{
	struct recipe udp = datagram_from_host(v4), reply = datagram_from_remote(v6);
	struct packet packet;

	udp.from_port++;
	packet = packet_build_udp(&udp);
	expect_sender(CPE, &packet, "pass datagram_new");
	reply.to_port++;
	packet = packet_build_udp(&reply);
	expect_sender(CONCENTRATOR, &packet, "pass");
	for (uint8_t link = 0; link < 2; link++) {
		struct recipe tcp = datagram_formatted(CONCENTRATOR, link, v4);

		tcp.from_port++;
		packet = packet_build(&tcp);
		expect_receiver(CONCENTRATOR, &packet, "pass datagram_new");
		tcp = datagram_formatted(CPE, link, v4);
		tcp.to_port++;
		packet = packet_build(&tcp);
		expect_receiver(CPE, &packet, "drop datagram_unknown");
	}
}

/* Somebody else's datagram mode, on its way through this machine. */
Test(datagram_input, to_another_address)
{
	BOTH_ROLES(role)
	{
		struct recipe tcp = datagram_formatted(role, LINK_V4, v4);
		struct packet packet;

		tcp.to = "192.0.2.200";
		packet = packet_build(&tcp);
		expect_receiver(role, &packet, "pass");
		tcp.options = (struct octets){};
		packet = packet_build(&tcp);
		expect_receiver(role, &packet, "pass");
	}
}

Test(datagram_input, concentrator_takes_subscribers_only)
{
	struct recipe tcp = datagram_formatted(CONCENTRATOR, LINK_V4, v4);
	struct packet packet;

	tcp.from = "192.0.3.2";
	packet = packet_build(&tcp);
	expect_receiver(CONCENTRATOR, &packet, "drop datagram_source");
	tcp.options = (struct octets){};
	packet = packet_build(&tcp);
	expect_receiver(CONCENTRATOR, &packet, "drop datagram_source");
}

Test(datagram_input, cpe_takes_its_concentrators_only)
{
	struct recipe tcp = datagram_formatted(CPE, LINK_V4, v4);
	struct packet packet;

	tcp.from = "203.0.113.2";
	packet = packet_build(&tcp);
	expect_receiver(CPE, &packet, "drop datagram_source");
	tcp = datagram_formatted(CPE, LINK_V4, v4);
	tcp.from_port++;
	packet = packet_build(&tcp);
	expect_receiver(CPE, &packet, "drop datagram_source");
}

static struct recipe with_option(enum stage_role role, struct octets option)
{
	struct recipe tcp = datagram_formatted(role, LINK_V4, v4);

	tcp.options = option;
	return tcp;
}

#define D_IF(role) (role == CPE ? 0xec : 0xe4)

static void expect_option(enum stage_role role, struct octets option, const char *outcome)
{
	struct recipe tcp = with_option(role, option);
	struct packet packet = packet_build(&tcp);

	expect_receiver(role, &packet, outcome);
}

Test(datagram_input, without_an_option)
{
	BOTH_ROLES(role)
	{
		const uint8_t pm = D_IF(role);

		expect_option(role, (struct octets){}, "drop datagram_no_option");
		/* too short, another kind, another sub-type, not in its place */
		expect_option(role, OCTETS(30, 10, pm, 0, 1, 2, 3, 4), "drop datagram_no_option");
		expect_option(role, OCTETS(8, 10, pm, 0, 1, 2, 3, 4, 0, 53, 1, 1),
			      "drop datagram_no_option");
		expect_option(role, OCTETS(30, 12, 0x10, 1, 1, 2, 3, 4, 0, 53, 1, 1),
			      "drop datagram_no_option");
		expect_option(role, OCTETS(1, 1, 30, 10, pm, 0, 1, 2, 3, 4, 0, 53),
			      "drop datagram_no_option");
		expect_option(role, OCTETS(30, 10, pm & ~4, 0, 1, 2, 3, 4, 0, 53, 1, 1),
			      "drop datagram_not_udp");
	}
}

Test(datagram_input, with_a_wrong_option)
{
	BOTH_ROLES(role)
	{
		const uint8_t pm = D_IF(role);
		struct packet packet = tcp_to(role, v4);

		/* D, length without a port, length of the other family, another option behind it */
		expect_option(role, OCTETS(30, 10, pm ^ 8, 0, 1, 2, 3, 4, 0, 53, 1, 1),
			      "drop datagram_option");
		expect_option(role, OCTETS(30, 8, pm, 0, 1, 2, 3, 4, 1, 1, 1, 1),
			      "drop datagram_option");
		expect_option(role, OCTETS(30, 22, pm, 0, 1, 2, 3, 4, 0, 53, 1, 1),
			      "drop datagram_option");
		expect_option(role, OCTETS(30, 0, pm, 0, 1, 2, 3, 4, 0, 53, 1, 1),
			      "drop datagram_option");
		expect_option(role, OCTETS(30, 255, pm, 0, 1, 2, 3, 4, 0, 53, 1, 1),
			      "drop datagram_option");
		expect_option(role, OCTETS(30, 10, pm, 0, 1, 2, 3, 4, 0, 53, 1, 1, 3, 3, 7, 0),
			      "drop datagram_option");
		for (uint8_t flag = FIN; flag <= RST; flag <<= 1) {
			packet.frame[AT_V4_TCP_FLAGS] = ACK | flag;
			expect_receiver(role, &packet, "drop datagram_option");
		}
	}
}

Test(datagram_input, flag_bits_are_ignored)
{
	BOTH_ROLES(role)
	{
		const uint8_t pm = D_IF(role);
		struct recipe tcp = with_option(
			role, OCTETS(30, 10, pm | 3, 0xff, 198, 51, 100, 77, 0, 53, 1, 1));
		struct packet packet = packet_build(&tcp);

		expect_receiver(role, &packet, "redirect datagram_received");
	}
}

/* A remote that is not of the binding's family. */
Test(datagram_input, option_of_the_other_family)
{
	BOTH_ROLES(role)
	{
		struct datagram_inner mixed = *v4;
		struct packet packet;

		mixed.remote = v6->remote;
		packet = tcp_to(role, &mixed);
		expect_receiver(role, &packet, "drop datagram_option");
	}
}

static const char *const addresses[] = {
	"0.0.0.0",
	"0.1.2.3",
	"127.0.0.1",
	"224.0.0.1",
	"239.255.255.255",
	"255.255.255.255",
	"240.0.0.1",
	"198.51.100.77",
	"::",
	"::1",
	"ff02::1",
	"::ffff:127.0.0.1",
	"::127.0.0.1",
	"::ffff:1.2.3.4",
	"64:ff9b::7f00:1",
	"64:ff9b::102:304",
	"64:ff9b:1:7f00:0:100::",
	"64:ff9b:1:102:0:304::",
	"64:ff9b:1:e0:0:1:100:0",
	"64:ff9b:1:1:e0:1:200:0",
	"64:ff9b:1::7f00:1",
	"64:ff9b:1::102:304",
	"64:ff9b:2::7f00:1",
	"2001:db8::1",
	"::ffff:0:1",
	"::1:0:0",
	"64:ff9b:0:1::7f00:1",
	"64:ff9b:1:7f00:0:1:100:0",
	"64:ff9b:1:0:e0::",
	"64:ff9b:1:ffff:ff:ff00::",
	"64:ff9b:1:ff:ff:ffff::",
	"64:ff9b:1:0:ff:ffff:ff00:0",
};

/* The same as the agent's codec, which says of each whether it may be. */
Test(datagram_input, forbidden_addresses)
{
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct datagram_inner inner = *(strchr(addresses[i], ':') ? v6 : v4);
		struct plait_addr addr = packet_addr(addresses[i], 0);
		struct packet packet;

		inner.remote = addresses[i];
		packet = tcp_to(CPE, &inner);
		expect_receiver(CPE, &packet,
				pm_addr_forbidden(&addr) ? "drop datagram_forbidden"
							 : "redirect datagram_received");
		inner.wan_port++;
		packet = tcp_to(CONCENTRATOR, &inner);
		expect_receiver(CONCENTRATOR, &packet,
				pm_addr_forbidden(&addr) ? "drop datagram_forbidden"
							 : "pass datagram_new");
	}
}

Test(datagram_input, forbidden_at_a_binding_and_from_the_internet)
{
	struct datagram_inner inner = *v4;
	struct packet packet;

	inner.remote = "127.0.0.1";
	packet = tcp_to(CONCENTRATOR, &inner);
	expect_receiver(CONCENTRATOR, &packet, "drop datagram_forbidden");
	packet = udp_to(CONCENTRATOR, &inner);
	expect_sender(CONCENTRATOR, &packet, "drop datagram_forbidden");
	inner = *v6;
	inner.remote = "fe80::1";
	packet = tcp_to(CONCENTRATOR, &inner);
	expect_receiver(CONCENTRATOR, &packet, "drop datagram_forbidden");
}

/* Port 0 is nobody's. */
Test(datagram_input, port_zero)
{
	BOTH_ROLES(role)
	{
		const uint8_t pm = D_IF(role);

		struct packet udp = udp_to(role, v4);

		expect_option(role, OCTETS(30, 10, pm, 0, 198, 51, 100, 77, 0, 0, 1, 1),
			      "drop datagram_forbidden");
		udp.frame[role == CPE ? 37 : 35] = 0;
		expect_sender(role, &udp, "drop datagram_forbidden");
	}
}

static void expect_each(enum stage_role role, const struct packet *udp, const struct packet *tcp,
			const char *outcome)
{
	expect_sender(role, udp, outcome);
	expect_receiver(role, tcp, outcome);
}

Test(datagram_input, wrong_header_checksum)
{
	BOTH_ROLES(role)
	{
		struct packet udp = udp_to(role, v4), tcp = tcp_to(role, v4);

		udp.frame[24] ^= 1;
		tcp.frame[25] ^= 1;
		expect_each(role, &udp, &tcp, "drop datagram_ip_checksum");
	}
}

Test(datagram_input, ip_options_and_extension_headers)
{
	BOTH_ROLES(role)
	{
		struct recipe udp = datagram_to_send(role, v4);
		struct recipe tcp = datagram_formatted(role, LINK_V4, v4);
		struct packet in;

		udp.extra = tcp.extra = OCTETS(1, 1, 1, 1);
		in = packet_build_udp(&udp);
		expect_sender(role, &in, "drop datagram_ip_options");
		in = packet_build(&tcp);
		/* the sum of a header with options is not looked at */
		expect_receiver(role, &in, "drop datagram_ip_options");
		tcp = datagram_formatted(role, LINK_V6, v6);
		tcp.first_extension = IPPROTO_DSTOPTS;
		tcp.extra = OCTETS(IPPROTO_TCP, 0, 1, 4, 0, 0, 0, 0);
		in = packet_build(&tcp);
		expect_receiver(role, &in, "drop datagram_ip_options");
		in.frame[54] = IPPROTO_ICMPV6;
		expect_receiver(role, &in, "pass");
	}
}

Test(datagram_input, ttl)
{
	BOTH_ROLES(role)
	{
		for (uint8_t ttl = 0; ttl <= 2; ttl++) {
			struct packet udp = packet_with_ipv4(udp_to(role, v4), AT_TTL, ttl),
				      tcp = packet_with_ipv4(tcp_to(role, v4), AT_TTL, ttl);
			bool ends = ttl < 2;

			expect_receiver(role, &tcp,
					ends ? "drop datagram_ttl" : "redirect datagram_received");
			if (role == CPE)
				expect_sender(role, &udp,
					      ends ? "pass datagram_ttl_left"
						   : "redirect datagram_sent");
			else
				expect_sender(role, &udp,
					      ends ? "drop datagram_ttl"
						   : "redirect datagram_sent");
			udp = packet_with(udp_to(role, v6), AT_IPV6_HOPS, ttl);
			expect_sender(role, &udp,
				      !ends         ? "redirect datagram_sent"
				      : role == CPE ? "pass datagram_ttl_left"
						    : "drop datagram_ttl");
		}
	}
}

Test(datagram_input, lengths_that_do_not_fit)
{
	BOTH_ROLES(role)
	{
		struct packet udp = udp_to(role, v4), tcp = tcp_to(role, v4), in;

		/* the frame ends before the IP packet */
		udp.bytes--;
		tcp.bytes--;
		expect_each(role, &udp, &tcp, "drop datagram_malformed");
		udp.bytes++;
		tcp.bytes++;
		/* shorter than its own headers */
		in = packet_with_ipv4(udp, AT_TOTAL + 1, 27);
		expect_sender(role, &in, "drop datagram_malformed");
		in = packet_with_ipv4(tcp, AT_TOTAL + 1, 51);
		expect_receiver(role, &in, "drop datagram_malformed");
		/* UDP says more, or less, than IP */
		in = packet_with(udp, AT_V4_UDP_LENGTH + 1, 19);
		expect_sender(role, &in, "drop datagram_malformed");
		in = packet_with(udp, AT_V4_UDP_LENGTH + 1, 17);
		expect_sender(role, &in, "drop datagram_malformed");
		in = packet_with(udp, AT_V4_UDP_LENGTH + 1, 0);
		expect_sender(role, &in, "drop datagram_malformed");
		in = packet_with(udp, AT_V4_UDP_LENGTH, 0xff);
		expect_sender(role, &in, "drop datagram_malformed");
		in = packet_with(udp_to(role, v6), AT_IPV6_PAYLOAD + 1, 0);
		expect_sender(role, &in, "drop datagram_malformed");
	}
}

/* The agent is given no first packet that is wrong. */
Test(datagram_input, first_packets_are_looked_at)
{
	struct datagram_inner inner = *v4;
	struct packet good, in;

	inner.wan_port++;
	good = tcp_to(CONCENTRATOR, &inner);
	expect_receiver(CONCENTRATOR, &good, "pass datagram_new");
	in = packet_with(good, 24, (uint8_t)~good.frame[24]);
	expect_receiver(CONCENTRATOR, &in, "drop datagram_ip_checksum");
	in = packet_with_ipv4(good, AT_TOTAL + 1, 51);
	expect_receiver(CONCENTRATOR, &in, "drop datagram_malformed");
	in = packet_with_ipv4(good, AT_TTL, 1);
	expect_receiver(CONCENTRATOR, &in, "drop datagram_ttl");
	in = packet_with(good, AT_V4_TCP_FLAGS, SYN);
	expect_receiver(CONCENTRATOR, &in, "drop datagram_option");
}

/* Others' extension headers: hop-by-hop of multicast listeners, long ones, jumbograms. */
Test(datagram_input, what_ipv6_has_besides)
{
	static const uint8_t long_options[80] = {IPPROTO_TCP, 9, 1, 76};
	static const uint8_t listener[] = {IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0};
	struct recipe tcp = {.from = "2001:db8:1::2", .to = "2001:db8:c::1"};
	struct packet mld, with_long, jumbo;

	tcp.first_extension = IPPROTO_HOPOPTS;
	tcp.extra = (struct octets){listener, sizeof(listener)};
	mld = packet_build(&tcp);
	tcp.extra = (struct octets){long_options, sizeof(long_options)};
	with_long = packet_build(&tcp);
	jumbo = packet_with(packet_with(mld, AT_IPV6_PAYLOAD, 0), AT_IPV6_PAYLOAD + 1, 0);
	BOTH_ROLES(role)
	{
		expect_receiver(role, &mld, "pass");
		expect_sender(role, &mld, "pass");
		expect_receiver(role, &with_long, "pass");
		expect_sender(role, &with_long, "pass");
		expect_receiver(role, &jumbo, "pass");
		expect_sender(role, &jumbo, "pass");
	}
}

/* Cut anywhere: nothing of it is forwarded. */
Test(datagram_input, truncated)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = datagram_open(role);

		for (int family = 0; family < 2; family++) {
			struct packet udp = udp_to(role, &datagram_inners[family]),
				      tcp = tcp_to(role, &datagram_inners[family]);

			while (--udp.bytes > 33)
				datagram_expect(stage, datagram_senders[role], &udp,
						"drop datagram_malformed");
			while (--tcp.bytes > 33)
				datagram_expect(stage, datagram_receivers[role], &tcp,
						"drop datagram_malformed");
		}
	}
}

Test(datagram_input, ipv6_needs_a_checksum)
{
	BOTH_ROLES(role)
	{
		struct packet udp = packet_with(udp_to(role, v6), AT_V6_UDP_CHECKSUM, 0);

		udp.frame[AT_V6_UDP_CHECKSUM + 1] = 0;
		expect_sender(role, &udp, "drop datagram_no_checksum");
	}
}

/* A whole frame is longer than its IP packet: the link layer's padding goes. */
Test(datagram_input, padding_is_cut_off)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = datagram_open(role);
		struct packet udp = udp_to(role, v4), tcp = tcp_to(role, v4);
		struct conversion without = datagram_run(stage, datagram_receivers[role], &tcp),
				  with;

		tcp.bytes += 33;
		with = datagram_run(stage, datagram_receivers[role], &tcp);
		cr_expect_eq(with.packet.bytes, without.packet.bytes);
		cr_expect_arr_eq(with.packet.frame, without.packet.frame, with.packet.bytes);
		without = datagram_run(stage, datagram_senders[role], &udp);
		udp.bytes += 8;
		with = datagram_run(stage, datagram_senders[role], &udp);
		cr_expect_str_eq(with.outcome, "redirect datagram_sent");
		cr_expect_eq(with.packet.bytes, without.packet.bytes);
	}
}

/* Beside its MPTCP, which has no PM option in its TCP headers. */
Test(datagram_input, shared_port)
{
	struct stage *stage = datagram_open(CONCENTRATOR);
	struct plait_addr at = packet_addr("203.0.113.1", DATAGRAM_PORT);
	struct recipe tcp = with_option(CONCENTRATOR, (struct octets){});
	struct packet packet = packet_build(&tcp);

	stage_put(stage, "datagram_addresses", &at,
		  &(uint8_t){PLAIT_ADDRESS_EXISTS | PLAIT_ADDRESS_SHARED});
	datagram_expect(stage, "datagram_customer", &packet, "pass");
	tcp = with_option(CONCENTRATOR, OCTETS(30, 10, 0xe0, 0, 1, 2, 3, 4, 0, 53, 1, 1));
	packet = packet_build(&tcp);
	datagram_expect(stage, "datagram_customer", &packet, "drop datagram_not_udp");
	packet = tcp_to(CONCENTRATOR, v4);
	datagram_expect(stage, "datagram_customer", &packet, "redirect datagram_received");
}

Test(datagram_input, too_big_for_the_path)
{
	static const uint8_t payload[1500];
	struct stage *stage = datagram_open(CPE);
	struct plait_path path = datagram_path(stage, LINK_V4);
	struct recipe udp = datagram_from_host(v4);
	struct packet packet;

	path.mtu = 1500;
	datagram_put_path(stage, LINK_V4, &path);
	udp.payload = (struct octets){payload, 1500 - 20 - 32};
	packet = packet_build_udp(&udp);
	datagram_expect(stage, "datagram_lan", &packet, "redirect datagram_sent");
	udp.payload.count++;
	packet = packet_build_udp(&udp);
	datagram_expect(stage, "datagram_lan", &packet, "pass datagram_too_big");
}

/* Towards the internet, and the LAN, its interface has 1500. */
Test(datagram_input, too_big_behind_the_link)
{
	static const uint8_t payload[1500];

	BOTH_ROLES(role)
	{
		struct stage *stage = datagram_open(role);
		struct recipe tcp = datagram_formatted(role, LINK_V6, v4);
		struct packet packet;

		tcp.payload = (struct octets){payload, 1500 - 28};
		packet = packet_build(&tcp);
		datagram_expect(stage, datagram_receivers[role], &packet,
				"redirect datagram_received");
		tcp.payload.count++;
		packet = packet_build(&tcp);
		datagram_expect(stage, datagram_receivers[role], &packet, "pass datagram_too_big");
	}
}

Test(datagram_input, no_path)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = datagram_open(role);
		struct packet packet = udp_to(role, v4);

		datagram_use_link(stage, PLAIT_NO_PATH);
		datagram_expect(stage, datagram_senders[role], &packet, "pass datagram_no_path");
		datagram_use_link(stage, 2);
		datagram_expect(stage, datagram_senders[role], &packet, "pass datagram_no_path");
	}
}

/* 192.0.2.9 is on wan0, and nobody has heard of it. */
Test(datagram_input, no_next_hop)
{
	struct stage *stage = datagram_open(CONCENTRATOR);
	struct datagram_inner inner = *v4;
	struct packet packet;
	uint32_t wan = stage_ifindex("wan0");

	inner.remote = "192.0.2.9";
	packet = tcp_to(CONCENTRATOR, &inner);
	datagram_expect(stage, "datagram_customer", &packet, "pass datagram_no_next_hop");
	inner.remote = "10.0.0.1"; /* this machine itself */
	packet = tcp_to(CONCENTRATOR, &inner);
	datagram_expect(stage, "datagram_customer", &packet, "pass datagram_no_next_hop");
	inner.remote = "10.0.0.2"; /* behind an interface that is no internet-facing one */
	packet = tcp_to(CONCENTRATOR, &inner);
	datagram_expect(stage, "datagram_customer", &packet, "pass datagram_no_next_hop");
	cr_assert_eq(bpf_map_delete_elem(stage_map(stage, "datagram_interfaces"), &wan), 0);
	packet = tcp_to(CONCENTRATOR, v4);
	datagram_expect(stage, "datagram_customer", &packet, "pass datagram_no_next_hop");
}
