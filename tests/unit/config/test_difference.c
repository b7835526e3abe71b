// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "config/difference.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#define LINKS         "links: [{name: dsl, interface: w1}, {name: lte, interface: w2}]\n"
#define CONCENTRATORS "concentrators: [{name: k1, addresses: [10.1.0.1]}]\n"
#define CPE           "role: cpe\nlan: {interfaces: [lan0]}\n" LINKS CONCENTRATORS
#define CUSTOMER      "customer: {interfaces: [w1], addresses: [10.1.0.1]}\n"
#define INTERNET      "internet: {interfaces: [net0]}\n"
#define CONCENTRATOR  "role: concentrator\n" CUSTOMER INTERNET

static struct config running, next;
static struct config_difference difference;

static void read_text(const char *yaml, struct config *out)
{
	FILE *file = fmemopen((void *)yaml, strlen(yaml), "r");
	struct config_error error = {};
	int err = config_read(file, out, &error);

	fclose(file);
	cr_assert_eq(err, 0, "%s in:\n%s", error.text, yaml);
}

/* The keys that may change, and the one that may not, separated by blanks. */
static const char *keys(void)
{
	static char text[DIFFERENCE_KEYS_MAX * DIFFERENCE_KEY_BYTES];

	text[0] = '\0';
	for (unsigned int i = 0; i < difference.count; i++)
		strcat(strcat(text, i ? " " : ""), difference.keys[i]);
	if (difference.fixed[0])
		strcat(strcat(text, " !"), difference.fixed);
	return text;
}

struct change {
	char from[300], to[300], keys[200];
};

static struct change changes[] = {
	{CPE, CPE, ""},
	{CPE, CPE "handshake: faithful\nlifetimes: {udp: 300s}\n", ""},
	{CPE, CPE "udp_queue: 1s\n", "udp_queue"},
	{CPE, CPE "datagram: {distribution: packet}\n", "datagram.distribution"},
	{CPE, CPE "datagram: {attach: generic}\n", " !datagram.attach"},
	{CPE, CPE "datagram: {ports: 62000-65535}\n", " !datagram.ports"},
	{CONCENTRATOR, CONCENTRATOR "datagram: {filtering: address-dependent}\n",
	 " !datagram.filtering"},
	{CPE, CPE "drain: 5s\nfastclose_on_expiry: true\n", "fastclose_on_expiry drain"},
	{CPE, CPE "lifetimes: {tcp_established: 1h, tcp_transitory: 1s, reset: 2s, udp: 150s}\n",
	 "lifetimes.tcp_established lifetimes.tcp_transitory lifetimes.reset lifetimes.udp"},
	{CPE, CPE "preserve_source: {ipv4: true, ipv6: false}\n",
	 "preserve_source.ipv4 preserve_source.ipv6"},
	{CPE, CPE "policy: [{match: {destination_port: 1}, action: direct}]\n", "policy"},
	{CPE "policy: [{match: {destination_port: 1}, action: direct}]\n",
	 CPE "policy: [{match: {destination_port: 1}, action: drop}]\n", "policy"},
	{CPE, CPE "concentrator_selection: hash\nwhen_unreachable: refuse\n",
	 "concentrator_selection when_unreachable"},
	{CPE,
	 "role: cpe\nlan: {interfaces: [lan0]}\n" CONCENTRATORS
	 "links: [{name: dsl, interface: w1, type: a}, {name: lte, interface: w2, weight: 2, "
	 "use: backup, max_rtt: 9ms, max_loss_percent: 3}]\n",
	 "links[0].type links[1].weight links[1].use links[1].max_rtt links[1].max_loss_percent"},
	{CPE,
	 "role: cpe\nlan: {interfaces: [lan0]}\n" LINKS
	 "concentrators: [{name: k1, addresses: [10.1.0.1], weight: 7}]\n",
	 "concentrators[0].weight"},
	{CONCENTRATOR,
	 "role: concentrator\n" INTERNET
	 "customer: {interfaces: [w1], addresses: [10.1.0.1], allow: [10.1.0.0/24]}\n",
	 "customer.allow"},
	{CONCENTRATOR,
	 CONCENTRATOR
	 "limits: {subscriber: {sessions: 1, ports: 2, blocks: 3, new_per_second: 4}}\n",
	 "limits.subscriber.sessions limits.subscriber.ports limits.subscriber.blocks "
	 "limits.subscriber.new_per_second"},

