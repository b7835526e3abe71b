/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The Internet checksum (RFC 1071), updated without a walk over the payload (RFC 1624):
 * plain-mode-08 §7.2. Sums are of words as they stand in memory, not yet folded.
 */
#ifndef PLAIT_BPF_CHECKSUM_H
#define PLAIT_BPF_CHECKSUM_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "plait_addr.h"

/* Addresses stand at multiples of four in all that datagram mode has. */
static __always_inline const __u32 *ip_words(const struct plait_addr *addr)
{
	const void *at = addr;

	return at;
}

static __always_inline __u64 sum_words(const void *at, __u32 bytes)
{
	const __u32 *words = at;
	__u64 sum = 0;

#pragma unroll
	for (__u32 i = 0; i < bytes / sizeof(*words); i++)
		sum += words[i];
	return sum;
}

static __always_inline __u16 sum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static __always_inline __u64 sum_pseudo_header(const struct plait_addr *source,
					       const struct plait_addr *destination, __u8 protocol,
					       __u32 l4_bytes)
{
	/* IPv4 addresses are followed by zeros */
	return sum_words(ip_words(source), 16) + sum_words(ip_words(destination), 16) +
	       bpf_htonl(protocol) + bpf_htonl(l4_bytes);
}

enum { SUM_CHUNK = 64, SUM_CHUNKS_MAX = 65536 / SUM_CHUNK };

struct sum_walk {
	struct xdp_md *ctx;
	__u32 at, left;
	__u32 sum;
};

/* bpf_loop: the verifier then follows it once. */
static long sum_chunk(__u32 index, void *context)
{
	struct sum_walk *walk = context;
	__u32 chunk[SUM_CHUNK / 4] = {};
	__u64 bytes = walk->left;

	if (bytes > SUM_CHUNK)
		bytes = SUM_CHUNK;
	if (!bytes || bpf_xdp_load_bytes(walk->ctx, walk->at, chunk, bytes))
		return 1;
	walk->sum = bpf_csum_diff(NULL, 0, chunk, SUM_CHUNK, walk->sum);
	walk->at += bytes;
	walk->left -= bytes;
	return 0;
}

/* Of so many octets of the packet: the walk that is avoided wherever it can be. */
static __always_inline __u32 sum_octets(struct xdp_md *ctx, __u32 at, __u32 bytes)
{
	struct sum_walk walk = {.ctx = ctx, .at = at, .left = bytes};

	bpf_loop(SUM_CHUNKS_MAX, sum_chunk, &walk, 0);
	return walk.sum;
}

#endif
