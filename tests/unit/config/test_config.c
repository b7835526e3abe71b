/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <glob.h>
#include <sanitizer/lsan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

/* The least of each role: four lines, three lines. */
#define CPE                                     \
	"role: cpe\n"                           \
	"lan: {interfaces: [lan0]}\n"           \
	"links: [{name: dsl, interface: w1}]\n" \
	"concentrators: [{name: k1, addresses: [10.1.0.1]}]\n"
#define CONCENTRATOR                                            \
	"role: concentrator\n"                                  \
	"customer: {interfaces: [w1], addresses: [10.1.0.1]}\n" \
	"internet: {interfaces: [net0]}\n"

/* Its pools, from line 6 on, and a deterministic one up to its inside addresses in a second line. */
#define POOLS                                                   \
	"role: concentrator\n"                                  \
	"customer: {interfaces: [w1], addresses: [10.1.0.1]}\n" \
	"internet:\n  interfaces: [net0]\n  pools:\n"
#define FIXED "  - {prefix: 203.0.113.64/28, translation: deterministic,\n     "

static struct config config;
static struct config_error error;

static int read_bytes(const char *yaml, size_t len)
{
	FILE *file = tmpfile();
	int err;

	cr_assert(file);
	cr_assert_eq(fwrite(yaml, 1, len, file), len);
	rewind(file);
	error = (struct config_error){};
	err = config_read(file, &config, &error);
	fclose(file);
	/* what it reports at the end of a test's process would fail nothing */
	cr_expect_eq(__lsan_do_recoverable_leak_check(), 0, "leaks: %s", yaml);
	return err;
}

static int read_text(const char *yaml)
{
	return read_bytes(yaml, strlen(yaml));
}

static void expect_addr(const struct plait_addr *addr, int family, const char *text)
{
	struct plait_addr want = {.family = family};

	cr_assert_eq(inet_pton(family, text, want.ip), 1);
	cr_expect_eq(memcmp(addr, &want, sizeof(want)), 0, "not %s", text);
}

static void expect_prefix(const struct plait_prefix *prefix, int family, const char *text,
			  unsigned int bits)
{
	struct plait_prefix want = {.family = family, .bits = bits};

	cr_assert_eq(inet_pton(family, text, want.ip), 1);
	cr_expect_eq(memcmp(prefix, &want, sizeof(want)), 0, "not %s/%u", text, bits);
}

Test(config, cpe_defaults)
{
	cr_assert_eq(read_text(CPE), 0, "%s", error.text);
	cr_expect_str_eq(config.name, "cpe");
	cr_expect_eq(config.role, ROLE_CPE);
	cr_expect_eq(config.mode, MODE_PLAIN);
	cr_expect_eq(config.handshake, HANDSHAKE_FAITHFUL);
	cr_expect_eq(config.udp, UDP_STREAM);
	cr_expect_not(config.preserve_source_v4);
	cr_expect(config.preserve_source_v6);
	cr_expect_eq(config.dscp.leg, CONFIG_DSCP_PRESERVE);
	cr_expect_eq(config.dscp.plain, CONFIG_DSCP_PRESERVE);
	cr_expect_not(config.fastclose_on_expiry);
	cr_expect_eq(config.lifetimes.tcp_established_ms, 7440000);
	cr_expect_eq(config.lifetimes.tcp_transitory_ms, 240000);
	cr_expect_eq(config.lifetimes.reset_ms, 240000);
	cr_expect_eq(config.lifetimes.udp_ms, 300000);
	cr_expect_eq(config.workers, 0);
	cr_expect_eq(config.max_sessions, 65536);
	cr_expect_eq(config.max_held_syns, 4096);
	cr_expect_eq(config.max_subflows, 9);
	cr_expect_eq(config.drain_ms, 0);

	cr_expect_eq(config.lan.count, 1);
	cr_expect_str_eq(config.lan.name[0], "lan0");
	cr_expect_eq(config.link_count, 1);
	cr_expect_str_eq(config.links[0].type, "");
	cr_expect_eq(config.links[0].weight, 1);
	cr_expect_eq(config.links[0].use, USE_ALWAYS);
	cr_expect_eq(config.links[0].max_rtt_ms, 0);
	cr_expect_eq(config.links[0].max_loss_percent, 0);
	cr_expect_eq(config.congestion, CONGESTION_PLAIT);
	cr_expect_eq(config.when_unreachable, UNREACHABLE_DIRECT);
	cr_expect_eq(config.selection, SELECTION_ORDERED);
	cr_expect_eq(config.concentrators[0].weight, 1);
	cr_expect_eq(config.concentrators[0].check_ms, 800);
	cr_expect_eq(config.links[0].gateway4.family, 0);
	cr_expect_eq(config.links[0].gateway6.family, 0);
	cr_expect_eq(config.concentrator_count, 1);
	cr_expect_eq(config.concentrators[0].port, 6824);
	cr_expect_eq(config.policy_count, 0);
	cr_expect_eq(config.policy[0].in_use, 0);
	cr_expect_eq(config.customer.count, 0);
	cr_expect_eq(config.internet.count, 0);
}

Test(config, concentrator_defaults)
{
	cr_assert_eq(read_text(CONCENTRATOR), 0, "%s", error.text);
	cr_expect_str_eq(config.name, "concentrator");
	cr_expect_eq(config.role, ROLE_CONCENTRATOR);
	cr_expect_eq(config.mode, MODE_PLAIN);
	cr_expect_eq(config.udp, UDP_BOTH);
	cr_expect_eq(config.handshake, HANDSHAKE_FAITHFUL);
	cr_expect_not(config.preserve_source_v4);
	cr_expect(config.preserve_source_v6);
	cr_expect_eq(config.lifetimes.udp_ms, 300000);
	cr_expect_eq(config.max_sessions, 65536);
	cr_expect_eq(config.max_subflows, 9);
	cr_expect_eq(config.customer_port, 6824);
	cr_expect_eq(config.allow_count, 0);
	cr_expect_eq(config.pool_count, 0);
	cr_expect_eq(config.route_protocol, 0);
	cr_expect_eq(config.subscriber_count, 0);
	cr_expect_eq(config.link_count, 0);
	cr_expect_eq(config.lan.count, 0);
}

/* The two of design §6, to the letter. */
Test(config, cpe_of_the_design)
{
	static const char yaml[] =
		"name: cpe                        # default: the role\n"
		"role: cpe\n"
		"mode: plain                      # plain | transparent\n"
		"lan:\n"
		"  interfaces: [lan0]\n"
		"links:                           # access networks, best first\n"
		"  - {name: dsl, interface: w1, weight: 3}\n"
		"  - {name: lte, interface: w2, weight: 1, use: always}      # always | overflow | "
		"backup\n"
		"concentrators:\n"
		"  - name: k1\n"
		"    addresses: [10.1.0.1, 10.2.0.1]                          # any family; "
		"reachable over the links\n"
		"    port: 6824                                               # or: preserve\n"
		"policy:\n"
		"  - {match: {protocol: udp, destination_port: 53}, action: direct}   # bond | "
		"direct | drop; first match wins; default bond\n"
		"handshake: faithful              # faithful | eager\n"
		"udp: stream                      # stream | datagram | off\n"
		"preserve_source: {ipv4: false, ipv6: true}\n"
		"lifetimes: {tcp_established: 7440s, tcp_transitory: 240s, reset: 240s, udp: "
		"300s}\n";

	cr_assert_eq(read_text(yaml), 0, "%u:%u: %s", error.line, error.column, error.text);
	cr_expect_eq(config.link_count, 2);
	cr_expect_str_eq(config.links[0].name, "dsl");
	cr_expect_str_eq(config.links[0].interface, "w1");
	cr_expect_eq(config.links[0].weight, 3);
	cr_expect_str_eq(config.links[1].name, "lte");
	cr_expect_str_eq(config.links[1].interface, "w2");
	cr_expect_eq(config.links[1].weight, 1);
	cr_expect_str_eq(config.concentrators[0].name, "k1");
	cr_assert_eq(config.concentrators[0].address_count, 2);
	expect_addr(&config.concentrators[0].addresses[0].addr, AF_INET, "10.1.0.1");
	expect_addr(&config.concentrators[0].addresses[1].addr, AF_INET, "10.2.0.1");
	cr_assert_eq(config.policy_count, 1);
	cr_expect_eq(config.policy[0].in_use, 1);
	cr_expect_eq(config.policy[0].protocol, 17);
	cr_expect_eq(config.policy[0].source.family, 0);
	cr_expect_eq(config.policy[0].destination.family, 0);
	cr_expect_eq(config.policy[0].source_port_first, 0);
	cr_expect_eq(config.policy[0].source_port_last, 65535);
	cr_expect_eq(config.policy[0].destination_port_first, 53);
	cr_expect_eq(config.policy[0].destination_port_last, 53);
	cr_expect_eq(config.policy[0].action, PLAIT_DIRECT);
}

