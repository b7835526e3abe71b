// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "netlink.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

enum { REPLY_BYTES = 32768 };

int netlink_open(struct netlink *netlink, int protocol)
{
	int err;

	netlink->sequence = 0;
	netlink->socket = mnl_socket_open2(protocol, SOCK_CLOEXEC);
	if (!netlink->socket)
		return -errno;
	if (mnl_socket_bind(netlink->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		netlink_close(netlink);
		return err;
	}
	return 0;
}

void netlink_close(struct netlink *netlink)
{
	if (netlink->socket)
		mnl_socket_close(netlink->socket);
	netlink->socket = NULL;
}

void *netlink_request(char *buffer, uint16_t type, uint16_t flags, size_t header_bytes,
		      struct nlmsghdr **message)
{
	*message = mnl_nlmsg_put_header(buffer);
	(*message)->nlmsg_type = type;
	(*message)->nlmsg_flags = NLM_F_REQUEST | flags;
	return mnl_nlmsg_put_extra_header(*message, header_bytes);
}

/* What is left of the answer to a request that was given up. */
static bool is_late(const struct nlmsghdr *message, uint32_t sequence)
{
	return message->nlmsg_seq != sequence;
}

/*
 * What a dump tells of may change under it. The rest of it has to be read all the
 * same, so libmnl, which would stop, does not get to see the flag.
 */
static bool take_interrupted(struct nlmsghdr *message, int bytes)
{
	bool interrupted = false;

	for (; mnl_nlmsg_ok(message, bytes); message = mnl_nlmsg_next(message, &bytes)) {
		interrupted |= message->nlmsg_flags & NLM_F_DUMP_INTR;
		message->nlmsg_flags &= (uint16_t)~NLM_F_DUMP_INTR;
	}
	return interrupted;
}

int netlink_transact(struct netlink *netlink, struct nlmsghdr *message, mnl_cb_t on_reply,
		     void *context)
{
	unsigned int port = mnl_socket_get_portid(netlink->socket);
	_Alignas(struct nlmsghdr) char reply[REPLY_BYTES];
	struct nlmsghdr *first = (void *)reply;
	bool interrupted = false;
	ssize_t n;
	int more = MNL_CB_OK;

	message->nlmsg_seq = ++netlink->sequence;
	if (mnl_socket_sendto(netlink->socket, message, message->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(netlink->socket, reply, sizeof(reply));
		if (n < 0)
			return -errno;
		if (!mnl_nlmsg_ok(first, (int)n) || is_late(first, message->nlmsg_seq))
			continue;
		interrupted |= take_interrupted(first, (int)n);
		more = mnl_cb_run(reply, (size_t)n, message->nlmsg_seq, port, on_reply, context);
	} while (more > 0);
	if (more < 0)
		return -errno;
	return interrupted ? -EINTR : 0;
}

size_t netlink_addr_bytes(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

void netlink_take_addr(const struct nlattr *attribute, uint8_t family, struct plait_addr *out)
{
	memset(out, 0, sizeof(*out));
	if (mnl_attr_get_payload_len(attribute) != netlink_addr_bytes(family))
		return;
	out->family = family;
	memcpy(out->ip, mnl_attr_get_payload(attribute), netlink_addr_bytes(family));
}
