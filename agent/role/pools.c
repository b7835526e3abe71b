// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "pools.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "table/nptv6.h"

enum {
	POOL_TABLE = 9, /* from the instance's base; a CPE has its links up to there */
	REST_SECONDS = 120, /* RFC 6888 REQ-8: of UDP, and of what an earlier run had lent */
	SWEEP_SECONDS = 1,
	OWN_BLOCK_PORTS = 32, /* small, for an address has few that are not the kernel's */
};

/* The pinned map */

static struct plait_binding_key key_of(const struct binding *binding)
{
	return (struct plait_binding_key){.external = binding->external,
					  .protocol = binding->protocol};
}

void pools_publish(struct pools *pools, const struct binding *binding)
{
	const struct subscriber *subscriber =
		subscribers_at(&pools->translator.subscribers, binding->subscriber);
	struct plait_binding_key key = key_of(binding);
	struct plait_binding_value value = {.created_ns = binding->since_ns,
					    .inside = binding->inside,
					    .subscriber = subscriber->source,
					    .flags = binding->configured ? PLAIT_BINDING_CONFIGURED
									 : 0};

	dataplane_put(pools->instance->dataplane, "bindings", &key, &value);
}

static void binding_ends(void *context, const struct binding *binding)
{
	struct pools *pools = context;
	struct plait_binding_key key = key_of(binding);

	dataplane_remove(pools->instance->dataplane, "bindings", &key);
}

/* Sessions */

enum plait_reason pools_reason(enum translated result)
{
	switch (result) {
	case TRANSLATED_SESSION_LIMIT:
		return PLAIT_SUBSCRIBER_SESSIONS;
	case TRANSLATED_RATE_LIMIT:
		return PLAIT_SUBSCRIBER_RATE;
	case TRANSLATED_PORT_LIMIT:
		return PLAIT_SUBSCRIBER_PORTS;
	case TRANSLATED_EXHAUSTED:
		return PLAIT_POOL_EXHAUSTED;
	case TRANSLATED_NOT_BOUND:
		return PLAIT_BINDING_UNKNOWN;
	case TRANSLATED_NO_POOL:
		return PLAIT_SUBSCRIBER_OUTSIDE;
	default:
		return PLAIT_BINDINGS_FULL;
	}
}

/* §6: the rest of the host's own address stays (RFC 6296), so there is nothing to remember. */
static bool translate_prefix(struct pools *pools, struct session *session,
			     const struct plait_addr *source, enum plait_reason *why)
{
	*why = PLAIT_NO_SOURCE;
	if (!source || source->family != AF_INET6)
		return false;
	session->key.inside = *source;
	if (nptv6_translate(&session->key.inside,
			    pools->prefixes[translator_pool_number(AF_INET6, false)]))
		return false;
	session->transparent = true;
	return true;
}

static struct binding *lend_by(struct pools *pools, struct translator_request *request,
			       enum plait_reason *why)
{
	struct binding *binding = NULL;
	enum translated result;

	request->now_ns = clock_now_ns();
	if (getrandom(request->random, sizeof(request->random), 0) != sizeof(request->random))
		return NULL;
	pthread_mutex_lock(&pools->lock);
	result = translator_begin(&pools->translator, request, &binding);
	if (result == TRANSLATED && binding->sessions == 1)
		pools_publish(pools, binding);
	pthread_mutex_unlock(&pools->lock);
	if (result == TRANSLATED)
		return binding;
	*why = pools_reason(result);
	return NULL;
}

static bool lend(struct pools *pools, struct session *session, const struct plait_addr *inside,
		 enum plait_reason *why)
{
	struct translator_request request = {.source = session->peer,
					     .inside = *inside,
					     .family = session->key.remote.family,
					     .protocol = session->key.protocol};
	struct binding *binding = lend_by(pools, &request, why);

	if (!binding)
		return false;
	session->binding = binding;
	session->key.inside = binding->external;
	pools_log_bound(pools, session, request.now_ns);
	return true;
}

static struct plait_addr inside_of(const struct pools *pools, const struct plait_addr *source)
{
	const struct config_subscriber *subscriber =
		config_subscriber_of(pools->instance->config, source);
	struct plait_addr inside = subscriber ? subscriber->sources[0] : *source;

	inside.port = source->port;
	return inside;
}

