// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "routes.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>

#include "base/addr_text.h"

/* Routes */

static struct rtmsg *start_route(char *buffer, uint8_t family, uint32_t table, uint8_t type,
				 struct nlmsghdr **message)
{
	struct rtmsg *route =
		netlink_request(buffer, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
				sizeof(*route), message);

	route->rtm_family = family;
	route->rtm_protocol = ROUTES_PROTOCOL;
	route->rtm_type = type;
	route->rtm_table = RT_TABLE_UNSPEC;
	mnl_attr_put_u32(*message, RTA_TABLE, table);
	return route;
}

int routes_add_local(struct netlink *netlink, const struct plait_prefix *prefix, uint32_t table)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message;
	struct rtmsg *route = start_route(buffer, prefix->family, table, RTN_LOCAL, &message);

	route->rtm_scope = RT_SCOPE_HOST;
	route->rtm_dst_len = prefix->bits;
	if (prefix->bits)
		mnl_attr_put(message, RTA_DST, netlink_addr_bytes(prefix->family), prefix->ip);
	mnl_attr_put_u32(message, RTA_OIF, if_nametoindex("lo"));
	return netlink_transact(netlink, message, NULL, NULL);
}

int routes_add_default(struct netlink *netlink, uint8_t family, uint32_t table,
		       unsigned int ifindex, const struct plait_addr *gateway)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message;
	struct rtmsg *route = start_route(buffer, family, table, RTN_UNICAST, &message);

	route->rtm_scope = gateway->family ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	if (gateway->family)
		mnl_attr_put(message, RTA_GATEWAY, netlink_addr_bytes(family), gateway->ip);
	mnl_attr_put_u32(message, RTA_OIF, ifindex);
	return netlink_transact(netlink, message, NULL, NULL);
}

/*
 * A blackhole, as for any aggregate: who comes to the main table does so while plaitd's
 * rule is missing, and an ICMP error would end what waits for no more than an answer.
 */
static int change_announced(struct netlink *netlink, uint16_t type, uint16_t flags,
			    const struct plait_prefix *prefix, uint8_t protocol)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message;
	struct rtmsg *route =
		netlink_request(buffer, type, NLM_F_ACK | flags, sizeof(*route), &message);

	route->rtm_family = prefix->family;
	route->rtm_table = RT_TABLE_MAIN;
	route->rtm_protocol = protocol;
	route->rtm_type = RTN_BLACKHOLE;
	route->rtm_dst_len = prefix->bits;
	if (prefix->bits)
		mnl_attr_put(message, RTA_DST, netlink_addr_bytes(prefix->family), prefix->ip);
	return netlink_transact(netlink, message, NULL, NULL);
}

int routes_announce(struct netlink *netlink, const struct plait_prefix *prefix, uint8_t protocol)
{
	return change_announced(netlink, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, prefix, protocol);
}

int routes_withdraw(struct netlink *netlink, const struct plait_prefix *prefix, uint8_t protocol)
{
	return change_announced(netlink, RTM_DELROUTE, 0, prefix, protocol);
}

/* One route of a dump, as far as plait looks at routes. */
struct route {
	const struct rtmsg *head;
	uint32_t table, oif, priority;
	const struct nlattr *destination, *gateway, *source;
};

static void read_route(const struct nlmsghdr *message, struct route *out)
{
	const struct nlattr *attribute;

	memset(out, 0, sizeof(*out));
	out->head = mnl_nlmsg_get_payload(message);
	out->table = out->head->rtm_table;
	mnl_attr_for_each(attribute, message, sizeof(*out->head)) {
		switch (mnl_attr_get_type(attribute)) {
		case RTA_TABLE:
			out->table = mnl_attr_get_u32(attribute);
			break;
		case RTA_OIF:
			out->oif = mnl_attr_get_u32(attribute);
			break;
		case RTA_DST:
			out->destination = attribute;
			break;
		case RTA_GATEWAY:
			out->gateway = attribute;
			break;
		case RTA_PREFSRC:
			out->source = attribute;
			break;
		default:
			break;
		}
	}
}

enum { COLLECT_BYTES = 65536 };

/* Messages of a dump kept for afterwards: a dump's socket cannot do anything else. */
struct collected {
	uint32_t first_table, last_table, oif; /* oif 0: any */
	uint8_t rtm_type; /* 0: any */
	size_t used;
	char bytes[COLLECT_BYTES];
};

static void collect(struct collected *collected, const struct nlmsghdr *message)
{
	size_t bytes = MNL_ALIGN(message->nlmsg_len);

	if (collected->used + bytes > sizeof(collected->bytes))
		return;
	memcpy(collected->bytes + collected->used, message, message->nlmsg_len);
	collected->used += bytes;
}

