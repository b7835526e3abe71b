/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Maps of datagram mode. Who writes a field stands in include/plait_datagram.h. */
#ifndef PLAIT_BPF_DATAGRAM_MAPS_H
#define PLAIT_BPF_DATAGRAM_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "datagram_senders.h"
#include "packet_counters.h"
#include "plait_datagram.h"
#include "plait_maps.h"

enum role { CPE, CONCENTRATOR };

/* Bindings by what their TCP-formatted packets have. The agent adds and removes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct plait_addr);
	__type(value, struct plait_datagram_binding);
} datagram_receivers SEC(".maps");

/* Agent writes; sized by the configuration. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct plait_path_set);
} datagram_sets SEC(".maps");

/* Agent writes; sized by the configuration. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct plait_path);
} datagram_paths SEC(".maps");

/* As many as datagram_paths. BPF writes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct plait_path_traffic);
} datagram_traffic SEC(".maps");

/* enum plait_datagram_address_flag by where TCP-formatted packets come to. Agent writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct plait_addr);
	__type(value, __u8);
} datagram_addresses SEC(".maps");

/* By which UDP may leave: LAN interfaces; internet-facing ones. Agent writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PLAIT_MAX_INTERFACES);
	__type(key, __u32);
	__type(value, __u8);
} datagram_interfaces SEC(".maps");

/* Agent writes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct plait_datagram_settings);
} datagram_settings SEC(".maps");

/* NULL for the verifier only. */
static __always_inline const struct plait_datagram_settings *datagram_settings_now(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&datagram_settings, &zero);
}

/* Every exit that is counted goes through here. */
static __always_inline int datagram_verdict(enum xdp_action action, enum plait_reason reason)
{
	count_packet(reason);
	return action;
}

#endif
