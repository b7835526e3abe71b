// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Bindings that are configured, and the connections that they let in. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "pools.h"

int pools_configure(struct pools *pools, const struct config_binding *config)
{
	const struct translator_request request = {.source = config->inside,
						   .inside = config->inside,
						   .family = config->external.family,
						   .protocol = config->protocol,
						   .now_ns = clock_now_ns()};
	struct binding *binding = NULL;
	enum translated result;

	pthread_mutex_lock(&pools->lock);
	result = translator_configure(&pools->translator, &request, &config->external, &binding);
	if (result == TRANSLATED)
		pools_publish(pools, binding);
	pthread_mutex_unlock(&pools->lock);
	if (result == TRANSLATED)
		return 0;
	return result == TRANSLATED_TAKEN ? -EEXIST : -ENOSPC;
}

int pools_configure_all(struct pools *pools)
{
	const struct config *config = pools->instance->config;
	int err = 0;

	for (unsigned int i = 0; !err && i < config->binding_count; i++) {
		const struct config_binding *binding = &config->bindings[i];

		err = pools_configure(pools, binding);
		if (err == -EEXIST)
			log_error("bindings[%u]: %s, or a block of ports around it, is not free "
				  "for %s",
				  i, addr_text(&binding->external).text,
				  addr_text(&binding->inside).text);
	}
	return err;
}

bool pools_unconfigure(struct pools *pools, const struct config_binding *config)
{
	struct binding *binding;
	bool found;

	pthread_mutex_lock(&pools->lock);
	found = translator_unconfigure(&pools->translator, config->protocol, &config->external);
	binding = bindings_of_external(&pools->translator.bindings, config->protocol,
				       &config->external);
	if (binding) /* it stays as long as its sessions */
		pools_publish(pools, binding);
	pthread_mutex_unlock(&pools->lock);
	return found;
}

bool pools_let_in(struct pools *pools, struct session *session, enum plait_reason *why)
{
	uint64_t now = clock_now_ns();
	struct binding *binding = NULL;
	enum translated result;

	pthread_mutex_lock(&pools->lock);
	result = translator_let_in(&pools->translator, session->key.protocol, &session->key.inside,
				   now, &binding);
	pthread_mutex_unlock(&pools->lock);
	if (result != TRANSLATED) {
		*why = pools_reason(result);
		return false;
	}
	session->binding = binding;
	pools_log_bound(pools, session, now);
	return true;
}