	{CPE, CPE "name: other\n", " !name"},
	{CPE, CPE "mode: transparent\n", " !mode"},
	{CPE, CPE "handshake: eager\n", " !handshake"},
	{CPE, CPE "congestion_control: system\n", " !congestion_control"},
	{CPE, CPE "udp: off\n", " !udp"},
	{CPE, CPE "fragmentation: on\n", " !fragmentation"},
	{CPE, CPE "dscp: 8\n", " !dscp"},
	{CPE, CPE "workers: 3\n", " !workers"},
	{CPE, CPE "limits: {sessions: 8}\n", " !limits.sessions"},
	{CPE, CPE "limits: {held_syns: 8}\n", " !limits.held_syns"},
	{CPE, CPE "limits: {subflows: 2}\n", " !limits.subflows"},
	{CONCENTRATOR, CONCENTRATOR "limits: {bindings: 8}\n", " !limits.bindings"},
	{CONCENTRATOR, CONCENTRATOR "limits: {subscribers: 8}\n", " !limits.subscribers"},
	{CPE, "role: cpe\nlan: {interfaces: [lan1]}\n" LINKS CONCENTRATORS, " !lan.interfaces"},
	{CPE,
	 "role: cpe\nlan: {interfaces: [lan0]}\n" CONCENTRATORS
	 "links: [{name: dsl, interface: w1, weight: 2}]\n",
	 "links[0].weight links[1].weight !links"},
	{CPE,
	 "role: cpe\nlan: {interfaces: [lan0]}\n" CONCENTRATORS
	 "links: [{name: dsl, interface: w1}, {name: l, interface: w2}]\n",
	 " !links[1].name"},
	{CPE,
	 "role: cpe\nlan: {interfaces: [lan0]}\n" CONCENTRATORS
	 "links: [{name: dsl, interface: w3}, {name: lte, interface: w2}]\n",
	 " !links[0].interface"},
	{CPE,
	 "role: cpe\nlan: {interfaces: [lan0]}\n" CONCENTRATORS
	 "links: [{name: dsl, interface: w1, gateway: 10.1.0.9}, {name: lte, interface: w2}]\n",
	 " !links[0].gateway"},
	{CPE,
	 "role: cpe\nlan: {interfaces: [lan0]}\n" LINKS
	 "concentrators: [{name: k1, addresses: [10.1.0.2]}]\n",
	 " !concentrators[0].addresses"},
	{CPE,
	 "role: cpe\nlan: {interfaces: [lan0]}\n" LINKS
	 "concentrators: [{name: k1, addresses: [10.1.0.1], port: 1}]\n",
	 " !concentrators[0].port"},
	{CPE,
	 "role: cpe\nlan: {interfaces: [lan0]}\n" LINKS
	 "concentrators: [{name: k1, addresses: [10.1.0.1], check_interval: 1s}]\n",
	 " !concentrators[0].check_interval"},
	{CPE,
	 "role: cpe\nlan: {interfaces: [lan0]}\n" LINKS
	 "concentrators: [{name: k1, addresses: [10.1.0.1]}, {name: k2, addresses: [10.1.0.2]}]\n",
	 "concentrators[1].weight !concentrators"},
	{CONCENTRATOR,
	 "role: concentrator\n" INTERNET
	 "customer: {interfaces: [w1], addresses: [10.1.0.1], port: 99}\n",
	 " !customer.port"},
	{CONCENTRATOR,
	 "role: concentrator\n" CUSTOMER
	 "internet: {interfaces: [net0], pools: [{prefix: 203.0.113.64/28}]}\n",
	 " !internet.pools"},
	{"role: concentrator\n" CUSTOMER
	 "internet: {interfaces: [net0], pools: [{prefix: 203.0.113.64/28}]}\n",
	 "role: concentrator\n" CUSTOMER
	 "internet: {interfaces: [net0], pools: [{prefix: 203.0.113.64/29}]}\n",
	 " !internet.pools"},
	{CONCENTRATOR,
	 "role: concentrator\n" CUSTOMER "internet: {interfaces: [net0], port_block: 64}\n",
	 " !internet.port_block"},
	{CONCENTRATOR, CONCENTRATOR "subscribers: [{name: a, sources: [10.1.0.2]}]\n",
	 " !subscribers"},
	{CPE, CPE "bindings: [{protocol: tcp, port: 80, inside: \"192.168.1.2:80\"}]\n",
	 " !bindings"},
	{"role: concentrator\n" CUSTOMER
	 "internet: {interfaces: [net0], pools: [{prefix: 203.0.113.64/28}]}\n",
	 "role: concentrator\n" CUSTOMER "internet: {interfaces: [net0], route_protocol: 99, "
	 "pools: [{prefix: 203.0.113.64/28}]}\n",
	 " !internet.route_protocol"},
	{CONCENTRATOR, CONCENTRATOR "binding_log: {per: off}\n", " !binding_log"},
};

