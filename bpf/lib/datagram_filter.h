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

static __always_inline struct plait_contact contact_of(const struct plait_datagram_binding *binding,
						       const struct plait_addr *remote)
{
	struct plait_contact contact = {.external = binding->inner, .remote = *remote};

	if (binding->filtering == PLAIT_FILTERING_ADDRESS_DEPENDENT)
		contact.remote.port = 0;
	return contact;
}

/* By itself: those that call it have no stack left for a key. */
static __noinline void keep_contact(const struct plait_datagram_binding *binding,
				    const struct plait_addr *remote, __u64 now_ns)
{
	struct plait_contact contact = contact_of(binding, remote);
	__u64 *sent_ns = bpf_map_lookup_elem(&datagram_contacts, &contact);

	if (sent_ns)
		*sent_ns = now_ns;
	else
		bpf_map_update_elem(&datagram_contacts, &contact, &now_ns, BPF_ANY);
}

static __always_inline void note_contact(const struct plait_datagram_binding *binding,
					 const struct plait_addr *remote, __u64 now_ns)
{
	if (binding->filtering)
		keep_contact(binding, remote, now_ns);
}

static __noinline bool is_contact(const struct plait_datagram_binding *binding,
				  const struct plait_addr *remote)
{
	const struct plait_datagram_settings *settings = datagram_settings_now();
	struct plait_contact contact = contact_of(binding, remote);
	const __u64 *sent_ns = bpf_map_lookup_elem(&datagram_contacts, &contact);

	return settings && sent_ns && bpf_ktime_get_ns() < *sent_ns + settings->contact_life_ns;
}

static __always_inline bool is_let_in(const struct plait_datagram_binding *binding,
				      const struct plait_addr *remote)
{
	return !binding->filtering || is_contact(binding, remote);
}

#endif
