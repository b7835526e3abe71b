// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

/* Until nobody could write to it without waiting. */
static void fill(void)
{
	char octets[4096] = {};

	while (write(STDERR_FILENO, octets, sizeof(octets)) > 0)
		;
	/* for the descriptors that log through it, writing waits from here on */
	fcntl(STDERR_FILENO, F_SETFL, 0);
}

static void empty(void)
{
	char octets[4096];

	while (read(reader, octets, sizeof(octets)) > 0)
		;
}

Test(log, a_line_that_finds_no_room_is_lost_and_told_of, .timeout = 5)
{
	char text[200];

	redirect();
	fill();
	log_error("one");
	log_error("two");
	empty();
	log_error("three");
	log_error("four");
	logged(text, sizeof(text));
	cr_assert_str_eq(text, "<4>2 log lines lost: nobody read them\n<3>three\n<3>four\n");
}

Test(log, a_try_says_that_there_is_no_room, .timeout = 5)
{
	char text[2000], line[1500];
	int full, fine, closed;

	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	redirect();
	fill();
	full = log_try(LOG_INFO, "no");
	empty();
	fine = log_try(LOG_INFO, line);
	logged(text, sizeof(text));
	cr_expect_eq(full, -EAGAIN);
	cr_expect_eq(fine, 0);
	cr_expect_eq(strlen(text), 3 + strlen(line) + 1);
	redirect();
	signal(SIGPIPE, SIG_IGN);
	close(reader);
	closed = log_try(LOG_INFO, "no");
	logged(text, sizeof(text));
	cr_expect_eq(closed, -EPIPE);
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
