// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Segments on their way to real sockets, through attached programs. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "live.h"

static const struct recipe up_v4 = {
	.from = "10.0.0.2", .to = "198.51.100.7", .from_port = 40000, .to_port = 443, .seq = 1000};
static const struct recipe up_v6 = {.from = "fd00:1::2",
				    .to = "2001:db8:f::7",
				    .from_port = 40000,
				    .to_port = 443,
				    .seq = 1000};
static const struct octets nothing;

static void expect_read(int fd, const char *expected)
{
	char got[64] = "";

	cr_expect(live_ready(fd));
	cr_expect_eq(read(fd, got, sizeof(got) - 1), (ssize_t)strlen(expected), "%s",
		     strerror(errno));
	cr_expect_str_eq(got, expected);
}

/* From SYN to data: nothing is rewritten, so the socket has the host's own addresses. */
static void serve(const struct recipe *up)
{
	struct stage *stage = stage_open(CPE);
	struct bonded bonded = bonded_stage(stage, up);
	struct plait_addr local = packet_addr(up->to, up->to_port);
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	const void *ip;

	bonded_establish(&bonded);
	cr_expect_str_eq(bonded_send(&bonded, PSH | ACK, TEXT("hello")), "steered");
	expect_read(bonded.accepted, "hello");
	cr_assert_eq(getsockname(bonded.accepted, (struct sockaddr *)&name, &len), 0);
	ip = name.ss_family == AF_INET ? (const void *)&((struct sockaddr_in *)&name)->sin_addr
				       : (const void *)&((struct sockaddr_in6 *)&name)->sin6_addr;
	cr_expect_eq(name.ss_family, local.family);
	cr_expect_arr_eq(ip, local.ip, local.family == AF_INET ? 4 : 16);
	cr_expect_eq(((struct sockaddr_in *)&name)->sin_port, local.port);
	/* the SYN let go is not counted: it was when it was held, before the session */
	cr_expect_eq(stage_session(stage, up).up_packets, 2);
	cr_expect_eq(stage_session(stage, up).state, PLAIT_SESSION_ESTABLISHED);
}

Test(steer, serves_an_ipv4_connection)
{
	serve(&up_v4);
}

Test(steer, serves_an_ipv6_connection)
{
	serve(&up_v6);
}

/* The mark is what makes a packet for somebody else stay here. */
Test(steer, marks_what_it_steers)
{
	struct stage *stage = stage_open(CPE);
	struct bonded bonded = bonded_stage(stage, &up_v4);
	int raw = live_raw_socket(IPPROTO_TCP);

	bonded_establish(&bonded);
	cr_expect_eq(live_mark_delivered(raw), MARK_BASE + PLAIT_MARK_STEER, "SYN let go");
	cr_expect_eq(live_mark_delivered(raw), MARK_BASE + PLAIT_MARK_STEER, "ACK");
	bonded_send(&bonded, PSH | ACK, TEXT("hello"));
	cr_expect_eq(live_mark_delivered(raw), MARK_BASE + PLAIT_MARK_STEER, "data");
}

/* A repeated SYN, then, belongs to the connection, and is not held a second time. */
Test(steer, takes_segments_for_a_half_open_connection)
{
	struct stage *stage = stage_open(CPE);
	struct bonded bonded = bonded_stage(stage, &up_v4);
	struct packet answer;

	bonded.up.flags = SYN;
	live_run_recipe(stage, bonded.host, &bonded.up);
	cr_assert(stage_take_held(stage));
	stage_add_session(stage, &bonded.up);
	live_let_go(stage, bonded.tap, 0);
	cr_assert_str_eq(live_counted(stage), "syn_let_go");
	cr_assert(live_receive(bonded.host, &answer, LIVE_WAIT_MS));
	cr_expect_str_eq(live_run_recipe(stage, bonded.host, &bonded.up), "syn_met_connection");
	cr_expect_not(stage_take_held(stage));
}

Test(steer, goes_on_after_the_session_has_ended)
{
	struct stage *stage = stage_open(CPE);
	struct bonded bonded = bonded_stage(stage, &up_v4);

	bonded_establish(&bonded);
	stage_remove_session(stage, &up_v4);
	cr_expect_str_eq(bonded_send(&bonded, PSH | ACK, TEXT("late")), "steered_closing");
	expect_read(bonded.accepted, "late");
}

static void reset_socket(int fd)
{
	struct linger at_once = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
}