ParameterizedTestParameters(difference, each_key)
{
	return cr_make_param_array(struct change, changes, sizeof(changes) / sizeof(*changes));
}

ParameterizedTest(struct change *change, difference, each_key)
{
	read_text(change->from, &running);
	read_text(change->to, &next);
	cr_assert_eq(config_difference(&running, &next, &difference), 0);
	cr_assert_str_eq(keys(), change->keys);
	if (difference.fixed[0])
		return;
	config_take_changes(&running, &next);
	cr_assert_eq(memcmp(&running, &next, sizeof(next)), 0);
}

Test(difference, another_role_is_named_first)
{
	read_text(CPE, &running);
	read_text(CONCENTRATOR, &next);
	cr_assert_eq(config_difference(&running, &next, &difference), 0);
	cr_assert_str_eq(difference.fixed, "role");
}

/* What the samples say may fill every list: nothing of it is seen as changed by itself. */
Test(difference, samples_do_not_differ_from_themselves)
{
	glob_t found;

	cr_assert_eq(glob("configs/*.yaml", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct config_error error = {};

		for (unsigned int time = 0; time < 2; time++) {
			FILE *file = fopen(found.gl_pathv[i], "re");

			memset(time ? &next : &running, time ? 0xff : 0, sizeof(next));
			cr_assert_eq(config_read(file, time ? &next : &running, &error), 0);
			fclose(file);
		}
		cr_assert_eq(config_difference(&running, &next, &difference), 0);
		cr_assert_str_eq(keys(), "", "%s", found.gl_pathv[i]);
	}
	globfree(&found);
}

/* A key nobody has thought of, or one that is forgotten here, is refused. */
Test(difference, whatever_differs_is_either_taken_or_refused)
{
	read_text(CPE, &running);
	for (size_t at = 0; at < sizeof(next); at += at < 2048 ? 1 : 251) {
		next = running;
		((unsigned char *)&next)[at] ^= 1;
		cr_assert_eq(config_difference(&running, &next, &difference), 0);
		cr_assert_eq(!!difference.count + !!difference.fixed[0], 1, "octet %zu", at);
		config_take_changes(&next, &running);
		cr_assert_eq(!memcmp(&running, &next, sizeof(next)), !difference.fixed[0],
			     "octet %zu", at);
	}
}
