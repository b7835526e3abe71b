// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "neighbours.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

static int on_route(const struct nlmsghdr *message, void *context)
{
	const struct rtmsg *head = mnl_nlmsg_get_payload(message);
	const struct nlattr *attribute;
	struct hop *out = context;

	if (head->rtm_type != RTN_UNICAST)
		return MNL_CB_OK;
	mnl_attr_for_each(attribute, message, sizeof(*head)) {
		if (mnl_attr_get_type(attribute) == RTA_OIF)
			out->ifindex = mnl_attr_get_u32(attribute);
		else if (mnl_attr_get_type(attribute) == RTA_GATEWAY)
			netlink_take_addr(attribute, head->rtm_family, &out->neighbour);
	}
	return MNL_CB_OK;
}

static int find_route(struct netlink *rtnetlink, const struct plait_addr *from,
		      const struct plait_addr *to, struct hop *out)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message;
	struct rtmsg *head =
		netlink_request(buffer, RTM_GETROUTE, NLM_F_ACK, sizeof(*head), &message);
	int err;

	head->rtm_family = to->family;
	head->rtm_dst_len = (uint8_t)(netlink_addr_bytes(to->family) * 8);
	mnl_attr_put(message, RTA_DST, netlink_addr_bytes(to->family), to->ip);
	if (from) {
		head->rtm_src_len = head->rtm_dst_len;
		mnl_attr_put(message, RTA_SRC, netlink_addr_bytes(to->family), from->ip);
	}
	out->neighbour = *to;
	out->neighbour.port = 0;
	err = netlink_transact(rtnetlink, message, on_route, out);
	if (err)
		return err;
	return out->ifindex ? 0 : -ENETUNREACH;
}

static int on_interface(const struct nlmsghdr *message, void *context)
{
	const struct nlattr *attribute;
	struct hop *out = context;

	mnl_attr_for_each(attribute, message, sizeof(struct ifinfomsg)) {
		if (mnl_attr_get_type(attribute) == IFLA_MTU)
			out->mtu = mnl_attr_get_u32(attribute);
		else if (mnl_attr_get_type(attribute) == IFLA_ADDRESS &&
			 mnl_attr_get_payload_len(attribute) == sizeof(out->own_mac))
			memcpy(out->own_mac, mnl_attr_get_payload(attribute), sizeof(out->own_mac));
	}
	return MNL_CB_OK;
}

static int read_interface(struct netlink *rtnetlink, struct hop *out)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message;
	struct ifinfomsg *head =
		netlink_request(buffer, RTM_GETLINK, NLM_F_ACK, sizeof(*head), &message);

	head->ifi_index = (int)out->ifindex;
	return netlink_transact(rtnetlink, message, on_interface, out);
}

enum {
	NEIGHBOUR_GOOD =
		NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY
};

struct found {
	struct hop *hop;
	bool good;
};

static int on_neighbour(const struct nlmsghdr *message, void *context)
{
	const struct ndmsg *head = mnl_nlmsg_get_payload(message);
	const struct nlattr *attribute;
	struct found *found = context;

	if (!(head->ndm_state & NEIGHBOUR_GOOD))
		return MNL_CB_OK;
	mnl_attr_for_each(attribute, message, sizeof(*head)) {
		if (mnl_attr_get_type(attribute) != NDA_LLADDR ||
		    mnl_attr_get_payload_len(attribute) != sizeof(found->hop->mac))
			continue;
		memcpy(found->hop->mac, mnl_attr_get_payload(attribute), sizeof(found->hop->mac));
		found->good = true;
	}
	return MNL_CB_OK;
}

static struct nlmsghdr *neighbour_request(char *buffer, uint16_t type, uint16_t flags,
					  const struct hop *hop, uint8_t ndm_flags)
{
	struct nlmsghdr *message;
	struct ndmsg *head =
		netlink_request(buffer, type, NLM_F_ACK | flags, sizeof(*head), &message);

	head->ndm_family = hop->neighbour.family;
	head->ndm_ifindex = (int)hop->ifindex;
	head->ndm_flags = ndm_flags;
	mnl_attr_put(message, NDA_DST, netlink_addr_bytes(hop->neighbour.family),
		     hop->neighbour.ip);
	return message;
}

int neighbour_find(struct netlink *rtnetlink, const struct plait_addr *from,
		   const struct plait_addr *to, struct hop *out)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct hop hop = {};
	struct found found = {.hop = &hop};
	int err = find_route(rtnetlink, from, to, &hop);

	if (!err)
		err = read_interface(rtnetlink, &hop);
	if (err)
		return err;
	err = netlink_transact(rtnetlink, neighbour_request(buffer, RTM_GETNEIGH, 0, &hop, 0),
			       on_neighbour, &found);
	*out = hop;
	if (err == -ENOENT || (!err && !found.good))
		return -EAGAIN;
	return err;
}

int neighbour_ask(struct netlink *rtnetlink, const struct hop *hop)
{
	char buffer[NETLINK_REQUEST_BYTES];

	return netlink_transact(rtnetlink,
				neighbour_request(buffer, RTM_NEWNEIGH, NLM_F_CREATE, hop, NTF_USE),
				NULL, NULL);
}
