// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "mptcp_pm.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/genetlink.h>
#include <linux/mptcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/addr_text.h"

static struct nlmsghdr *start(char *buffer, uint16_t type, uint8_t command, uint8_t version)
{
	struct nlmsghdr *message;
	struct genlmsghdr *generic =
		netlink_request(buffer, type, NLM_F_ACK, sizeof(*generic), &message);

	generic->cmd = command;
	generic->version = version;
	return message;
}

static void read_group(const struct nlattr *group, struct mptcp_pm *pm)
{
	const struct nlattr *attribute;
	const char *name = "";
	uint32_t id = 0;

	mnl_attr_for_each_nested(attribute, group) {
		if (mnl_attr_get_type(attribute) == CTRL_ATTR_MCAST_GRP_NAME)
			name = mnl_attr_get_str(attribute);
		else if (mnl_attr_get_type(attribute) == CTRL_ATTR_MCAST_GRP_ID)
			id = mnl_attr_get_u32(attribute);
	}
	if (!strcmp(name, MPTCP_PM_EV_GRP_NAME))
		pm->events_group = id;
}

static int on_family(const struct nlmsghdr *message, void *context)
{
	struct mptcp_pm *pm = context;
	const struct nlattr *attribute, *group;

	mnl_attr_for_each(attribute, message, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(attribute) == CTRL_ATTR_FAMILY_ID)
			pm->family_id = mnl_attr_get_u16(attribute);
		else if (mnl_attr_get_type(attribute) == CTRL_ATTR_MCAST_GROUPS)
			mnl_attr_for_each_nested(group, attribute) {
				read_group(group, pm);
			}
	}
	return MNL_CB_OK;
}

static int find_family(struct mptcp_pm *pm)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message = start(buffer, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	int err;

	mnl_attr_put_strz(message, CTRL_ATTR_FAMILY_NAME, MPTCP_PM_NAME);
	err = netlink_transact(&pm->netlink, message, on_family, pm);
	return err ? err : pm->family_id ? 0 : -ENOENT;
}

int mptcp_pm_open(struct mptcp_pm *pm)
{
	int err;

	memset(pm, 0, sizeof(*pm));
	err = netlink_open(&pm->netlink, NETLINK_GENERIC);
	if (err)
		return err;
	err = find_family(pm);
	if (err)
		mptcp_pm_close(pm);
	return err;
}

void mptcp_pm_close(struct mptcp_pm *pm)
{
	netlink_close(&pm->netlink);
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
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message =
		start(buffer, pm->family_id, MPTCP_PM_CMD_SUBFLOW_CREATE, MPTCP_PM_VER);

	mnl_attr_put_u32(message, MPTCP_PM_ATTR_TOKEN, token);
	put_address(message, MPTCP_PM_ATTR_ADDR, local, local_id,
		    backup ? MPTCP_PM_ADDR_FLAG_BACKUP : 0);
	put_address(message, MPTCP_PM_ATTR_ADDR_REMOTE, remote, 0, 0);
	return netlink_transact(&pm->netlink, message, NULL, NULL);
}

int mptcp_pm_announce(struct mptcp_pm *pm, uint32_t token, const struct plait_addr *local,
		      uint8_t local_id)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message =
		start(buffer, pm->family_id, MPTCP_PM_CMD_ANNOUNCE, MPTCP_PM_VER);
	struct plait_addr address = *local;

	address.port = 0; /* the connection's own */
	mnl_attr_put_u32(message, MPTCP_PM_ATTR_TOKEN, token);
	put_address(message, MPTCP_PM_ATTR_ADDR, &address, local_id, MPTCP_PM_ADDR_FLAG_SIGNAL);
	return netlink_transact(&pm->netlink, message, NULL, NULL);
}

int mptcp_pm_take_joins(struct mptcp_pm *pm)
{
	/* that it listens is all that is wanted */
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog filter = {.len = 1, .filter = &nothing};
	int err = mptcp_pm_open(pm), fd, group;

	if (err)
		return err;
	fd = mnl_socket_get_fd(pm->netlink.socket);
	group = (int)pm->events_group;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group))) {
		err = -errno;
		mptcp_pm_close(pm);
	}
	return err;
}

static int destroy_subflow(struct mptcp_pm *pm, uint32_t token, const struct plait_addr *local,
			   const struct plait_addr *remote)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message =
		start(buffer, pm->family_id, MPTCP_PM_CMD_SUBFLOW_DESTROY, MPTCP_PM_VER);

	mnl_attr_put_u32(message, MPTCP_PM_ATTR_TOKEN, token);
	put_address(message, MPTCP_PM_ATTR_ADDR, local, 0, 0);
	put_address(message, MPTCP_PM_ATTR_ADDR_REMOTE, remote, 0, 0);
	return netlink_transact(&pm->netlink, message, NULL, NULL);
}

int mptcp_pm_destroy_subflow(struct mptcp_pm *pm, uint32_t token, const struct plait_addr *local,
			     const struct plait_addr *remote)
{
	struct plait_addr mapped_local = addr_v4_mapped(local);
	struct plait_addr mapped_remote = addr_v4_mapped(remote);
	int err = destroy_subflow(pm, token, local, remote);

	if (err != -ESRCH || local->family != AF_INET)
		return err;
	/* the first one is an IPv6 socket's (mptcp_dial), and told apart by that */
	return destroy_subflow(pm, token, &mapped_local, &mapped_remote);
}

int mptcp_pm_set_backup(struct mptcp_pm *pm, uint32_t token, const struct plait_addr *local,
			const struct plait_addr *remote, bool backup)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message =
		start(buffer, pm->family_id, MPTCP_PM_CMD_SET_FLAGS, MPTCP_PM_VER);

	mnl_attr_put_u32(message, MPTCP_PM_ATTR_TOKEN, token);
	put_address(message, MPTCP_PM_ATTR_ADDR, local, 0, backup ? MPTCP_PM_ADDR_FLAG_BACKUP : 0);
	put_address(message, MPTCP_PM_ATTR_ADDR_REMOTE, remote, 0, 0);
	return netlink_transact(&pm->netlink, message, NULL, NULL);
}

int mptcp_pm_remove_address(struct mptcp_pm *pm, uint32_t token, uint8_t local_id)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message = start(buffer, pm->family_id, MPTCP_PM_CMD_REMOVE, MPTCP_PM_VER);

	mnl_attr_put_u32(message, MPTCP_PM_ATTR_TOKEN, token);
	mnl_attr_put_u8(message, MPTCP_PM_ATTR_LOC_ID, local_id);
	return netlink_transact(&pm->netlink, message, NULL, NULL);
}

int mptcp_pm_set_limits(struct mptcp_pm *pm, unsigned int subflows, unsigned int addresses)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message =
		start(buffer, pm->family_id, MPTCP_PM_CMD_SET_LIMITS, MPTCP_PM_VER);

	mnl_attr_put_u32(message, MPTCP_PM_ATTR_SUBFLOWS, subflows);
	mnl_attr_put_u32(message, MPTCP_PM_ATTR_RCV_ADD_ADDRS, addresses);
	return netlink_transact(&pm->netlink, message, NULL, NULL);
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
	char buffer[NETLINK_REQUEST_BYTES];
	struct nlmsghdr *message =
		start(buffer, pm->family_id, MPTCP_PM_CMD_GET_LIMITS, MPTCP_PM_VER);
	struct limits limits = {};
	int err = netlink_transact(&pm->netlink, message, on_limits, &limits);

	if (err)
		return err;
	*subflows = limits.subflows;
	*addresses = limits.addresses;
	return 0;
}
