// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "show.h"

#include <errno.h>
#include <stdlib.h>

#include "text.h"

int show_done(const json_t *reply, const struct show_options *options, FILE *stream)
{
	const char *done = json_string_value(json_object_get(reply, "done"));
	char *clean;

	if (!done)
		return -EPROTO;
	clean = clean_text(done);
	if (!clean)
		return -ENOMEM;
	fprintf(stream, "%s\n", clean);
	free(clean);
	return 0;
}
