/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#ifndef PLAIT_TABLE_NPTV6_H
#define PLAIT_TABLE_NPTV6_H

#include "plait_addr.h"

/*
 * IPv6 prefix translation (RFC 6296): *addr gets prefix, of at most 64 bits, in place
 * of its own, and another 16 bits of it are changed so that its checksum stays. The
 * port is left. 0, or -EADDRNOTAVAIL for an address that has no counterpart (§3.4, §3.5).
 */
int nptv6_translate(struct plait_addr *addr, const struct plait_prefix *prefix);

#endif
