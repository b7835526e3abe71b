// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { TEXT_BYTES = 508, PREFIX_BYTES = 16 }; /* "<3>" and the text: at most 510 octets */

static int level = LOG_INFO;

/* Of lines that could not be written; and one thread at a time looks for room and fills it. */
static unsigned int lost;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void log_set_level(int priority)
{
	level = priority;
}

/* A person at a terminal has no use for journald's "<3>". */
static int write_prefix(char *line, int priority)
{
	if (isatty(STDERR_FILENO))
		return snprintf(line, PREFIX_BYTES, "plaitd: ");
	return snprintf(line, PREFIX_BYTES, "<%d>", priority);
}

/* Under the lock. 0 or negative errno. */
static int write_line(int priority, const char *text, size_t bytes)
{
	struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
	char prefix[PREFIX_BYTES];
	const struct iovec parts[] = {
		{.iov_base = prefix, .iov_len = (size_t)write_prefix(prefix, priority)},
		{.iov_base = (char *)text, .iov_len = bytes},
		{.iov_base = "\n", .iov_len = 1},
	};

	if (!poll(&room, 1, 0))
		return -EAGAIN;
	return writev(STDERR_FILENO, parts, 3) < 0 ? -errno : 0;
}

static void tell_lost(void)
{
	char text[64];
	int chars = snprintf(text, sizeof(text), "%u log lines lost: nobody read them", lost);

	if (lost && !write_line(LOG_WARNING, text, (size_t)chars))
		lost = 0;
}

void log_line(int priority, const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list arguments;
	int chars;

	if (priority > level)
		return;
	va_start(arguments, format);
	chars = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (chars < 0)
		return;
	if (chars > TEXT_BYTES - 1)
		chars = TEXT_BYTES - 1;
	for (int i = 0; i < chars; i++)
		if ((unsigned char)text[i] < ' ')
			text[i] = ' '; /* one call, one line, whatever a name holds */
	pthread_mutex_lock(&lock);
	tell_lost();
	lost += write_line(priority, text, (size_t)chars) == -EAGAIN;
	pthread_mutex_unlock(&lock);
}

int log_try(int priority, const char *text)
{
	int err;

	pthread_mutex_lock(&lock);
	err = write_line(priority, text, strlen(text));
	pthread_mutex_unlock(&lock);
	return err;
}