int32_t pools_endpoint(struct pools *pools, const struct plait_addr *source,
		       struct plait_addr *inside)
{
	int32_t subscriber;

	pthread_mutex_lock(&pools->lock);
	subscriber = subscribers_of(&pools->translator.subscribers, source);
	pthread_mutex_unlock(&pools->lock);
	*inside = inside_of(pools, source);
	return subscriber;
}

bool pools_lend(struct pools *pools, const struct plait_addr *source, uint8_t family,
		struct binding **out, enum plait_reason *why)
{
	struct translator_request request = {.source = *source,
					     .inside = inside_of(pools, source),
					     .family = family,
					     .protocol = IPPROTO_UDP};
	struct binding *binding;

	binding = lend_by(pools, &request, why);
	if (!binding)
		return false;
	pools_log_lent(pools, binding);
	*out = binding;
	return true;
}

void pools_return(struct pools *pools, struct binding *binding)
{
	pools_log_returned(pools, binding);
	pthread_mutex_lock(&pools->lock);
	translator_rest(&pools->translator, binding, clock_now_ns() + REST_SECONDS * NS_PER_S);
	pthread_mutex_unlock(&pools->lock);
}

bool pools_cover(const struct pools *pools, uint8_t family)
{
	if (pools->prefix_counts[translator_pool_number(family, false)])
		return true;
	for (unsigned int i = 0; i < pools->deterministic_count; i++)
		if (pools->deterministic[i].external.prefixes->family == family)
			return true;
	return false;
}

bool pools_bind(struct pools *pools, struct session *session, const struct plait_addr *source,
		enum plait_reason *why)
{
	uint8_t family = session->key.remote.family;
	unsigned int number = translator_pool_number(family, false);

	if (!pools_cover(pools, family))
		return true;
	if (pools->translation[number] == TRANSLATION_PREFIX)
		return translate_prefix(pools, session, source, why);
	return lend(pools, session, source ? source : &session->peer, why);
}

/* RFC 6888 REQ-8, and RFC 7857 §2.2 of a TCP connection; one that was closed needs none. */
static uint64_t rest_ns(const struct pools *pools, const struct session *session)
{
	if (session->key.protocol == IPPROTO_UDP)
		return REST_SECONDS * 1000 * NS_PER_MS;
	return session->was_reset ? pools->instance->config->lifetimes.reset_ms * NS_PER_MS : 0;
}

void pools_release(struct pools *pools, struct session *session)
{
	uint64_t now = clock_now_ns(), rest = rest_ns(pools, session);

	pools_log_released(pools, session, now);
	pthread_mutex_lock(&pools->lock);
	if (rest)
		translator_rest(&pools->translator, session->binding, now + rest);
	else
		translator_end(&pools->translator, session->binding);
	pthread_mutex_unlock(&pools->lock);
	session->binding = NULL;
}

static void sweep(struct loop_watch *watch, uint32_t events)
{
	struct pools *pools = container_of(watch, struct pools, timer_watch);
	uint64_t times;

	if (read(pools->timer_fd, &times, sizeof(times)) != sizeof(times))
		return;
	pthread_mutex_lock(&pools->lock);
	translator_sweep(&pools->translator, clock_now_ns());
	pthread_mutex_unlock(&pools->lock);
	pools_log_count(pools);
}

/* Setting up */

/* Of an earlier run, whose sockets are gone: its peers may still send. */
static void take_to_rest(void *context, const void *key, const void *value)
{
	struct pools *pools = context;
	const struct plait_binding_key *found = key;
	const struct plait_binding_value *was = value;
	const struct translator_request request = {.source = was->subscriber,
						   .inside = was->inside,
						   .family = found->external.family,
						   .protocol = found->protocol,
						   .now_ns = clock_now_ns()};

	if (bindings_of_external(&pools->translator.bindings, found->protocol, &found->external))
		return; /* it is configured, and in the map anew */
	if (!translator_adopt(&pools->translator, &request, &found->external,
			      request.now_ns + REST_SECONDS * NS_PER_S))
		/* what is of no pool any more would stay in the map for ever */
		dataplane_remove(pools->instance->dataplane, "bindings", key);
	else if (was->flags & PLAIT_BINDING_CONFIGURED) /* it lets nobody in any more */
		pools_publish(pools, bindings_of_external(&pools->translator.bindings,
							  found->protocol, &found->external));
}

