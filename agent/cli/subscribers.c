// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "show.h"

#include <errno.h>
#include <inttypes.h>

#include "field.h"
#include "table.h"

static const struct table_column columns[] = {
	{"NAME", false},          {"SOURCE", false},      {"SESSIONS", true},
	{"PORTS", true},          {"BLOCKS", true},       {"EXTERNAL IPv4", false},
	{"EXTERNAL IPv6", false}, {"UDP RECEIVED", true}, {"UDP LOST", true},
	{"UDP LATE", true},
};

/* What datagram mode has got over a link; of the subscriber itself there is nothing to tell. */
static void put_datagrams(struct table *table, const json_t *link)
{
	static const char *const keys[] = {"datagrams_received", "datagrams_lost",
					   "datagrams_late"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (link)
			table_cell(table, "%" PRIu64, field_number(link, keys[i]));
		else
			table_own_cell(table, "-");
}

/* Beneath its subscriber, by its address. */
static void put_link(struct table *table, const json_t *link)
{
	enum { AT_SOURCE = 1, DATAGRAMS_BEGIN = 7 };

	for (unsigned int column = 0; column < DATAGRAMS_BEGIN; column++)
		if (column == AT_SOURCE)
			table_cell(table, "%s", field_text(link, "address"));
		else
			table_own_cell(table, "");
	put_datagrams(table, link);
}

/* "7", or "7 of 100" where there is a limit. */
static void put_limited(struct table *table, uint64_t count, uint64_t limit)
{
	if (limit)
		table_cell(table, "%" PRIu64 " of %" PRIu64, count, limit);
	else
		table_cell(table, "%" PRIu64, count);
}

static void put_subscriber(struct table *table, const json_t *subscriber)
{
	const json_t *links = json_object_get(subscriber, "links");

	table_cell(table, "%s", field_text(subscriber, "name"));
	table_cell(table, "%s", field_text(subscriber, "source"));
	put_limited(table, field_number(subscriber, "sessions"),
		    field_number(subscriber, "max_sessions"));
	put_limited(table, field_number(subscriber, "ports"),
		    field_number(subscriber, "max_ports"));
	table_cell(table, "%" PRIu64, field_number(subscriber, "blocks"));
	table_cell(table, "%s", field_text(subscriber, "external_ipv4"));
	table_cell(table, "%s", field_text(subscriber, "external_ipv6"));
	put_datagrams(table, NULL);
	for (size_t i = 0; i < json_array_size(links); i++)
		put_link(table, json_array_get(links, i));
}

int show_subscribers(const json_t *reply, const struct show_options *options, FILE *stream)
{
	const json_t *subscribers = json_object_get(reply, "subscribers");
	struct table table;
	int error;

	if (!json_is_array(subscribers))
		return -EPROTO;
	table_open(&table, columns, sizeof(columns) / sizeof(*columns));
	for (size_t i = 0; i < json_array_size(subscribers); i++)
		put_subscriber(&table, json_array_get(subscribers, i));
	error = table_print(&table, stream);
	table_close(&table);
	return error;
}
