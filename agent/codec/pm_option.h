/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The Plain Mode option: plain-mode-08 §4.1, Figure 3. Pure functions between
 * bytes and structs; nothing is allocated, logged or kept.
 */
#ifndef PLAIT_CODEC_PM_OPTION_H
#define PLAIT_CODEC_PM_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plait_addr.h"

struct pm_option {
	bool is_source; /* D-bit: original source, else destination */
	bool has_port;
	uint8_t protocol; /* IANA number */
	struct plait_addr addr; /* port is 0 unless has_port */
};

/*
 * Read one PM option from bytes[0 .. len). Returns the number of octets it
 * takes (8, 10, 20 or 22); -EAGAIN if bytes ends before the option does and
 * what is there could begin one; -EBADMSG if it is no PM option (kind, length
 * or sub-type). Flag bits other than D are ignored. The address is not judged:
 * see pm_addr_forbidden(). *out is untouched on failure.
 */
int pm_option_read(const uint8_t *bytes, size_t len, struct pm_option *out);

/*
 * Write option into bytes[0 .. size), flags 0. Returns octets written, -ENOSPC
 * if size is too small, -EAFNOSUPPORT for another family.
 */
int pm_option_write(const struct pm_option *option, uint8_t *bytes, size_t size);

/*
 * True for addresses a PM option must not name (plain-mode-08 §4.2, RFC 6890):
 * multicast, broadcast, loopback, unspecified and 0.0.0.0/8, and the IPv4 ones
 * in their v4-mapped, v4-compatible and NAT64 (64:ff9b::/96, 64:ff9b:1::/48) forms.
 * The caller's own addresses, and those of its lists, can be disguised likewise.
 */
bool pm_addr_forbidden(const struct plait_addr *addr);

/*
 * The IPv4 address an IPv6 one is a disguise of (v4-mapped, v4-compatible, NAT64),
 * with its port; false, and *out untouched, if it is none.
 */
bool pm_addr_embedded_v4(const struct plait_addr *addr, struct plait_addr *out);

#endif
