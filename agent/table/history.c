// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "history.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr_text.h"

void history_open(struct history *history, const struct history_question *question)
{
	*history = (struct history){.question = *question, .begins_ns = UINT64_MAX};
}

void history_close(struct history *history)
{
	free(history->records);
	memset(history, 0, sizeof(*history));
}

static bool is_block(const struct binding_record *record)
{
	return record->event == BLOCK_LENT || record->event == BLOCK_RETURNED;
}

static bool begins(const struct binding_record *record)
{
	return record->event == BLOCK_LENT || record->event == BINDING_CREATED;
}

static bool is_asked_for(const struct history_question *question,
			 const struct binding_record *record)
{
	uint16_t port = ntohs(question->external.port);

	if (question->external.family)
		return addr_same_ip(&question->external, &record->external) &&
		       port >= ntohs(record->external.port) && port <= record->last_port;
	return (question->source.family && addr_same_ip(&question->source, &record->source)) ||
	       (question->subscriber[0] && !strcmp(question->subscriber, record->subscriber));
}

static bool same_owner(const struct binding_record *one, const struct binding_record *other)
{
	return one->subscriber[0] ? !strcmp(one->subscriber, other->subscriber)
				  : addr_same_ip(&one->source, &other->source);
}

static bool same_ports(const struct binding_record *one, const struct binding_record *other)
{
	return is_block(one) == is_block(other) && one->protocol == other->protocol &&
	       addr_same_ip(&one->external, &other->external) &&
	       ntohs(one->external.port) <= other->last_port &&
	       ntohs(other->external.port) <= one->last_port;
}

/* A block is lent to one at a time; a binding may have sessions, all of the same owner. */
static bool excludes(const struct binding_record *record, const struct binding_record *older)
{
	return begins(older) && same_ports(record, older) &&
	       (is_block(record) || !same_owner(record, older));
}

static bool is_end_of(const struct binding_record *record, const struct binding_record *older)
{
	return begins(older) && same_ports(record, older) && same_owner(record, older) &&
	       (is_block(record) || record->since_ns == older->since_ns);
}

static void forget(struct history *history, size_t index)
{
	history->records[index] = history->records[--history->count];
}

static void end_older(struct history *history, const struct binding_record *record)
{
	for (size_t i = history->count; i-- > 0;) {
		if (begins(record) && excludes(record, &history->records[i]))
			forget(history, i);
		if (!begins(record) && is_end_of(record, &history->records[i])) {
			forget(history, i);
			return;
		}
	}
}

static int keep(struct history *history, const struct binding_record *record)
{
	if (history->count == history->room) {
		size_t room = 2 * history->room + 8;
		void *larger = reallocarray(history->records, room, sizeof(*record));

		if (!larger)
			return -ENOMEM;
		history->records = larger;
		history->room = room;
	}
	history->records[history->count++] = *record;
	return 0;
}

int history_add(struct history *history, const struct binding_record *record)
{
	uint64_t at_ns = history->question.at_ns;

	if (record->since_ns < history->begins_ns)
		history->begins_ns = record->since_ns;
	if (record->since_ns > at_ns || !is_asked_for(&history->question, record))
		return 0;
	end_older(history, record);
	return begins(record) || record->until_ns >= at_ns ? keep(history, record) : 0;
}
