// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "show.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "plait_reasons.h"
#include "table.h"

/* An agent of another version may count what this plaitctl has no words for. */
static const char *describe(const char *name)
{
	static const struct {
		const char *name, *text;
	} reasons[] = {
#define X(id, reason_name, reason_text) {#reason_name, reason_text},
		PLAIT_REASONS(X)
#undef X
	};

	for (size_t i = 0; i < PLAIT_REASON_COUNT; i++) {
		if (!strcmp(name, reasons[i].name))
			return reasons[i].text;
	}
	return "";
}

static void put_counter(struct table *table, const char *name, int64_t count)
{
	table_cell(table, "%s", name);
	table_cell(table, "%" PRIi64, count);
	table_own_cell(table, describe(name));
}

int show_counters(const json_t *reply, const struct show_options *options, FILE *stream)
{
	static const struct table_column columns[] = {
		{"COUNTER", false}, {"COUNT", true}, {"WHAT", false}};
	json_t *counters = json_object_get(reply, "counters");
	struct table table;
	int error;

	if (!json_is_object(counters))
		return -EPROTO;
	table_open(&table, columns, 3);
	for (void *i = json_object_iter(counters); i; i = json_object_iter_next(counters, i)) {
		int64_t count = json_integer_value(json_object_iter_value(i));

		if (count || options->all)
			put_counter(&table, json_object_iter_key(i), count);
	}
	error = table_print(&table, stream);
	table_close(&table);
	return error;
}
