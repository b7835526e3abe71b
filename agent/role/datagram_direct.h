/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Where hosts' UDP goes without being bonded: this machine's addresses, and its LANs. */
#ifndef PLAIT_ROLE_DATAGRAM_DIRECT_H
#define PLAIT_ROLE_DATAGRAM_DIRECT_H

#include "instance.h"
#include "plait_datagram.h"

/* As they are in the map "datagram_direct"; zeroed at first. */
struct datagram_direct {
	unsigned int count;
	struct plait_direct_key key[INSTANCE_MAX_ADDRESSES];
};

/* The machine's addresses have changed, or may have. */
void datagram_direct_refresh(struct datagram_direct *direct, struct instance *instance);

#endif
