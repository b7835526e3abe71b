// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int open_path(const char *path, int flags)
{
	char full[160];

	snprintf(full, sizeof(full), "/proc/sys/%s", path);
	return open(full, flags | O_CLOEXEC);
}

int sysctl_read(const char *path, char value[SYSCTL_VALUE_BYTES])
{
	int fd = open_path(path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, value, SYSCTL_VALUE_BYTES - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	value[n] = '\0';
	value[strcspn(value, "\n")] = '\0';
	return 0;
}

int sysctl_write(const char *path, const char *value)
{
	int fd = open_path(path, O_WRONLY);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		err = -errno;
	close(fd);
	return err;
}

int sysctl_change(struct former *former, const char *path, const char *value)
{
	char now[SYSCTL_VALUE_BYTES];
	int err = sysctl_read(path, now);

	if (err || !strcmp(now, value))
		return err;
	err = former_keep(former, path, now);
	return err ? err : sysctl_write(path, value);
}

void sysctl_restore(const struct former *former)
{
	for (unsigned int i = 0; i < former->count; i++)
		if (!strncmp(former->entry[i].key, "net/", 4))
			sysctl_write(former->entry[i].key, former->entry[i].value);
}
