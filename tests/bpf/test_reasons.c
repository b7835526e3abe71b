// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Every reason that the programs can count, provoked once. The table is complete
 * if it provokes what the sources name: a new reason in bpf/ fails this test
 * until it has a row.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <ctype.h>
#include <glob.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "datagram_stage.h"
#include "live.h"

#define HOST     .from = "10.0.0.2", .from_port = 40000
#define SERVER   .to = "198.51.100.7", .to_port = 443
#define CUSTOMER .from = "192.0.2.77", .from_port = 40000, .to = "203.0.113.1", .to_port = 6824
#define MP_CAPABLE                    \
	{                             \
		"\x1e\x04\x01\x01", 4 \
	}
#define MP_JOIN                                      \
	{                                            \
		"\x1e\x0c\x10\x01\0\0\0\0\0\0\0", 12 \
	}
#define PREAMBLE                                      \
	{                                             \
		"\x1e\x08\xe0\x06\xc6\x33\x64\x07", 9 \
	}

enum { LEG = MARK_BASE + PLAIT_MARK_LEG };

static const uint8_t long_payload[PLAIT_FRAME_MAX];

struct row {
	const char *program, *outcome;
	struct recipe recipe;
	uint32_t mark;
};

static const struct row cpe_rows[] = {
	{"lan_ingress", "next direct_other", {HOST, SERVER, .protocol = IPPROTO_UDP}, 0},
	{"lan_ingress",
	 "next direct_local",
	 {HOST, .to = "224.0.0.1", .to_port = 443, .flags = SYN},
	 0},
	{"lan_ingress",
	 "next direct_lan",
	 {HOST, .to = "10.1.0.7", .to_port = 443, .flags = SYN},
	 0},
	{"lan_ingress",
	 "next direct_policy",
	 {HOST, .to = "198.51.100.7", .to_port = 80, .flags = SYN},
	 0},
	{"lan_ingress", "next direct_stateless", {HOST, SERVER, .flags = ACK}, 0},
	{"lan_ingress",
	 "drop drop_policy",
	 {HOST, .to = "198.51.100.7", .to_port = 81, .flags = SYN},
	 0},
	{"lan_ingress",
	 "drop drop_malformed",
	 {.from = "fd00:1::2",
	  .to = "2001:db8::7",
	  .first_extension = IPPROTO_DSTOPTS,
	  .extra = {"\x06\xff\x01\x04\0\0\0", 8},
	  .flags = SYN},
	 0},
	{"lan_ingress", "drop steer_failed", {HOST, .to = "198.51.100.8", .flags = ACK}, 0},
	{"lan_ingress", "drop syn_held", {HOST, SERVER, .flags = SYN}, 0},
	{"lan_ingress",
	 "drop syn_hold_failed",
	 {HOST, SERVER, .flags = SYN, .payload = {long_payload, sizeof(long_payload)}},
	 0},
	{"leg_egress_ether",
	 "next mark 0x7002 syn_sent_twice",
	 {CUSTOMER, .flags = SYN, .options = MP_CAPABLE, .payload = PREAMBLE},
	 LEG},
	{"leg_egress_ether",
	 "drop syn_bare_dropped",
	 {CUSTOMER, .flags = SYN, .options = MP_CAPABLE},
	 LEG},
};

static const struct row concentrator_rows[] = {
	{"internet_ingress", "drop source_not_allowed", {CUSTOMER, .flags = SYN}, 0},
	{"internet_egress",
	 "drop join_not_allowed",
	 {CUSTOMER, .flags = SYN, .options = MP_JOIN},
	 LEG},
	{"customer_ingress",
	 "next syn_without_payload",
	 {CUSTOMER, .flags = SYN, .options = MP_CAPABLE},
	 0},
	{"customer_ingress",
	 "drop join_with_payload",
	 {CUSTOMER, .flags = SYN, .options = MP_JOIN, .payload = PREAMBLE},
	 0},
};

