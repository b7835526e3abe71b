// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "show.h"

#include <errno.h>
#include <inttypes.h>

#include "field.h"
#include "table.h"
#include "text.h"

static const struct table_column session_columns[] = {
	{"PROTO", false}, {"INSIDE", false},       {"REMOTE", false}, {"STATE", false},
	{"AGE", true},    {"IDLE", true},          {"UP", true},      {"DOWN", true},
	{"LEG", false},   {"CONCENTRATOR", false},
};

/* Lines of their own below their session. */
static const struct table_column subflow_columns[] = {
	{NULL, false}, {NULL, false}, {NULL, false}, {NULL, false},
	{NULL, false}, {NULL, false}, {NULL, false}, {NULL, false},
};

enum {
	SESSION_COLUMNS = sizeof(session_columns) / sizeof(*session_columns),
	SUBFLOW_COLUMNS = sizeof(subflow_columns) / sizeof(*subflow_columns),
};

static void put_session(struct table *table, const json_t *session)
{
	const json_t *up = json_object_get(session, "up");
	const json_t *down = json_object_get(session, "down");
	bool mptcp = json_is_true(json_object_get(session, "mptcp"));

	table_cell(table, "%s", field_text(session, "protocol"));
	table_cell(table, "%s", field_text(session, "inside"));
	table_cell(table, "%s", field_text(session, "remote"));
	table_cell(table, "%s", field_text(session, "state"));
	table_cell(table, "%s", human_seconds(field_real(session, "age_s")).text);
	table_cell(table, "%s", human_seconds(field_real(session, "idle_s")).text);
	table_cell(table, "%s", human_bytes(field_number(up, "bytes")).text);
	table_cell(table, "%s", human_bytes(field_number(down, "bytes")).text);
	table_cell(table, "%s", mptcp ? "mptcp" : "tcp");
	table_cell(table, "%s", field_text(session, "concentrator"));
}

static void put_subflow(struct table *table, const json_t *subflow)
{
	table_cell(table, "%s", field_text(subflow, "link"));
	table_cell(table, "%s", field_text(subflow, "local"));
	table_cell(table, "%s", field_text(subflow, "remote"));
	table_cell(table, "rtt %s", human_milliseconds(field_number(subflow, "rtt_us")).text);
	table_cell(table, "sent %s", human_bytes(field_number(subflow, "sent_bytes")).text);
	table_cell(table, "received %s", human_bytes(field_number(subflow, "received_bytes")).text);
	table_cell(table, "retransmits %" PRIu64, field_number(subflow, "retransmits"));
	table_cell(table, "%s",
		   json_is_true(json_object_get(subflow, "backup")) ? "backup" : "regular");
}

static void fill(struct table *sessions, struct table *subflows, const json_t *array)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *session = json_array_get(array, i);
		const json_t *list = json_object_get(session, "subflows");

		put_session(sessions, session);
		for (size_t j = 0; j < json_array_size(list); j++)
			put_subflow(subflows, json_array_get(list, j));
	}
}

static int print(const struct table *sessions, const struct table *subflows, const json_t *array,
		 FILE *stream)
{
	size_t row = 0;

	if (sessions->failed || subflows->failed)
		return -ENOMEM;
	table_print_titles(sessions, stream);
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *session = json_array_get(array, i);
		size_t end = row + json_array_size(json_object_get(session, "subflows"));

		table_print_row(sessions, i, "", stream);
		while (row < end)
			table_print_row(subflows, row++, "    ", stream);
	}
	return 0;
}

int show_sessions(const json_t *reply, const struct show_options *options, FILE *stream)
{
	const json_t *array = json_object_get(reply, "sessions");
	struct table sessions, subflows;
	int error;

	if (!json_is_array(array))
		return -EPROTO;
	table_open(&sessions, session_columns, SESSION_COLUMNS);
	table_open(&subflows, subflow_columns, SUBFLOW_COLUMNS);
	fill(&sessions, &subflows, array);
	error = print(&sessions, &subflows, array, stream);
	table_close(&subflows);
	table_close(&sessions);
	return error;
}