Test(config, concentrator_of_the_design)
{
	static const char yaml[] =
		"role: concentrator\n"
		"mode: plain\n"
		"customer: {interfaces: [w1, w2], addresses: [10.1.0.1, 10.2.0.1], port: 6824, "
		"allow: [10.1.0.0/24, 10.2.0.0/24]}\n"
		"internet:\n"
		"  interfaces: [net0]\n"
		"  pools:                                                     # none: the "
		"interface's own address, shared\n"
		"    - {prefix: 203.0.113.64/28, translation: shared}         # shared | one-to-one "
		"| prefix\n"
		"subscribers:                                                 # ties a CPE's "
		"addresses together; without it each source address is one\n"
		"  - {name: home-1, sources: [10.1.0.2, 10.2.0.2]}\n"
		"udp: both                        # what it accepts: stream | datagram | both | "
		"off\n"
		"preserve_source: {ipv4: false, ipv6: true}\n";

	cr_assert_eq(read_text(yaml), 0, "%u:%u: %s", error.line, error.column, error.text);
	cr_assert_eq(config.customer.count, 2);
	cr_expect_str_eq(config.customer.name[0], "w1");
	cr_expect_str_eq(config.customer.name[1], "w2");
	cr_assert_eq(config.customer_address_count, 2);
	expect_addr(&config.customer_addresses[1], AF_INET, "10.2.0.1");
	cr_expect_eq(config.customer_port, 6824);
	cr_assert_eq(config.allow_count, 2);
	expect_prefix(&config.allow[0], AF_INET, "10.1.0.0", 24);
	cr_assert_eq(config.internet.count, 1);
	cr_expect_str_eq(config.internet.name[0], "net0");
	cr_assert_eq(config.pool_count, 1);
	expect_prefix(&config.pools[0].prefix, AF_INET, "203.0.113.64", 28);
	cr_expect_eq(config.pools[0].translation, TRANSLATION_SHARED);
	cr_assert_eq(config.subscriber_count, 1);
	cr_expect_str_eq(config.subscribers[0].name, "home-1");
	cr_assert_eq(config.subscribers[0].source_count, 2);
	expect_addr(&config.subscribers[0].sources[1], AF_INET, "10.2.0.2");
	cr_expect_eq(config.udp, UDP_BOTH);
}

Test(config, one_dscp_is_that_of_both_sides)
{
	cr_assert_eq(read_text(CPE "dscp: 46\n"), 0);
	cr_expect_eq(config.dscp.leg, 46);
	cr_expect_eq(config.dscp.plain, 46);
	cr_assert_eq(read_text(CPE "dscp: preserve\n"), 0);
	cr_expect_eq(config.dscp.leg, CONFIG_DSCP_PRESERVE);
	cr_expect_eq(config.dscp.plain, CONFIG_DSCP_PRESERVE);
	cr_assert_eq(read_text(CPE "dscp: {lan: 10}\n"), 0);
	cr_expect_eq(config.dscp.leg, CONFIG_DSCP_PRESERVE);
	cr_expect_eq(config.dscp.plain, 10);
}

Test(config, every_key_of_a_cpe)
{
	static const char yaml[] =
		"drain: 5s\n"
		"name: home.1\n"
		"mode: transparent\n"
		"lan: {interfaces: [lan0, lan1]}\n"
		"links:\n"
		"- {name: a, interface: w1, type: dsl, weight: 1000, use: overflow, max_rtt: 300ms,\n"
		"   max_loss_percent: 20,\n"
		"   gateway: 10.1.0.254}\n"
		"- {name: b, interface: w2, use: backup, gateway: [10.2.0.254, \"fd10:2::fe\"]}\n"
		"- {name: c, interface: w3, gateway: fe80::1}\n"
		"concentrators:\n"
		"- {name: k1, addresses: [\"fd10:1::1\"], port: preserve}\n"
		"- {name: k2, addresses: [10.9.0.1], port: 65535}\n"
		"policy:\n"
		"- match: {protocol: tcp, source: 192.168.1.0/24, destination: 203.0.113.7,\n"
		"          source_port: 1024-2047, destination_port: 80}\n"
		"  action: drop\n"
		"- {match: {protocol: 47}, action: direct}\n"
		"- {match: {destination: \"2001:db8::/32\"}, action: bond}\n"
		"- {match: {}, action: direct}\n"
		"handshake: eager\n"
		"congestion_control: system\n"
		"when_unreachable: refuse\n"
		"concentrator_selection: weighted\n"
		"udp: off\n"
		"datagram: {distribution: packet, attach: generic, ports: 20000-29999}\n"
		"fragmentation: on\n"
		"preserve_source: {ipv4: true, ipv6: false}\n"
		"dscp: {leg: 0, lan: 63}\n"
		"fastclose_on_expiry: true\n"
		"lifetimes: {tcp_established: 2h, tcp_transitory: 5min, reset: 50ms, udp: 120s}\n"
		"limits: {sessions: 100, held_syns: 7, subflows: 1}\n"
		"workers: 64\n"
		"role: cpe\n";
	const struct plait_policy_rule *rule = config.policy;

	cr_assert_eq(read_text(yaml), 0, "%u:%u: %s", error.line, error.column, error.text);
	cr_expect_eq(config.drain_ms, 5000);
	cr_expect_str_eq(config.name, "home.1");
	cr_expect_eq(config.mode, MODE_TRANSPARENT);
	cr_assert_eq(config.lan.count, 2);
	cr_expect_str_eq(config.lan.name[1], "lan1");

	cr_expect_eq(config.datagram.distribution, DISTRIBUTION_PACKET);
	cr_expect_eq(config.datagram.attach, ATTACH_GENERIC);
	cr_expect_eq(config.datagram.port_first, 20000);
	cr_expect_eq(config.datagram.port_last, 29999);

	cr_assert_eq(config.link_count, 3);
	cr_expect_str_eq(config.links[0].type, "dsl");
	cr_expect_eq(config.links[0].weight, 1000);
	cr_expect_eq(config.links[0].use, USE_OVERFLOW);
	cr_expect_eq(config.links[0].max_rtt_ms, 300);
	cr_expect_eq(config.links[0].max_loss_percent, 20);
	cr_expect_eq(config.congestion, CONGESTION_SYSTEM);
	cr_expect_eq(config.when_unreachable, UNREACHABLE_REFUSE);
	cr_expect_eq(config.selection, SELECTION_WEIGHTED);
	expect_addr(&config.links[0].gateway4, AF_INET, "10.1.0.254");
	cr_expect_eq(config.links[0].gateway6.family, 0);
	cr_expect_eq(config.links[1].use, USE_BACKUP);
	expect_addr(&config.links[1].gateway4, AF_INET, "10.2.0.254");
	expect_addr(&config.links[1].gateway6, AF_INET6, "fd10:2::fe");
	cr_expect_eq(config.links[2].gateway4.family, 0);
	expect_addr(&config.links[2].gateway6, AF_INET6, "fe80::1");

	cr_assert_eq(config.concentrator_count, 2);
	expect_addr(&config.concentrators[0].addresses[0].addr, AF_INET6, "fd10:1::1");
	cr_expect_eq(config.concentrators[0].port, 0);
	cr_expect_eq(config.concentrators[1].port, 65535);

	cr_assert_eq(config.policy_count, 4);
	cr_expect_eq(rule[0].protocol, 6);
	expect_prefix(&rule[0].source, AF_INET, "192.168.1.0", 24);
	expect_prefix(&rule[0].destination, AF_INET, "203.0.113.7", 32);
	cr_expect_eq(rule[0].source_port_first, 1024);
	cr_expect_eq(rule[0].source_port_last, 2047);
	cr_expect_eq(rule[0].destination_port_first, 80);
	cr_expect_eq(rule[0].destination_port_last, 80);
	cr_expect_eq(rule[0].action, PLAIT_DROP);
	cr_expect_eq(rule[1].protocol, 47);
	cr_expect_eq(rule[1].action, PLAIT_DIRECT);
	expect_prefix(&rule[2].destination, AF_INET6, "2001:db8::", 32);
	cr_expect_eq(rule[2].action, PLAIT_BOND);
	cr_expect_eq(rule[3].protocol, 0);
	cr_expect_eq(rule[3].destination_port_first, 0);
	cr_expect_eq(rule[3].destination_port_last, 65535);
	cr_expect_eq(rule[3].in_use, 1);
	cr_expect_eq(rule[4].in_use, 0);

	cr_expect_eq(config.handshake, HANDSHAKE_EAGER);
	cr_expect_eq(config.udp, UDP_OFF);
	cr_expect_eq(config.fragmentation, FRAGMENTATION_ON);
	cr_expect(config.preserve_source_v4);
	cr_expect_not(config.preserve_source_v6);
	cr_expect_eq(config.dscp.leg, 0);
	cr_expect_eq(config.dscp.plain, 63);
	cr_expect(config.fastclose_on_expiry);
	cr_expect_eq(config.lifetimes.tcp_established_ms, 7200000);
	cr_expect_eq(config.lifetimes.tcp_transitory_ms, 300000);
	cr_expect_eq(config.lifetimes.reset_ms, 50);
	cr_expect_eq(config.lifetimes.udp_ms, 120000);
	cr_expect_eq(config.max_sessions, 100);
	cr_expect_eq(config.max_held_syns, 7);
	cr_expect_eq(config.max_subflows, 1);
	cr_expect_eq(config.workers, 64);
}

