/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr_text.h"
#include "binding.h"
#include "document.h"
#include "readers.h"
#include "table/deterministic.h"
#include "table/pool.h"
#include "value.h"
#include "walk.h"

enum { MAX_FILE_BYTES = 1 << 20, DEFAULT_CHECK_MS = 800 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAPPING(keys_, ...)                                               \
	{                                                                 \
		.keys = (keys_), .key_count = COUNT(keys_), ##__VA_ARGS__ \
	}
/* A list whose number and elements are the named fields of type. */
#define LIST(type, count_, first_, ...)                                                            \
	{                                                                                          \
		.count = offsetof(type, count_), .first = offsetof(type, first_),                  \
		.stride = sizeof(((type *)NULL)->first_[0]), .max = COUNT(((type *)NULL)->first_), \
		__VA_ARGS__                                                                        \
	}

_Static_assert(offsetof(struct plait_policy_rule, source_port_last) ==
		       offsetof(struct plait_policy_rule, source_port_first) + sizeof(__u16),
	       "config_read_port_range() writes both");
_Static_assert(offsetof(struct plait_policy_rule, destination_port_last) ==
		       offsetof(struct plait_policy_rule, destination_port_first) + sizeof(__u16),
	       "config_read_port_range() writes both");

static bool has_ports(uint8_t protocol)
{
	return protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ||
	       protocol == IPPROTO_UDPLITE || protocol == IPPROTO_SCTP || protocol == IPPROTO_DCCP;
}

/* A rule that can never match is a mistake. */
static int check_match(struct walk *walk, const struct node *node, void *into, const void *with)
{
	const struct node *port = node_value(node, "destination_port");
	const struct node *destination = node_value(node, "destination");
	const struct plait_policy_rule *rule = into;

	if (!port)
		port = node_value(node, "source_port");
	if (port && !has_ports(rule->protocol))
		return walk_fail(walk, port, "protocol %u has no ports", rule->protocol);
	if (destination && rule->source.family && rule->source.family != rule->destination.family)
		return walk_fail(walk, destination, "source and destination are of two families");
	return 0;
}

/* RFC 6296 is about IPv6; there is no such thing for IPv4. */
static int check_prefix_translation(struct walk *walk, const struct node *node,
				    const struct plait_prefix *prefix)
{
	if (prefix->family != AF_INET6)
		return walk_fail(walk, node_value(node, "translation"),
				 "prefix translation is for IPv6 only");
	if (prefix->bits > 64)
		return walk_fail(walk, node_value(node, "prefix"),
				 "prefix translation is for prefixes of up to 64 bits");
	return 0;
}

/* Of one family a subscriber has one block at most. */
static int check_inside_apart(struct walk *walk, const struct node *list,
			      const struct config_pool *pool, unsigned int index)
{
	for (const struct config_pool *other = walk->config->pools; other <= pool; other++) {
		unsigned int count = other == pool ? index : other->inside_count;

		if (other->prefix.family != pool->prefix.family)
			continue;
		for (unsigned int i = 0; i < count; i++)
			if (prefix_overlaps(&other->inside[i], &pool->inside[index]))
				return walk_fail(walk, node_element(list, index),
						 "%s overlaps with pools[%u].inside[%u]",
						 node_element(list, index)->text,
						 (unsigned int)(other - walk->config->pools), i);
	}
	return 0;
}

static int check_inside(struct walk *walk, const struct node *node, const struct config_pool *pool)
{
	const struct node *list = node_value(node, "inside");
	bool wanted = pool->translation == TRANSLATION_DETERMINISTIC;
	int err = 0;

	if (wanted && !list)
		return walk_fail(walk, node,
				 "translation: deterministic needs to know whose blocks they are, "
				 "inside: [...]");
	if (!wanted && list)
		return walk_fail(walk, list, "inside is for translation: deterministic only");
	for (unsigned int i = 0; !err && i < pool->inside_count; i++)
		err = check_inside_apart(walk, list, pool, i);
	return err;
}

static int check_pool(struct walk *walk, const struct node *node, void *into, const void *with)
{
	const struct config_pool *pool = into;
	bool whole = pool->translation == TRANSLATION_PREFIX;

	for (unsigned int i = 0; i < walk->config->pool_count; i++) {
		const struct config_pool *before = &walk->config->pools[i];

		if (before->prefix.family == pool->prefix.family &&
		    (whole || before->translation == TRANSLATION_PREFIX))
			return walk_fail(walk, node,
					 "prefix translation is with one prefix, and nothing else "
					 "for IPv6");
	}
	return whole ? check_prefix_translation(walk, node, &pool->prefix)
		     : check_inside(walk, node, pool);
}

/* RFC 7422 §2: each inside address has a block. */
static int check_blocks(struct walk *walk, const struct node *node, struct config_pool *pool,
			uint16_t port_block)
{
	const struct deterministic blocks =
		deterministic_make(&pool->prefix, pool->inside, pool->inside_count, port_block);
	unsigned long long wanted = ranges_size(&blocks.inside);
	unsigned long long there = deterministic_blocks(&blocks);

	pool->block_ports = blocks.block_ports;
	if (wanted > there)
		return walk_fail(walk, node_value(node, "inside"),
				 "more subscribers than blocks: %llu addresses, and %s has %llu "
				 "blocks of %u ports",
				 wanted, node_value(node, "prefix")->text, there,
				 pool->block_ports);
	return 0;
}

/* How many ports a block has is known once all of this is read. */
static int check_deterministic(struct walk *walk, const struct node *node)
{
	struct config *config = walk->config;
	unsigned int port_block = node_value(node, "port_block") ? config->port_block : 0;
	size_t path_chars = walk_enter_key(walk, "pools");

	for (unsigned int i = 0; i < config->pool_count; i++) {
		const struct node *pool = node_element(node_value(node, "pools"), i);
		size_t list_chars = walk_enter_index(walk, i);

		if (config->pools[i].translation == TRANSLATION_DETERMINISTIC &&
		    check_blocks(walk, pool, &config->pools[i], (uint16_t)port_block) < 0)
			return -EINVAL;
		walk_leave(walk, list_chars);
	}
	walk_leave(walk, path_chars);
	return 0;
}

/* Who wants the pools announced must not find out later that there are none. */
static int check_internet(struct walk *walk, const struct node *node, void *into, const void *with)
{
	if (walk->config->route_protocol && !walk->config->pool_count)
		return walk_fail(walk, node_value(node, "route_protocol"),
				 "route_protocol is for routes to pools, and there are none");
	return check_deterministic(walk, node);
}

/* Who asks for destinations must not find out later that there are none. */
static int check_binding_log(struct walk *walk, const struct node *node, void *into,
			     const void *with)
{
	const struct config_binding_log *log = into;

	if (log->destination && log->per != LOG_PER_SESSION)
		return walk_fail(walk, node_value(node, "destination"),
				 "destination is for per: session only");
	return 0;
}

/* Whatever their order in the file: pools are known now. */
static int check_bindings(struct walk *walk, const struct node *node, void *into, const void *with)
{
	const struct node *bindings = node_value(node, "bindings");
	const struct config *config = walk->config;
	char why[BINDING_WHY_BYTES];

	for (unsigned int i = 0; i < config->binding_count; i++)
		if (binding_check(config, &config->bindings[i], i, why))
			return walk_fail(walk, node_element(bindings, i), "bindings[%u]: %s", i,
					 why);
	return 0;
}

/* A TCP-formatted packet has the remote's port in its option, and needs one of its own. */
static int check_datagram(struct walk *walk, const struct node *node)
{
	const struct config *config = walk->config;

	if (config->role != ROLE_CPE || config->udp != UDP_DATAGRAM)
		return 0;
	for (unsigned int i = 0; i < config->concentrator_count; i++)
		if (!config->concentrators[i].port)
			return walk_fail(walk, node_value(node, "udp"),
					 "udp: datagram needs a port of each concentrator, and %s "
					 "has port: preserve",
					 config->concentrators[i].name);
	return 0;
}

static int check_root(struct walk *walk, const struct node *node, void *into, const void *with)
{
	int err = check_datagram(walk, node);

	return err ? err : check_bindings(walk, node, into, with);
}

/* Ports are given out evenly to even and odd ones. */
static int read_own_ports(struct walk *walk, const struct node *node, void *into, const void *with)
{
	struct {
		__u16 first, last;
	} ports;
	int err = config_read_port_range(walk, node, &ports, NULL);

	if (err)
		return err;
	if (ports.first < POOL_FIRST_PORT || ports.first % 2 || ports.last % 2 == 0)
		return walk_expected(walk, node,
				     "ports from 1024 up, from an even one to an odd one");
	memcpy(into, &ports, sizeof(ports));
	return 0;
}

/* Elements that do not start out as zeros */

static int read_link(struct walk *walk, const struct node *node, void *into, const void *mapping)
{
	((struct config_link *)into)->weight = 1;
	return walk_mapping(walk, node, into, mapping);
}

static int read_concentrator(struct walk *walk, const struct node *node, void *into,
			     const void *mapping)
{
	struct config_concentrator *concentrator = into;

	concentrator->port = CONFIG_DEFAULT_PORT;
	concentrator->weight = 1;
	concentrator->check_ms = DEFAULT_CHECK_MS;
	return walk_mapping(walk, node, into, mapping);
}

static int read_binding(struct walk *walk, const struct node *node, void *into, const void *mapping)
{
	((struct config_binding *)into)->protocol = IPPROTO_TCP;
	return walk_mapping(walk, node, into, mapping);
}

static int read_rule(struct walk *walk, const struct node *node, void *into, const void *mapping)
{
	struct plait_policy_rule *rule = into;

	rule->in_use = 1;
	rule->source_port_last = rule->destination_port_last = 65535;
	return walk_mapping(walk, node, into, mapping);
}

/* One value is that of both sides. */
static int read_dscp(struct walk *walk, const struct node *node, void *into, const void *mapping)
{
	struct config_dscp *dscp = into;
	int err;

	if (node->kind == NODE_MAPPING)
		return walk_mapping(walk, node, into, mapping);
	err = config_read_dscp(walk, node, &dscp->leg, NULL);
	if (!err)
		dscp->plain = dscp->leg;
	return err;
}

/* The tables, innermost first */

static const char *const role_words[] = {"cpe", "concentrator", NULL};
static const char *const mode_words[] = {"plain", "transparent", NULL};
static const char *const unreachable_words[] = {"direct", "refuse", NULL};
static const char *const selection_words[] = {"ordered", "hash", "weighted", NULL};
static const char *const congestion_words[] = {"plait", "system", NULL};
static const char *const handshake_words[] = {"faithful", "eager", NULL};
static const char *const fragmentation_words[] = {"off", "on", NULL};
static const char *const use_words[] = {"always", "overflow", "backup", NULL};
static const char *const action_words[] = {"bond", "direct", "drop", NULL};
static const char *const parity_words[] = {"any", "keep", NULL};
static const char *const distribution_words[] = {"flow", "packet", NULL};
static const char *const filtering_words[] = {"endpoint-independent", "address-dependent",
					      "address-and-port-dependent", NULL};
static const char *const attach_words[] = {"auto", "native", "generic", NULL};
static const char *const log_per_words[] = {"block", "session", "off", NULL};
static const char *const translation_words[] = {"shared", "one-to-one", "prefix", "deterministic",
						NULL};

_Static_assert(PLAIT_BOND == 0 && PLAIT_DIRECT == 1 && PLAIT_DROP == 2, "order of action_words");

static const struct range workers = {0, PLAIT_MAX_WORKERS};
static const struct range weight = {1, 1000};
static const struct range percent = {1, 100};
static const struct range sessions = {1, 1 << 22};
static const struct range held_syns = {1, 1 << 16};
static const struct range subflows = {1, CONFIG_MAX_SUBFLOWS};
static const struct range any_number = {1, 1 << 30};
static const struct range blocks = {1, 64};
static const struct range new_per_s = {1, 1000000};
static const struct range bindings = {1, 1 << 24};
static const struct range subscriber_slots = {1, 1 << 20};
static const struct range route_protocol = {5, 255}; /* below are the kernel's (rtnetlink(7)) */
static const uint32_t duration_ms = 1;
static const uint32_t check_ms = 100;
static const uint32_t udp_lifetime_ms = 120 * 1000; /* RFC 4787 REQ-5 */
static const uint32_t udp_queue_ms = 20;

static const struct list links, concentrators, subscribers;

#define AT(field) .offset = offsetof(struct config, field)

static const struct list lan_interfaces =
	LIST(struct config, lan.count, lan.name, .read = config_read_interface, .min = 1);
static const struct key lan_keys[] = {
	{"interfaces", walk_list, &lan_interfaces, .flags = FOR_CPE | REQUIRED},
};
static const struct mapping lan = MAPPING(lan_keys);

#define IN_LINK(field) .offset = offsetof(struct config_link, field), .flags = FOR_CPE
static const struct key link_keys[] = {
	{"name", config_read_unique_name, &links, IN_LINK(name) | REQUIRED},
	{"interface", config_read_interface, NULL, IN_LINK(interface) | REQUIRED},
	{"type", config_read_access_type, NULL, IN_LINK(type)},
	{"weight", walk_number, &weight, IN_LINK(weight)},
	{"use", walk_word, use_words, IN_LINK(use)},
	{"max_rtt", walk_duration, &duration_ms, IN_LINK(max_rtt_ms)},
	{"max_loss_percent", walk_number, &percent, IN_LINK(max_loss_percent)},
	{"gateway", config_read_gateway, NULL, .flags = FOR_CPE},
};
static const struct mapping link_mapping = MAPPING(link_keys);
static const struct list links =
	LIST(struct config, link_count, links, .read = read_link, .with = &link_mapping, .min = 1);

#define IN_CONCENTRATOR(field) \
	.offset = offsetof(struct config_concentrator, field), .flags = FOR_CPE
static const struct list concentrator_addresses =
	LIST(struct config_concentrator, address_count, addresses, .read = config_read_unique_host,
	     .min = 1);
static const struct key concentrator_keys[] = {
	{"name", config_read_unique_name, &concentrators, IN_CONCENTRATOR(name) | REQUIRED},
	{"addresses", walk_list, &concentrator_addresses, .flags = FOR_CPE | REQUIRED},
	{"port", config_read_port, NULL, IN_CONCENTRATOR(port)},
	{"weight", walk_number, &weight, IN_CONCENTRATOR(weight)},
	{"check_interval", walk_duration, &check_ms, IN_CONCENTRATOR(check_ms)},
};
static const struct mapping concentrator = MAPPING(concentrator_keys);
static const struct list concentrators =
	LIST(struct config, concentrator_count, concentrators, .read = read_concentrator,
	     .with = &concentrator, .min = 1);

#define IN_RULE(field) .offset = offsetof(struct plait_policy_rule, field), .flags = FOR_CPE
static const struct key match_keys[] = {
	{"protocol", config_read_protocol, NULL, IN_RULE(protocol)},
	{"source", config_read_prefix, NULL, IN_RULE(source)},
	{"destination", config_read_prefix, NULL, IN_RULE(destination)},
	{"source_port", config_read_port_range, NULL, IN_RULE(source_port_first)},
	{"destination_port", config_read_port_range, NULL, IN_RULE(destination_port_first)},
};
static const struct mapping match = MAPPING(match_keys, .check = check_match);
static const struct key rule_keys[] = {
	{"match", walk_mapping, &match, .flags = FOR_CPE | REQUIRED},
	{"action", walk_word, action_words, IN_RULE(action) | REQUIRED},
};
static const struct mapping rule = MAPPING(rule_keys);
static const struct list policy =
	LIST(struct config, policy_count, policy, .read = read_rule, .with = &rule);

static const struct list customer_interfaces =
	LIST(struct config, customer.count, customer.name, .read = config_read_interface, .min = 1);
static const struct list customer_addresses =
	LIST(struct config, customer_address_count, customer_addresses,
	     .read = config_read_unique_address, .min = 1);
/* an empty list would let in anyone and look like nobody */
static const struct list customer_allow =
	LIST(struct config, allow_count, allow, .read = config_read_prefix, .min = 1);
static const struct key customer_keys[] = {
	{"interfaces", walk_list, &customer_interfaces, .flags = FOR_CONCENTRATOR | REQUIRED},
	{"addresses", walk_list, &customer_addresses, .flags = FOR_CONCENTRATOR | REQUIRED},
	{"port", config_read_port, NULL, AT(customer_port), .flags = FOR_CONCENTRATOR},
	{"allow", walk_list, &customer_allow, .flags = FOR_CONCENTRATOR},
};
static const struct mapping customer = MAPPING(customer_keys);

#define IN_POOL(field) .offset = offsetof(struct config_pool, field), .flags = FOR_CONCENTRATOR
static const struct list inside =
	LIST(struct config_pool, inside_count, inside, .read = config_read_inside, .min = 1);
static const struct key pool_keys[] = {
	{"prefix", config_read_pool_prefix, NULL, IN_POOL(prefix) | REQUIRED},
	{"translation", walk_word, translation_words, IN_POOL(translation)},
	{"inside", walk_list, &inside, .flags = FOR_CONCENTRATOR},
};
static const struct mapping pool = MAPPING(pool_keys, .check = check_pool);
static const struct list pools =
	LIST(struct config, pool_count, pools, .read = walk_mapping, .with = &pool);
static const struct list internet_interfaces =
	LIST(struct config, internet.count, internet.name, .read = config_read_interface, .min = 1);
static const struct key internet_keys[] = {
	{"interfaces", walk_list, &internet_interfaces, .flags = FOR_CONCENTRATOR | REQUIRED},
	{"pools", walk_list, &pools, .flags = FOR_CONCENTRATOR},
	{"port_block", config_read_port_block, NULL, AT(port_block), FOR_CONCENTRATOR},
	{"port_parity", walk_word, parity_words, AT(keep_parity), FOR_CONCENTRATOR},
	{"route_protocol", walk_number, &route_protocol, AT(route_protocol), FOR_CONCENTRATOR},
};
static const struct mapping internet = MAPPING(internet_keys, .check = check_internet);

#define IN_BINDING(field) .offset = offsetof(struct config_binding, field)
static const struct key binding_keys[] = {
	{"protocol", config_read_protocol, NULL, IN_BINDING(protocol), .flags = FOR_BOTH},
	{"port", config_read_own_port, NULL, IN_BINDING(external), .flags = FOR_CPE | REQUIRED},
	{"external", config_read_endpoint, NULL, IN_BINDING(external),
	 .flags = FOR_CONCENTRATOR | REQUIRED},
	{"inside", config_read_endpoint, NULL, IN_BINDING(inside), .flags = FOR_BOTH | REQUIRED},
};
static const struct mapping binding = MAPPING(binding_keys);
static const struct list config_bindings =
	LIST(struct config, binding_count, bindings, .read = read_binding, .with = &binding);

static const struct list subscriber_sources = LIST(struct config_subscriber, source_count, sources,
						   .read = config_read_unique_address, .min = 1);
static const struct key subscriber_keys[] = {
	{"name", config_read_unique_name, &subscribers, .flags = FOR_CONCENTRATOR | REQUIRED},
	{"sources", walk_list, &subscriber_sources, .flags = FOR_CONCENTRATOR | REQUIRED},
};
static const struct mapping subscriber = MAPPING(subscriber_keys);
static const struct list subscribers = LIST(struct config, subscriber_count, subscribers,
					    .read = walk_mapping, .with = &subscriber);

#define IN_LOG(field) \
	.offset = offsetof(struct config_binding_log, field), .flags = FOR_CONCENTRATOR
static const struct key binding_log_keys[] = {
	{"per", walk_word, log_per_words, IN_LOG(per)},
	{"destination", walk_bool, NULL, IN_LOG(destination)},
	{"file", config_read_path, NULL, IN_LOG(file)},
};
static const struct mapping binding_log = MAPPING(binding_log_keys, .check = check_binding_log);

#define IN_DATAGRAM(field) AT(datagram.field)
static const struct key datagram_keys[] = {
	{"distribution", walk_word, distribution_words, IN_DATAGRAM(distribution), FOR_CPE},
	{"attach", walk_word, attach_words, IN_DATAGRAM(attach), FOR_BOTH},
	{"ports", read_own_ports, NULL, IN_DATAGRAM(port_first), FOR_BOTH},
	{"filtering", walk_word, filtering_words, IN_DATAGRAM(filtering), FOR_CONCENTRATOR},
};
static const struct mapping datagram = MAPPING(datagram_keys);
static const struct key preserve_keys[] = {
	{"ipv4", walk_bool, NULL, AT(preserve_source_v4), FOR_BOTH},
	{"ipv6", walk_bool, NULL, AT(preserve_source_v6), FOR_BOTH},
};
static const struct mapping preserve = MAPPING(preserve_keys);
#define IN_DSCP(field) .offset = offsetof(struct config_dscp, field)
static const struct key dscp_keys[] = {
	{"leg", config_read_dscp, NULL, IN_DSCP(leg), .flags = FOR_BOTH},
	{"lan", config_read_dscp, NULL, IN_DSCP(plain), .flags = FOR_CPE},
	{"internet", config_read_dscp, NULL, IN_DSCP(plain), .flags = FOR_CONCENTRATOR},
};
static const struct mapping dscp = MAPPING(dscp_keys);
static const struct key lifetime_keys[] = {
	{"tcp_established", walk_duration, &duration_ms, AT(lifetimes.tcp_established_ms),
	 FOR_BOTH},
	{"tcp_transitory", walk_duration, &duration_ms, AT(lifetimes.tcp_transitory_ms), FOR_BOTH},
	{"reset", walk_duration, &duration_ms, AT(lifetimes.reset_ms), FOR_BOTH},
	{"udp", walk_duration, &udp_lifetime_ms, AT(lifetimes.udp_ms), FOR_BOTH},
};
static const struct mapping lifetimes = MAPPING(lifetime_keys);
#define IN_SUBSCRIBER(field) AT(subscriber_limits.field), .flags = FOR_CONCENTRATOR
static const struct key subscriber_limit_keys[] = {
	{"sessions", walk_number, &any_number, IN_SUBSCRIBER(sessions)},
	{"ports", walk_number, &any_number, IN_SUBSCRIBER(ports)},
	{"blocks", walk_number, &blocks, IN_SUBSCRIBER(blocks)},
	{"new_per_second", walk_number, &new_per_s, IN_SUBSCRIBER(new_per_s)},
};
static const struct mapping subscriber_limits = MAPPING(subscriber_limit_keys);
static const struct key limit_keys[] = {
	{"bindings", walk_number, &bindings, AT(max_bindings), FOR_CONCENTRATOR},
	{"subscribers", walk_number, &subscriber_slots, AT(max_subscribers), FOR_CONCENTRATOR},
	{"subscriber", walk_mapping, &subscriber_limits, .flags = FOR_CONCENTRATOR},
	{"sessions", walk_number, &sessions, AT(max_sessions), FOR_BOTH},
	{"held_syns", walk_number, &held_syns, AT(max_held_syns), FOR_BOTH},
	{"subflows", walk_number, &subflows, AT(max_subflows), FOR_BOTH},
};
static const struct mapping limits = MAPPING(limit_keys);

static const struct key root_keys[] = {
	{"role", walk_word, role_words, AT(role), FOR_BOTH | REQUIRED},
	{"name", config_read_name, NULL, AT(name), FOR_BOTH},
	{"mode", walk_word, mode_words, AT(mode), FOR_BOTH},
	{"lan", walk_mapping, &lan, 0, FOR_CPE | REQUIRED},
	{"links", walk_list, &links, 0, FOR_CPE | REQUIRED},
	{"concentrators", walk_list, &concentrators, 0, FOR_CPE | REQUIRED},
	{"concentrator_selection", walk_word, selection_words, AT(selection), FOR_CPE},
	{"when_unreachable", walk_word, unreachable_words, AT(when_unreachable), FOR_CPE},
	{"policy", walk_list, &policy, 0, FOR_CPE},
	{"customer", walk_mapping, &customer, 0, FOR_CONCENTRATOR | REQUIRED},
	{"internet", walk_mapping, &internet, 0, FOR_CONCENTRATOR | REQUIRED},
	{"subscribers", walk_list, &subscribers, 0, FOR_CONCENTRATOR},
	{"bindings", walk_list, &config_bindings, 0, FOR_BOTH},
	{"binding_log", walk_mapping, &binding_log, AT(binding_log), FOR_CONCENTRATOR},
	{"handshake", walk_word, handshake_words, AT(handshake), FOR_BOTH},
	{"congestion_control", walk_word, congestion_words, AT(congestion), FOR_BOTH},
	{"udp", config_read_udp, NULL, AT(udp), FOR_BOTH},
	{"fragmentation", walk_word, fragmentation_words, AT(fragmentation), FOR_BOTH},
	{"reorder", config_read_reorder, NULL, AT(reorder_ms), FOR_BOTH},
	{"udp_queue", walk_duration, &udp_queue_ms, AT(udp_queue_ms), FOR_BOTH},
	{"datagram", walk_mapping, &datagram, 0, FOR_BOTH},
	{"preserve_source", walk_mapping, &preserve, 0, FOR_BOTH},
	{"dscp", read_dscp, &dscp, AT(dscp), FOR_BOTH},
	{"fastclose_on_expiry", walk_bool, NULL, AT(fastclose_on_expiry), FOR_BOTH},
	{"lifetimes", walk_mapping, &lifetimes, 0, FOR_BOTH},
	{"limits", walk_mapping, &limits, 0, FOR_BOTH},
	{"workers", walk_number, &workers, AT(workers), FOR_BOTH},
	{"drain", walk_duration, NULL, AT(drain_ms), FOR_BOTH},
};
static const struct mapping root = MAPPING(root_keys, .check = check_root);

/* Which keys there may be depends on the role, so it is read before all others. */
static int read_role(struct walk *walk, const struct node *node)
{
	const struct node *value;
	size_t path_chars;
	int err;

	if (node->kind != NODE_MAPPING)
		return walk_expected(walk, node, "a mapping");
	value = node_value(node, "role");
	path_chars = walk_enter_key(walk, "role");
	if (!value)
		return walk_fail(walk, node, "missing");
	err = walk_word(walk, value, &walk->config->role, role_words);
	if (err == 0)
		walk_leave(walk, path_chars);
	return err;
}

const struct config_subscriber *config_subscriber_of(const struct config *config,
						     const struct plait_addr *addr)
{
	for (unsigned int i = 0; i < config->subscriber_count; i++)
		for (unsigned int s = 0; s < config->subscribers[i].source_count; s++)
			if (addr_same_ip(&config->subscribers[i].sources[s], addr))
				return &config->subscribers[i];
	return NULL;
}

struct plait_addr config_nearest_customer_address(const struct config *config,
						  const struct plait_addr *cpe)
{
	struct plait_addr nearest = {};
	unsigned int most = 0;

	for (unsigned int i = 0; i < config->customer_address_count; i++) {
		const struct plait_addr *own = &config->customer_addresses[i];
		unsigned int common = addr_common_bits(own, cpe);

		if (own->family == cpe->family && (!nearest.family || common > most)) {
			nearest = *own;
			most = common;
		}
	}
	return nearest;
}

static void set_defaults(struct config *config)
{
	strcpy(config->name, role_words[config->role]);
	config->udp = config->role == ROLE_CPE ? UDP_STREAM : UDP_BOTH;
	config->datagram.port_first = 61000; /* above what Linux gives to connections */
	config->datagram.port_last = 65535;
	config->preserve_source_v6 = true;
	config->dscp.leg = config->dscp.plain = CONFIG_DSCP_PRESERVE;
	config->lifetimes.tcp_established_ms = 7440 * 1000;
	config->lifetimes.tcp_transitory_ms = 240 * 1000;
	config->udp_queue_ms = 500;
	config->lifetimes.reset_ms = 240 * 1000;
	config->lifetimes.udp_ms = 300 * 1000;
	config->max_sessions = 65536;
	config->max_held_syns = 4096;
	config->max_subflows = CONFIG_MAX_SUBFLOWS;
	config->max_bindings = 65536;
	config->max_subscribers = 16384;
	config->subscriber_limits.blocks = 8;
	config->port_block = 512;
	config->customer_port = config->role == ROLE_CONCENTRATOR ? CONFIG_DEFAULT_PORT : 0;
}

static int read_tree(const struct node *node, struct config *config, struct config_error *error)
{
	struct walk walk = {.config = config, .error = error};
	int err = read_role(&walk, node);

	if (err < 0)
		return err;
	set_defaults(config);
	return walk_mapping(&walk, node, config, &root);
}

static void free_pointer(void *pointer)
{
	free(*(void **)pointer);
}

static int read_text(FILE *file, char *text, size_t *len, struct config_error *error)
{
	errno = 0;
	*len = fread(text, 1, MAX_FILE_BYTES + 1, file);
	if (ferror(file))
		return errno ? -errno : -EIO;
	if (*len > MAX_FILE_BYTES) {
		*error = (struct config_error){.text = "the file is longer than 1 MiB"};
		return -EINVAL;
	}
	return 0;
}

int config_read(FILE *file, struct config *out, struct config_error *error)
{
	__attribute__((cleanup(document_free))) struct document document = {};
	__attribute__((cleanup(free_pointer))) struct config *config = calloc(1, sizeof(*config));
	__attribute__((cleanup(free_pointer))) char *text = malloc(MAX_FILE_BYTES + 1);
	size_t len;
	int err;

	if (!config || !text)
		return -ENOMEM;
	err = read_text(file, text, &len, error);
	if (err == 0)
		err = document_read(text, len, &document, error);
	if (err == 0)
		err = read_tree(document.root, config, error);
	if (err == 0)
		*out = *config;
	return err;
}
