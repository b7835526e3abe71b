// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "routes.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr_text.h"

/* In `ip rule` and `ip route` as "proto 112": what plait installed. */
enum { PROTOCOL_PLAIT = 112 };

enum { MESSAGE_BYTES = 512, REPLY_BYTES = 32768 };

int routes_open(struct routes *routes)
{
	int err;

	routes->sequence = 0;
	routes->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!routes->socket)
		return -errno;
	if (mnl_socket_bind(routes->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		routes_close(routes);
		return err;
	}
	return 0;
}

void routes_close(struct routes *routes)
{
	if (routes->socket)
		mnl_socket_close(routes->socket);
	routes->socket = NULL;
}

static int transact(struct routes *routes, struct nlmsghdr *message, mnl_cb_t on_reply,
		    void *context)
{
	char reply[REPLY_BYTES];
	unsigned int port = mnl_socket_get_portid(routes->socket);
	ssize_t n;
	int more;

	message->nlmsg_seq = ++routes->sequence;
	if (mnl_socket_sendto(routes->socket, message, message->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(routes->socket, reply, sizeof(reply));
		if (n < 0)
			return -errno;
		more = mnl_cb_run(reply, (size_t)n, message->nlmsg_seq, port, on_reply, context);
	} while (more > 0);
	return more < 0 ? -errno : 0;
}

static void *start(char *buffer, uint16_t type, uint16_t flags, size_t header_bytes,
		   struct nlmsghdr **message)
{
	*message = mnl_nlmsg_put_header(buffer);
	(*message)->nlmsg_type = type;
	(*message)->nlmsg_flags = NLM_F_REQUEST | flags;
	return mnl_nlmsg_put_extra_header(*message, header_bytes);
}

static size_t addr_bytes(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

static void take_addr(const struct nlattr *attribute, uint8_t family, struct plait_addr *out)
{
	memset(out, 0, sizeof(*out));
	if (mnl_attr_get_payload_len(attribute) != addr_bytes(family))
		return;
	out->family = family;
	memcpy(out->ip, mnl_attr_get_payload(attribute), addr_bytes(family));
}

/* Interfaces */

static int on_interface(const struct nlmsghdr *message, void *context)
{
	const struct ifinfomsg *head = mnl_nlmsg_get_payload(message);
	struct interface *out = context;
	const struct nlattr *attribute;

	out->ifindex = (unsigned int)head->ifi_index;
	out->up = head->ifi_flags & IFF_UP;
	out->ethernet = head->ifi_type == ARPHRD_ETHER;
	mnl_attr_for_each(attribute, message, sizeof(*head)) {
		struct rtnl_link_stats64 stats = {};

		switch (mnl_attr_get_type(attribute)) {
		case IFLA_MTU:
			out->mtu = mnl_attr_get_u32(attribute);
			break;
		case IFLA_CARRIER:
			out->carrier = mnl_attr_get_u8(attribute);
			break;
		case IFLA_STATS64:
			memcpy(&stats, mnl_attr_get_payload(attribute),
			       mnl_attr_get_payload_len(attribute) < sizeof(stats)
				       ? mnl_attr_get_payload_len(attribute)
				       : sizeof(stats));
			out->sent_bytes = stats.tx_bytes;
			out->received_bytes = stats.rx_bytes;
			out->sent_packets = stats.tx_packets;
			out->received_packets = stats.rx_packets;
			break;
		default:
			break;
		}
	}
	return MNL_CB_OK;
}

int routes_interface(struct routes *routes, const char *name, struct interface *out)
{
	char buffer[MESSAGE_BYTES];
	struct interface found = {};
	struct nlmsghdr *message;
	int err;

	start(buffer, RTM_GETLINK, NLM_F_ACK, sizeof(struct ifinfomsg), &message);
	mnl_attr_put_strz(message, IFLA_IFNAME, name);
	err = transact(routes, message, on_interface, &found);
	if (!err)
		*out = found;
	return err;
}

/* Addresses */

struct address_walk {
	routes_on_address *on_address;
	void *context;
};

static int on_address_message(const struct nlmsghdr *message, void *context)
{
	const struct ifaddrmsg *head = mnl_nlmsg_get_payload(message);
	struct plait_addr local = {}, address = {}, broadcast = {};
	struct address_walk *walk = context;
	const struct nlattr *attribute;

	if (head->ifa_family != AF_INET && head->ifa_family != AF_INET6)
		return MNL_CB_OK;
	mnl_attr_for_each(attribute, message, sizeof(*head)) {
		if (mnl_attr_get_type(attribute) == IFA_LOCAL)
			take_addr(attribute, head->ifa_family, &local);
		else if (mnl_attr_get_type(attribute) == IFA_ADDRESS)
			take_addr(attribute, head->ifa_family, &address);
		else if (mnl_attr_get_type(attribute) == IFA_BROADCAST)
			take_addr(attribute, head->ifa_family, &broadcast);
	}
	if (!local.family)
		local = address; /* IPv6, and IPv4 without a peer, have just this */
	walk->on_address(walk->context, head->ifa_index, &local, head->ifa_prefixlen, false);
	if (broadcast.family)
		walk->on_address(walk->context, head->ifa_index, &broadcast, 32, true);
	return MNL_CB_OK;
}

int routes_addresses(struct routes *routes, routes_on_address *on_address, void *context)
{
	struct address_walk walk = {on_address, context};
	char buffer[MESSAGE_BYTES];
	struct nlmsghdr *message;

	start(buffer, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg), &message);
	return transact(routes, message, on_address_message, &walk);
}

/* Routes */

static struct rtmsg *start_route(char *buffer, uint8_t family, uint32_t table, uint8_t type,
				 struct nlmsghdr **message)
{
	struct rtmsg *route = start(buffer, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
				    sizeof(*route), message);

	route->rtm_family = family;
	route->rtm_protocol = PROTOCOL_PLAIT;
	route->rtm_type = type;
	route->rtm_table = RT_TABLE_UNSPEC;
	mnl_attr_put_u32(*message, RTA_TABLE, table);
	return route;
}

int routes_add_local(struct routes *routes, uint8_t family, uint32_t table)
{
	char buffer[MESSAGE_BYTES];
	struct nlmsghdr *message;
	struct rtmsg *route = start_route(buffer, family, table, RTN_LOCAL, &message);

	route->rtm_scope = RT_SCOPE_HOST;
	mnl_attr_put_u32(message, RTA_OIF, if_nametoindex("lo"));
	return transact(routes, message, NULL, NULL);
}

int routes_add_default(struct routes *routes, uint8_t family, uint32_t table, unsigned int ifindex,
		       const struct plait_addr *gateway)
{
	char buffer[MESSAGE_BYTES];
	struct nlmsghdr *message;
	struct rtmsg *route = start_route(buffer, family, table, RTN_UNICAST, &message);

	route->rtm_scope = gateway->family ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	if (gateway->family)
		mnl_attr_put(message, RTA_GATEWAY, addr_bytes(family), gateway->ip);
	mnl_attr_put_u32(message, RTA_OIF, ifindex);
	return transact(routes, message, NULL, NULL);
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

static int collect_routes(struct routes *routes, uint8_t family, struct collected *collected)
{
	char buffer[MESSAGE_BYTES];
	struct nlmsghdr *message;
	struct rtmsg *head = start(buffer, RTM_GETROUTE, NLM_F_DUMP, sizeof(*head), &message);

	head->rtm_family = family;
	collected->used = 0;
	return transact(routes, message, on_route, collected);
}

static struct nlmsghdr *next_collected(struct collected *collected, size_t *at)
{
	struct nlmsghdr *message = (void *)(collected->bytes + *at);

	if (*at >= collected->used)
		return NULL;
	*at += MNL_ALIGN(message->nlmsg_len);
	return message;
}

static int copy_route(struct routes *routes, const struct nlmsghdr *from, uint8_t family,
		      uint32_t table)
{
	char buffer[MESSAGE_BYTES];
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
	return transact(routes, message, NULL, NULL);
}

int routes_copy(struct routes *routes, uint8_t family, unsigned int ifindex, uint32_t table)
{
	static struct collected collected; /* one thread sets routes up */
	struct nlmsghdr *message;
	size_t at = 0;
	int err;

	collected.first_table = collected.last_table = RT_TABLE_MAIN;
	collected.oif = ifindex;
	collected.rtm_type = RTN_UNICAST;
	err = collect_routes(routes, family, &collected);
	/* routes on the link go before the gateways they make reachable */
	while (!err && (message = next_collected(&collected, &at))) {
		struct route route;

		read_route(message, &route);
		if (!route.gateway)
			err = copy_route(routes, message, family, table);
	}
	at = 0;
	while (!err && (message = next_collected(&collected, &at))) {
		struct route route;

		read_route(message, &route);
		if (route.gateway)
			err = copy_route(routes, message, family, table);
	}
	return err;
}

int routes_prefix_to(struct routes *routes, const struct plait_addr *addr, uint32_t table)
{
	static struct collected collected;
	int best = -ENETUNREACH, err;
	struct nlmsghdr *message;
	size_t at = 0;

	collected.first_table = collected.last_table = table;
	collected.oif = 0;
	collected.rtm_type = RTN_UNICAST;
	err = collect_routes(routes, addr->family, &collected);
	while (!err && (message = next_collected(&collected, &at))) {
		struct plait_prefix prefix = {.family = addr->family};
		struct plait_addr destination = {};
		struct route route;

		read_route(message, &route);
		if (route.destination)
			take_addr(route.destination, addr->family, &destination);
		memcpy(prefix.ip, destination.ip, sizeof(prefix.ip));
		prefix.bits = route.head->rtm_dst_len;
		if (addr_in_prefix(addr, &prefix) && prefix.bits > best)
			best = prefix.bits;
	}
	return err ? err : best;
}

/* Rules */

static int add_rule(struct routes *routes, uint8_t family, uint32_t table, uint32_t priority,
		    const struct plait_addr *source, uint32_t mark)
{
	char buffer[MESSAGE_BYTES];
	struct nlmsghdr *message;
	struct fib_rule_hdr *rule =
		start(buffer, RTM_NEWRULE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(*rule),
		      &message);
	int err;

	rule->family = family;
	rule->action = FR_ACT_TO_TBL;
	rule->table = RT_TABLE_UNSPEC;
	mnl_attr_put_u32(message, FRA_TABLE, table);
	mnl_attr_put_u32(message, FRA_PRIORITY, priority);
	mnl_attr_put_u8(message, FRA_PROTOCOL, PROTOCOL_PLAIT);
	if (source) {
		rule->src_len = (uint8_t)(addr_bytes(family) * 8);
		mnl_attr_put(message, FRA_SRC, addr_bytes(family), source->ip);
	} else {
		mnl_attr_put_u32(message, FRA_FWMARK, mark);
		mnl_attr_put_u32(message, FRA_FWMASK, 0xffffffff);
	}
	err = transact(routes, message, NULL, NULL);
	return err == -EEXIST ? 0 : err;
}

int routes_add_mark_rule(struct routes *routes, uint8_t family, uint32_t mark, uint32_t table,
			 uint32_t priority)
{
	return add_rule(routes, family, table, priority, NULL, mark);
}

int routes_add_source_rule(struct routes *routes, const struct plait_addr *source, uint32_t table,
			   uint32_t priority)
{
	return add_rule(routes, source->family, table, priority, source, 0);
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

static int collect_rules(struct routes *routes, uint8_t family, struct collected *collected)
{
	char buffer[MESSAGE_BYTES];
	struct nlmsghdr *message;
	struct fib_rule_hdr *head = start(buffer, RTM_GETRULE, NLM_F_DUMP, sizeof(*head), &message);

	head->family = family;
	collected->used = 0;
	return transact(routes, message, on_rule, collected);
}

/* What a dump told is sent back as a request to delete. */
static void delete_collected(struct routes *routes, struct collected *collected, uint16_t type)
{
	struct nlmsghdr *message;
	size_t at = 0;

	while ((message = next_collected(collected, &at))) {
		message->nlmsg_type = type;
		message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
		transact(routes, message, NULL, NULL);
	}
}

int routes_remove(struct routes *routes, uint32_t first_table, uint32_t last_table)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	static struct collected collected;

	collected.first_table = first_table;
	collected.last_table = last_table;
	collected.oif = 0;
	collected.rtm_type = 0;
	for (unsigned int i = 0; i < 2; i++) {
		int err = collect_rules(routes, families[i], &collected);

		if (err)
			return err;
		delete_collected(routes, &collected, RTM_DELRULE);
		err = collect_routes(routes, families[i], &collected);
		if (err)
			return err;
		delete_collected(routes, &collected, RTM_DELROUTE);
	}
	return 0;
}

/* Changes */

int routes_watch_open(void)
{
	struct sockaddr_nl groups = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	groups.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
	if (bind(fd, (struct sockaddr *)&groups, sizeof(groups))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

void routes_watch_drain(int fd)
{
	char bytes[8192];

	/* ENOBUFS means lost messages; the caller reads everything anew anyway */
	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
		;
}
