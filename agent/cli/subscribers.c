// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "show.h"

#include <errno.h>
#include <inttypes.h>

#include "field.h"
#include "table.h"

static const struct table_column columns[] = {
	{"NAME", false},  {"SOURCE", false},        {"SESSIONS", true},       {"PORTS", true},
	{"BLOCKS", true}, {"EXTERNAL IPv4", false}, {"EXTERNAL IPv6", false},
};

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
	table_cell(table, "%s", field_text(subscriber, "name"));
	table_cell(table, "%s", field_text(subscriber, "source"));
	put_limited(table, field_number(subscriber, "sessions"),
		    field_number(subscriber, "max_sessions"));
	put_limited(table, field_number(subscriber, "ports"),
		    field_number(subscriber, "max_ports"));
	table_cell(table, "%" PRIu64, field_number(subscriber, "blocks"));
	table_cell(table, "%s", field_text(subscriber, "external_ipv4"));
	table_cell(table, "%s", field_text(subscriber, "external_ipv6"));
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