static void adopt(struct pools *pools)
{
	uint32_t configured = pools->translator.bindings.count, rest;

	dataplane_each(pools->instance->dataplane, "bindings", take_to_rest, pools);
	rest = pools->translator.bindings.count - configured;
	if (rest)
		log_notice("%u external ports of an earlier run rest for %d s", rest, REST_SECONDS);
}

_Static_assert((int)TRANSLATOR_DETERMINISTIC_MAX >= (int)CONFIG_MAX_PREFIXES,
	       "there is a number for every deterministic pool");

static bool has_shared(const struct config *config, uint8_t family)
{
	for (unsigned int i = 0; i < config->pool_count; i++)
		if (config->pools[i].prefix.family == family &&
		    config->pools[i].translation == TRANSLATION_SHARED)
			return true;
	return false;
}

/* Of a deterministic pool, which is one of its own. */
static unsigned int add_deterministic(struct pools *pools, const struct config_pool *pool)
{
	unsigned int index = pools->deterministic_count++;

	pools->deterministic[index] = deterministic_make(
		&pool->prefix, pool->inside, pool->inside_count, (uint16_t)pool->block_ports);
	return TRANSLATOR_DETERMINISTIC + index;
}

/* Beside shared addresses, those of one subscriber each are for those who have a name. */
static unsigned int number_for(struct pools *pools, const struct config_pool *pool)
{
	if (pool->translation == TRANSLATION_DETERMINISTIC)
		return add_deterministic(pools, pool);
	return translator_pool_number(
		pool->prefix.family,
		pool->translation == TRANSLATION_ONE_TO_ONE &&
			has_shared(pools->instance->config, pool->prefix.family));
}

static void sort_prefixes(struct pools *pools)
{
	const struct config *config = pools->instance->config;

	for (unsigned int i = 0; i < config->pool_count; i++) {
		const struct config_pool *pool = &config->pools[i];
		unsigned int number = number_for(pools, pool);

		pools->translation[number] = pool->translation;
		pools->prefixes[number][pools->prefix_counts[number]++] = pool->prefix;
	}
}

/* One-to-one is a block as large as an address. */
static uint16_t block_ports_of(const struct pools *pools, unsigned int number)
{
	if (number >= TRANSLATOR_DETERMINISTIC)
		return pools->deterministic[number - TRANSLATOR_DETERMINISTIC].block_ports;
	return pools->translation[number] == TRANSLATION_ONE_TO_ONE
		       ? POOL_PORTS
		       : (uint16_t)pools->instance->config->port_block;
}

static int open_configured(struct pools *pools, unsigned int number)
{
	bool lends = pools->translation[number] != TRANSLATION_PREFIX;

	return pool_open(&pools->translator.pools[number], pools->prefixes[number],
			 lends ? pools->prefix_counts[number] : 0, block_ports_of(pools, number));
}

static bool has_datagram_mode(const struct config *config)
{
	return config->udp == UDP_DATAGRAM || config->udp == UDP_BOTH;
}

/* An own address at the first internet-facing interface that has one. False: none has. */
static bool find_own(struct pools *pools, uint8_t family, struct plait_prefix *out)
{
	const struct config_interfaces *internet = &pools->instance->config->internet;
	struct plait_addr addr;

	for (unsigned int i = 0; i < internet->count; i++)
		if (instance_address_of(pools->instance, if_nametoindex(internet->name[i]), family,
					&addr)) {
			*out = (struct plait_prefix){.family = family,
						     .bits = family == AF_INET ? 32 : 128};
			memcpy(out->ip, addr.ip, sizeof(out->ip));
			return true;
		}
	return false;
}

/* Streams have the kernel's choice of ports there; datagram mode has some of its own. */
static int open_own(struct pools *pools, unsigned int number)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	const struct config_datagram *config = &pools->instance->config->datagram;

	if (!find_own(pools, families[number], &pools->own[number]))
		return 0;
	return pool_open_part(&pools->translator.pools[number], &pools->own[number], 1,
			      OWN_BLOCK_PORTS, config->port_first,
			      config->port_last - config->port_first + 1U);
}

static int open_pool(struct pools *pools, unsigned int number)
{
	if (number < 2 && has_datagram_mode(pools->instance->config) &&
	    !pools_cover(pools, number ? AF_INET6 : AF_INET))
		return open_own(pools, number);
	return open_configured(pools, number);
}

