// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Datagram mode attached: a host's UDP leaves over the link as it should look there. */
#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <linux/if_link.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "datagram_stage.h"
#include "live.h"

static void attach(const struct stage *stage, const char *program, const char *interface,
		   uint32_t mode)
{
	struct bpf_program *found = bpf_object__find_program_by_name(stage->object, program);

	cr_assert_eq(
		bpf_xdp_attach((int)stage_ifindex(interface), bpf_program__fd(found), mode, NULL),
		0, "%s at %s", program, interface);
}

static void expect_on_link(struct stage *stage, uint8_t link, uint32_t n)
{
	const struct datagram_inner *inner = &datagram_inners[0];
	struct recipe udp = datagram_from_host(inner),
		      tcp = datagram_formatted(CONCENTRATOR, link, inner);
	struct packet in = packet_build_udp(&udp), expected, got;
	int host = live_open("host0", 0), isp = live_open("isp0", 0);

	datagram_use_link(stage, link);
	live_send(host, &in);
	cr_assert(live_receive(isp, &got, LIVE_WAIT_MS));
	tcp.payload = udp.payload;
	tcp.ttl = 63;
	tcp.seq = 1;
	tcp.ack = n;
	if (link == LINK_V4)
		tcp.id = udp.id;
	expected = packet_build(&tcp);
	cr_assert_eq(got.bytes, expected.bytes);
	cr_assert_arr_eq(got.frame, expected.frame, expected.bytes);
	cr_assert_str_eq(live_counted(stage), "datagram_sent");
}

/* The far end of a veth takes redirected frames if it has an XDP program itself. */
Test(datagram_live, U3_over_the_link_in_the_driver)
{
	struct stage *stage = datagram_open(CPE);

	attach(stage, "datagram_lan", "lan0", XDP_FLAGS_DRV_MODE);
	attach(stage, "datagram_link", "wan0", XDP_FLAGS_DRV_MODE);
	attach(stage, "datagram_link", "isp0", XDP_FLAGS_DRV_MODE);
	expect_on_link(stage, LINK_V4, 1);
	expect_on_link(stage, LINK_V6, 2);
}

Test(datagram_live, U3_over_the_link_in_the_stack)
{
	struct stage *stage = datagram_open(CPE);

	attach(stage, "datagram_lan", "lan0", XDP_FLAGS_SKB_MODE);
	expect_on_link(stage, LINK_V4, 1);
	expect_on_link(stage, LINK_V6, 2);
}

/* A socket at host0, whose device leaves the checksum to whoever comes next. */
static void send_from_socket(const char *text)
{
	const struct sockaddr_in from = {.sin_family = AF_INET,
					 .sin_port = htons(datagram_inners[0].host_port),
					 .sin_addr.s_addr = inet_addr("10.0.0.2")};
	const struct sockaddr_in to = {.sin_family = AF_INET,
				       .sin_port = htons(53),
				       .sin_addr.s_addr = inet_addr("198.51.100.77")};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	stage_ip("addr add 10.0.0.2/32 dev host0\n"
		 "neigh add 10.0.0.1 lladdr 02:00:00:00:00:01 dev host0\n"
		 "route add 10.0.0.1/32 dev host0\n"
		 "route add 198.51.100.0/24 via 10.0.0.1 dev host0\n");
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "host0", 5), 0);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&from, sizeof(from)), 0);
	cr_assert_eq(sendto(fd, text, strlen(text), 0, (const struct sockaddr *)&to, sizeof(to)),
		     (ssize_t)strlen(text));
}

Test(datagram_live, a_neighbour_on_this_machine_has_no_checksum_yet)
{
	struct stage *stage = datagram_open(CPE);
	struct recipe tcp = datagram_formatted(CONCENTRATOR, LINK_V6, &datagram_inners[0]);
	struct packet expected, got;
	int isp = live_open("isp0", 0);

	attach(stage, "datagram_lan", "lan0", XDP_FLAGS_DRV_MODE);
	attach(stage, "datagram_link", "wan0", XDP_FLAGS_DRV_MODE);
	attach(stage, "datagram_link", "isp0", XDP_FLAGS_DRV_MODE);
	datagram_use_link(stage, LINK_V6);
	send_from_socket("from a socket");
	cr_assert(live_receive(isp, &got, LIVE_WAIT_MS));
	cr_expect_str_eq(live_counted(stage), "datagram_sent_summed");
	tcp.payload = TEXT("from a socket");
	tcp.ttl = 63;
	tcp.seq = tcp.ack = 1;
	expected = packet_build(&tcp);
	cr_assert_eq(got.bytes, expected.bytes);
	cr_assert_arr_eq(got.frame, expected.frame, expected.bytes);
}
