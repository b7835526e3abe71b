// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What of the translator goes to the binding log: blocks, or the sessions of bindings.
 * It happens under the pools' lock or on a worker, so records are only queued.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/addr_text.h"
#include "base/clock.h"
#include "base/log.h"
#include "binding_log.h"
#include "engine/session.h"
#include "pools.h"

static const struct config_binding_log *config_of(const struct pools *pools)
{
	return &pools->instance->config->binding_log;
}

static void name_subscriber(struct binding_record *record, const struct subscriber *subscriber)
{
	snprintf(record->subscriber, sizeof(record->subscriber), "%s", subscriber->name);
}

static void log_block(void *context, const struct translator_event *event)
{
	struct pools *pools = context;
	struct binding_record record = {.event = event->lent ? BLOCK_LENT : BLOCK_RETURNED,
					.source = event->subscriber->source,
					.external = event->external,
					.last_port = event->last_port,
					.since_ns = event->since_ns,
					.until_ns = event->lent ? 0 : clock_now_ns()};

	name_subscriber(&record, event->subscriber);
	binding_log_put(pools->log, &record);
}

/* destination: NULL: there are many. */
static void log_use(struct pools *pools, const struct binding *binding,
		    const struct plait_addr *source, const struct plait_addr *destination,
		    struct binding_record record)
{
	if (!pools->log || config_of(pools)->per != LOG_PER_SESSION)
		return;
	record.protocol = binding->protocol;
	record.source = *source;
	record.external = binding->external;
	record.last_port = ntohs(binding->external.port);
	/* it has a session, so it stays who it is */
	name_subscriber(&record,
			subscribers_at(&pools->translator.subscribers, binding->subscriber));
	if (config_of(pools)->destination && destination)
		record.destination = *destination;
	binding_log_put(pools->log, &record);
}

static void log_session(struct pools *pools, const struct session *session,
			struct binding_record record)
{
	const struct binding *binding = session->binding;

	log_use(pools, binding, session->accepts == SIDE_LEG ? &session->peer : &binding->inside,
		&session->key.remote, record);
}

void pools_log_bound(struct pools *pools, struct session *session, uint64_t now_ns)
{
	session->bound_ns = now_ns;
	log_session(pools, session,
		    (struct binding_record){.event = BINDING_CREATED, .since_ns = now_ns});
}

void pools_log_released(struct pools *pools, const struct session *session, uint64_t now_ns)
{
	log_session(pools, session,
		    (struct binding_record){.event = BINDING_ENDED,
					    .since_ns = session->bound_ns,
					    .until_ns = now_ns});
}

void pools_log_lent(struct pools *pools, const struct binding *binding)
{
	log_use(pools, binding, &binding->inside, NULL,
		(struct binding_record){.event = BINDING_CREATED, .since_ns = binding->since_ns});
}

void pools_log_returned(struct pools *pools, const struct binding *binding)
{
	log_use(pools, binding, &binding->inside, NULL,
		(struct binding_record){.event = BINDING_ENDED,
					.since_ns = binding->since_ns,
					.until_ns = clock_now_ns()});
}

int pools_log_open(struct pools *pools)
{
	const struct config_binding_log *config = config_of(pools);
	int err;

	if (config->per == LOG_PER_OFF || !pools->instance->config->pool_count)
		return 0;
	err = binding_log_open(&pools->log, config->file);
	if (err)
		log_error("binding log: %s: %s", config->file[0] ? config->file : "standard error",
			  strerror(-err));
	else if (config->per == LOG_PER_BLOCK)
		pools->translator.on_block = log_block;
	return err;
}

static void log_pool(const struct deterministic *pool)
{
	char inside[CONFIG_MAX_INSIDE * (sizeof(" ") + ADDR_TEXT_BYTES)] = "";
	size_t length = 0;

	for (unsigned int i = 0; i < pool->inside.prefix_count; i++)
		length += (size_t)snprintf(inside + length, sizeof(inside) - length, " %s",
					   prefix_text(&pool->inside.prefixes[i]).text);
	log_notice("deterministic pool %s: a block of %u ports for each address of%s",
		   prefix_text(pool->external.prefixes).text, pool->block_ports, inside);
}

void pools_log_deterministic(const struct pools *pools)
{
	for (unsigned int i = 0; i < pools->deterministic_count; i++)
		log_pool(&pools->deterministic[i]);
}

void pools_log_count(struct pools *pools)
{
	if (pools->log)
		*instance_counter(pools->instance, PLAIT_BINDING_LOG_DROPPED) +=
			binding_log_dropped(pools->log);
}

/* What rests is nobody's any more once we are gone. */
static void end_bindings(struct translator *translator)
{
	struct bindings *bindings = &translator->bindings;

	translator->on_end = NULL; /* its map is gone */
	for (uint32_t i = 0; i < bindings->touched; i++)
		if (bindings->slots[i].protocol && !bindings->slots[i].sessions)
			bindings_keep_until(bindings, &bindings->slots[i], 0);
	if (bindings->touched)
		translator_sweep(translator, clock_now_ns() + 2 * NS_PER_S);
}

void pools_log_close(struct pools *pools)
{
	if (pools->log)
		end_bindings(&pools->translator);
	binding_log_close(pools->log);
	pools->log = NULL;
}
