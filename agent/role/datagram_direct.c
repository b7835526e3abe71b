// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "datagram_direct.h"

#include <netinet/in.h>
#include <string.h>

static void add_direct(struct datagram_direct *direct, const struct plait_prefix *prefix)
{
	struct plait_direct_key key = {.bits = 32u + prefix->bits, .family = prefix->family};

	if (direct->count == sizeof(direct->key) / sizeof(direct->key[0]))
		return;
	memcpy(key.ip, prefix->ip, sizeof(key.ip));
	direct->key[direct->count++] = key;
}

static bool is_lan(const struct config *config, unsigned int ifindex)
{
	for (unsigned int i = 0; i < config->lan.count; i++)
		if (if_nametoindex(config->lan.name[i]) == ifindex)
			return true;
	return false;
}

/* This machine's addresses, and its LANs. */
static void find_direct(const struct instance *instance, struct datagram_direct *out)
{
	const struct own_addresses *own = &instance->own;

	memset(out, 0, sizeof(*out));
	for (unsigned int i = 0; i < own->count; i++) {
		const struct plait_addr *addr = &own->entry[i].addr;
		struct plait_prefix prefix = {.family = addr->family,
					      .bits = addr->family == AF_INET ? 32 : 128};

		memcpy(prefix.ip, addr->ip, sizeof(prefix.ip));
		if (is_lan(instance->config, own->entry[i].ifindex))
			prefix.bits = own->entry[i].prefix_bits;
		add_direct(out, &prefix);
	}
}

static bool has_key(const struct datagram_direct *direct, const struct plait_direct_key *key)
{
	for (unsigned int i = 0; i < direct->count; i++)
		if (!memcmp(&direct->key[i], key, sizeof(*key)))
			return true;
	return false;
}

void datagram_direct_refresh(struct datagram_direct *direct, struct instance *instance)
{
	struct datagram_direct now; /* what stays is there at every moment */
	uint8_t one = 1;

	find_direct(instance, &now);
	if (!memcmp(&now, direct, sizeof(now)))
		return;
	for (unsigned int i = 0; i < now.count; i++)
		dataplane_put(instance->dataplane, "datagram_direct", &now.key[i], &one);
	for (unsigned int i = 0; i < direct->count; i++)
		if (!has_key(&now, &direct->key[i]))
			dataplane_remove(instance->dataplane, "datagram_direct", &direct->key[i]);
	*direct = now;
}