/* How many numbers of pools are in use. */
static unsigned int pool_numbers(const struct pools *pools)
{
	return TRANSLATOR_DETERMINISTIC + pools->deterministic_count;
}

static struct subscriber_limits limits_of(const struct config *config)
{
	return (struct subscriber_limits){
		.sessions = config->subscriber_limits.sessions,
		.ports = config->subscriber_limits.ports,
		.blocks = config->subscriber_limits.blocks,
		.new_per_s = config->subscriber_limits.new_per_s,
	};
}

static int open_tables(struct pools *pools)
{
	const struct config *config = pools->instance->config;
	const struct subscriber_limits limits = limits_of(config);
	struct translator *translator = &pools->translator;
	int err = bindings_open(&translator->bindings, config->max_bindings, clock_now_ns());

	if (!err)
		err = subscribers_open(&translator->subscribers, config->max_subscribers,
				       config->max_subscribers * CONFIG_MAX_SOURCES, &limits);
	for (unsigned int i = 0; !err && i < pool_numbers(pools); i++)
		err = open_pool(pools, i);
	translator->subscribers.deterministic = pools->deterministic;
	translator->subscribers.deterministic_count = pools->deterministic_count;
	translator->keep_parity = config->keep_parity;
	translator->on_end = binding_ends;
	translator->context = pools;
	return err;
}

static void add_subscribers(struct pools *pools)
{
	const struct config *config = pools->instance->config;

	for (unsigned int i = 0; i < config->subscriber_count; i++)
		subscribers_add(&pools->translator.subscribers, config->subscribers[i].name,
				config->subscribers[i].sources,
				config->subscribers[i].source_count);
}

/* No interface needs to have the addresses. */
static int deliver(struct pools *pools)
{
	struct netlink *rtnetlink = &pools->instance->rtnetlink;
	uint32_t table = pools->instance->mark_base + POOL_TABLE;
	int err = 0;

	for (unsigned int i = 0; i < pool_numbers(pools); i++) {
		if (pools->prefix_counts[i] && !err)
			err = routes_add_rule(rtnetlink, pools->prefixes[i][0].family, table,
					      RULE_PRIORITY_POOL);
		for (unsigned int j = 0; !err && j < pools->prefix_counts[i]; j++) {
			err = routes_add_local(rtnetlink, &pools->prefixes[i][j], table);
			if (!err)
				err = instance_publish_prefix(pools->instance, "pool_prefixes",
							      &pools->prefixes[i][j]);
		}
	}
	return err;
}

static int start_sweeping(struct pools *pools, struct loop *loop)
{
	pools->timer_watch.ready = sweep;
	pools->timer_fd = loop_every(loop, SWEEP_SECONDS * 1000, &pools->timer_watch);
	return pools->timer_fd < 0 ? pools->timer_fd : 0;
}

int pools_open(struct pools *pools, struct instance *instance, struct loop *loop)
{
	int err;

	pools->instance = instance;
	pools->timer_fd = -1;
	pthread_mutex_init(&pools->lock, NULL);
	err = pools_log_open(pools);
	if (err)
		return err;
	sort_prefixes(pools);
	err = open_tables(pools);
	if (!err)
		err = deliver(pools);
	if (!err) {
		pools_log_deterministic(pools);
		add_subscribers(pools);
		err = pools_configure_all(pools);
	}
	if (!err) {
		adopt(pools);
		err = start_sweeping(pools, loop);
	}
	if (err)
		log_error("pools: %s", strerror(-err));
	return err;
}

/* Who has more than it may now keeps it, and gets no more. */
void pools_reconfigured(struct pools *pools)
{
	pthread_mutex_lock(&pools->lock);
	pools->translator.subscribers.limits = limits_of(pools->instance->config);
	pthread_mutex_unlock(&pools->lock);
}

void pools_close(struct pools *pools)
{
	if (!pools->instance)
		return;
	if (pools->timer_fd >= 0)
		close(pools->timer_fd);
	pools_log_close(pools);
	for (unsigned int i = 0; i < pool_numbers(pools); i++)
		pool_close(&pools->translator.pools[i]);
	subscribers_close(&pools->translator.subscribers);
	bindings_close(&pools->translator.bindings);
	pthread_mutex_destroy(&pools->lock);
}
