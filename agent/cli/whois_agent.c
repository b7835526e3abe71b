// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What a running plaitd says of now: a block is lent to whom a binding in it is. */
#include <arpa/inet.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "base/addr_text.h"
#include "config/value.h"
#include "field.h"
#include "table/pool.h"
#include "text.h"
#include "whois_sources.h"

struct replies {
	json_t *pools, *bindings, *subscribers;
};

/* The pool that an address is of, or NULL. */
static const json_t *pool_of(const struct replies *replies, const struct plait_addr *external)
{
	const json_t *pools = json_object_get(replies->pools, "pools"), *pool, *text;
	struct plait_prefix prefix;
	size_t i, j;

	json_array_foreach(pools, i, pool)
	{
		json_array_foreach(json_object_get(pool, "prefixes"), j, text)
		{
			if (!value_prefix(json_string_value(text), &prefix) &&
			    addr_in_prefix(external, &prefix))
				return pool;
		}
	}
	return NULL;
}

/* The ports that are lent together with one of them: its block, or itself where there is none. */
static void block_around(const json_t *pool, struct binding_record *record)
{
	unsigned int port = ntohs(record->external.port);
	unsigned int ports = (unsigned int)field_number(pool, "block_ports");
	unsigned int first = port;

	if (ports && port >= POOL_FIRST_PORT)
		first = port - (port - POOL_FIRST_PORT) % ports;
	else
		ports = 1;
	record->external.port = htons((uint16_t)first);
	record->last_port = (uint16_t)(first + ports - 1);
}

/* As bindings tell whose they are: by the name, else by the source. */
static const char *owner_text(const json_t *subscriber)
{
	const char *name = field_text(subscriber, "name");

	return name[0] ? name : field_text(subscriber, "source");
}

static void name_owner(const struct replies *replies, const char *owner,
		       struct binding_record *block)
{
	const json_t *list = json_object_get(replies->subscribers, "subscribers");
	const json_t *subscriber;
	const char *name;
	size_t i = 0;

	while ((subscriber = json_array_get(list, i++)) && strcmp(owner_text(subscriber), owner))
		;
	name = field_text(subscriber, "name");
	if (strlen(name) < sizeof(block->subscriber))
		strcpy(block->subscriber, name);
	addr_from_text(field_text(subscriber, "source"), &block->source);
}

/* The owner with that name or first source; "" if there is none. */
static const char *find_owner(const struct replies *replies,
			      const struct history_question *question)
{
	const json_t *list = json_object_get(replies->subscribers, "subscribers");
	struct addr_text source = addr_text(&question->source);

	if (question->subscriber[0])
		return question->subscriber;
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!strcmp(field_text(json_array_get(list, i), "source"), source.text))
			return owner_text(json_array_get(list, i));
	return "";
}

static bool lies_in(const struct plait_addr *external, const struct binding_record *block)
{
	uint16_t port = ntohs(external->port);

	return addr_same_ip(external, &block->external) && port >= ntohs(block->external.port) &&
	       port <= block->last_port;
}

static bool is_there(const struct whois_answer *answer, const struct binding_record *block)
{
	for (size_t i = 0; i < answer->count; i++)
		if (!memcmp(&answer->records[i].external, &block->external,
			    sizeof(block->external)))
			return true;
	return false;
}

/* asked: a port (family 0: not), or else an owner. */
static int add_block(const struct replies *replies, const struct plait_addr *asked,
		     const char *owner, const json_t *binding, struct whois_answer *answer)
{
	const char *subscriber = field_text(binding, "subscriber");
	struct binding_record block = {};

	if ((!asked->family && strcmp(owner, subscriber) != 0) ||
	    !addr_from_text(field_text(binding, "external"), &block.external))
		return 0;
	block_around(pool_of(replies, &block.external), &block);
	if ((asked->family && !lies_in(asked, &block)) || is_there(answer, &block))
		return 0;
	name_owner(replies, subscriber, &block);
	return whois_add(answer, &block);
}

static int find(const struct whois_request *request, const struct replies *replies,
		struct whois_answer *answer)
{
	const json_t *list = json_object_get(replies->bindings, "bindings");
	const struct plait_addr *asked = &request->question.external;
	const char *owner = find_owner(replies, &request->question);
	int status = 0;

	answer->from = "agent";
	for (size_t i = 0; !status && i < json_array_size(list); i++)
		status = add_block(replies, asked, owner, json_array_get(list, i), answer);
	return status;
}

static int check_pool(const struct whois_request *request, const struct replies *replies)
{
	const json_t *pool = pool_of(replies, &request->question.external);

	if (!request->question.external.family)
		return 0;
	if (!pool) {
		complain("%s: of no pool of plaitd's", request->text);
		return EXIT_FAILURE;
	}
	if (strcmp(field_text(pool, "translation"), "deterministic") == 0 && !request->config_path)
		complain("%s: of a deterministic pool, with -c FILE it is computed", request->text);
	return 0;
}

int whois_from_agent(const struct whois_request *request, struct whois_answer *answer)
{
	struct replies replies = {0};
	int status = agent_ask_about(request->instance, "pools", &replies.pools);

	if (!status)
		status = check_pool(request, &replies);
	if (!status)
		status = agent_ask_about(request->instance, "bindings", &replies.bindings);
	if (!status)
		status = agent_ask_about(request->instance, "subscribers", &replies.subscribers);
	if (!status)
		status = find(request, &replies, answer);
	json_decref(replies.pools);
	json_decref(replies.bindings);
	json_decref(replies.subscribers);
	return status;
}