Test(steer, drops_segments_of_a_session_without_socket)
{
	struct stage *stage = stage_open(CPE);
	struct bonded bonded = bonded_stage(stage, &up_v4);

	bonded_establish(&bonded);
	reset_socket(bonded.accepted);
	cr_expect_str_eq(bonded_send(&bonded, PSH | ACK, TEXT("lost")), "steer_failed");
	cr_expect_eq(stage_session(stage, &up_v4).up_packets, 2, "it counts all the same");
	/* the host starts again from the same port before the session is gone */
	cr_expect_str_eq(bonded_send(&bonded, SYN, nothing), "syn_held");
	stage_remove_session(stage, &up_v4);
	cr_expect_str_eq(bonded_send(&bonded, PSH | ACK, TEXT("lost")), "direct_stateless");
}

/* The agent closes first, so its side waits: last ACKs go there, a new SYN does not. */
Test(steer, time_wait_takes_the_rest_but_no_new_connection)
{
	struct stage *stage = stage_open(CPE);
	struct bonded bonded = bonded_stage(stage, &up_v4);

	bonded_establish(&bonded);
	close(bonded.accepted);
	bonded.up.ack++;
	cr_expect_str_eq(bonded_send(&bonded, FIN | ACK, nothing), "steered");
	cr_expect_str_eq(bonded_send(&bonded, ACK, nothing), "steered");
	stage_remove_session(stage, &up_v4);
	cr_expect_str_eq(bonded_send(&bonded, ACK, nothing), "steered_closing");
	cr_expect_str_eq(bonded_send(&bonded, SYN, nothing), "syn_met_connection",
			 "no later than what was received");
	bonded.up.seq++;
	cr_expect_str_eq(bonded_send(&bonded, SYN, nothing), "syn_held");
	stage_add_session(stage, &up_v4);
	cr_expect_str_eq(bonded_send(&bonded, SYN, nothing), "syn_held");
}

/* Somebody listens on the destination: that is another's, not the session's. */
Test(steer, does_not_take_a_listener_for_the_connection)
{
	struct stage *stage = stage_open(CPE);
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(443)};
	struct recipe ack = up_v4;

	setsockopt(listener, SOL_IP, IP_TRANSPARENT, &on, sizeof(on));
	cr_assert_eq(bind(listener, (struct sockaddr *)&any, sizeof(any)), 0);
	cr_assert_eq(listen(listener, 1), 0);
	live_attach(stage, "lan_ingress", "lan0", LIVE_INGRESS);
	ack.flags = ACK;
	stage_add_session(stage, &up_v4);
	cr_expect_str_eq(live_run_recipe(stage, live_open("host0", 0), &ack), "steer_failed");
}

static const struct recipe customer_v4 = {
	.from = "192.0.2.77", .to = "192.0.2.2", .from_port = 40000, .to_port = 6824, .flags = SYN};
static const struct recipe customer_v6 = {.from = "2001:db8:1::77",
					  .to = "2001:db8:1::2",
					  .from_port = 40000,
					  .to_port = 6824,
					  .flags = SYN};

static struct stage *customer_side(int *tap, int *isp)
{
	struct stage *stage = stage_open(CONCENTRATOR);

	stage_put_addr(stage, "customer_addresses", "192.0.2.2", 6824);
	stage_put_addr(stage, "customer_addresses", "2001:db8:1::2", 6824);
	stage_ip("neigh add 192.0.2.77 lladdr 02:00:00:00:00:02 dev wan0\n"
		 "neigh add 2001:db8:1::77 lladdr 02:00:00:00:00:02 dev wan0\n");
	*tap = live_tun("tap0", IFF_TAP);
	live_attach(stage, "let_go", "tap0", LIVE_INGRESS);
	live_attach(stage, "customer_ingress", "wan0", LIVE_INGRESS);
	*isp = live_open("isp0", 0);
	return stage;
}

