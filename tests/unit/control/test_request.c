// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "control/request.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

Test(request, encodes_what_it_decodes)
{
	char *text = request_encode("sessions");
	struct request request;

	cr_assert_str_eq(text, "{\"noun\":\"sessions\"}");
	cr_assert_eq(request_decode(text, strlen(text), &request), 0);
	cr_assert_str_eq(request.noun, "sessions");
	free(text);
}

static int decode(const char *text)
{
	struct request request = {"untouched"};
	int error = request_decode(text, strlen(text), &request);

	if (error)
		cr_assert_str_eq(request.noun, "untouched");
	return error;
}

Test(request, refuses_what_is_none)
{
	cr_assert_eq(decode(""), -EINVAL);
	cr_assert_eq(decode("{"), -EINVAL);
	cr_assert_eq(decode("[]"), -EINVAL);
	cr_assert_eq(decode("\"status\""), -EINVAL);
	cr_assert_eq(decode("{\"noun\":7}"), -EINVAL);
	cr_assert_eq(decode("{\"verb\":\"x\"}"), -EINVAL);
	cr_assert_eq(decode("{\"noun\":\"a\\u0000b\"}"), -EINVAL);
	cr_assert_eq(decode("{\"noun\":\"a\"} x"), -EINVAL);
	cr_assert_eq(decode("{\"noun\":\"01234567890123456789012345678901\"}"), -EINVAL);
	cr_assert_eq(decode("{\"noun\":\"0123456789012345678901234567890\"}"), 0);
	cr_assert_eq(decode("{\"noun\":\"status\",\"later\":true}"), 0);
}
