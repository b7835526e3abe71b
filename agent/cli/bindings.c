// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "show.h"

#include <errno.h>
#include <inttypes.h>

#include "field.h"
#include "table.h"
#include "text.h"

static const struct table_column columns[] = {
	{"PROTO", false}, {"INSIDE", false},  {"EXTERNAL", false}, {"SUBSCRIBER", false},
	{"STATE", false}, {"SESSIONS", true}, {"AGE", true},
};

static void put_binding(struct table *table, const json_t *binding)
{
	table_cell(table, "%s", field_text(binding, "protocol"));
	table_cell(table, "%s", field_text(binding, "inside"));
	table_cell(table, "%s", field_text(binding, "external"));
	table_cell(table, "%s", field_text(binding, "subscriber"));
	table_cell(table, "%s", field_text(binding, "state"));
	table_cell(table, "%" PRIu64, field_number(binding, "sessions"));
	table_cell(table, "%s", human_seconds(field_real(binding, "age_s")).text);
}

int show_bindings(const json_t *reply, const struct show_options *options, FILE *stream)
{
	const json_t *bindings = json_object_get(reply, "bindings");
	struct table table;
	int error;

	if (!json_is_array(bindings))
		return -EPROTO;
	table_open(&table, columns, sizeof(columns) / sizeof(*columns));
	for (size_t i = 0; i < json_array_size(bindings); i++)
		put_binding(&table, json_array_get(bindings, i));
	error = table_print(&table, stream);
	table_close(&table);
	return error;
}
