/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Of the maps of datagram mode the one that a CPE's TC programs look at, too. */
#ifndef PLAIT_BPF_DATAGRAM_SENDERS_H
#define PLAIT_BPF_DATAGRAM_SENDERS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "plait_datagram.h"

/* Bindings by what their UDP has: sized by the configuration. The agent adds and removes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct plait_addr);
	__type(value, struct plait_datagram_binding);
} datagram_senders SEC(".maps");

#endif
