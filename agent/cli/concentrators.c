// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "show.h"

#include <errno.h>
#include <inttypes.h>

#include "addresses.h"
#include "field.h"
#include "table.h"

static const struct table_column columns[] = {
	{"NAME", false},  {"STATE", false},   {"PORT", true},
	{"WEIGHT", true}, {"SESSIONS", true}, {"ADDRESSES", false},
};

static void put_concentrator(struct table *table, const json_t *concentrator)
{
	bool answers = json_is_true(json_object_get(concentrator, "answers"));
	uint64_t port = field_number(concentrator, "port");

	table_cell(table, "%s", field_text(concentrator, "name"));
	table_own_cell(table, answers ? "answers" : "silent");
	if (port)
		table_cell(table, "%" PRIu64, port);
	else
		table_own_cell(table, "preserve");
	table_cell(table, "%" PRIu64, field_number(concentrator, "weight"));
	table_cell(table, "%" PRIu64, field_number(concentrator, "sessions"));
	table_addresses(table, json_object_get(concentrator, "addresses"));
}

int show_concentrators(const json_t *reply, const struct show_options *options, FILE *stream)
{
	const json_t *concentrators = json_object_get(reply, "concentrators");
	struct table table;
	int error;

	if (!json_is_array(concentrators))
		return -EPROTO;
	table_open(&table, columns, sizeof(columns) / sizeof(*columns));
	for (size_t i = 0; i < json_array_size(concentrators); i++)
		put_concentrator(&table, json_array_get(concentrators, i));
	error = table_print(&table, stream);
	table_close(&table);
	return error;
}
