// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "time_wait.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

static int ask(struct netlink *netlink, uint16_t type, uint8_t family,
	       const struct inet_diag_sockid *id, mnl_cb_t on_reply, void *context)
{
	char buffer[NETLINK_REQUEST_BYTES];
	struct inet_diag_req_v2 *request;
	struct nlmsghdr *message;

	request = netlink_request(buffer, type, NLM_F_ACK, sizeof(*request), &message);
	request->sdiag_family = family;
	request->sdiag_protocol = IPPROTO_TCP;
	request->idiag_states = 1U << TCP_TIME_WAIT;
	request->id = *id;
	return netlink_transact(netlink, message, on_reply, context);
}

static int on_socket(const struct nlmsghdr *message, void *context)
{
	const struct inet_diag_msg *found = mnl_nlmsg_get_payload(message);
	struct inet_diag_sockid *id = context;

	/* the kernel falls back on a listener: its state and cookie are another's */
	if (found->idiag_state == TCP_TIME_WAIT)
		*id = found->id;
	return MNL_CB_OK;
}

int time_wait_end(struct netlink *netlink, const struct plait_addr *local,
		  const struct plait_addr *peer)
{
	struct inet_diag_sockid asked = {
		.idiag_sport = local->port,
		.idiag_dport = peer->port,
		.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE},
	};
	struct inet_diag_sockid found = {};
	int err;

	memcpy(asked.idiag_src, local->ip, netlink_addr_bytes(local->family));
	memcpy(asked.idiag_dst, peer->ip, netlink_addr_bytes(peer->family));
	err = ask(netlink, SOCK_DIAG_BY_FAMILY, local->family, &asked, on_socket, &found);
	if (err)
		return err;
	if (!found.idiag_sport)
		return -ENOENT;
	return ask(netlink, SOCK_DESTROY, local->family, &found, NULL, NULL);
}

int time_wait_check(void)
{
	/* nobody has this cookie */
	struct inet_diag_sockid nobody = {.idiag_sport = 1, .idiag_cookie = {0, 1}};
	struct netlink netlink;
	int err = netlink_open(&netlink, NETLINK_SOCK_DIAG);

	if (err)
		return err;
	err = ask(&netlink, SOCK_DESTROY, AF_INET, &nobody, NULL, NULL);
	netlink_close(&netlink);
	return err == -ENOENT || err == -ESTALE ? 0 : -EOPNOTSUPP;
}
