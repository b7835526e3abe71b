// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "announcement.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"

static int announce(struct instance *instance, const struct plait_prefix *prefix)
{
	uint8_t protocol = (uint8_t)instance->config->route_protocol;
	char address[INET6_ADDRSTRLEN];
	int err;

	routes_withdraw(&instance->rtnetlink, prefix, protocol); /* of a killed run */
	err = routes_announce(&instance->rtnetlink, prefix, protocol);
	if (!err)
		return 0;
	inet_ntop(prefix->family, prefix->ip, address, sizeof(address));
	if (err != -EEXIST) {
		log_error("route to %s/%u: %s", address, prefix->bits, strerror(-err));
		return err;
	}
	log_warning("pool %s/%u is not announced: the main table has a route to it already, "
		    "which stays",
		    address, prefix->bits);
	return 0;
}

int announcement_open(struct announcement *announcement, struct instance *instance)
{
	const struct config *config = instance->config;
	int err = 0;

	if (!config->route_protocol)
		return 0;
	announcement->instance = instance;
	for (unsigned int i = 0; !err && i < config->pool_count; i++)
		err = announce(instance, &config->pools[i].prefix);
	return err;
}

void announcement_close(struct announcement *announcement)
{
	struct instance *instance = announcement->instance;

	for (unsigned int i = 0; instance && i < instance->config->pool_count; i++)
		routes_withdraw(&instance->rtnetlink, &instance->config->pools[i].prefix,
				(uint8_t)instance->config->route_protocol);
}
