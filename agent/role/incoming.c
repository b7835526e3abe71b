// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "incoming.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr_text.h"
#include "base/clock.h"
#include "base/log.h"

/*
 * A port that hosts and the outside never see is listened on for MP_JOINs: of 127.112.0.0/16,
 * and of the discard prefix (RFC 6666), by the instance.
 */
void incoming_prepare(struct instance *instance)
{
	uint8_t high = (uint8_t)(instance->mark_base >> 12),
		low = (uint8_t)(instance->mark_base >> 4);
	struct plait_settings *settings = &instance->settings;

	settings->join_v4 = (struct plait_addr){.ip = {127, 112, high, low}, .family = AF_INET};
	settings->join_v6 = (struct plait_addr){
		.ip = {[0] = 1, [13] = 112, [14] = high, [15] = low}, .family = AF_INET6};
}

static struct plait_binding_key key_of(const struct config_binding *binding)
{
	return (struct plait_binding_key){.external = binding->external,
					  .protocol = binding->protocol};
}

static int publish(struct incoming *incoming, const struct incoming_binding *binding)
{
	struct plait_binding_key key = key_of(&binding->config);
	struct plait_binding_value value = {.created_ns = binding->since_ns,
					    .inside = binding->config.inside,
					    .flags = PLAIT_BINDING_CONFIGURED};

	return dataplane_put(incoming->instance->dataplane, "bindings", &key, &value);
}

static void close_listeners(struct incoming_binding *binding)
{
	for (unsigned int i = 0; i < 2; i++)
		if (binding->join_fd[i] >= 0)
			close(binding->join_fd[i]);
}

/* Without IPv6 in the kernel there is one less. */
static int open_listeners(const struct incoming *incoming, struct incoming_binding *binding)
{
	const struct instance *instance = incoming->instance;
	const struct plait_addr *at[] = {&instance->settings.join_v4, &instance->settings.join_v6};

	binding->join_fd[0] = binding->join_fd[1] = -1;
	for (unsigned int i = 0; i < 2; i++) {
		struct plait_addr addr = *at[i];

		addr.port = binding->config.external.port;
		binding->join_fd[i] = mptcp_listen(&addr, &instance->leg, LISTEN_JOINS);
		if (binding->join_fd[i] < 0 && binding->join_fd[i] != -EAFNOSUPPORT) {
			int err = binding->join_fd[i];

			close_listeners(binding);
			return err;
		}
	}
	return 0;
}

static int take_joins(struct incoming *incoming)
{
	int err = incoming->takes_joins ? 0 : mptcp_pm_take_joins(&incoming->joins);

	incoming->takes_joins = !err;
	return err;
}

static struct incoming_binding *find(struct incoming *incoming, uint8_t protocol, __be16 port)
{
	for (unsigned int i = 0; i < incoming->count; i++)
		if (incoming->binding[i].config.protocol == protocol &&
		    incoming->binding[i].config.external.port == port)
			return &incoming->binding[i];
	return NULL;
}

int incoming_add(struct incoming *incoming, const struct config_binding *config)
{
	struct incoming_binding added = {.config = *config, .since_ns = clock_now_ns()};
	int err;

	if (find(incoming, config->protocol, config->external.port))
		return -EEXIST;
	if (incoming->count == CONFIG_MAX_BINDINGS)
		return -ENOSPC;
	err = take_joins(incoming);
	if (!err)
		err = open_listeners(incoming, &added);
	if (err)
		return err;
	err = publish(incoming, &added);
	if (err) {
		close_listeners(&added);
		return err;
	}
	pthread_rwlock_wrlock(&incoming->lock);
	incoming->binding[incoming->count++] = added;
	pthread_rwlock_unlock(&incoming->lock);
	return 0;
}

bool incoming_remove(struct incoming *incoming, const struct config_binding *config)
{
	struct incoming_binding *found = find(incoming, config->protocol, config->external.port);
	struct plait_binding_key key = key_of(config);

	if (!found)
		return false;
	dataplane_remove(incoming->instance->dataplane, "bindings", &key);
	close_listeners(found);
	pthread_rwlock_wrlock(&incoming->lock);
	*found = incoming->binding[--incoming->count];
	pthread_rwlock_unlock(&incoming->lock);
	return true;
}

bool incoming_find(struct incoming *incoming, uint8_t protocol, __be16 port,
		   struct plait_addr *inside)
{
	const struct incoming_binding *found;

	pthread_rwlock_rdlock(&incoming->lock);
	found = find(incoming, protocol, port);
	if (found)
		*inside = found->config.inside;
	pthread_rwlock_unlock(&incoming->lock);
	return found;
}

int incoming_open(struct incoming *incoming, struct instance *instance)
{
	const struct config *config = instance->config;
	int err = 0;

	incoming->instance = instance;
	pthread_rwlock_init(&incoming->lock, NULL);
	dataplane_clear(instance->dataplane, "bindings", sizeof(struct plait_binding_key));
	for (unsigned int i = 0; !err && i < config->binding_count; i++) {
		err = incoming_add(incoming, &config->bindings[i]);
		if (err)
			log_error("bindings[%u]: %s", i, strerror(-err));
	}
	return err;
}

void incoming_close(struct incoming *incoming)
{
	if (!incoming->instance)
		return;
	for (unsigned int i = 0; i < incoming->count; i++)
		close_listeners(&incoming->binding[i]);
	if (incoming->takes_joins)
		mptcp_pm_close(&incoming->joins);
	pthread_rwlock_destroy(&incoming->lock);
}

void incoming_report(const struct incoming *incoming, struct binding_report *out)
{
	for (unsigned int i = 0; i < incoming->count; i++) {
		const struct incoming_binding *binding = &incoming->binding[i];

		out[i] = (struct binding_report){.inside = binding->config.inside,
						 .external = binding->config.external,
						 .state = "configured",
						 .since_ns = binding->since_ns,
						 .protocol = binding->config.protocol};
	}
}
