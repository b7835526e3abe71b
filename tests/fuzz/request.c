/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Any octets as a request: it is refused, or what is taken comes out as it went in. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_text(const char *text, size_t size)
{
	size_t chars = strnlen(text, size);

	require(chars < size);
	for (size_t i = 0; i < chars; i++)
		require(text[i] >= ' ' && text[i] <= '~');
}

static void check_arguments(const struct request *request)
{
	require(request->argument_count <= REQUEST_ARGUMENTS_MAX);
	require(request->is_verb || !request->argument_count);
	for (unsigned int i = 0; i < request->argument_count; i++) {
		const struct request_argument *argument = &request->arguments[i];

		check_text(argument->name, sizeof(argument->name));
		check_text(argument->value, sizeof(argument->value));
		require(request_value(request, argument->name) == argument->value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct request request, untouched, again;
	char *text;
	int err;

	memset(&request, 0xa5, sizeof(request));
	untouched = request;
	err = request_decode((const char *)bytes, len, &request);
	if (err) {
		require(err == -EINVAL);
		require(memcmp(&request, &untouched, sizeof(request)) == 0);
		return 0;
	}
	require(strnlen(request.word, sizeof(request.word)) < sizeof(request.word));
	check_arguments(&request);
	text = request_encode(&request);
	require(text && request_decode(text, strlen(text), &again) == 0);
	require(memcmp(&request, &again, sizeof(request)) == 0);
	free(text);
	return 0;
}
