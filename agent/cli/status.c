// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "show.h"

#include <errno.h>
#include <inttypes.h>

#include "field.h"
#include "table.h"
#include "text.h"

static void put_text(struct table *table, const char *title, const char *text)
{
	table_cell(table, "%s", title);
	table_cell(table, "%s", text);
}

int show_status(const json_t *reply, const struct show_options *options, FILE *stream)
{
	static const struct table_column columns[] = {{NULL, false}, {NULL, false}};
	struct table table;
	int error;

	if (!json_is_string(json_object_get(reply, "name")))
		return -EPROTO;
	table_open(&table, columns, 2);
	put_text(&table, "name", field_text(reply, "name"));
	put_text(&table, "role", field_text(reply, "role"));
	put_text(&table, "mode", field_text(reply, "mode"));
	put_text(&table, "handshake", field_text(reply, "handshake"));
	put_text(&table, "draining",
		 json_is_true(json_object_get(reply, "draining")) ? "yes" : "no");
	put_text(&table, "version", field_text(reply, "version"));
	put_text(&table, "kernel", field_text(reply, "kernel"));
	put_text(&table, "up for", human_seconds(field_real(reply, "uptime_s")).text);
	table_cell(&table, "process");
	table_cell(&table, "%" PRIu64 ", %" PRIu64 " workers", field_number(reply, "pid"),
		   field_number(reply, "workers"));
	table_cell(&table, "sessions");
	table_cell(&table, "%" PRIu64 " of at most %" PRIu64, field_number(reply, "sessions"),
		   field_number(reply, "max_sessions"));
	table_cell(&table, "held SYNs");
	table_cell(&table, "%" PRIu64, field_number(reply, "held_syns"));
	table_cell(&table, "datagram bindings");
	table_cell(&table, "%" PRIu64, field_number(reply, "datagram_bindings"));
	error = table_print(&table, stream);
	table_close(&table);
	return error;
}
