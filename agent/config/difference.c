// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "difference.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct part {
	const char *list; /* NULL: not of a list's elements */
	const char *key;
	size_t offset, size; /* of the first element's */
	size_t stride;
	unsigned int times;
	bool may_change;
};

#define CHANGES     true
#define STAYS       false
#define SIZE(field) sizeof(((struct config *)NULL)->field)
#define OF(field)   offsetof(struct config, field), SIZE(field)

#define PART(key_, field, may)                   \
	{                                        \
		NULL, key_, OF(field), 0, 1, may \
	}
/* NOLINTBEGIN(bugprone-macro-parentheses): a field's name has none */
#define EACH(list_, key_, first, field, may)                                                       \
	{                                                                                          \
		list_, key_, OF(first[0].field), SIZE(first[0]), SIZE(first) / SIZE(first[0]), may \
	}
/* NOLINTEND(bugprone-macro-parentheses) */
#define LINK(key, field, may)         EACH("links", key, links, field, may)
#define CONCENTRATOR(key, field, may) EACH("concentrators", key, concentrators, field, may)

/* Those that stay are here for their names. */
static const struct part parts[] = {
	PART("role", role, STAYS),
	PART("name", name, STAYS),
	PART("mode", mode, STAYS),
	PART("handshake", handshake, STAYS),
	PART("congestion_control", congestion, STAYS),
	PART("udp", udp, STAYS),
	PART("datagram.distribution", datagram.distribution, CHANGES),
	PART("datagram.attach", datagram.attach, STAYS),
	PART("datagram.ports", datagram.port_first, STAYS),
	PART("datagram.ports", datagram.port_last, STAYS),
	PART("datagram.filtering", datagram.filtering, STAYS),
	PART("fragmentation", fragmentation, STAYS),
	PART("preserve_source.ipv4", preserve_source_v4, CHANGES),
	PART("preserve_source.ipv6", preserve_source_v6, CHANGES),
	PART("dscp", dscp, STAYS),
	PART("fastclose_on_expiry", fastclose_on_expiry, CHANGES),
	PART("lifetimes.tcp_established", lifetimes.tcp_established_ms, CHANGES),
	PART("lifetimes.tcp_transitory", lifetimes.tcp_transitory_ms, CHANGES),
	PART("lifetimes.reset", lifetimes.reset_ms, CHANGES),
	PART("lifetimes.udp", lifetimes.udp_ms, CHANGES),
	PART("workers", workers, STAYS),
	PART("limits.sessions", max_sessions, STAYS),
	PART("limits.held_syns", max_held_syns, STAYS),
	PART("limits.subflows", max_subflows, STAYS),
	PART("limits.bindings", max_bindings, STAYS),
	PART("limits.subscribers", max_subscribers, STAYS),
	PART("limits.subscriber.sessions", subscriber_limits.sessions, CHANGES),
	PART("limits.subscriber.ports", subscriber_limits.ports, CHANGES),
	PART("limits.subscriber.blocks", subscriber_limits.blocks, CHANGES),
	PART("limits.subscriber.new_per_second", subscriber_limits.new_per_s, CHANGES),
	PART("bindings", binding_count, STAYS),
	PART("bindings", bindings, STAYS),
	PART("reorder", reorder_ms, STAYS),
	PART("udp_queue", udp_queue_ms, CHANGES),
	PART("drain", drain_ms, CHANGES),

	PART("lan.interfaces", lan, STAYS),
	PART("links", link_count, STAYS),
	LINK("name", name, STAYS),
	LINK("interface", interface, STAYS),
	LINK("gateway", gateway4, STAYS),
	LINK("gateway", gateway6, STAYS),
	LINK("type", type, CHANGES),
	LINK("weight", weight, CHANGES),
	LINK("use", use, CHANGES),
	LINK("max_rtt", max_rtt_ms, CHANGES),
	LINK("max_loss_percent", max_loss_percent, CHANGES),
	PART("concentrators", concentrator_count, STAYS),
	CONCENTRATOR("name", name, STAYS),
	CONCENTRATOR("addresses", address_count, STAYS),
	CONCENTRATOR("addresses", addresses, STAYS),
	CONCENTRATOR("port", port, STAYS),
	CONCENTRATOR("check_interval", check_ms, STAYS),
	CONCENTRATOR("weight", weight, CHANGES),
	PART("concentrator_selection", selection, CHANGES),
	PART("when_unreachable", when_unreachable, CHANGES),
	PART("policy", policy_count, CHANGES),
	PART("policy", policy, CHANGES),

	PART("customer.interfaces", customer, STAYS),
	PART("customer.addresses", customer_address_count, STAYS),
	PART("customer.addresses", customer_addresses, STAYS),
	PART("customer.port", customer_port, STAYS),
	PART("customer.allow", allow_count, CHANGES),
	PART("customer.allow", allow, CHANGES),
	PART("internet.interfaces", internet, STAYS),
	PART("internet.port_block", port_block, STAYS),
	PART("internet.port_parity", keep_parity, STAYS),
	PART("internet.route_protocol", route_protocol, STAYS),
	PART("internet.pools", pool_count, STAYS),
	PART("internet.pools", pools, STAYS),
	PART("subscribers", subscriber_count, STAYS),
	PART("subscribers", subscribers, STAYS),
	PART("binding_log", binding_log, STAYS),
};

