/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What became of packets: one count a reason, for all programs of an instance. */
#ifndef PLAIT_BPF_PACKET_COUNTERS_H
#define PLAIT_BPF_PACKET_COUNTERS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "plait_reasons.h"

/* Indexed by enum plait_reason. BPF writes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PLAIT_REASON_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} packet_counters SEC(".maps");

static __always_inline void count_packet(enum plait_reason reason)
{
	__u32 index = reason;
	__u64 *count = bpf_map_lookup_elem(&packet_counters, &index);

	if (count)
		++*count;
}

#endif
