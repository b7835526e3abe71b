/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The userspace path manager: generic netlink family "mptcp_pm". One a thread. */
#ifndef PLAIT_PORT_MPTCP_PM_H
#define PLAIT_PORT_MPTCP_PM_H

#include <stdbool.h>
#include <stdint.h>

#include "netlink.h"
#include "plait_addr.h"

struct mptcp_pm {
	struct netlink netlink;
	uint16_t family_id;
	uint32_t events_group;
};

/* 0 or negative errno. */
int mptcp_pm_open(struct mptcp_pm *pm);
void mptcp_pm_close(struct mptcp_pm *pm);

/*
 * Ask for one more subflow of the connection with token, from local (port 0) with
 * address id local_id (1 to 255) to remote. Returns once its SYN is sent, not
 * when it is answered. 0 or negative errno.
 */
int mptcp_pm_create_subflow(struct mptcp_pm *pm, uint32_t token, const struct plait_addr *local,
			    uint8_t local_id, const struct plait_addr *remote, bool backup);

/*
 * Tell the peer of an address of ours by ADD_ADDR (RFC 8684 §3.4.1), for it to ask for a
 * subflow to it; again if nothing came of it. local's port is not looked at. 0 or negative
 * errno.
 */
int mptcp_pm_announce(struct mptcp_pm *pm, uint32_t token, const struct plait_addr *local,
		      uint8_t local_id);

/*
 * Joins to connections accepted under a userspace path manager are taken as long as
 * somebody follows its events: opens one that does, for mptcp_pm_close() and nothing else.
 * 0 or negative errno.
 */
int mptcp_pm_take_joins(struct mptcp_pm *pm);

/* End one subflow on this side; ports are needed. What it had goes over the others. */
int mptcp_pm_destroy_subflow(struct mptcp_pm *pm, uint32_t token, const struct plait_addr *local,
			     const struct plait_addr *remote);

/* Make a subflow a backup or a regular one, on both sides by MP_PRIO (RFC 8684 §3.3.8). */
int mptcp_pm_set_backup(struct mptcp_pm *pm, uint32_t token, const struct plait_addr *local,
			const struct plait_addr *remote, bool backup);

/* Tell the peer that the address with this id is gone, by REMOVE_ADDR. */
int mptcp_pm_remove_address(struct mptcp_pm *pm, uint32_t token, uint8_t local_id);

/*
 * Limits of the in-kernel path manager: how many subflows it accepts and how many
 * announced addresses (0 to 8). 0 or negative errno.
 */
int mptcp_pm_set_limits(struct mptcp_pm *pm, unsigned int subflows, unsigned int addresses);
int mptcp_pm_get_limits(struct mptcp_pm *pm, unsigned int *subflows, unsigned int *addresses);

#endif