static void run_rows(struct stage *stage, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct packet packet = packet_build(&rows[i].recipe);

		cr_expect_str_eq(stage_run(stage, rows[i].program, &packet,
					   (struct stage_context){.interface = "wan0",
								  .mark = rows[i].mark}),
				 rows[i].outcome);
	}
}

static void add_seen(const struct stage *stage, bool seen[PLAIT_REASON_COUNT])
{
	for (int reason = 0; reason < PLAIT_REASON_COUNT; reason++)
		seen[reason] |= stage->seen[reason] > 0;
}

static void run_cpe(bool seen[PLAIT_REASON_COUNT])
{
	struct stage *stage = stage_open(CPE);
	struct plait_policy_rule rule = {.source_port_last = 65535, .in_use = 1};
	const struct recipe session = {HOST, .to = "198.51.100.8"};

	rule.destination_port_first = rule.destination_port_last = 80;
	rule.action = PLAIT_DIRECT;
	stage_put_policy(stage, 0, &rule);
	rule.destination_port_first = rule.destination_port_last = 81;
	rule.action = PLAIT_DROP;
	stage_put_policy(stage, 1, &rule);
	stage_add_session(stage, &session);
	run_rows(stage, cpe_rows, sizeof(cpe_rows) / sizeof(cpe_rows[0]));
	add_seen(stage, seen);
}

/* syn_let_go and steered segments: a test run cannot assign sockets. */
static void run_live(bool seen[PLAIT_REASON_COUNT])
{
	const struct recipe up = {HOST, SERVER};
	const struct recipe down = {
		.from = up.to, .from_port = up.to_port, .to = up.from, .to_port = up.from_port};
	struct stage *stage = stage_open(CPE);
	struct bonded bonded = bonded_stage(stage, &up);
	struct packet packet;

	bonded_establish(&bonded);
	stage_remove_session(stage, &up);
	cr_expect_str_eq(bonded_send(&bonded, ACK, TEXT("late")), "steered_closing");
	packet = packet_icmp_error("10.0.0.2", &down, 3, 1);
	cr_expect_str_eq(live_run(stage, bonded.host, &packet), "steered_error");
	add_seen(stage, seen);
}

/* Segments that nobody has. */
static void run_stateless(bool seen[PLAIT_REASON_COUNT])
{
	struct plait_prefix_key anywhere = {};
	struct recipe down = {
		.from = "198.51.100.7", .from_port = 443, .to = "203.0.113.66", .flags = ACK};
	struct stage *stage = stage_open(CONCENTRATOR);
	const char *said = "";
	int isp = live_open("isp0", 0);

	live_deliver_marked();
	live_listener(AF_INET, 0);
	live_attach(stage, "internet_ingress", "wan0", LIVE_INGRESS);
	stage_put(stage, "pool_prefixes", &anywhere, &(uint8_t){1});
	cr_expect_str_eq(live_run_recipe(stage, isp, &down), "stateless_reset");
	for (int i = 0; i < 2000 && strcmp(said, "drop stateless_limited"); i++)
		said = stage_run_recipe(stage, "internet_ingress", &down);
	cr_expect_str_eq(said, "drop stateless_limited");
	down.flags = RST;
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &down),
			 "drop stateless_dropped");
	down.flags = SYN;
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &down),
			 "drop syn_unsolicited");
	down.protocol = IPPROTO_UDP;
	cr_expect_str_eq(stage_run_recipe(stage, "internet_ingress", &down),
			 "drop udp_unsolicited");
	add_seen(stage, seen);
}

