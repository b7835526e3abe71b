/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* UDP that becomes longer than its path takes, and must not be fragmented. */
#ifndef PLAIT_BPF_DATAGRAM_LONG_H
#define PLAIT_BPF_DATAGRAM_LONG_H

#include "datagram_icmp.h"
#include "datagram_send.h"

/* How long UDP may be, with its IP header, so that the path takes what becomes of it. */
static __always_inline __u32 mtu_over(const struct plait_path *path, const struct packet *packet,
				      enum role role)
{
	__u32 becomes =
		ip_header_bytes(&path->local) + tcp_formatted_bytes(remote_of(packet, role));
	__u32 is = ip_header_bytes(&packet->source) + sizeof(struct udphdr);

	return path->mtu + is > becomes ? path->mtu + is - becomes : 0;
}

/* Of all paths that slots name. */
static __always_inline __u32 smallest_mtu(const struct plait_path_set *set,
					  const struct packet *packet, enum role role)
{
	__u32 used = 0, smallest = IP_BYTES_MAX;

	for (__u32 i = 0; i < PLAIT_PATH_SLOTS; i++)
		if (set->slot[i] < PLAIT_PATHS_MAX)
			used |= 1U << set->slot[i];
	for (__u32 i = 0; i < PLAIT_PATHS_MAX && i < set->count; i++) {
		__u32 index = set->first + i, mtu;
		const struct plait_path *path = bpf_map_lookup_elem(&datagram_paths, &index);

		if (!path || !(used & 1U << i))
			continue;
		mtu = mtu_over(path, packet, role);
		if (mtu < smallest)
			smallest = mtu;
	}
	return smallest;
}

/* The same for any path that the sender's next packet may take. */
static __always_inline __u32 mtu_for(const struct sending *out, enum role role)
{
	__u32 index = out->binding->set;
	const struct plait_path_set *set = bpf_map_lookup_elem(&datagram_sets, &index);

	return set && set->per_packet ? smallest_mtu(set, &out->packet, role)
				      : mtu_over(out->path, &out->packet, role);
}

/*
 * Longer than its path takes, and not to be fragmented. IPv6 hosts need not go below 1280 octets (RFC 8201 §4):
 * what is not longer than that goes direct.
 */
static __always_inline int send_too_long(struct xdp_md *ctx, const struct sending *out,
					 enum role role)
{
	__u32 bytes = ip_header_bytes(&out->packet.source) + out->packet.l4_bytes;
	__u32 mtu = mtu_for(out, role);

	if (out->packet.family == AF_INET6 && mtu < IPV6_MTU_MIN)
		mtu = IPV6_MTU_MIN;
	if (bytes <= mtu)
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_TOO_BIG);
	return tell_mtu(ctx, &out->packet, mtu);
}

#endif
