// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "show.h"

#include <errno.h>
#include <inttypes.h>

#include "addresses.h"
#include "field.h"
#include "table.h"

static const struct table_column columns[] = {
	{"FAMILY", false}, {"TRANSLATION", false},  {"ADDRESSES", true}, {"BLOCKS", true},
	{"LENT", true},    {"PORTS A BLOCK", true}, {"LENT", true},      {"PREFIXES", false},
};

static void put_pool(struct table *table, const json_t *pool)
{
	table_cell(table, "%s", field_text(pool, "family"));
	table_cell(table, "%s", field_text(pool, "translation"));
	table_cell(table, "%" PRIu64, field_number(pool, "addresses"));
	table_cell(table, "%" PRIu64, field_number(pool, "blocks"));
	table_cell(table, "%" PRIu64, field_number(pool, "blocks_lent"));
	table_cell(table, "%" PRIu64, field_number(pool, "block_ports"));
	table_cell(table, "%" PRIu64, field_number(pool, "ports_lent"));
	table_addresses(table, json_object_get(pool, "prefixes"));
}

int show_pools(const json_t *reply, const struct show_options *options, FILE *stream)
{
	const json_t *pools = json_object_get(reply, "pools");
	struct table table;
	int error;

	if (!json_is_array(pools))
		return -EPROTO;
	table_open(&table, columns, sizeof(columns) / sizeof(*columns));
	for (size_t i = 0; i < json_array_size(pools); i++)
		put_pool(&table, json_array_get(pools, i));
	error = table_print(&table, stream);
	table_close(&table);
	return error;
}
