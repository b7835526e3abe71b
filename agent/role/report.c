// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "instance.h"
#include "role.h"

static void report_addresses(struct instance *instance, unsigned int ifindex,
			     struct link_report *out)
{
	struct own_addresses *own = &instance->own;

	pthread_rwlock_rdlock(&own->lock);
	for (unsigned int i = 0; i < own->count; i++)
		if (own->entry[i].ifindex == ifindex && !own->entry[i].broadcast &&
		    out->address_count < sizeof(out->addresses) / sizeof(out->addresses[0]))
			out->addresses[out->address_count++] = own->entry[i].addr;
	pthread_rwlock_unlock(&own->lock);
}

void role_report_interface(struct role *role, const char *interface, struct link_report *out)
{
	struct interface found = {};

	memset(out, 0, sizeof(*out));
	snprintf(out->interface, sizeof(out->interface), "%s", interface);
	snprintf(out->name, sizeof(out->name), "%s", interface);
	if (interface_read(&role->instance->rtnetlink, interface, &found))
		return;
	out->up = found.up;
	out->carrier = found.carrier;
	out->mtu = found.mtu;
	out->sent_bytes = found.sent_bytes;
	out->received_bytes = found.received_bytes;
	out->sent_packets = found.sent_packets;
	out->received_packets = found.received_packets;
	report_addresses(role->instance, found.ifindex, out);
}
