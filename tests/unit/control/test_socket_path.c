// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "control/socket_path.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(socket_path, is_a_file_in_run_plait)
{
	struct socket_path path;

	cr_assert_eq(socket_path("cpe", &path), 0);
	cr_assert_str_eq(path.text, "/run/plait/cpe.sock");
}

Test(socket_path, leads_nowhere_else)
{
	struct socket_path path = {"untouched"};
	char name[93];

	memset(name, 'n', sizeof(name));
	name[92] = '\0';
	cr_assert_eq(socket_path("", &path), -EINVAL);
	cr_assert_eq(socket_path("..", &path), -EINVAL);
	cr_assert_eq(socket_path("../x", &path), -EINVAL);
	cr_assert_eq(socket_path("a/b", &path), -EINVAL);
	cr_assert_eq(socket_path(name, &path), -EINVAL);
	cr_assert_str_eq(path.text, "untouched");
	name[91] = '\0'; /* 11 + 91 + 5, and the NUL */
	cr_assert_eq(socket_path(name, &path), 0);
	cr_assert_eq(strlen(path.text), 107);
}
