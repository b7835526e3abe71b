/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Maps that both roles have. Who writes a field stands in include/plait_maps.h. */
#ifndef PLAIT_BPF_MAPS_H
#define PLAIT_BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "plait_maps.h"
#include "plait_reasons.h"

const volatile struct plait_settings settings SEC(".rodata.settings");

/* Live sessions. The agent adds and removes; its size comes from the configuration. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct plait_session_key);
	__type(value, struct plait_session_value);
} sessions SEC(".maps");

/* One row a worker, and one for the rest of the agent. The agent writes, by mmap(). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PLAIT_COUNTER_ROWS);
	__type(key, __u32);
	__type(value, struct plait_agent_counters);
} agent_counters SEC(".maps");

/* Addresses of this machine and its broadcast addresses (port 0). Agent writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct plait_addr);
	__type(value, __u8);
} local_addresses SEC(".maps");

/*
 * Binding entries: on a concentrator of connections that have an address of a pool, on
 * both roles what lets connections in. The agent writes; a concentrator's next run finds
 * here which ports must rest. Sized by limits.bindings.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct plait_binding_key);
	__type(value, struct plait_binding_value);
} bindings SEC(".maps");

/* Held SYNs, one ring a worker. BPF writes, the worker reads. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, PLAIT_MAX_WORKERS);
	__type(key, __u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_RINGBUF);
			__uint(max_entries, PLAIT_RING_BYTES);
		});
} held_syns SEC(".maps");

#endif
