// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What datagram mode is measured against: nothing at all, and the least that a program
 * with state does: parse, one look-up in a hash, a stamp on what it found. And the driver
 * that lets a program run again and again: it undoes what the last run did to the packet,
 * gives it the next header, and goes on to the program.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "plait_datagram.h"

#include "reference.h"

enum { FAMILY_IPV4 = 2, SEQUENCE_AT = 38 };

/* Headers in the order in which they come; user space writes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct header);
} headers SEC(".maps");

/* The program under test. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} subject SEC(".maps");

/* User space writes, and driver goes on from there. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct progress);
} progress SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct plait_addr);
	__type(value, struct plait_datagram_binding);
} entries SEC(".maps");

SEC("xdp.frags")
int empty(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp.frags")
int reference(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *ether = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(ether + 1);
	struct udphdr *udp = (void *)(ip + 1);
	struct plait_addr key = {.family = FAMILY_IPV4};
	struct plait_datagram_binding *entry;

	if ((void *)(udp + 1) > end || ether->h_proto != bpf_htons(ETH_P_IP) ||
	    ip->protocol != IPPROTO_UDP || ip->ihl != sizeof(*ip) / 4)
		return XDP_PASS;
	__builtin_memcpy(key.ip, &ip->saddr, sizeof(ip->saddr));
	key.port = udp->source;
	entry = bpf_map_lookup_elem(&entries, &key);
	if (entry)
		entry->last_seen_ns = bpf_ktime_get_ns();
	return XDP_PASS;
}

SEC("xdp.frags")
int driver(struct xdp_md *ctx)
{
	__u32 zero = 0, index;
	struct progress *now = bpf_map_lookup_elem(&progress, &zero);
	const struct header *header;
	__u64 *octets;

	if (!now)
		return XDP_ABORTED;
	index = now->next++;
	if (now->next >= now->headers)
		now->next = 0;
	header = bpf_map_lookup_elem(&headers, &index);
	if (!header ||
	    bpf_xdp_adjust_head(ctx, (int)(ctx->data_end - ctx->data) - (int)header->frame_bytes))
		return XDP_ABORTED;
	octets = (void *)(long)ctx->data;
	if ((void *)octets + HEADER_BYTES > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
#pragma unroll
	for (int i = 0; i < HEADER_BYTES / 8; i++)
		octets[i] = header->octets[i];
	if (header->has_sequence)
		*(__be32 *)((void *)octets + SEQUENCE_AT) = bpf_htonl(++now->sequence);
	bpf_tail_call(ctx, &subject, 0);
	return XDP_ABORTED;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
