/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Addresses in LPM tries of struct plait_prefix_key. */
#ifndef PLAIT_BPF_PREFIXES_H
#define PLAIT_BPF_PREFIXES_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "plait_maps.h"

static __always_inline bool is_within(void *prefixes, const struct plait_addr *addr)
{
	struct plait_prefix_key key = {.bits = 8 * sizeof(key.family) + 8 * sizeof(key.ip),
				       .family = addr->family};

	__builtin_memcpy(key.ip, addr->ip, sizeof(key.ip));
	return bpf_map_lookup_elem(prefixes, &key);
}

#endif
