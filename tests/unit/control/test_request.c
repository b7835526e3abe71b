// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "control/request.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

Test(request, encodes_what_it_decodes)
{
	struct request request = {.word = "sessions"};
	char *text = request_encode(&request);

	cr_assert_str_eq(text, "{\"noun\":\"sessions\"}");
	cr_assert_eq(request_decode(text, strlen(text), &request), 0);
	cr_assert_str_eq(request.word, "sessions");
	cr_assert_not(request.is_verb);
	free(text);
}

Test(request, a_verb_has_arguments)
{
	struct request request = {.is_verb = true, .word = "close"}, again;
	char *text;

	cr_assert_eq(request_add(&request, "inside", "192.0.2.1"), 0);
	cr_assert_eq(request_add(&request, "all", NULL), 0);
	text = request_encode(&request);
	cr_assert_str_eq(text, "{\"verb\":\"close\",\"inside\":\"192.0.2.1\",\"all\":true}");
	cr_assert_eq(request_decode(text, strlen(text), &again), 0);
	cr_assert(again.is_verb);
	cr_assert_str_eq(again.word, "close");
	cr_assert_eq(again.argument_count, 2);
	cr_assert_str_eq(request_value(&again, "inside"), "192.0.2.1");
	cr_assert_str_eq(request_value(&again, "all"), "");
	cr_assert_null(request_value(&again, "remote"));
	free(text);
}

Test(request, takes_no_argument_that_is_none)
{
	char long_name[REQUEST_WORD_BYTES + 1], long_value[REQUEST_VALUE_BYTES + 1];
	struct request request = {};

	memset(long_name, 'x', sizeof(long_name));
	memset(long_value, 'x', sizeof(long_value));
	long_name[REQUEST_WORD_BYTES] = long_value[REQUEST_VALUE_BYTES] = '\0';
	cr_assert_eq(request_add(&request, "", NULL), -EINVAL);
	cr_assert_eq(request_add(&request, "a", ""), -EINVAL);
	cr_assert_eq(request_add(&request, long_name, NULL), -EINVAL);
	cr_assert_eq(request_add(&request, "a", long_value), -EINVAL);
	cr_assert_eq(request_add(&request, "a", "\x1b[1m"), -EINVAL);
	cr_assert_eq(request_add(&request, "a", "\xc3\xa4"), -EINVAL);
	cr_assert_eq(request_add(&request, long_name + 1, long_value + 1), 0);
	cr_assert_eq(request_add(&request, long_name + 1, "again"), -EINVAL);
	for (char name[] = "a"; *name < 'a' + REQUEST_ARGUMENTS_MAX - 1; ++*name)
		cr_assert_eq(request_add(&request, name, NULL), 0);
	cr_assert_eq(request_add(&request, "more", NULL), -EINVAL);
	cr_assert_eq(request.argument_count, REQUEST_ARGUMENTS_MAX);
}

static int decode(const char *text)
{
	struct request request = {.word = "untouched"};
	int error = request_decode(text, strlen(text), &request);

	if (error)
		cr_assert_str_eq(request.word, "untouched");
	return error;
}

Test(request, refuses_what_is_none)
{
	cr_assert_eq(decode(""), -EINVAL);
	cr_assert_eq(decode("{"), -EINVAL);
	cr_assert_eq(decode("[]"), -EINVAL);
	cr_assert_eq(decode("\"status\""), -EINVAL);
	cr_assert_eq(decode("{\"noun\":7}"), -EINVAL);
	cr_assert_eq(decode("{\"verb\":\"x\"}"), 0);
	cr_assert_eq(decode("{\"verb\":\"x\",\"noun\":\"y\"}"), -EINVAL);
	cr_assert_eq(decode("{\"verb\":\"x\",\"a\":\"\"}"), -EINVAL);
	cr_assert_eq(decode("{\"verb\":\"x\",\"a\":1}"), -EINVAL);
	cr_assert_eq(decode("{\"verb\":\"x\",\"a\":[]}"), -EINVAL);
	cr_assert_eq(decode("{\"verb\":\"x\",\"a\":null}"), -EINVAL);
	cr_assert_eq(decode("{\"verb\":\"x\",\"a\":false}"), -EINVAL);
	cr_assert_eq(decode("{\"verb\":\"x\",\"\":true}"), -EINVAL);
	cr_assert_eq(decode("{\"verb\":\"x\",\"a\":\"b\\u0000c\"}"), -EINVAL);
	cr_assert_eq(decode("{\"noun\":\"a\\u0000b\"}"), -EINVAL);
	cr_assert_eq(decode("{\"noun\":\"a\"} x"), -EINVAL);
	cr_assert_eq(decode("{\"noun\":\"01234567890123456789012345678901\"}"), -EINVAL);
	cr_assert_eq(decode("{\"noun\":\"0123456789012345678901234567890\"}"), 0);
	cr_assert_eq(decode("{\"noun\":\"status\",\"later\":true}"), 0);
}
