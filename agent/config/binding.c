// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "binding.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/addr_text.h"
#include "computed.h"
#include "table/pool.h"
#include "value.h"

static int no(char *why, const char *text, const struct plait_addr *addr)
{
	snprintf(why, BINDING_WHY_BYTES, text, addr_text(addr).text);
	return -EINVAL;
}

/* Of a deterministic pool: it must go on to be computed whose a port is. */
static int check_block(const struct config *config, const struct config_binding *binding, char *why)
{
	struct computed_block block;

	if (ntohs(binding->external.port) < POOL_FIRST_PORT ||
	    (computed_block_of(config, &binding->inside, binding->external.family, &block) &&
	     computed_block_has(&block, &binding->external)))
		return 0;
	return no(why, "%s is not in the block of who is inside", &binding->external);
}

/* One that is nobody's could not be routed here, and one of this machine is the kernel's. */
static int check_external(const struct config *config, const struct config_binding *binding,
			  char *why)
{
	const struct config_pool *pool;

	if (config->role == ROLE_CPE)
		return 0;
	pool = computed_pool(config, &binding->external);
	if (!pool)
		return no(why, "%s is in no pool", &binding->external);
	if (pool->translation == TRANSLATION_PREFIX)
		return no(why, "%s is in a pool that translates prefixes", &binding->external);
	return pool->translation == TRANSLATION_DETERMINISTIC ? check_block(config, binding, why)
							      : 0;
}

static int check_inside(const struct config_binding *binding, char *why)
{
	const char *what = address_unusable(&binding->inside);

	if (!what)
		return 0;
	snprintf(why, BINDING_WHY_BYTES, "%s is %s", addr_text(&binding->inside).text, what);
	return -EINVAL;
}

static bool same(const struct plait_addr *a, const struct plait_addr *b)
{
	return a->port == b->port && addr_same_ip(a, b);
}

static int check_unique(const struct config *config, const struct config_binding *binding,
			unsigned int count, char *why)
{
	for (unsigned int i = 0; i < count; i++) {
		const struct config_binding *before = &config->bindings[i];

		if (before->protocol != binding->protocol)
			continue;
		if (same(&before->external, &binding->external))
			return no(why, "%s is bound already", &binding->external);
		if (same(&before->inside, &binding->inside))
			return no(why, "%s has a binding already", &binding->inside);
	}
	return 0;
}

int binding_check(const struct config *config, const struct config_binding *binding,
		  unsigned int count, char *why)
{
	int err = 0;

	if (binding->protocol != IPPROTO_TCP && binding->protocol != IPPROTO_UDP) {
		snprintf(why, BINDING_WHY_BYTES, "only tcp and udp are let in");
		return -EINVAL;
	}
	err = check_external(config, binding, why);
	if (!err)
		err = check_inside(binding, why);
	return err ? err : check_unique(config, binding, count, why);
}