Test(config, pools_and_a_preserved_port)
{
	cr_assert_eq(read_text("role: concentrator\n"
			       "customer: {interfaces: [w1], addresses: [10.1.0.1], "
			       "port: preserve}\n"
			       "internet:\n"
			       "  interfaces: [net0]\n"
			       "  pools:\n"
			       "  - {prefix: 203.0.113.64/28}\n"
			       "  - {prefix: 203.0.113.80/28, translation: one-to-one}\n"
			       "  - {translation: prefix, prefix: 2001:db8:f:100::/56}\n"
			       "  route_protocol: 112\n"
			       "datagram: {filtering: address-and-port-dependent}\n"
			       "udp: off\n"),
		     0, "%u:%u: %s", error.line, error.column, error.text);
	cr_expect_eq(config.customer_port, 0);
	cr_assert_eq(config.pool_count, 3);
	cr_expect_eq(config.pools[0].translation, TRANSLATION_SHARED);
	cr_expect_eq(config.pools[1].translation, TRANSLATION_ONE_TO_ONE);
	cr_expect_eq(config.pools[2].translation, TRANSLATION_PREFIX);
	cr_expect_eq(config.route_protocol, 112);
	cr_expect_eq(config.datagram.filtering, PLAIT_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
	cr_expect_eq(config.udp, UDP_OFF);
}

/* RFC 7422 §2: usable ports by the sharing ratio, unless it is said how many. */
Test(config, deterministic_pools)
{
	static const char text[] =
		"role: concentrator\n"
		"customer: {interfaces: [w1], addresses: [10.1.0.1]}\n"
		"internet:\n"
		"  interfaces: [net0]\n"
		"  pools:\n"
		"  - {prefix: 203.0.113.64/28, translation: deterministic, inside: [10.1.0.0/24]}\n"
		"  - {inside: [10.2.0.0/24, \"fd10:2::/120\"], translation: deterministic,"
		" prefix: 203.0.113.80/28}\n"
		"  - {prefix: 2001:db8:77::/124, translation: deterministic, inside: [10.1.0.0/25]}\n";
	char with_size[sizeof(text) + 32];

	cr_assert_eq(read_text(text), 0, "%u:%u: %s", error.line, error.column, error.text);
	cr_assert_eq(config.pool_count, 3);
	cr_expect_eq(config.pools[0].translation, TRANSLATION_DETERMINISTIC);
	cr_expect_eq(config.pools[0].block_ports, 4032);
	cr_expect_eq(config.pools[1].block_ports, 2016);
	cr_expect_eq(config.pools[2].block_ports, 8064);
	cr_assert_eq(config.pools[1].inside_count, 2);
	expect_prefix(&config.pools[1].inside[0], AF_INET, "10.2.0.0", 24);
	expect_prefix(&config.pools[1].inside[1], AF_INET6, "fd10:2::", 120);
	cr_expect_eq(config.port_block, 512);

	snprintf(with_size, sizeof(with_size), "%s  port_block: 1024\n", text);
	cr_assert_eq(read_text(with_size), 0, "%s", error.text);
	for (unsigned int i = 0; i < 3; i++)
		cr_expect_eq(config.pools[i].block_ports, 1024);
}

Test(config, binding_log)
{
	cr_assert_eq(read_text(CONCENTRATOR), 0, "%s", error.text);
	cr_expect_eq(config.binding_log.per, LOG_PER_BLOCK);
	cr_expect_not(config.binding_log.destination);
	cr_expect_str_eq(config.binding_log.file, "");
	cr_assert_eq(read_text(CONCENTRATOR "binding_log: {destination: true, per: session, "
					    "file: /var/log/plait/bindings}\n"),
		     0, "%s", error.text);
	cr_expect_eq(config.binding_log.per, LOG_PER_SESSION);
	cr_expect(config.binding_log.destination);
	cr_expect_str_eq(config.binding_log.file, "/var/log/plait/bindings");
	cr_assert_eq(read_text(CONCENTRATOR "binding_log: {per: off}\n"), 0, "%s", error.text);
	cr_expect_eq(config.binding_log.per, LOG_PER_OFF);
}

Test(config, samples_load)
{
	glob_t found;

	cr_assert_eq(glob("configs/*.yaml", 0, NULL, &found), 0, "run it from the top directory");
	cr_expect_geq(found.gl_pathc, 2);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *file = fopen(found.gl_pathv[i], "r");

		cr_assert(file);
		cr_expect_eq(config_read(file, &config, &error), 0, "%s:%u:%u: %s",
			     found.gl_pathv[i], error.line, error.column, error.text);
		fclose(file);
	}
	globfree(&found);
}

struct bad {
	char yaml[360];
	unsigned int line, column;
	char text[192];
};

