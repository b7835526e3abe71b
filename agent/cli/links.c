// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "show.h"

#include <errno.h>
#include <inttypes.h>

#include "addresses.h"
#include "field.h"
#include "table.h"
#include "text.h"

static const struct table_column columns[] = {
	{"NAME", false},    {"INTERFACE", false}, {"TYPE", false},      {"USE", false},
	{"WEIGHT", true},   {"STATE", false},     {"CONDITION", false}, {"RTT ms", true},
	{"LOSS %", true},   {"SESSIONS", true},   {"UP", true},         {"DOWN", true},
	{"MTU", true},      {"SENT", true},       {"RECEIVED", true},   {"UDP LOST", true},
	{"UDP LATE", true}, {"ADDRESSES", false},
};

/* What probes have found; nothing on a concentrator, which sends none. */
static void put_quality(struct table *table, const json_t *link)
{
	uint64_t rtt_us = field_number(link, "rtt_us"), lost = field_number(link, "loss_permille");

	table_cell(table, "%s", field_text(link, "condition"));
	if (!rtt_us) {
		table_cell(table, "-");
		table_cell(table, "-");
		return;
	}
	table_cell(table, "%" PRIu64 ".%" PRIu64, rtt_us / 1000, rtt_us % 1000 / 100);
	table_cell(table, "%" PRIu64 ".%" PRIu64, lost / 10, lost % 10);
}

/* Rates as line rates are told: in bits. */
static void put_load(struct table *table, const json_t *link)
{
	table_cell(table, "%" PRIu64, field_number(link, "sessions"));
	table_cell(table, "%s", human_rate(field_number(link, "sent_bytes_per_s")).text);
	table_cell(table, "%s", human_rate(field_number(link, "received_bytes_per_s")).text);
}

static void put_link(struct table *table, const json_t *link)
{
	table_cell(table, "%s", field_text(link, "name"));
	table_cell(table, "%s", field_text(link, "interface"));
	table_cell(table, "%s", field_text(link, "type"));
	table_cell(table, "%s", field_text(link, "use"));
	table_cell(table, "%" PRIu64, field_number(link, "weight"));
	table_cell(table, "%s", field_text(link, "state"));
	put_quality(table, link);
	put_load(table, link);
	table_cell(table, "%" PRIu64, field_number(link, "mtu"));
	table_cell(table, "%s", human_bytes(field_number(link, "sent_bytes")).text);
	table_cell(table, "%s", human_bytes(field_number(link, "received_bytes")).text);
	table_cell(table, "%" PRIu64, field_number(link, "datagrams_lost"));
	table_cell(table, "%" PRIu64, field_number(link, "datagrams_late"));
	table_addresses(table, json_object_get(link, "addresses"));
}

int show_links(const json_t *reply, const struct show_options *options, FILE *stream)
{
	const json_t *links = json_object_get(reply, "links");
	struct table table;
	int error;

	if (!json_is_array(links))
		return -EPROTO;
	table_open(&table, columns, sizeof(columns) / sizeof(*columns));
	for (size_t i = 0; i < json_array_size(links); i++)
		put_link(&table, json_array_get(links, i));
	error = table_print(&table, stream);
	table_close(&table);
	return error;
}