enum { PART_COUNT = sizeof(parts) / sizeof(*parts) };

static void name_part(const struct part *part, unsigned int index, char key[DIFFERENCE_KEY_BYTES])
{
	if (part->list)
		snprintf(key, DIFFERENCE_KEY_BYTES, "%s[%u].%s", part->list, index, part->key);
	else
		snprintf(key, DIFFERENCE_KEY_BYTES, "%s", part->key);
}

static void note(const struct part *part, unsigned int index, struct config_difference *out)
{
	char key[DIFFERENCE_KEY_BYTES];

	name_part(part, index, key);
	if (!part->may_change) {
		if (!out->fixed[0])
			memcpy(out->fixed, key, sizeof(key));
		return;
	}
	if (out->count && !strcmp(out->keys[out->count - 1], key))
		return; /* a list's number, and now its elements */
	if (out->count < DIFFERENCE_KEYS_MAX)
		memcpy(out->keys[out->count++], key, sizeof(key));
}

/* Padding too, which is zero: configurations are filled field by field. */
static bool same_octets(const void *a, const void *b, size_t len)
{
	return !memcmp(a, b, len);
}

static void compare_part(const struct part *part, const void *running, const void *next,
			 struct config_difference *out)
{
	for (unsigned int i = 0; i < part->times; i++) {
		size_t offset = part->offset + i * part->stride;

		if (!same_octets((const char *)running + offset, (const char *)next + offset,
				 part->size))
			note(part, i, out);
	}
}

void config_take_changes(struct config *running, const struct config *next)
{
	for (unsigned int p = 0; p < PART_COUNT; p++)
		for (unsigned int i = 0; parts[p].may_change && i < parts[p].times; i++) {
			size_t offset = parts[p].offset + i * parts[p].stride;

			memcpy((char *)running + offset, (const char *)next + offset,
			       parts[p].size);
		}
}

int config_difference(const struct config *running, const struct config *next,
		      struct config_difference *out)
{
	struct config *changed = malloc(sizeof(*changed));

	if (!changed)
		return -ENOMEM;
	memset(out, 0, sizeof(*out));
	for (unsigned int p = 0; p < PART_COUNT; p++)
		compare_part(&parts[p], running, next, out);
	memcpy(changed, running, sizeof(*changed));
	config_take_changes(changed, next);
	if (!out->fixed[0] && !same_octets(changed, next, sizeof(*changed)))
		strcpy(out->fixed, "another key");
	free(changed);
	return 0;
}