static int on_route(const struct nlmsghdr *message, void *context)
{
	struct collected *collected = context;
	struct route route;

	read_route(message, &route);
	if (route.table >= collected->first_table && route.table <= collected->last_table &&
	    (!collected->oif || route.oif == collected->oif) &&
	    (!collected->rtm_type || route.head->rtm_type == collected->rtm_type))
		collect(collected, message);
	return MNL_CB_OK;
}

/* One that is interrupted each time is taken as it is: who interrupts it will be heard of. */
static int collect_dump(struct netlink *netlink, struct nlmsghdr *message, mnl_cb_t on_message,
			struct collected *collected)
{
	int err = -EINTR;

	for (unsigned int i = 0; err == -EINTR && i < NETLINK_DUMPS_TRIED; i++) {
		collected->used = 0;
		err = netlink_transact(netlink, message, on_message, collected);
	}
	return err == -EINTR ? 0 : err;
}

static int collect_routes(struct netlink *netlink, uint8_t family, struct collected *collected)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message;
	struct rtmsg *head =
		netlink_request(buffer, RTM_GETROUTE, NLM_F_DUMP, sizeof(*head), &message);

	head->rtm_family = family;
	return collect_dump(netlink, message, on_route, collected);
}

static struct nlmsghdr *next_collected(struct collected *collected, size_t *at)
{
	struct nlmsghdr *message = (void *)(collected->bytes + *at);

	if (*at >= collected->used)
		return NULL;
	*at += MNL_ALIGN(message->nlmsg_len);
	return message;
}

static int copy_route(struct netlink *netlink, const struct nlmsghdr *from, uint8_t family,
		      uint32_t table)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message;
	struct rtmsg *head;
	struct route route;

	read_route(from, &route);
	head = start_route(buffer, family, table, RTN_UNICAST, &message);
	head->rtm_scope = route.head->rtm_scope;
	head->rtm_dst_len = route.head->rtm_dst_len;
	mnl_attr_put_u32(message, RTA_OIF, route.oif);
	if (route.destination)
		mnl_attr_put(message, RTA_DST, mnl_attr_get_payload_len(route.destination),
			     mnl_attr_get_payload(route.destination));
	if (route.gateway)
		mnl_attr_put(message, RTA_GATEWAY, mnl_attr_get_payload_len(route.gateway),
			     mnl_attr_get_payload(route.gateway));
	return netlink_transact(netlink, message, NULL, NULL);
}

static int collect_main(struct netlink *netlink, uint8_t family, unsigned int ifindex,
			struct collected *collected)
{
	collected->first_table = collected->last_table = RT_TABLE_MAIN;
	collected->oif = ifindex;
	collected->rtm_type = RTN_UNICAST;
	return collect_routes(netlink, family, collected);
}

/* FNV-1a */
static void digest_bytes(uint64_t *digest, const void *bytes, size_t len)
{
	for (const uint8_t *at = bytes; len; at++, len--)
		*digest = (*digest ^ *at) * 0x100000001b3;
}

static void digest_attribute(uint64_t *digest, const struct nlattr *attribute)
{
	if (attribute)
		digest_bytes(digest, attribute, attribute->nla_len);
}

int routes_digest(struct netlink *netlink, uint8_t family, unsigned int ifindex, uint64_t *digest)
{
	static struct collected collected;
	struct nlmsghdr *message;
	size_t at = 0;
	int err = collect_main(netlink, family, ifindex, &collected);

	while (!err && (message = next_collected(&collected, &at))) {
		struct route route;

		read_route(message, &route);
		digest_bytes(digest, &route.oif, sizeof(route.oif));
		digest_bytes(digest, &route.head->rtm_scope, sizeof(route.head->rtm_scope));
		digest_bytes(digest, &route.head->rtm_dst_len, sizeof(route.head->rtm_dst_len));
		digest_attribute(digest, route.destination);
		digest_attribute(digest, route.gateway);
	}
	return err;
}

static int copy_collected(struct netlink *netlink, struct collected *collected, uint8_t family,
			  uint32_t table, bool with_gateway)
{
	struct nlmsghdr *message;
	size_t at = 0;
	int err = 0;

	while (!err && (message = next_collected(collected, &at))) {
		struct route route;

		read_route(message, &route);
		if (with_gateway == (route.gateway != NULL))
			err = copy_route(netlink, message, family, table);
	}
	return err;
}

int routes_copy(struct netlink *netlink, uint8_t family, unsigned int ifindex, uint32_t table)
{
	static struct collected collected; /* one thread sets routes up */
	int err = collect_main(netlink, family, ifindex, &collected);

	/* routes on the link go before the gateways they make reachable */
	if (!err)
		err = copy_collected(netlink, &collected, family, table, false);
	return err ? err : copy_collected(netlink, &collected, family, table, true);
}

