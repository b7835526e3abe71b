// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What follows from the configuration alone (RFC 7422). */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr_text.h"
#include "table/deterministic.h"
#include "text.h"
#include "whois_sources.h"

/* Deterministic pools, as plaitd makes them. */
struct computed_pools {
	struct deterministic pools[CONFIG_MAX_PREFIXES];
	unsigned int count;
};

/* Of a subscriber: those that it has in the configuration, or its only one. */
struct sources {
	const struct plait_addr *addrs;
	unsigned int count;
	const char *name; /* empty: it has none */
};

static struct deterministic computed_of(const struct config_pool *pool)
{
	return deterministic_make(&pool->prefix, pool->inside, pool->inside_count,
				  (uint16_t)pool->block_ports);
}

static void make_pools(const struct config *config, struct computed_pools *out)
{
	out->count = 0;
	for (unsigned int i = 0; i < config->pool_count; i++)
		if (config->pools[i].translation == TRANSLATION_DETERMINISTIC)
			out->pools[out->count++] = computed_of(&config->pools[i]);
}

static bool is_of(const struct config_subscriber *subscriber, const struct plait_addr *source)
{
	for (unsigned int i = 0; i < subscriber->source_count; i++)
		if (addr_same_ip(&subscriber->sources[i], source))
			return true;
	return false;
}

static struct sources sources_of(const struct config *config, const struct plait_addr *source)
{
	for (unsigned int i = 0; i < config->subscriber_count; i++) {
		const struct config_subscriber *subscriber = &config->subscribers[i];

		if (is_of(subscriber, source))
			return (struct sources){subscriber->sources, subscriber->source_count,
						subscriber->name};
	}
	return (struct sources){source, 1, ""};
}

static int add_block(struct whois_answer *answer, const struct deterministic *pool,
		     const struct plait_addr *external, const struct sources *sources)
{
	struct binding_record record = {
		.external = *external,
		.last_port = (uint16_t)(ntohs(external->port) + pool->block_ports - 1)};

	deterministic_inside_of(pool, external, &record.source);
	strcpy(record.subscriber, sources->name);
	answer->from = "configuration";
	return whois_add(answer, &record);
}

/* Its block of each family. */
static int add_blocks(const struct config *config, const struct sources *sources,
		      struct whois_answer *answer)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	struct computed_pools computed;
	int status = 0;

	make_pools(config, &computed);
	for (unsigned int i = 0; !status && i < 2; i++) {
		struct plait_addr external;
		const struct deterministic *pool =
			deterministic_find(computed.pools, computed.count, families[i],
					   sources->addrs, sources->count, &external);

		if (pool)
			status = add_block(answer, pool, &external, sources);
	}
	return status;
}

/* Whether there is more than what is computed. */
static bool lends(const struct config *config)
{
	for (unsigned int i = 0; i < config->pool_count; i++)
		if (config->pools[i].translation == TRANSLATION_SHARED ||
		    config->pools[i].translation == TRANSLATION_ONE_TO_ONE)
			return true;
	return false;
}

static int ask_subscriber(struct whois_request *request, const struct config *config,
			  struct whois_answer *answer)
{
	struct history_question *question = &request->question;
	struct sources sources = {&question->source, 1, ""};
	int status;

	if (question->source.family)
		sources = sources_of(config, &question->source);
	for (unsigned int i = 0; question->subscriber[0] && i < config->subscriber_count; i++)
		if (!strcmp(config->subscribers[i].name, question->subscriber))
			sources = sources_of(config, &config->subscribers[i].sources[0]);
	if (question->subscriber[0] && !sources.name[0]) {
		complain("%s: no subscriber of %s has this name", request->text,
			 request->config_path);
		return EXIT_FAILURE;
	}
	strcpy(question->subscriber, sources.name);
	status = add_blocks(config, &sources, answer);
	if (!status && !answer->count && !lends(config))
		status = whois_nobody(request);
	return status;
}

static const struct config_pool *pool_of(const struct config *config,
					 const struct plait_addr *external)
{
	for (unsigned int i = 0; i < config->pool_count; i++)
		if (addr_in_prefix(external, &config->pools[i].prefix))
			return &config->pools[i];
	return NULL;
}

/* Who lies inside may have another block, by another source. */
static int ask_block(const struct whois_request *request, const struct config *config,
		     const struct config_pool *configured, struct whois_answer *answer)
{
	const struct deterministic pool = computed_of(configured);
	struct plait_addr inside, first, theirs;
	struct computed_pools computed;
	struct sources sources;

	if (!deterministic_inside_of(&pool, &request->question.external, &inside))
		return whois_nobody(request);
	sources = sources_of(config, &inside);
	make_pools(config, &computed);
	deterministic_block_of(&pool, &inside, &first);
	deterministic_find(computed.pools, computed.count, first.family, sources.addrs,
			   sources.count, &theirs);
	if (!memcmp(&theirs, &first, sizeof(first)))
		return add_block(answer, &pool, &first, &sources);
	complain("%s: nobody; it would be %s, which is of %s, whose block begins at %s",
		 request->text, addr_text(&inside).text, sources.name, addr_text(&theirs).text);
	return EXIT_FAILURE;
}

static int ask_external(const struct whois_request *request, const struct config *config,
			struct whois_answer *answer)
{
	const struct config_pool *pool = pool_of(config, &request->question.external);
	int status = 0;

	if (!pool) {
		complain("%s: of no pool in %s", request->text, request->config_path);
		return EXIT_FAILURE;
	}
	if (pool->translation == TRANSLATION_PREFIX) {
		complain("%s: of a prefix that replaces the host's own, nothing is lent",
			 request->text);
		return EXIT_FAILURE;
	}
	if (pool->translation == TRANSLATION_DETERMINISTIC)
		status = ask_block(request, config, pool, answer);
	return status;
}

int whois_from_config(struct whois_request *request, const struct config *config,
		      struct whois_answer *answer)
{
	if (!request->log_path && config->binding_log.file[0])
		request->log_path = config->binding_log.file;
	if (!request->instance)
		request->instance = config->name;
	return request->question.external.family ? ask_external(request, config, answer)
						 : ask_subscriber(request, config, answer);
}
