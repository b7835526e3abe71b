/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Addresses a PM option must not name: multicast, broadcast, loopback, unspecified, and
 * these in the disguise of IPv6 (agent/codec/pm_option.c); also link-local ones, which
 * mean nothing on another link.
 */
#ifndef PLAIT_BPF_FORBIDDEN_H
#define PLAIT_BPF_FORBIDDEN_H

#include <stdbool.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>

#include "plait_addr.h"

#ifndef AF_INET
#define AF_INET  2
#define AF_INET6 10
#endif

/* In host byte order. */
static __always_inline bool is_ipv4_forbidden(__u32 ip)
{
	__u8 first = ip >> 24;

	return first == 0 || first == 127 || first >> 4 == 14 || ip == 0xffffffff;
}

/*
 * RFC 8215's prefix has IPv4 addresses in one of four places (RFC 6052 §2.2): octets 6,
 * 7, 9, 10; 7, 9 to 11; 9 to 12; 12 to 15. Zeros follow; the first place that they do is it.
 */
static __always_inline __u32 local_nat64_embedded(__u32 w1, __u32 w2, __u32 w3)
{
	if (!w3 && !(w2 & 0xff))
		return w1 << 16 | (w2 >> 8 & 0xffff);
	if (!w3)
		return w1 << 24 | (w2 & 0xffffff);
	if (!(w3 & 0xffffff))
		return w2 << 8 | w3 >> 24;
	return w3;
}

static __always_inline bool is_disguise_forbidden(const __u32 words[4])
{
	__u32 w1 = bpf_ntohl(words[1]), w2 = bpf_ntohl(words[2]), w3 = bpf_ntohl(words[3]);

	/* v4-compatible, with :: and ::1, and v4-mapped */
	if (!words[0])
		return !w1 && (!w2 || w2 == 0xffff) && is_ipv4_forbidden(w3);
	if (words[0] != bpf_htonl(0x0064ff9b))
		return false;
	if (!w1 && !w2)
		return is_ipv4_forbidden(w3);
	return w1 >> 16 == 1 && is_ipv4_forbidden(local_nat64_embedded(w1, w2, w3));
}

static __always_inline bool is_forbidden(const struct plait_addr *addr)
{
	const __u32 *words = (const __u32 *)addr->ip;
	__u32 first = bpf_ntohl(words[0]);

	if (addr->family == AF_INET)
		return is_ipv4_forbidden(first);
	if (first >> 24 == 0xff || first >> 22 == 0xfe80 >> 6)
		return true;
	return is_disguise_forbidden(words);
}

#endif
