/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Any octets as a line of the binding log: what is taken is written and read again alike. */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "codec/binding_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void write_line(const struct binding_record *record, char line[RECORD_LINE_BYTES])
{
	struct record_field fields[RECORD_FIELDS];

	binding_record_line(fields, binding_record_fields(record, 0, fields), line);
}

static void check_round_trip(const struct binding_record *record)
{
	static char line[RECORD_LINE_BYTES], again[RECORD_LINE_BYTES];
	struct binding_record reread;

	write_line(record, line);
	require(binding_record_parse(line, &reread) == 0);
	write_line(&reread, again);
	require(strcmp(line, again) == 0);
	require(reread.last_port >= ntohs(reread.external.port));
	require(!strcmp(reread.subscriber, record->subscriber));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct binding_record record, untouched;
	char *line = malloc(len + 1);

	require(line != NULL);
	memcpy(line, bytes, len);
	line[len] = '\0';
	memset(&record, 0xa5, sizeof(record));
	untouched = record;
	if (binding_record_parse(line, &record) == 0)
		check_round_trip(&record);
	else
		require(memcmp(&record, &untouched, sizeof(record)) == 0);
	free(line);
	return 0;
}
