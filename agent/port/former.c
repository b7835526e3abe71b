// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "former.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Octets of the file that locks are on. */
enum {
	LOCK_IN_USE = 0, /* shared by who needs the changes */
	LOCK_COMING_OR_GOING = 1, /* exclusive, while somebody comes or goes */
};

static int lock(int fd, short type, off_t octet, bool wait)
{
	struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = octet, .l_len = 1};

	return fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &range) ? -errno : 0;
}

/* Never given twice, unlike the namespace's inode number. */
static int netns_cookie(uint64_t *out)
{
	socklen_t len = sizeof(*out);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, out, &len))
		err = -errno;
	close(fd);
	return err;
}

/* The file's descriptor, with nobody else coming or going. */
static int open_alone(const char *file)
{
	struct stat stat;
	int fd, err;

	for (;;) {
		fd = open(file, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (fd < 0)
			return -errno;
		err = lock(fd, F_WRLCK, LOCK_COMING_OR_GOING, true);
		if (!err && fstat(fd, &stat))
			err = -errno;
		if (!err && stat.st_nlink)
			return fd;
		close(fd); /* the last one has removed it meanwhile */
		if (err)
			return err;
	}
}

static void read_values(struct former *former)
{
	FILE *in = fopen(former->file, "re");

	former->count = 0;
	while (in && former->count < FORMER_MAX &&
	       fscanf(in, "%95s %63[^\n]", former->entry[former->count].key,
		      former->entry[former->count].value) == 2)
		former->count++;
	if (in)
		fclose(in);
}

int former_open(struct former *former, const char *directory)
{
	uint64_t cookie = 0;
	int err = netns_cookie(&cookie);

	memset(former, 0, sizeof(*former));
	former->fd = -1;
	if (err)
		return err;
	snprintf(former->file, sizeof(former->file), "%s/netns-%" PRIu64 ".former", directory,
		 cookie);
	former->fd = open_alone(former->file);
	if (former->fd < 0)
		return former->fd;
	err = lock(former->fd, F_RDLCK, LOCK_IN_USE, true);
	lock(former->fd, F_UNLCK, LOCK_COMING_OR_GOING, false);
	return err;
}

int former_keep(struct former *former, const char *key, const char *value)
{
	char line[FORMER_KEY_BYTES + FORMER_VALUE_BYTES + 2];
	int len = snprintf(line, sizeof(line), "%s %s\n", key, value);

	read_values(former);
	if (former_value(former, key))
		return 0;
	if (former->count == FORMER_MAX)
		return -ENOSPC;
	return write(former->fd, line, (size_t)len) == len ? 0 : -errno;
}

bool former_is_last(struct former *former)
{
	if (former->fd < 0 || former->last)
		return former->last;
	if (lock(former->fd, F_WRLCK, LOCK_COMING_OR_GOING, true) ||
	    lock(former->fd, F_WRLCK, LOCK_IN_USE, false))
		return false;
	read_values(former);
	former->last = true;
	return true;
}

const char *former_value(const struct former *former, const char *key)
{
	for (unsigned int i = 0; i < former->count; i++)
		if (!strcmp(former->entry[i].key, key))
			return former->entry[i].value;
	return NULL;
}

void former_close(struct former *former)
{
	if (former->fd < 0)
		return;
	if (former->last)
		unlink(former->file);
	close(former->fd);
	former->fd = -1;
}