static struct bad bad_yaml[] = {
	{"", 0, 0, "the file is empty"},
	{"# nothing\n", 0, 0, "the file is empty"},
	{"---\n", 2, 1, "expected a mapping, not nothing"},
	{"[cpe]\n", 1, 1, "expected a mapping, not a list"},
	{"cpe\n", 1, 1, "expected a mapping, not \"cpe\""},
	{"role: [cpe\n", 2, 1,
	 "not YAML: while parsing a flow sequence, did not find expected ',' or ']'"},
	{"role: cpe\n\tmode: plain\n", 2, 1,
	 "not YAML: while scanning a plain scalar, found a tab character that violates "
	 "indentation"},
	{"role: cpe\nmode plain\n", 3, 1,
	 "not YAML: while scanning a simple key, could not find expected ':'"},
	{"role: \"cpe\n", 2, 1,
	 "not YAML: while scanning a quoted scalar, found unexpected end of stream"},
	{"lan: {interfaces: [fd00::, a]}\n", 1, 25,
	 "not YAML: while scanning a plain scalar, found unexpected ':'"},
	{CPE "---\n" CPE, 5, 1, "a second document in the file"},
	{"role: &r cpe\n", 1, 7, "anchors and aliases are not supported"},
	{"role: cpe\nname: *r\n", 2, 7, "anchors and aliases are not supported"},
	{"role: cpe\nlan: &l {}\n", 2, 6, "anchors and aliases are not supported"},
	{"role: cpe\nlinks: &l []\n", 2, 8, "anchors and aliases are not supported"},
	{"role: !!str cpe\n", 1, 7, "tags are not supported"},
	{"role: cpe\nlan: !x {}\n", 2, 6, "tags are not supported"},
	{"role: cpe\nlinks: !!seq []\n", 2, 8, "tags are not supported"},
	{"role: \"c\\0pe\"\n", 1, 7, "a zero octet in a value"},
	{"role: cpe\nname: \xff\n", 2, 7, "not a plain text in UTF-8: invalid leading UTF-8 octet"},
	{"role: cpe\nname: \xc3(\n", 2, 8,
	 "not a plain text in UTF-8: invalid trailing UTF-8 octet"},
	{"role: cpe\nname: \x01\n", 2, 7,
	 "not a plain text in UTF-8: control characters are not allowed"},
	{"role: cpe\nname: \xc3\xa9\x01\n", 2, 8,
	 "not a plain text in UTF-8: control characters are not allowed"},
	{"\xff\xfer", 1, 1, "not a plain text in UTF-8: invalid leading UTF-8 octet"},
	{"a: [[[[[[[[[[[[[[[[[[[[", 1, 19, "nested more than 16 deep"},
	{"{[a]: b, role: cpe}\n", 1, 2, "expected a key, not a list"},
	{"{{a: b}: b, role: cpe}\n", 1, 2, "expected a key, not a mapping"},
};

static struct bad bad_root[] = {
	{"name: a\n", 1, 1, "role: missing"},
	{"role: router\n", 1, 7, "role: expected cpe or concentrator, not \"router\""},
	{"role:\n", 1, 6, "role: expected cpe or concentrator, not nothing"},
	{"role: {a: b}\n", 1, 7, "role: expected cpe or concentrator, not a mapping"},
	{CPE "wieght: 1\n", 5, 1, "wieght: unknown key"},
	{CPE "\"a\\e[2Jb\": 1\n", 5, 1, "a?[2Jb: unknown key"},
	{CPE "<<: {}\n", 5, 1, "<<: unknown key"},
	{CPE "mode: plain\nmode: plain\n", 6, 1, "mode: given before, in line 5"},
	{CPE "role: cpe\n", 5, 1, "role: given before, in line 1"},
	{CPE "customer: {}\n", 5, 1, "customer: only for role: concentrator"},
	{CPE "internet: {}\n", 5, 1, "internet: only for role: concentrator"},
	{CPE "subscribers: []\n", 5, 1, "subscribers: only for role: concentrator"},
	{CONCENTRATOR "lan: {}\n", 4, 1, "lan: only for role: cpe"},
	{CONCENTRATOR "links: []\n", 4, 1, "links: only for role: cpe"},
	{CONCENTRATOR "concentrators: []\n", 4, 1, "concentrators: only for role: cpe"},
	{CONCENTRATOR "policy: []\n", 4, 1, "policy: only for role: cpe"},
	{"role: cpe\n", 1, 1, "lan: missing"},
	{"role: cpe\nlan: {interfaces: [lan0]}\n", 1, 1, "links: missing"},
	{"role: cpe\nlan: {interfaces: [lan0]}\nlinks: [{name: a, interface: w1}]\n", 1, 1,
	 "concentrators: missing"},
	{"# c\n\nrole: concentrator\n", 3, 1, "customer: missing"},
	{"role: concentrator\ncustomer: {interfaces: [w1], addresses: [10.1.0.1]}\n", 1, 1,
	 "internet: missing"},
	{CPE "mode: fancy\n", 5, 7, "mode: expected plain or transparent, not \"fancy\""},
	{CPE "handshake: [eager]\n", 5, 12, "handshake: expected faithful or eager, not a list"},
	{CPE "udp: both\n", 5, 6, "udp: expected stream, datagram or off, not \"both\""},
	{CONCENTRATOR "udp: tunnel\n", 4, 6,
	 "udp: expected stream, datagram, both or off, not \"tunnel\""},
	{CPE "name: ../x\n", 5, 7,
	 "name: expected a name of up to 31 letters, digits, \"_\", \".\" and \"-\", not "
	 "\"../x\""},
	{CPE "name: \"\"\n", 5, 7,
	 "name: expected a name of up to 31 letters, digits, \"_\", \".\" and \"-\", not the text "
	 "\"\""},
	{CPE "name: [a]\n", 5, 7,
	 "name: expected a name of up to 31 letters, digits, \"_\", \".\" and \"-\", not a list"},
	{CPE "fastclose_on_expiry: yes\n", 5, 22,
	 "fastclose_on_expiry: expected true or false, not \"yes\""},
	{CPE "fastclose_on_expiry: \"true\"\n", 5, 22,
	 "fastclose_on_expiry: expected true or false, not the text \"true\""},
	{CPE "preserve_source: true\n", 5, 18, "preserve_source: expected a mapping, not \"true\""},
	{CPE "preserve_source: {ipv5: true}\n", 5, 19, "preserve_source.ipv5: unknown key"},
	{CPE "preserve_source:\n  ipv4: 1\n", 6, 9,
	 "preserve_source.ipv4: expected true or false, not \"1\""},
	{CPE "dscp: 64\n", 5, 7, "dscp: expected a number from 0 to 63 or preserve, not \"64\""},
	{CPE "dscp: ef\n", 5, 7, "dscp: expected a number from 0 to 63 or preserve, not \"ef\""},
	{CPE "dscp: {leg: -1}\n", 5, 13,
	 "dscp.leg: expected a number from 0 to 63 or preserve, not \"-1\""},
	{CPE "dscp: {lan: [1]}\n", 5, 13,
	 "dscp.lan: expected a number from 0 to 63 or preserve, not a list"},
	{CPE "dscp: [46]\n", 5, 7, "dscp: expected a number from 0 to 63 or preserve, not a list"},
	{CPE "dscp: {internet: 0}\n", 5, 8, "dscp.internet: only for role: concentrator"},
	{CPE "fragmentation: true\n", 5, 16, "fragmentation: expected off or on, not \"true\""},
	{CPE "reorder: 1001ms\n", 5, 10, "reorder: expected a time of up to 1s, not \"1001ms\""},
	{CPE "reorder: on\n", 5, 10,
	 "reorder: expected a time of up to 49 days such as 500ms, 90s, 5min or 2h, not \"on\""},
	{CPE "udp_queue: 19ms\n", 5, 12,
	 "udp_queue: expected a time of at least 20ms, not \"19ms\""},
	{CPE "datagram: {ports: 1000-2001}\n", 5, 19,
	 "datagram.ports: expected ports from 1024 up, from an even one to an odd one, not "
	 "\"1000-2001\""},
	{CPE "datagram: {ports: 61000-61010}\n", 5, 19,
	 "datagram.ports: expected ports from 1024 up, from an even one to an odd one, not "
	 "\"61000-61010\""},
	{CPE "datagram: {filtering: address-dependent}\n", 5, 12,
	 "datagram.filtering: only for role: concentrator"},
	{CPE "datagram: {attach: driver}\n", 5, 20,
	 "datagram.attach: expected auto, native or generic, not \"driver\""},
	{"role: cpe\nlan: {interfaces: [lan0]}\nlinks: [{name: dsl, interface: w1}]\n"
	 "concentrators: [{name: k1, addresses: [10.1.0.1], port: preserve}]\nudp: datagram\n",
	 5, 6, "udp: datagram needs a port of each concentrator, and k1 has port: preserve"},
	{CPE "lifetimes: {udp: 119999ms}\n", 5, 18,
	 "lifetimes.udp: expected a time of at least 120s, not \"119999ms\""},
	{CPE "lifetimes: {reset: 0s}\n", 5, 20,
	 "lifetimes.reset: expected a time of at least 1ms, not \"0s\""},
	{CPE "lifetimes: {tcp_established: 7440}\n", 5, 30,
	 "lifetimes.tcp_established: expected a time of up to 49 days such as 500ms, 90s, 5min or "
	 "2h, not \"7440\""},
	{CPE "drain: -5s\n", 5, 8,
	 "drain: expected a time of up to 49 days such as 500ms, 90s, 5min or 2h, not \"-5s\""},
	{CPE "limits: {sessions: 0}\n", 5, 20,
	 "limits.sessions: expected a number from 1 to 4194304, not \"0\""},
	{CPE "limits: {held_syns: 65537}\n", 5, 21,
	 "limits.held_syns: expected a number from 1 to 65536, not \"65537\""},
	{CPE "limits: {subflows: 0}\n", 5, 20,
	 "limits.subflows: expected a number from 1 to 9, not \"0\""},
	{CPE "limits: {subflows: 10}\n", 5, 20,
	 "limits.subflows: expected a number from 1 to 9, not \"10\""},
	{CPE "workers: 65\n", 5, 10, "workers: expected a number from 0 to 64, not \"65\""},
	{CPE "workers: \"4\"\n", 5, 10,
	 "workers: expected a number from 0 to 64, not the text \"4\""},
};

