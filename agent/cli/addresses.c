// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "addresses.h"

#include <stdlib.h>

void table_addresses(struct table *table, const json_t *addresses)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *stream = open_memstream(&text, &bytes);

	if (!stream) {
		table->failed = true;
		return;
	}
	for (size_t i = 0; i < json_array_size(addresses); i++) {
		const char *address = json_string_value(json_array_get(addresses, i));

		fprintf(stream, "%s%s", i ? " " : "", address ? address : "-");
	}
	if (fclose(stream))
		table->failed = true;
	else
		table_cell(table, "%s", text);
	free(text);
}
