// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "mptcp_pm.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/mptcp.h>
#include <netinet/in.h>
#include <string.h>

enum { MESSAGE_BYTES = 512, REPLY_BYTES = 8192 };

static struct nlmsghdr *start(struct mptcp_pm *pm, char *buffer, uint16_t type, uint8_t command,
			      uint8_t version)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct genlmsghdr *generic;

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	message->nlmsg_seq = ++pm->sequence;
	generic = mnl_nlmsg_put_extra_header(message, sizeof(*generic));
	generic->cmd = command;
	generic->version = version;
	return message;
}

static int transact(struct mptcp_pm *pm, struct nlmsghdr *message, mnl_cb_t on_reply, void *context)
{
	char reply[REPLY_BYTES];
	unsigned int port = mnl_socket_get_portid(pm->socket);
	ssize_t n;
	int more;

	if (mnl_socket_sendto(pm->socket, message, message->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(pm->socket, reply, sizeof(reply));
		if (n < 0)
			return -errno;
		more = mnl_cb_run(reply, (size_t)n, pm->sequence, port, on_reply, context);
	} while (more > 0);
	return more < 0 ? -errno : 0;
}

static int on_family(const struct nlmsghdr *message, void *context)
{
	uint16_t *family_id = context;
	const struct nlattr *attribute;

	mnl_attr_for_each(attribute, message, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attribute) == CTRL_ATTR_FAMILY_ID)
			*family_id = mnl_attr_get_u16(attribute);
	return MNL_CB_OK;
}

static int find_family(struct mptcp_pm *pm)
{
	char buffer[MESSAGE_BYTES];
	struct nlmsghdr *message = start(pm, buffer, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	int err;

	mnl_attr_put_strz(message, CTRL_ATTR_FAMILY_NAME, MPTCP_PM_NAME);
	err = transact(pm, message, on_family, &pm->family_id);
	return err ? err : pm->family_id ? 0 : -ENOENT;
}

int mptcp_pm_open(struct mptcp_pm *pm)
{
	int err;

	memset(pm, 0, sizeof(*pm));
	pm->socket = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!pm->socket)
		return -errno;
	if (mnl_socket_bind(pm->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		err = -errno;
	else
		err = find_family(pm);
	if (err)
		mptcp_pm_close(pm);
	return err;
}

void mptcp_pm_close(struct mptcp_pm *pm)
{
	if (pm->socket)
		mnl_socket_close(pm->socket);
	pm->socket = NULL;
}

static void put_address(struct nlmsghdr *message, uint16_t type, const struct plait_addr *addr,
			uint8_t id, uint32_t flags)
{
	struct nlattr *nest = mnl_attr_nest_start(message, type);

	mnl_attr_put_u16(message, MPTCP_PM_ADDR_ATTR_FAMILY, addr->family);
	if (id)
		mnl_attr_put_u8(message, MPTCP_PM_ADDR_ATTR_ID, id);
	if (addr->family == AF_INET)
		mnl_attr_put(message, MPTCP_PM_ADDR_ATTR_ADDR4, 4, addr->ip);
	else
		mnl_attr_put(message, MPTCP_PM_ADDR_ATTR_ADDR6, 16, addr->ip);
	if (addr->port) /* this attribute is in host byte order */
		mnl_attr_put_u16(message, MPTCP_PM_ADDR_ATTR_PORT, ntohs(addr->port));
	if (flags)
		mnl_attr_put_u32(message, MPTCP_PM_ADDR_ATTR_FLAGS, flags);
	mnl_attr_nest_end(message, nest);
}

int mptcp_pm_create_subflow(struct mptcp_pm *pm, uint32_t token, const struct plait_addr *local,
			    uint8_t local_id, const struct plait_addr *remote, bool backup)
{
	char buffer[MESSAGE_BYTES];
	struct nlmsghdr *message =
		start(pm, buffer, pm->family_id, MPTCP_PM_CMD_SUBFLOW_CREATE, MPTCP_PM_VER);

	mnl_attr_put_u32(message, MPTCP_PM_ATTR_TOKEN, token);
	put_address(message, MPTCP_PM_ATTR_ADDR, local, local_id,
		    backup ? MPTCP_PM_ADDR_FLAG_BACKUP : 0);
	put_address(message, MPTCP_PM_ATTR_ADDR_REMOTE, remote, 0, 0);
	return transact(pm, message, NULL, NULL);
}

int mptcp_pm_set_limits(struct mptcp_pm *pm, unsigned int subflows, unsigned int addresses)
{
	char buffer[MESSAGE_BYTES];
	struct nlmsghdr *message =
		start(pm, buffer, pm->family_id, MPTCP_PM_CMD_SET_LIMITS, MPTCP_PM_VER);

	mnl_attr_put_u32(message, MPTCP_PM_ATTR_SUBFLOWS, subflows);
	mnl_attr_put_u32(message, MPTCP_PM_ATTR_RCV_ADD_ADDRS, addresses);
	return transact(pm, message, NULL, NULL);
}

struct limits {
	unsigned int subflows, addresses;
};

static int on_limits(const struct nlmsghdr *message, void *context)
{
	struct limits *limits = context;
	const struct nlattr *attribute;

	mnl_attr_for_each(attribute, message, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(attribute) == MPTCP_PM_ATTR_SUBFLOWS)
			limits->subflows = mnl_attr_get_u32(attribute);
		else if (mnl_attr_get_type(attribute) == MPTCP_PM_ATTR_RCV_ADD_ADDRS)
			limits->addresses = mnl_attr_get_u32(attribute);
	}
	return MNL_CB_OK;
}

int mptcp_pm_get_limits(struct mptcp_pm *pm, unsigned int *subflows, unsigned int *addresses)
{
	char buffer[MESSAGE_BYTES];
	struct nlmsghdr *message =
		start(pm, buffer, pm->family_id, MPTCP_PM_CMD_GET_LIMITS, MPTCP_PM_VER);
	struct limits limits = {};
	int err = transact(pm, message, on_limits, &limits);

	if (err)
		return err;
	*subflows = limits.subflows;
	*addresses = limits.addresses;
	return 0;
}
