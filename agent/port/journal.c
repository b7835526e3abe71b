// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#define SD_JOURNAL_SUPPRESS_LOCATION

#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/log.h"

enum { FILE_MODE = 0640, OWN_FIELDS = 3, FIELD_BYTES = 32 + RECORD_VALUE_BYTES };

/* As sd_journal_stream_fd(3) says: the variable names the socket, so it is not somebody else's. */
static bool journal_reads_stderr(void)
{
	const char *named = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat is;

	return named && sscanf(named, "%llu:%llu", &device, &inode) == 2 &&
	       !fstat(STDERR_FILENO, &is) && is.st_dev == device && is.st_ino == inode;
}

int journal_open(struct journal *journal, const char *file)
{
	*journal = (struct journal){.fd = -1};
	if (!file[0]) {
		journal->native = journal_reads_stderr();
		return 0;
	}
	/* not waiting is for FIFOs, and for those who have no reader yet */
	journal->fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
			   FILE_MODE);
	return journal->fd < 0 ? -errno : 0;
}

void journal_close(struct journal *journal)
{
	if (journal->fd >= 0)
		close(journal->fd);
	journal->fd = -1;
}

static bool wait_for_room(int fd, unsigned int wait_ms)
{
	struct pollfd room = {.fd = fd, .events = POLLOUT};

	return poll(&room, 1, (int)wait_ms) != 0;
}

static struct iovec part_of(char *text)
{
	return (struct iovec){.iov_base = text, .iov_len = strlen(text)};
}

/* Lengths are told, not searched for: a value may hold an end of line. */
static int send_fields(const struct record_field *fields, size_t count, char *line)
{
	char text[RECORD_FIELDS][FIELD_BYTES], message[RECORD_LINE_BYTES + 16];
	struct iovec parts[OWN_FIELDS + RECORD_FIELDS] = {
		part_of("SYSLOG_IDENTIFIER=plaitd"),
		part_of("PRIORITY=6"),
	};

	snprintf(message, sizeof(message), "MESSAGE=%s", line);
	parts[2] = part_of(message);
	for (size_t i = 0; i < count; i++) {
		snprintf(text[i], sizeof(text[i]), "%s=%s", fields[i].name, fields[i].value);
		parts[OWN_FIELDS + i] = part_of(text[i]);
	}
	return sd_journal_sendv(parts, (int)(OWN_FIELDS + count));
}

/* A line that a full disk has cut ends before the next one begins. */
static int append_line(struct journal *journal, char *line)
{
	struct iovec parts[] = {part_of(journal->cut ? "\n" : ""), part_of(line), part_of("\n")};
	size_t whole = parts[0].iov_len + parts[1].iov_len + parts[2].iov_len;
	ssize_t written = writev(journal->fd, parts, 3);

	if (written < 0)
		return -errno;
	journal->cut = written > 0 && (size_t)written < whole;
	return (size_t)written < whole ? -ENOSPC : 0;
}

int journal_write(struct journal *journal, const struct record_field *fields, size_t count,
		  unsigned int wait_ms)
{
	char line[RECORD_LINE_BYTES];

	binding_record_line(fields, count, line);
	if (journal->native)
		return send_fields(fields, count, line);
	if (!wait_for_room(journal->fd >= 0 ? journal->fd : STDERR_FILENO, wait_ms))
		return -EAGAIN;
	return journal->fd >= 0 ? append_line(journal, line) : log_try(LOG_INFO, line);
}