static struct bad bad_cpe[] = {
	{CPE "bindings: [{port: 0, inside: 192.168.1.2:80}]\n", 5, 19,
	 "bindings[0].port: expected a port from 1 to 65535, not \"0\""},
	{CPE "bindings: [{port: 80, inside: 192.168.1.2}]\n", 5, 31,
	 "bindings[0].inside: expected an address and a port such as 192.0.2.1:80, not "
	 "\"192.168.1.2\""},
	{CPE "bindings:\n  - {port: 80, inside: 192.168.1.2:80}\n"
	     "  - {port: 80, inside: 192.168.1.3:80}\n",
	 7, 5, "bindings[1]: *:80 is bound already"},
	{CPE "bindings: [{port: 80, protocol: 132, inside: 192.168.1.2:80}]\n", 5, 12,
	 "bindings[0]: only tcp and udp are let in"},
	{"role: cpe\nlan: [lan0]\n", 2, 6, "lan: expected a mapping, not a list"},
	{"role: cpe\nlan: {}\n", 2, 6, "lan.interfaces: missing"},
	{"role: cpe\nlan: {interfaces: lan0}\n", 2, 19,
	 "lan.interfaces: expected a list, not \"lan0\""},
	{"role: cpe\nlan: {interfaces: []}\n", 2, 19,
	 "lan.interfaces: expected at least 1 in the list"},
	{"role: cpe\nlan: {interfaces: [a/b]}\n", 2, 20,
	 "lan.interfaces[0]: expected an interface name of 1 to 15 characters, not \"a/b\""},
	{"role: cpe\nlan: {interfaces: [a, 1234567890123456]}\n", 2, 23,
	 "lan.interfaces[1]: expected an interface name of 1 to 15 characters, not "
	 "\"1234567890123456\""},
	{"role: cpe\nlan: {interfaces: [a, b, a]}\n", 2, 26,
	 "lan.interfaces[2]: \"a\" is in lan.interfaces already"},
	{"role: cpe\nlan: {interfaces: [a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q]}\n", 2, 52,
	 "lan.interfaces[16]: at most 16 are possible"},
	{"role: cpe\nlan: {interfaces: [w1]}\nlinks: [{name: a, interface: w1}]\n", 3, 30,
	 "links[0].interface: \"w1\" is in lan.interfaces already"},
	{"role: cpe\nlinks: [{name: a, interface: w1}]\nlan: {interfaces: [w1]}\n", 3, 20,
	 "lan.interfaces[0]: \"w1\" is in links already"},
	{"role: cpe\nlinks: dsl\n", 2, 8, "links: expected a list, not \"dsl\""},
	{"role: cpe\nlinks: []\n", 2, 8, "links: expected at least 1 in the list"},
	{"role: cpe\nlinks: [dsl]\n", 2, 9, "links[0]: expected a mapping, not \"dsl\""},
	{"role: cpe\nlinks: [{name: dsl}]\n", 2, 9, "links[0].interface: missing"},
	{"role: cpe\nlinks:\n- {name: a, interface: w1}\n- {interface: w2}\n", 4, 3,
	 "links[1].name: missing"},
	{"role: cpe\nlinks:\n- {name: a, interface: w1}\n- {name: a, interface: w2}\n", 4, 10,
	 "links[1].name: \"a\" is taken by an earlier one"},
	{"role: cpe\nlinks:\n- {name: a, interface: w1}\n- {name: b, interface: w1}\n", 4, 24,
	 "links[1].interface: \"w1\" is in links already"},
	{"role: cpe\nlinks:\n- {name: a, interface: w1}\n- {name: b, interface: w2, weight: x}\n",
	 4, 36, "links[1].weight: expected a number from 1 to 1000, not \"x\""},
	{"role: cpe\nlinks: [{name: a, interface: w1, max_loss_percent: 101}]\n", 2, 52,
	 "links[0].max_loss_percent: expected a number from 1 to 100, not \"101\""},
	{"role: cpe\nwhen_unreachable: never\n", 2, 19,
	 "when_unreachable: expected direct or refuse, not \"never\""},
	{"role: cpe\nconcentrator_selection: any\n", 2, 25,
	 "concentrator_selection: expected ordered, hash or weighted, not \"any\""},
	{"role: concentrator\nwhen_unreachable: direct\n", 2, 1,
	 "when_unreachable: only for role: cpe"},
	{"role: cpe\ncongestion_control: vegas\n", 2, 21,
	 "congestion_control: expected plait or system, not \"vegas\""},
	{"role: cpe\nlinks: [{name: a, interface: w1, weight: 0}]\n", 2, 42,
	 "links[0].weight: expected a number from 1 to 1000, not \"0\""},
	{"role: cpe\nlinks: [{name: a, interface: w1, weight: 1001}]\n", 2, 42,
	 "links[0].weight: expected a number from 1 to 1000, not \"1001\""},
	{"role: cpe\nlinks: [{name: a, interface: w1, wieght: 1}]\n", 2, 34,
	 "links[0].wieght: unknown key"},
	{"role: cpe\nlinks: [{name: a, name: b}]\n", 2, 19,
	 "links[0].name: given before, in line 2"},
	{"role: cpe\nlinks: [{name: a, interface: w1, use: often}]\n", 2, 39,
	 "links[0].use: expected always, overflow or backup, not \"often\""},
	{"role: cpe\nlinks: [{name: a, type: \"\"}]\n", 2, 25,
	 "links[0].type: expected a text of 1 to 31 printable characters, not the text \"\""},
	{"role: cpe\nlinks: [{name: a, type: \"a\\nb\"}]\n", 2, 25,
	 "links[0].type: expected a text of 1 to 31 printable characters, not the text \"a?b\""},
	{"role: cpe\nlinks: [{gateway: w1}]\n", 2, 19,
	 "links[0].gateway: expected an IPv4 or IPv6 address, not \"w1\""},
	{"role: cpe\nlinks: [{gateway: 0.0.0.0}]\n", 2, 19,
	 "links[0].gateway: 0.0.0.0 is an address of no machine"},
	{"role: cpe\nlinks: [{gateway: [10.1.0.1, 10.1.0.2]}]\n", 2, 30,
	 "links[0].gateway[1]: a second gateway of one family"},
	{"role: cpe\nlinks: [{gateway: []}]\n", 2, 19,
	 "links[0].gateway: expected at least 1 in the list"},
	{"role: cpe\nlinks: [{gateway: [[10.1.0.1]]}]\n", 2, 20,
	 "links[0].gateway[0]: expected an IPv4 or IPv6 address, not a list"},
	{"role: cpe\nconcentrators: [{name: k1}]\n", 2, 17, "concentrators[0].addresses: missing"},
	{"role: cpe\nconcentrators: [{addresses: [10.1.0.1]}]\n", 2, 17,
	 "concentrators[0].name: missing"},
	{"role: cpe\nconcentrators: [{name: k1, addresses: 10.1.0.1}]\n", 2, 39,
	 "concentrators[0].addresses: expected a list, not \"10.1.0.1\""},
	{"role: cpe\nconcentrators: [{name: k1, addresses: [k1..example]}]\n", 2, 40,
	 "concentrators[0].addresses[0]: expected an IPv4 or IPv6 address or a host "
	 "name, not \"k1..example\""},
	{"role: cpe\nconcentrators: [{name: k1, addresses: [127.0.0.1]}]\n", 2, 40,
	 "concentrators[0].addresses[0]: 127.0.0.1 is a loopback address"},
	{"role: cpe\nconcentrators: [{name: k1, addresses: [\"::1\"]}]\n", 2, 40,
	 "concentrators[0].addresses[0]: ::1 is a loopback address"},
	{"role: cpe\nconcentrators: [{name: k1, addresses: [\"ff02::1\"]}]\n", 2, 40,
	 "concentrators[0].addresses[0]: ff02::1 is a multicast address"},
	{"role: cpe\nconcentrators: [{name: k1, addresses: [224.0.0.1]}]\n", 2, 40,
	 "concentrators[0].addresses[0]: 224.0.0.1 is a multicast address"},
	{"role: cpe\nconcentrators: [{name: k1, addresses: [255.255.255.255]}]\n", 2, 40,
	 "concentrators[0].addresses[0]: 255.255.255.255 is the broadcast address"},
	{"role: cpe\nconcentrators: [{name: k1, addresses: [\"::\"]}]\n", 2, 40,
	 "concentrators[0].addresses[0]: :: is an address of no machine"},
	{"role: cpe\nconcentrators: [{name: k1, addresses: [\"::ffff:10.1.0.1\"]}]\n", 2, 40,
	 "concentrators[0].addresses[0]: ::ffff:10.1.0.1 is an IPv4 address in disguise"},
	{"role: cpe\nconcentrators: [{name: k1, addresses: [10.1.0.1, 10.1.0.1]}]\n", 2, 50,
	 "concentrators[0].addresses[1]: 10.1.0.1 is given before"},
	{"role: cpe\nconcentrators: [{name: k1, addresses: [k1.example, k1.example]}]\n", 2, 52,
	 "concentrators[0].addresses[1]: k1.example is given before"},
	{"role: cpe\nconcentrators:\n- {name: k1, addresses: [10.1.0.1]}\n"
	 "- {name: k2, addresses: [10.2.0.1, 10.1.0.1]}\n",
	 4, 36, "concentrators[1].addresses[1]: 10.1.0.1 is given before"},
	{"role: cpe\nconcentrators:\n- {name: k1, addresses: [10.1.0.1]}\n- {name: k1}\n", 4, 10,
	 "concentrators[1].name: \"k1\" is taken by an earlier one"},
	{"role: cpe\nconcentrators: [{port: 0}]\n", 2, 24,
	 "concentrators[0].port: expected a port from 1 to 65535 or preserve, not \"0\""},
	{"role: cpe\nconcentrators: [{port: 65536}]\n", 2, 24,
	 "concentrators[0].port: expected a port from 1 to 65535 or preserve, not \"65536\""},
	{"role: cpe\nconcentrators: [{port: any}]\n", 2, 24,
	 "concentrators[0].port: expected a port from 1 to 65535 or preserve, not \"any\""},
};

