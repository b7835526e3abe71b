/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Addresses as BPF programs and agent exchange them. */
#ifndef PLAIT_ADDR_H
#define PLAIT_ADDR_H

#include <linux/types.h>

/*
 * An IP transport address (plain-mode-08 §2). family is AF_INET or AF_INET6,
 * 0 while unset; port is in network byte order; an IPv4 address stands in the
 * first four octets of ip and the other twelve are zero, so that two equal
 * addresses are equal byte by byte.
 */
struct plait_addr {
	__u8 ip[16];
	__be16 port;
	__u8 family;
	__u8 pad;
};

/* The prefix of ip that is bits long; family 0 matches every address. */
struct plait_prefix {
	__u8 ip[16];
	__u8 family;
	__u8 bits;
	__u8 pad[2];
};

_Static_assert(sizeof(struct plait_addr) == 20, "layout of plait_addr");
_Static_assert(sizeof(struct plait_prefix) == 20, "layout of plait_prefix");

#endif
