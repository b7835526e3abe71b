// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "request.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

char *request_encode(const char *noun)
{
	json_t *document = json_pack("{s:s}", "noun", noun);
	char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;

	json_decref(document);
	return text;
}

int request_decode(const char *body, size_t body_bytes, struct request *out)
{
	json_t *document = json_loadb(body, body_bytes, JSON_REJECT_DUPLICATES, NULL);
	const char *noun = json_string_value(json_object_get(document, "noun"));
	int error = -EINVAL;

	if (noun && strlen(noun) < sizeof(out->noun)) {
		memset(out, 0, sizeof(*out));
		memcpy(out->noun, noun, strlen(noun));
		error = 0;
	}
	json_decref(document);
	return error;
}