static void run_datagrams(bool seen[PLAIT_REASON_COUNT])
{
	struct plait_settings settings = stage_settings();
	const struct recipe up = {HOST, SERVER, .protocol = IPPROTO_UDP};
	struct recipe first = up, later = up;
	struct stage *stage;

	settings.udp = PLAIT_UDP_STREAM;
	stage = stage_open_with(CPE, &settings);
	cr_expect_str_eq(stage_run_recipe(stage, "lan_ingress", &up),
			 "pass mark 0x7000 udp_steered");
	later.fragment = 1;
	cr_expect_str_eq(stage_run_recipe(stage, "lan_ingress", &later), "drop fragment_early");
	first.fragment = 0x2000;
	cr_expect_str_eq(stage_run_recipe(stage, "lan_ingress", &first),
			 "pass mark 0x7000 udp_steered fragment_let_go");
	later.from = "10.0.0.3";
	later.payload = (struct octets){long_payload, sizeof(long_payload)};
	cr_expect_str_eq(stage_run_recipe(stage, "lan_ingress", &later), "drop fragment_dropped");
	add_seen(stage, seen);
}

/* Until the ring buffer is full: nobody reads it. */
static void run_held_datagrams(bool seen[PLAIT_REASON_COUNT])
{
	enum { MORE_THAN_FIT = PLAIT_DATAGRAM_RING_BYTES / 1800 + 1 };
	struct plait_settings settings = stage_settings();
	const struct recipe up = {HOST, SERVER, .protocol = IPPROTO_UDP,
				  .payload = {long_payload, 1800}};
	const char *outcome = "";
	struct stage *stage;

	settings.udp = PLAIT_UDP_DATAGRAM;
	stage = stage_open_with(CPE, &settings);
	cr_expect_str_eq(stage_run_recipe(stage, "lan_ingress", &up), "drop datagram_held");
	add_seen(stage, seen);
	for (int i = 0; i < MORE_THAN_FIT; i++)
		outcome = stage_run_recipe(stage, "lan_ingress", &up);
	cr_expect_str_eq(outcome, "drop datagram_hold_failed");
	add_seen(stage, seen);
}