static struct bad bad_policy[] = {
	{CPE "policy: {}\n", 5, 9, "policy: expected a list, not a mapping"},
	{CPE "policy: [{action: drop}]\n", 5, 10, "policy[0].match: missing"},
	{CPE "policy: [{match: {}}]\n", 5, 10, "policy[0].action: missing"},
	{CPE "policy: [{match: {}, action: allow}]\n", 5, 30,
	 "policy[0].action: expected bond, direct or drop, not \"allow\""},
	{CPE "policy: [{match: {port: 1}}]\n", 5, 19, "policy[0].match.port: unknown key"},
	{CPE "policy: [{match: {protocol: icmp}}]\n", 5, 29,
	 "policy[0].match.protocol: expected tcp, udp or a number from 1 to 255, not \"icmp\""},
	{CPE "policy: [{match: {protocol: 0}}]\n", 5, 29,
	 "policy[0].match.protocol: expected tcp, udp or a number from 1 to 255, not \"0\""},
	{CPE "policy: [{match: {protocol: 256}}]\n", 5, 29,
	 "policy[0].match.protocol: expected tcp, udp or a number from 1 to 255, not \"256\""},
	{CPE "policy: [{match: {protocol: []}}]\n", 5, 29,
	 "policy[0].match.protocol: expected tcp, udp or a number from 1 to 255, not a list"},
	{CPE "policy: [{match: {destination_port: 0}}]\n", 5, 37,
	 "policy[0].match.destination_port: expected a port or a range such as 5000-5999, not "
	 "\"0\""},
	{CPE "policy: [{match: {source_port: 9-8}}]\n", 5, 32,
	 "policy[0].match.source_port: expected a port or a range such as 5000-5999, not \"9-8\""},
	{CPE "policy: [{match: {protocol: 1, source_port: 9}}]\n", 5, 45,
	 "policy[0].match: protocol 1 has no ports"},
	{CPE "policy: [{match: {source: 10.1.0.1/24}}]\n", 5, 27,
	 "policy[0].match.source: 10.1.0.1/24 has host bits set, the prefix is 10.1.0.0/24"},
	{CPE "policy: [{match: {destination: \"fd00::1/64\"}}]\n", 5, 32,
	 "policy[0].match.destination: fd00::1/64 has host bits set, the prefix is fd00::/64"},
	{CPE "policy: [{match: {destination: server}}]\n", 5, 32,
	 "policy[0].match.destination: expected an address or a prefix such as 10.1.0.0/24, not "
	 "\"server\""},
	{CPE "policy: [{match: {destination: \"fd00::1\", source: 10.1.0.1}}]\n", 5, 32,
	 "policy[0].match: source and destination are of two families"},
};