int routes_prefix_to(struct netlink *netlink, const struct plait_addr *addr, uint32_t table)
{
	static struct collected collected;
	int best = -ENETUNREACH, err;
	struct nlmsghdr *message;
	size_t at = 0;

	collected.first_table = collected.last_table = table;
	collected.oif = 0;
	collected.rtm_type = RTN_UNICAST;
	err = collect_routes(netlink, addr->family, &collected);
	while (!err && (message = next_collected(&collected, &at))) {
		struct plait_prefix prefix = {.family = addr->family};
		struct plait_addr destination = {};
		struct route route;

		read_route(message, &route);
		if (route.destination)
			netlink_take_addr(route.destination, addr->family, &destination);
		memcpy(prefix.ip, destination.ip, sizeof(prefix.ip));
		prefix.bits = route.head->rtm_dst_len;
		if (addr_in_prefix(addr, &prefix) && prefix.bits > best)
			best = prefix.bits;
	}
	return err ? err : best;
}

/* Rules */

static int add_rule(struct netlink *netlink, uint8_t family, uint32_t table, uint32_t priority,
		    const struct plait_addr *source, uint32_t mark)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message;
	struct fib_rule_hdr *rule =
		netlink_request(buffer, RTM_NEWRULE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
				sizeof(*rule), &message);
	int err;

	rule->family = family;
	rule->action = FR_ACT_TO_TBL;
	rule->table = RT_TABLE_UNSPEC;
	mnl_attr_put_u32(message, FRA_TABLE, table);
	mnl_attr_put_u32(message, FRA_PRIORITY, priority);
	mnl_attr_put_u8(message, FRA_PROTOCOL, ROUTES_PROTOCOL);
	if (source) {
		rule->src_len = (uint8_t)(netlink_addr_bytes(family) * 8);
		mnl_attr_put(message, FRA_SRC, netlink_addr_bytes(family), source->ip);
	} else if (mark) {
		mnl_attr_put_u32(message, FRA_FWMARK, mark);
		mnl_attr_put_u32(message, FRA_FWMASK, 0xffffffff);
	}
	err = netlink_transact(netlink, message, NULL, NULL);
	return err == -EEXIST ? 0 : err;
}

int routes_add_rule(struct netlink *netlink, uint8_t family, uint32_t table, uint32_t priority)
{
	return add_rule(netlink, family, table, priority, NULL, 0);
}

int routes_add_mark_rule(struct netlink *netlink, uint8_t family, uint32_t mark, uint32_t table,
			 uint32_t priority)
{
	return add_rule(netlink, family, table, priority, NULL, mark);
}

int routes_add_source_rule(struct netlink *netlink, const struct plait_addr *source, uint32_t table,
			   uint32_t priority)
{
	return add_rule(netlink, source->family, table, priority, source, 0);
}

static int on_rule(const struct nlmsghdr *message, void *context)
{
	const struct fib_rule_hdr *head = mnl_nlmsg_get_payload(message);
	struct collected *collected = context;
	const struct nlattr *attribute;
	uint32_t table = head->table;

	mnl_attr_for_each(attribute, message, sizeof(*head))
		if (mnl_attr_get_type(attribute) == FRA_TABLE)
			table = mnl_attr_get_u32(attribute);
	if (table >= collected->first_table && table <= collected->last_table)
		collect(collected, message);
	return MNL_CB_OK;
}

static int collect_rules(struct netlink *netlink, uint8_t family, struct collected *collected)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message;
	struct fib_rule_hdr *head =
		netlink_request(buffer, RTM_GETRULE, NLM_F_DUMP, sizeof(*head), &message);

	head->family = family;
	return collect_dump(netlink, message, on_rule, collected);
}

/* What a dump told is sent back as a request to delete. */
static void delete_collected(struct netlink *netlink, struct collected *collected, uint16_t type)
{
	struct nlmsghdr *message;
	size_t at = 0;

	while ((message = next_collected(collected, &at))) {
		message->nlmsg_type = type;
		message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
		netlink_transact(netlink, message, NULL, NULL);
	}
}

int routes_remove(struct netlink *netlink, uint32_t first_table, uint32_t last_table)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	static struct collected collected;

	collected.first_table = first_table;
	collected.last_table = last_table;
	collected.oif = 0;
	collected.rtm_type = 0;
	for (unsigned int i = 0; i < 2; i++) {
		int err = collect_rules(netlink, families[i], &collected);

		if (err)
			return err;
		delete_collected(netlink, &collected, RTM_DELRULE);
		err = collect_routes(netlink, families[i], &collected);
		if (err)
			return err;
		delete_collected(netlink, &collected, RTM_DELROUTE);
	}
	return 0;
}
