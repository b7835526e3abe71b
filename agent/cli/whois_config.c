// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What follows from the configuration alone: what is computed (RFC 7422), and what it binds. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr_text.h"
#include "config/computed.h"
#include "text.h"
#include "whois_sources.h"

static void name_subscriber(const struct config *config, struct binding_record *record)
{
	const struct config_subscriber *subscriber = computed_subscriber(config, &record->source);

	if (subscriber)
		strcpy(record->subscriber, subscriber->name);
}

static int add(const struct config *config, struct binding_record *record,
	       struct whois_answer *answer)
{
	record->source.port = 0;
	name_subscriber(config, record);
	answer->from = "configuration";
	return whois_add(answer, record);
}

static int add_block(const struct config *config, const struct computed_block *block,
		     struct whois_answer *answer)
{
	struct binding_record record = {.source = block->inside,
					.external = block->external,
					.last_port = block->last_port};

	return add(config, &record, answer);
}

/* By a subscriber */

/* Its block of each family. */
static int add_blocks(const struct config *config, const struct plait_addr *source,
		      struct whois_answer *answer)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	struct computed_block block;
	int status = 0;

	for (unsigned int i = 0; !status && i < 2; i++)
		if (computed_block_of(config, source, families[i], &block))
			status = add_block(config, &block, answer);
	return status;
}

static const struct config_subscriber *subscriber_asked_for(const struct config *config,
							    const struct history_question *question)
{
	if (question->source.family)
		return computed_subscriber(config, &question->source);
	for (unsigned int i = 0; i < config->subscriber_count; i++)
		if (!strcmp(config->subscribers[i].name, question->subscriber))
			return &config->subscribers[i];
	return NULL;
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
	const struct config_subscriber *subscriber = subscriber_asked_for(config, question);
	int status;

	if (question->subscriber[0] && !subscriber) {
		complain("%s: no subscriber of %s has this name", request->text,
			 request->config_path);
		return EXIT_FAILURE;
	}
	if (subscriber)
		strcpy(question->subscriber, subscriber->name);
	status = add_blocks(config, subscriber ? &subscriber->sources[0] : &question->source,
			    answer);
	if (!status && !answer->count && !lends(config))
		status = whois_nobody(request);
	return status;
}

/* By a port */

/* Who lies inside may have another block, by another source. */
static int ask_block(const struct whois_request *request, const struct config *config,
		     struct whois_answer *answer)
{
	const struct plait_addr *external = &request->question.external;
	struct computed_block block;
	struct plait_addr inside;

	if (!computed_inside_of(config, external, &inside))
		return whois_nobody(request);
	computed_block_of(config, &inside, external->family, &block);
	if (computed_block_has(&block, external))
		return add_block(config, &block, answer);
	complain("%s: nobody; it would be %s, which is of %s, whose block begins at %s",
		 request->text, addr_text(&inside).text, computed_subscriber(config, &inside)->name,
		 addr_text(&block.external).text);
	return EXIT_FAILURE;
}

/* Ports that connections are let in by. */
static int add_bindings(const struct config *config, const struct plait_addr *external,
			struct whois_answer *answer)
{
	int status = 0;

	for (unsigned int i = 0; !status && i < config->binding_count; i++) {
		const struct config_binding *binding = &config->bindings[i];
		struct binding_record record = {.protocol = binding->protocol,
						.source = binding->inside,
						.external = binding->external,
						.last_port = ntohs(binding->external.port)};

		if (!memcmp(&binding->external, external, sizeof(*external)))
			status = add(config, &record, answer);
	}
	return status;
}

static int ask_external(const struct whois_request *request, const struct config *config,
			struct whois_answer *answer)
{
	const struct plait_addr *external = &request->question.external;
	const struct config_pool *pool = computed_pool(config, external);
	int status;

	if (!pool) {
		complain("%s: of no pool in %s", request->text, request->config_path);
		return EXIT_FAILURE;
	}
	if (pool->translation == TRANSLATION_PREFIX) {
		complain("%s: of a prefix that replaces the host's own, nothing is lent",
			 request->text);
		return EXIT_FAILURE;
	}
	status = add_bindings(config, external, answer);
	if (status || answer->count || pool->translation != TRANSLATION_DETERMINISTIC)
		return status;
	return ask_block(request, config, answer);
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