static struct bad bad_concentrator[] = {
	{CONCENTRATOR "bindings: [{external: 203.0.113.65:80, inside: 10.1.0.2:80}]\n", 4, 12,
	 "bindings[0]: 203.0.113.65:80 is in no pool"},
	{POOLS FIXED "inside: [10.1.0.0/24]}\nbindings:\n"
		     "- {external: 203.0.113.66:80, inside: 10.1.0.2:80}\n"
		     "- {external: 203.0.113.66:5056, inside: 10.1.0.2:82}\n",
	 10, 3, "bindings[1]: 203.0.113.66:5056 is not in the block of who is inside"},
	{POOLS FIXED "inside: [10.1.0.0/24]}\n"
		     "bindings: [{external: 203.0.113.66:5055, inside: 10.3.0.2:81}]\n",
	 8, 12, "bindings[0]: 203.0.113.66:5055 is not in the block of who is inside"},
	{"role: concentrator\nbindings: [{external: \"[2001:db8::1]:80\", inside: 10.1.0.2:80}]\n"
	 "customer: {interfaces: [w1], addresses: [10.1.0.1]}\n"
	 "internet: {interfaces: [net0], pools: [{prefix: 2001:db8::/48, translation: prefix}]}\n",
	 2, 12, "bindings[0]: [2001:db8::1]:80 is in a pool that translates prefixes"},
	{POOLS "    - {prefix: 203.0.113.64/28}\n"
	       "bindings: [{external: 203.0.113.65:80, inside: 224.0.0.1:80}]\n",
	 7, 12, "bindings[0]: 224.0.0.1:80 is a multicast address"},
	{POOLS "    - {prefix: 203.0.113.64/28}\n"
	       "bindings: [{external: 203.0.113.65:80, inside: 10.1.0.2:80}, "
	       "{external: 203.0.113.65:81, inside: 10.1.0.2:80}]\n",
	 7, 62, "bindings[1]: 10.1.0.2:80 has a binding already"},
	{"role: concentrator\ncustomer: {interfaces: [w1]}\n", 2, 11,
	 "customer.addresses: missing"},
	{"role: concentrator\ncustomer: {addresses: [10.1.0.1]}\n", 2, 11,
	 "customer.interfaces: missing"},
	{"role: concentrator\ncustomer: {addresses: []}\n", 2, 23,
	 "customer.addresses: expected at least 1 in the list"},
	{"role: concentrator\ncustomer: {addresses: [10.1.0.1, 10.1.0.1]}\n", 2, 34,
	 "customer.addresses[1]: 10.1.0.1 is given before"},
	{"role: concentrator\ncustomer: {allow: []}\n", 2, 19,
	 "customer.allow: expected at least 1 in the list"},
	{"role: concentrator\ncustomer: {allow: [10.1.0.7/24]}\n", 2, 20,
	 "customer.allow[0]: 10.1.0.7/24 has host bits set, the prefix is 10.1.0.0/24"},
	{"role: concentrator\ncustomer: {port: -1}\n", 2, 18,
	 "customer.port: expected a port from 1 to 65535 or preserve, not \"-1\""},
	{"role: concentrator\ncustomer: {interfaces: [w1], addresses: [10.1.0.1]}\n"
	 "internet: {interfaces: [n0, n0]}\n",
	 3, 29, "internet.interfaces[1]: \"n0\" is in internet.interfaces already"},
	{"role: concentrator\ninternet: {interfaces: [w1]}\ncustomer: {interfaces: [w2, w2]}\n", 3,
	 29, "customer.interfaces[1]: \"w2\" is in customer.interfaces already"},
	{CPE "binding_log: {}\n", 5, 1, "binding_log: only for role: concentrator"},
	{CONCENTRATOR "binding_log: block\n", 4, 14,
	 "binding_log: expected a mapping, not \"block\""},
	{CONCENTRATOR "binding_log: {per: port}\n", 4, 20,
	 "binding_log.per: expected block, session or off, not \"port\""},
	{CONCENTRATOR "binding_log: {destination: true}\n", 4, 28,
	 "binding_log: destination is for per: session only"},
	{CONCENTRATOR "binding_log: {destination: 1, per: session}\n", 4, 28,
	 "binding_log.destination: expected true or false, not \"1\""},
	{CONCENTRATOR "binding_log: {file: bindings.log}\n", 4, 21,
	 "binding_log.file: expected an absolute path of up to 255 octets, not \"bindings.log\""},
	{CONCENTRATOR "binding_log: {file: /var/log/}\n", 4, 21,
	 "binding_log.file: expected an absolute path of up to 255 octets, not \"/var/log/\""},
	{CONCENTRATOR "binding_log: {file: \"/a\\nb\"}\n", 4, 21,
	 "binding_log.file: expected an absolute path of up to 255 octets, not the text "
	 "\"/a?b\""},
	{"role: concentrator\ninternet: {pools: []}\n", 2, 11, "internet.interfaces: missing"},
	{"role: concentrator\ninternet: {pools: [{translation: shared}]}\n", 2, 20,
	 "internet.pools[0].prefix: missing"},
	{"role: concentrator\ninternet: {pools: [{prefix: 203.0.113.65/28}]}\n", 2, 29,
	 "internet.pools[0].prefix: 203.0.113.65/28 has host bits set, the prefix is "
	 "203.0.113.64/28"},
	{"role: concentrator\ninternet: {pools: [{prefix: 203.0.113.64/33}]}\n", 2, 29,
	 "internet.pools[0].prefix: expected an address or a prefix such as 10.1.0.0/24, not "
	 "\"203.0.113.64/33\""},
	{"role: concentrator\ninternet: {pools: [{prefix: 224.0.0.0/28}]}\n", 2, 29,
	 "internet.pools[0].prefix: 224.0.0.0/28 begins with a multicast address"},
	{"role: concentrator\ninternet:\n  pools:\n  - {prefix: 203.0.113.0/24}\n"
	 "  - {prefix: 203.0.113.64/28}\n",
	 5, 14, "internet.pools[1].prefix: 203.0.113.64/28 overlaps with pools[0]"},
	{"role: concentrator\ninternet:\n  pools:\n  - {prefix: 203.0.113.64/28}\n"
	 "  - {prefix: 203.0.113.64/28, translation: one-to-one}\n",
	 5, 14, "internet.pools[1].prefix: 203.0.113.64/28 overlaps with pools[0]"},
	{"role: concentrator\ninternet:\n  pools:\n  - {prefix: 198.51.100.7}\n"
	 "  - {prefix: '2001:db8:77:1::/64'}\n  - {prefix: '2001:db8:77::/48'}\n",
	 6, 14, "internet.pools[2].prefix: 2001:db8:77::/48 overlaps with pools[1]"},
	{"role: concentrator\ninternet: {pools: [{prefix: '2001:db8:77::1/64'}]}\n", 2, 29,
	 "internet.pools[0].prefix: 2001:db8:77::1/64 has host bits set, the prefix is "
	 "2001:db8:77::/64"},
	{"role: concentrator\ninternet: {pools: [{prefix: 203.0.113/28}]}\n", 2, 29,
	 "internet.pools[0].prefix: expected an address or a prefix such as 10.1.0.0/24, not "
	 "\"203.0.113/28\""},
	{"role: concentrator\ninternet: {pools: [{prefix: 203.0.113.64/-1}]}\n", 2, 29,
	 "internet.pools[0].prefix: expected an address or a prefix such as 10.1.0.0/24, not "
	 "\"203.0.113.64/-1\""},
	{"role: concentrator\ninternet: {pools: [{prefix: '\\e[2J'}]}\n", 2, 29,
	 "internet.pools[0].prefix: expected an address or a prefix such as 10.1.0.0/24, not "
	 "the text \"\\e[2J\""},
	{"role: concentrator\ninternet: {pools: [{prefix: }]}\n", 2, 29,
	 "internet.pools[0].prefix: expected an address or a prefix such as 10.1.0.0/24, not "
	 "nothing"},
	{"role: concentrator\ninternet: {pools: [{prefix: [203.0.113.64/28]}]}\n", 2, 29,
	 "internet.pools[0].prefix: expected an address or a prefix such as 10.1.0.0/24, not a "
	 "list"},
	{"role: concentrator\ninternet: {pools: [{prefix: 127.0.0.0/8}]}\n", 2, 29,
	 "internet.pools[0].prefix: 127.0.0.0/8 begins with a loopback address"},
	{"role: concentrator\ninternet: {pools: [203.0.113.64/28]}\n", 2, 20,
	 "internet.pools[0]: expected a mapping, not \"203.0.113.64/28\""},
	{"role: concentrator\ninternet: {pools: [{prefix: 203.0.113.64/28, translation: prefix}]}\n",
	 2, 59, "internet.pools[0]: prefix translation is for IPv6 only"},
	{"role: concentrator\ninternet: {pools: [{prefix: 203.0.113.64/28, translation: 1:1}]}\n",
	 2, 59,
	 "internet.pools[0].translation: expected shared, one-to-one, prefix or deterministic, "
	 "not \"1:1\""},
	{"role: concentrator\ninternet: {pools: [{prefix: 203.0.113.64/28}], route_protocol: 4}\n",
	 2, 64, "internet.route_protocol: expected a number from 5 to 255, not \"4\""},
	{"role: concentrator\ninternet: {interfaces: [net0], route_protocol: 112}\n", 2, 48,
	 "internet: route_protocol is for routes to pools, and there are none"},
	{POOLS "  - {prefix: 203.0.113.64/28, translation: deterministic}\n", 6, 5,
	 "internet.pools[0]: translation: deterministic needs to know whose blocks they are, "
	 "inside: [...]"},
	{POOLS "  - {prefix: 203.0.113.64/28, inside: [10.1.0.0/24]}\n", 6, 39,
	 "internet.pools[0]: inside is for translation: deterministic only"},
	{POOLS "  - {prefix: 203.0.113.64/28, translation: deterministic, inside: []}\n", 6, 67,
	 "internet.pools[0].inside: expected at least 1 in the list"},
	{POOLS FIXED "inside: [10.1.0.1/24]}\n", 7, 15,
	 "internet.pools[0].inside[0]: 10.1.0.1/24 has host bits set, the prefix is 10.1.0.0/24"},
	{POOLS FIXED "inside: [10.1.0.0/24, 10.1.0.128/25]}\n", 7, 28,
	 "internet.pools[0]: 10.1.0.128/25 overlaps with pools[0].inside[0]"},
	{POOLS FIXED "inside: [10.1.0.0/24]}\n"
		     "  - {inside: [10.2.0.0/24, 10.1.0.0/16], translation: deterministic, "
		     "prefix: 203.0.113.80/28}\n",
	 8, 28, "internet.pools[1]: 10.1.0.0/16 overlaps with pools[0].inside[0]"},
	{POOLS FIXED "inside: [10.1.0.0/24]}\n  port_block: 4096\n", 7, 14,
	 "internet.pools[0]: more subscribers than blocks: 256 addresses, and 203.0.113.64/28 "
	 "has 240 blocks of 4096 ports"},
	{POOLS "  - {prefix: 203.0.113.80/28}\n" FIXED "inside: [10.0.0.0/8, 192.0.2.0/24]}\n", 8,
	 14,
	 "internet.pools[1]: more subscribers than blocks: 16777472 addresses, and "
	 "203.0.113.64/28 has 516096 blocks of 2 ports"},
	{POOLS FIXED "inside: [\"fd10:1::/95\"]}\n", 7, 15,
	 "internet.pools[0].inside[0]: fd10:1::/95 is too large: each address counts, whoever "
	 "has several"},
	{CONCENTRATOR "subscribers: [{name: a}]\n", 4, 15, "subscribers[0].sources: missing"},
	{CONCENTRATOR "subscribers: [{name: a, sources: []}]\n", 4, 34,
	 "subscribers[0].sources: expected at least 1 in the list"},
	{CONCENTRATOR "subscribers: [{name: a, sources: [10.1.0.0/24]}]\n", 4, 35,
	 "subscribers[0].sources[0]: expected an IPv4 or IPv6 address, not \"10.1.0.0/24\""},
	{CONCENTRATOR "subscribers:\n- {name: a, sources: [10.1.0.2]}\n"
		      "- {name: b, sources: [10.1.0.3, 10.1.0.2]}\n",
	 6, 33, "subscribers[1].sources[1]: 10.1.0.2 is given before"},
	{CONCENTRATOR "subscribers:\n- {name: a, sources: [10.1.0.2]}\n- {name: a}\n", 6, 10,
	 "subscribers[1].name: \"a\" is taken by an earlier one"},
	{CONCENTRATOR "subscribers: [{name: a, sources: [10.1.0.1]}]\n", 4, 35,
	 "subscribers[0].sources[0]: 10.1.0.1 is given before"},
};

