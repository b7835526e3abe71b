/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Whose packets a concentrator takes. */
#ifndef PLAIT_BPF_ALLOWED_H
#define PLAIT_BPF_ALLOWED_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "plait_maps.h"

/* Who may connect: customer.allow, and for a moment what it was before. Agent writes. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2 * PLAIT_MAX_PREFIXES);
	__type(key, struct plait_prefix_key);
	__type(value, __u8);
} allowed SEC(".maps");

#endif
