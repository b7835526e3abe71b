// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "interfaces.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "routes.h"

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

int interface_read(struct netlink *netlink, const char *name, struct interface *out)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct interface found = {};
	struct nlmsghdr *message;
	int err;

	netlink_request(buffer, RTM_GETLINK, NLM_F_ACK, sizeof(struct ifinfomsg), &message);
	mnl_attr_put_strz(message, IFLA_IFNAME, name);
	err = netlink_transact(netlink, message, on_interface, &found);
	if (!err)
		*out = found;
	return err;
}

/* Addresses */

struct address_walk {
	interface_on_address *on_address;
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
			netlink_take_addr(attribute, head->ifa_family, &local);
		else if (mnl_attr_get_type(attribute) == IFA_ADDRESS)
			netlink_take_addr(attribute, head->ifa_family, &address);
		else if (mnl_attr_get_type(attribute) == IFA_BROADCAST)
			netlink_take_addr(attribute, head->ifa_family, &broadcast);
	}
	if (!local.family)
		local = address; /* IPv6, and IPv4 without a peer, have just this */
	walk->on_address(walk->context, head->ifa_index, &local, head->ifa_prefixlen, false);
	if (broadcast.family)
		walk->on_address(walk->context, head->ifa_index, &broadcast, 32, true);
	return MNL_CB_OK;
}

int interface_addresses(struct netlink *netlink, interface_on_address *on_address, void *context)
{
	struct address_walk walk = {on_address, context};
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message;

	netlink_request(buffer, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg), &message);
	return netlink_transact(netlink, message, on_address_message, &walk);
}

/* Changes */

int interface_watch_open(void)
{
	struct sockaddr_nl groups = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	groups.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			   RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
	if (bind(fd, (struct sockaddr *)&groups, sizeof(groups))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static bool is_others_route(const struct nlmsghdr *message)
{
	const struct rtmsg *route = mnl_nlmsg_get_payload(message);

	return (message->nlmsg_type == RTM_NEWROUTE || message->nlmsg_type == RTM_DELROUTE) &&
	       route->rtm_protocol != ROUTES_PROTOCOL;
}

bool interface_watch_drain(int fd)
{
	char bytes[8192];
	bool routes = false;
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) >= 0 || errno == ENOBUFS) {
		const struct nlmsghdr *message = (const void *)bytes;
		int left = (int)n;

		if (n < 0)
			routes = true; /* who knows what was lost */
		for (; n >= 0 && mnl_nlmsg_ok(message, left);
		     message = mnl_nlmsg_next(message, &left))
			routes |= is_others_route(message);
	}
	return routes;
}
