// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int kept_stderr, reader;

/* Criterion reports by standard error too: it is put back before any assertion. */
static void redirect(void)
{
	int ends[2];

	cr_assert_eq(pipe2(ends, O_NONBLOCK), 0);
	kept_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	reader = ends[0];
}

/* What was logged since redirect(); the length is returned. */
static size_t logged(char *text, size_t room)
{
	ssize_t n;

	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	n = read(reader, text, room - 1);
	close(reader);
	n = n < 0 ? 0 : n;
	text[n] = '\0';
	return (size_t)n;
}

Test(log, a_line_has_its_priority_and_an_end)
{
	char text[100];

	redirect();
	log_error("link %s: %d", "dsl", 7);
	logged(text, sizeof(text));
	cr_assert_str_eq(text, "<3>link dsl: 7\n");
}

Test(log, every_priority_has_its_number)
{
	char text[100];

	redirect();
	log_set_level(LOG_DEBUG);
	log_error("a");
	log_warning("b");
	log_notice("c");
	log_debug("d");
	logged(text, sizeof(text));
	cr_assert_str_eq(text, "<3>a\n<4>b\n<5>c\n<7>d\n");
}

Test(log, debug_is_silent_until_asked_for)
{
	char text[100];

	redirect();
	log_debug("no");
	cr_assert_eq(logged(text, sizeof(text)), 0);
}

Test(log, lines_above_the_level_are_dropped)
{
	char text[100];

	redirect();
	log_set_level(LOG_WARNING);
	log_notice("no");
	log_warning("yes");
	logged(text, sizeof(text));
	cr_assert_str_eq(text, "<4>yes\n");
}

Test(log, a_long_line_is_cut_and_still_ends)
{
	char text[2000], expected[512];

	memset(expected, 'x', sizeof(expected));
	memcpy(expected, "<3>", 3);
	strcpy(expected + 510, "\n");
	memset(text, 'x', 1000);
	text[1000] = '\0';
	redirect();
	log_error("%s", text);
	cr_assert_eq(logged(text, sizeof(text)), 511);
	cr_assert_str_eq(text, expected);
}