/* A subflow of a connection from the internet: the listener for its port takes it. */
static void run_join(bool seen[PLAIT_REASON_COUNT])
{
	const struct sockaddr_in at = {.sin_family = AF_INET,
				       .sin_port = htons(8080),
				       .sin_addr.s_addr = inet_addr("127.112.0.1")};
	const struct recipe join = {.from = "203.0.113.1",
				    .from_port = 40000,
				    .to = "192.0.2.2",
				    .to_port = 8080,
				    .flags = SYN,
				    .options = MP_JOIN};
	struct stage *stage = stage_open(CPE);
	int listener = socket(AF_INET, SOCK_STREAM, 0), isp = live_open("isp0", 0);

	cr_assert_eq(bind(listener, (const struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(listener, 1), 0);
	stage_put_binding(stage, NULL, 8080);
	stage_put_addr(stage, "concentrators", "203.0.113.1", 0);
	stage_put_addr(stage, "local_addresses", "192.0.2.2", 0);
	live_attach(stage, "leg_ingress_ether", "wan0", LIVE_INGRESS);
	cr_expect_str_eq(live_run_recipe(stage, isp, &join), "join_steered");
	add_seen(stage, seen);
}

static void run_concentrator(bool seen[PLAIT_REASON_COUNT])
{
	uint32_t zero = 0, one = 1;
	struct recipe syn = {CUSTOMER, .flags = SYN, .options = MP_CAPABLE, .payload = PREAMBLE};
	struct stage *stage = stage_open(CONCENTRATOR);

	stage_put_addr(stage, "customer_addresses", "203.0.113.1", 6824);
	syn.seq = live_connect_here(&syn).seq;
	cr_expect_str_eq(stage_run_recipe(stage, "customer_ingress", &syn), "drop syn_duplicate");
	add_seen(stage, seen);
	syn.seq += 1U << 30;
	cr_expect_str_eq(stage_run_recipe(stage, "customer_ingress", &syn),
			 "next syn_met_connection");
	add_seen(stage, seen);
	run_rows(stage, concentrator_rows, sizeof(concentrator_rows) / sizeof(struct row));
	add_seen(stage, seen);
	syn.payload = (struct octets){};
	stage_put(stage, "draining", &zero, &one);
	cr_expect_str_eq(stage_run_recipe(stage, "customer_ingress", &syn), "drop draining");
	add_seen(stage, seen);
}

#define DATAGRAM_HOST_TO(address, port) \
	.from = "10.0.0.2", .from_port = port, .to = address, .to_port = 53
#define DATAGRAM_HOST DATAGRAM_HOST_TO("198.51.100.77", 5000)
#define DATAGRAM_HOST_V6 \
	.from = "fd00:1::2", .from_port = 5000, .to = "2001:db8:f::7", .to_port = 53
#define DATAGRAM_LEG_AT(port, wan_port)                                                   \
	.from = "203.0.113.1", .from_port = port, .to = "192.0.2.2", .to_port = wan_port, \
	.flags = ACK
#define DATAGRAM_LEG DATAGRAM_LEG_AT(6825, 40001)
#define PM_OPTION(subtype, port)                                          \
	{                                                                 \
		"\x1e\x0a" subtype "\0\xc6\x33\x64\x4d\0" port "\1\1", 12 \
	}

/* protocol UDP: the host's; TCP: the concentrator's. Octets are put in afterwards. */
struct datagram_row {
	const char *outcome;
	struct recipe recipe;
	uint16_t at[2];
	uint8_t octet;
};

static const struct datagram_row datagram_rows[] = {
	{"redirect datagram_sent", {DATAGRAM_HOST}, {}, 0},
	{"redirect datagram_sent_summed", {DATAGRAM_HOST}, {40, 41}, 0},
	{"pass datagram_direct", {DATAGRAM_HOST_TO("10.1.0.2", 5000)}, {}, 0},
	{"pass datagram_new", {DATAGRAM_HOST_TO("198.51.100.77", 5001)}, {}, 0},
	{"pass datagram_too_big", {DATAGRAM_HOST, .payload = {long_payload, 1480}}, {}, 0},
	{"pass datagram_ttl_left", {DATAGRAM_HOST, .ttl = 1}, {}, 0},
	{"drop datagram_malformed", {DATAGRAM_HOST}, {38, 39}, 1},
	{"drop datagram_ip_options", {DATAGRAM_HOST, .extra = {"\1\1\1\1", 4}}, {}, 0},
	{"drop datagram_ip_checksum", {DATAGRAM_HOST}, {24, 25}, 0},
	{"drop datagram_no_checksum", {DATAGRAM_HOST_V6}, {60, 61}, 0},
	{"redirect datagram_received", {DATAGRAM_LEG, .options = PM_OPTION("\xec", "5")}, {}, 0},
	{"drop datagram_no_option", {DATAGRAM_LEG}, {}, 0},
	{"drop datagram_not_udp", {DATAGRAM_LEG, .options = PM_OPTION("\xe8", "5")}, {}, 0},
	{"drop datagram_option", {DATAGRAM_LEG, .options = PM_OPTION("\xe4", "5")}, {}, 0},
	{"drop datagram_forbidden", {DATAGRAM_LEG, .options = PM_OPTION("\xec", "\0")}, {}, 0},
	{"drop datagram_ttl", {DATAGRAM_LEG, .ttl = 1, .options = PM_OPTION("\xec", "5")}, {}, 0},
	{"drop datagram_source",
	 {DATAGRAM_LEG_AT(1, 40001), .options = PM_OPTION("\xec", "5")},
	 {},
	 0},
	{"drop datagram_unknown",
	 {DATAGRAM_LEG_AT(6825, 1), .options = PM_OPTION("\xec", "5")},
	 {},
	 0},
};

static void run_datagram_row(struct stage *stage, const struct datagram_row *row)
{
	bool udp = !row->recipe.flags;
	struct packet packet = udp ? packet_build_udp(&row->recipe) : packet_build(&row->recipe);

	for (int i = 0; i < 2 && row->at[i]; i++)
		packet.frame[row->at[i]] = row->octet;
	datagram_expect(stage, udp ? "datagram_lan" : "datagram_link", &packet, row->outcome);
}

/* DF is set: its sender is told, until he has been told often enough. */
static void run_datagram_mtu(struct stage *stage)
{
	const struct recipe udp = {DATAGRAM_HOST, .fragment = 0x4000,
				   .payload = {long_payload, 1480}};
	struct packet packet = packet_build_udp(&udp), out;

	for (int i = 0; i < 200; i++)
		datagram_verdict_of(stage, "datagram_lan", &packet, &out);
	stage_counted(stage);
}

static void run_fragment(struct stage *stage, const char *program, const struct packet *whole,
			 struct slice slice, const char *outcome)
{
	struct packet packet = packet_fragment(whole, slice);
	struct conversion got = datagram_run(stage, program, &packet);

	cr_expect_str_eq(got.outcome, outcome, "%s, not %s", got.outcome, outcome);
}

static void run_datagram_fragments(bool seen[PLAIT_REASON_COUNT])
{
	const struct recipe udp = {DATAGRAM_HOST, .payload = {long_payload, 1472}};
	const struct recipe tcp = {DATAGRAM_LEG, .options = PM_OPTION("\xec", "5"),
				   .payload = {long_payload, 1480}};
	const struct recipe apart = {DATAGRAM_LEG, .options = PM_OPTION("\xec", "5"),
				     .window = 1480, .payload = {long_payload, 1472}};
	struct packet out = packet_build_udp(&udp), in = packet_build(&tcp),
		      pieces = packet_build(&apart);
	struct slice first = {.bytes = 800, .more = true},
		     last = {.from = 800, .bytes = 680, .offset = 800};
	struct stage *stage = datagram_open(CPE);

	run_fragment(stage, "datagram_lan", &out, first, "redirect datagram_sent");
	run_fragment(stage, "datagram_lan", &out, first, "drop datagram_fragment_overlap");
	run_fragment(stage, "datagram_lan", &out, last, "redirect datagram_fragment_sent");
	run_fragment(stage, "datagram_lan", &out, last, "drop datagram_fragment_early");
	for (uint32_t i = 0; i < 2 * PLAIT_FRAGMENT_PLACES; i++) {
		struct packet piece;

		last.id = i;
		piece = packet_fragment(&out, last);
		datagram_verdict_of(stage, "datagram_lan", &piece, &in);
	}
	stage_counted(stage);
	in = packet_build(&tcp);
	run_fragment(stage, "datagram_link", &in, first, "pass datagram_fragment");
	first.id = last.id = 1;
	datagram_put_fragmentation(stage, true);
	run_fragment(stage, "datagram_link", &in, first, "drop datagram_fragment_kept");
	first.id = last.id = 2;
	run_fragment(stage, "datagram_link", &pieces, first, "redirect datagram_received");
	last.from += 24;
	run_fragment(stage, "datagram_link", &pieces, last, "redirect datagram_fragment_received");
	first.id = last.id = 3;
	first.bytes = 16;
	run_fragment(stage, "datagram_link", &pieces, first, "drop datagram_fragment_tiny");
	run_fragment(stage, "datagram_link", &pieces, last, "drop datagram_fragment_refused");
	datagram_make_fragments_old(stage);
	run_fragment(stage, "datagram_link", &pieces, last,
		     "drop datagram_fragment_early datagram_fragment_expired");
	datagram_put_mtu(stage, LINK_V4, 1500);
	cr_expect_str_eq(datagram_run(stage, "datagram_lan", &out).outcome, "pass datagram_cut");
	add_seen(stage, seen);
}

static void run_datagram(bool seen[PLAIT_REASON_COUNT])
{
	const struct datagram_row no_path = {"pass datagram_no_path", {DATAGRAM_HOST}, {}, 0};
	const struct datagram_row no_next_hop = {"pass datagram_no_next_hop",
						 {DATAGRAM_LEG, .options = PM_OPTION("\xec", "5")},
						 {},
						 0};
	struct stage *stage = datagram_open(CPE);
	struct plait_path path = datagram_path(stage, LINK_V4);
	uint32_t lan = stage_ifindex("lan0");

	path.mtu = 1500;
	datagram_put_path(stage, LINK_V4, &path);
	datagram_put_direct(stage, "10.1.0.0", 24);
	for (size_t i = 0; i < sizeof(datagram_rows) / sizeof(datagram_rows[0]); i++)
		run_datagram_row(stage, &datagram_rows[i]);
	run_datagram_mtu(stage);
	datagram_use_link(stage, PLAIT_NO_PATH);
	run_datagram_row(stage, &no_path);
	add_seen(stage, seen);
	stage = datagram_open(CPE);
	cr_assert_eq(bpf_map_delete_elem(stage_map(stage, "datagram_interfaces"), &lan), 0);
	run_datagram_row(stage, &no_next_hop);
	datagram_expect_no_room(stage);
	add_seen(stage, seen);
}

static void run_datagram_filter(bool seen[PLAIT_REASON_COUNT])
{
	struct stage *stage = datagram_open(CONCENTRATOR);
	struct recipe udp = datagram_from_remote(&datagram_inners[0]);
	struct packet packet = packet_build_udp(&udp);

	datagram_put_filtering(stage, PLAIT_FILTERING_ADDRESS_DEPENDENT, 1);
	datagram_expect(stage, "datagram_internet", &packet, "drop datagram_filtered");
	add_seen(stage, seen);
}

static void run_datagram_order(bool seen[PLAIT_REASON_COUNT])
{
	static const struct {
		uint32_t number;
		size_t bytes;
	} packets[] = {{5, 10}, {3, 10}, {7, 10}, {8, PLAIT_EARLY_FRAME_MAX}};
	struct stage *stage = datagram_open(CPE);

	datagram_put_in_order(stage, 5);
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		const struct recipe tcp = {DATAGRAM_LEG, .options = PM_OPTION("\xec", "5"),
					   .ack = packets[i].number,
					   .payload = {long_payload, packets[i].bytes}};
		struct packet packet = packet_build(&tcp), out;

		datagram_verdict_of(stage, "datagram_link", &packet, &out);
	}
	stage_counted(stage);
	add_seen(stage, seen);
}

/* All of bpf/, comments and all: no comment there names a reason in capitals. */
static char *sources(void)
{
	static char text[1 << 18];
	size_t used = 0;
	glob_t found;

	cr_assert_eq(glob("bpf/*.bpf.c", 0, NULL, &found), 0, "run from the repository's root");
	cr_assert_eq(glob("bpf/lib/*.h", GLOB_APPEND, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *file = fopen(found.gl_pathv[i], "r");

		cr_assert_not_null(file);
		used += fread(text + used, 1, sizeof(text) - used, file);
		cr_assert_lt(used, sizeof(text));
		fclose(file);
	}
	return text;
}

static bool names(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += len)
		if (!isalnum(at[len]) && at[len] != '_')
			return true;
	return false;
}

Test(reasons, each_that_a_program_counts_is_provoked)
{
	static const char *const words[] = {
#define X(id, name, text) "PLAIT_" #id,
		PLAIT_REASONS(X)
#undef X
	};
	bool seen[PLAIT_REASON_COUNT] = {};
	const char *text = sources();

	run_cpe(seen);
	run_live(seen);
	run_concentrator(seen);
	run_stateless(seen);
	run_join(seen);
	run_datagrams(seen);
	run_held_datagrams(seen);
	run_datagram(seen);
	run_datagram_fragments(seen);
	run_datagram_filter(seen);
	run_datagram_order(seen);
	for (int reason = 0; reason < PLAIT_REASON_COUNT; reason++)
		cr_expect_eq(seen[reason], names(text, words[reason]), "%s: %s", words[reason],
			     seen[reason] ? "counted, but not named" : "named, but never counted");
}
