// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { LINE_BYTES = 512 };

static int level = LOG_INFO;

void log_set_level(int priority)
{
	level = priority;
}

/* A person at a terminal has no use for journald's "<3>". */
static int write_prefix(char *line, int priority)
{
	if (isatty(STDERR_FILENO))
		return snprintf(line, LINE_BYTES, "plaitd: ");
	return snprintf(line, LINE_BYTES, "<%d>", priority);
}

void log_line(int priority, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list arguments;
	int used, text;

	if (priority > level)
		return;
	used = write_prefix(line, priority);
	va_start(arguments, format);
	text = vsnprintf(line + used, sizeof(line) - 1 - used, format, arguments);
	va_end(arguments);
	if (text < 0)
		return;
	used += text;
	if (used > LINE_BYTES - 2)
		used = LINE_BYTES - 2;
	for (int i = 0; i < used; i++)
		if ((unsigned char)line[i] < ' ')
			line[i] = ' '; /* one call, one line, whatever a name holds */
	line[used++] = '\n';
	if (write(STDERR_FILENO, line, used) < 0)
		return; /* nowhere left to complain */
}
