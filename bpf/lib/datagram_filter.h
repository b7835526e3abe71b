/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whom a subscriber's endpoint hears from, on a concentrator (RFC 4787 §5): anybody, or
 * those that it has sent to within the lifetime of a binding.
 */
#ifndef PLAIT_BPF_DATAGRAM_FILTER_H
#define PLAIT_BPF_DATAGRAM_FILTER_H

#include <stdbool.h>

#include "datagram_maps.h"

/* When an endpoint has sent to a remote last; sized by the configuration. BPF writes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct plait_contact);
	__type(value, __u64);
} datagram_contacts SEC(".maps");

static __always_inline struct plait_contact
contact_of(const struct plait_addr *external, const struct plait_addr *remote, __u32 filtering)
{
	struct plait_contact contact = {.external = *external, .remote = *remote};

	if (filtering == PLAIT_FILTERING_ADDRESS_DEPENDENT)
		contact.remote.port = 0;
	return contact;
}

/* By itself: those that call it have no stack left for a key. */
static __noinline void keep_contact(const struct plait_addr *external,
				    const struct plait_addr *remote, __u32 filtering, __u64 now_ns)
{
	struct plait_contact contact = contact_of(external, remote, filtering);
	__u64 *sent_ns = bpf_map_lookup_elem(&datagram_contacts, &contact);

	if (sent_ns)
		*sent_ns = now_ns;
	else
		bpf_map_update_elem(&datagram_contacts, &contact, &now_ns, BPF_ANY);
}

static __always_inline void note_contact(const struct plait_addr *external,
					 const struct plait_addr *remote, __u64 now_ns)
{
	const struct plait_datagram_settings *settings = datagram_settings_now();

	if (settings && settings->filtering)
		keep_contact(external, remote, settings->filtering, now_ns);
}

static __always_inline bool is_contact(const struct plait_addr *external,
				       const struct plait_addr *remote)
{
	const struct plait_datagram_settings *settings = datagram_settings_now();
	struct plait_contact contact;
	const __u64 *sent_ns;

	if (!settings || !settings->filtering)
		return true;
	contact = contact_of(external, remote, settings->filtering);
	sent_ns = bpf_map_lookup_elem(&datagram_contacts, &contact);
	return sent_ns && bpf_ktime_get_ns() < *sent_ns + settings->contact_life_ns;
}

#endif