static void expect_bad(const struct bad *bad)
{
	static struct config before;

	memset(&config, 0xa5, sizeof(config));
	memcpy(&before, &config, sizeof(before));
	cr_expect_eq(read_text(bad->yaml), -EINVAL, "%s", bad->yaml);
	cr_expect_str_eq(error.text, bad->text, "%s\n%s", bad->yaml, error.text);
	cr_expect_eq(error.line, bad->line, "%s\nline %u", bad->yaml, error.line);
	cr_expect_eq(error.column, bad->column, "%s\ncolumn %u", bad->yaml, error.column);
	cr_expect_eq(memcmp(&config, &before, sizeof(config)), 0, "touched: %s", bad->yaml);
}

#define BAD_TABLE(table)                                                                         \
	ParameterizedTestParameters(config, refuses_##table)                                     \
	{                                                                                        \
		return cr_make_param_array(struct bad, table, sizeof(table) / sizeof(table[0])); \
	}                                                                                        \
	ParameterizedTest(struct bad *bad, config, refuses_##table)                              \
	{                                                                                        \
		expect_bad(bad);                                                                 \
	}

BAD_TABLE(bad_yaml)
BAD_TABLE(bad_root)
BAD_TABLE(bad_cpe)
BAD_TABLE(bad_policy)
BAD_TABLE(bad_concentrator)

/* Tells the place of a file of one line that repeats text. */
static void expect_bad_repetition(const char *text, size_t times, const char *want)
{
	size_t len = strlen(text);
	char *yaml = malloc(len * times);

	cr_assert(yaml);
	for (size_t i = 0; i < times; i++)
		memcpy(yaml + i * len, text, len);
	cr_expect_eq(read_bytes(yaml, len * times), -EINVAL);
	cr_expect_str_eq(error.text, want);
	free(yaml);
}

Test(config, bounds_what_it_reads)
{
	expect_bad_repetition("[", 100000, "nested more than 16 deep");
	expect_bad_repetition("{a: ", 100000, "nested more than 16 deep");
	expect_bad_repetition("- ", 100000, "nested more than 16 deep");
	expect_bad_repetition("- a\n", 100000, "more than 65536 values");
	expect_bad_repetition("#", (1 << 20) + 1, "the file is longer than 1 MiB");
	expect_bad_repetition("#", 1 << 20, "the file is empty");
}

Test(config, zero_octet_in_the_file)
{
	static const char yaml[] = "role: cpe\nname: a\0b\n";

	cr_expect_eq(read_bytes(yaml, sizeof(yaml) - 1), -EINVAL);
	cr_expect_eq(error.line, 2);
	cr_expect_eq(error.column, 8);
}

Test(config, byte_order_mark)
{
	cr_expect_eq(read_text("\xef\xbb\xbf" CPE), 0, "%s", error.text);
	cr_expect_eq(read_text("\xef\xbb\xbfrole: x\n"), -EINVAL);
	cr_expect_eq(error.column, 7);
}

Test(config, long_values_are_cut_in_errors)
{
	cr_expect_eq(read_text(CPE "mode: 1234567890123456789012345678901234567890X\n"), -EINVAL);
	cr_expect_str_eq(error.text, "mode: expected plain or transparent, not "
				     "\"1234567890123456789012345678901234567...\"");
}

Test(config, names_of_31_characters)
{
	cr_assert_eq(read_text(CPE "name: 1234567890123456789012345678901\n"), 0);
	cr_expect_str_eq(config.name, "1234567890123456789012345678901");
	cr_expect_eq(read_text(CPE "name: 12345678901234567890123456789012\n"), -EINVAL);
}

static void append(char *text, size_t size, const char *more)
{
	cr_assert_lt(strlen(text) + strlen(more), size);
	strcat(text, more);
}

Test(config, takes_eight_links_and_no_ninth)
{
	char yaml[1024] = "role: cpe\nlan: {interfaces: [lan0]}\n"
			  "concentrators: [{name: k1, addresses: [10.1.0.1]}]\nlinks:\n";

	for (int i = 0; i < 9; i++) {
		char link[64];

		snprintf(link, sizeof(link), "- {name: l%d, interface: w%d}\n", i, i);
		append(yaml, sizeof(yaml), link);
		cr_expect_eq(read_text(yaml), i < CONFIG_MAX_LINKS ? 0 : -EINVAL, "%d", i);
	}
	cr_expect_str_eq(error.text, "links[8]: at most 8 are possible");
	cr_expect_eq(error.line, 13);
}

/* The fullest file there can be still fits into every bound. */
Test(config, takes_every_subscriber)
{
	size_t size = 1 << 20, len;
	char *yaml = malloc(size);

	cr_assert(yaml);
	len = snprintf(yaml, size, "%ssubscribers:\n", CONCENTRATOR);
	for (unsigned int i = 0; i < CONFIG_MAX_SUBSCRIBERS; i++) {
		len += snprintf(yaml + len, size - len, "- {name: s%u, sources: [", i);
		for (unsigned int j = 0; j < CONFIG_MAX_SOURCES; j++)
			len += snprintf(yaml + len, size - len, "10.%u.%u.%u,", 100 + j, i / 256,
					i % 256);
		len += snprintf(yaml + len, size - len, "]}\n");
	}
	cr_expect_eq(read_bytes(yaml, len), 0, "%u: %s", error.line, error.text);
	cr_expect_eq(config.subscriber_count, CONFIG_MAX_SUBSCRIBERS);
	expect_addr(&config.subscribers[1023].sources[7], AF_INET, "10.107.3.255");
	free(yaml);
}

Test(config, cannot_read_a_directory)
{
	FILE *file = fopen(".", "r");

	cr_assert(file);
	cr_expect_eq(config_read(file, &config, &error), -EISDIR);
	fclose(file);
}