/* Hold, let go to worker, and see that this worker's listener answers. */
static void let_go_to(const struct recipe *syn, int family, unsigned int worker)
{
	int tap, isp, raw;
	struct stage *stage = customer_side(&tap, &isp);
	int listener = live_listener(family, worker), idle = live_listener(family, !worker);
	size_t l4 = packet_l4_offset(syn);
	struct packet answer;
	struct recipe ack = *syn;

	raw = live_raw_socket(IPPROTO_TCP);
	cr_assert_str_eq(live_run_recipe(stage, isp, syn), "syn_held");
	cr_assert(stage_take_held(stage));
	live_let_go(stage, tap, worker);
	cr_expect_str_eq(live_counted(stage), "syn_let_go");
	if (family == AF_INET)
		cr_expect_eq(live_mark_delivered(raw), 0, "it is for this machine anyway");
	cr_assert(live_receive(isp, &answer, LIVE_WAIT_MS));
	cr_expect_eq(answer.frame[l4 + 13], SYN | ACK);
	ack.flags = ACK;
	ack.seq++;
	memcpy(&ack.ack, answer.frame + l4 + 4, 4);
	ack.ack = ntohl(ack.ack) + 1;
	live_send(isp, &(struct packet[]){packet_build(&ack)}[0]);
	cr_expect(live_ready(listener));
	cr_expect_neq(accept4(listener, NULL, NULL, SOCK_NONBLOCK), -1, "%s", strerror(errno));
	cr_expect_eq(accept4(idle, NULL, NULL, SOCK_NONBLOCK), -1);
}

Test(let_go, reaches_the_worker_named_ipv4)
{
	let_go_to(&customer_v4, AF_INET, 0);
	let_go_to(&customer_v4, AF_INET, 1);
}

Test(let_go, reaches_the_worker_named_ipv6)
{
	let_go_to(&customer_v6, AF_INET6, 0);
	let_go_to(&customer_v6, AF_INET6, 1);
}

Test(let_go, drops_a_syn_whose_worker_does_not_listen)
{
	int tap, isp;
	struct stage *stage = customer_side(&tap, &isp);

	live_listener(AF_INET, 0);
	live_run_recipe(stage, isp, &customer_v4);
	cr_assert(stage_take_held(stage));
	live_let_go(stage, tap, 1);
	cr_expect_str_eq(live_counted(stage), "steer_failed");
	live_let_go(stage, tap, STAGE_WORKERS);
	cr_expect_str_eq(live_counted(stage), "steer_failed", "a worker that does not exist");
}

/* The true interface, not the TAP device, receives it. */
Test(let_go, comes_back_where_the_syn_had_arrived)
{
	int tap, isp;
	struct stage *stage = customer_side(&tap, &isp);
	struct packet packet = packet_build(&customer_v4), got;
	int wan = live_open("wan0", 0);

	live_run(stage, isp, &packet);
	cr_assert(live_receive(wan, &got, LIVE_WAIT_MS), "first time");
	cr_assert(stage_take_held(stage));
	live_let_go(stage, tap, 1);
	cr_assert(live_receive(wan, &got, LIVE_WAIT_MS), "let go");
	cr_expect_eq(got.bytes, packet.bytes);
	cr_expect_arr_eq(got.frame + 14, packet.frame + 14, packet.bytes - 14);
}

Test(let_go, redirects_and_marks)
{
	struct stage *cpe = stage_open(CPE);
	struct packet packet = packet_build(&customer_v4);

	cr_expect_str_eq(stage_run(cpe, "let_go", &packet, (struct stage_context){}),
			 "redirect mark 0x7003");
	cpe = stage_open(CONCENTRATOR);
	cr_expect_str_eq(stage_run(cpe, "let_go", &packet, (struct stage_context){}),
			 "redirect mark 0x7003");
}

/* Only a device without link-layer header can hand over so few octets. */
Test(let_go, drops_a_frame_too_short_for_its_tag)
{
	struct stage *stage = stage_open(CPE);
	int tun = live_tun("tun0", IFF_TUN);
	uint8_t frame[12] = {0x45};

	live_attach(stage, "let_go", "tun0", LIVE_INGRESS);
	cr_assert_eq(write(tun, frame, 11), 11);
	cr_expect_str_eq(live_counted(stage), "drop_malformed");
}

static void steer_short_frame(enum stage_role role, const char *program)
{
	struct stage *stage = stage_open(role);
	int tun = live_tun("tun0", IFF_TUN);
	uint8_t frame[12] = {0x45};

	live_paint("tun0", MARK_BASE + PLAIT_MARK_LET_GO);
	live_attach(stage, program, "tun0", LIVE_INGRESS);
	cr_assert_eq(write(tun, frame, 11), 11);
	cr_expect_str_eq(live_counted(stage), "drop_malformed");
}

Test(let_go, mark_on_a_frame_too_short_for_its_tag)
{
	steer_short_frame(CPE, "lan_ingress");
	steer_short_frame(CONCENTRATOR, "customer_ingress");
}
