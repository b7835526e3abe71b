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

void sysctl_saved_open(struct sysctl_saved *saved, const char *file)
{
	FILE *in;

	memset(saved, 0, sizeof(*saved));
	snprintf(saved->file, sizeof(saved->file), "%s", file);
	in = fopen(file, "re");
	if (!in)
		return;
	while (saved->count < SYSCTL_SAVED_MAX &&
	       fscanf(in, "%95s %63[^\n]", saved->entry[saved->count].path,
		      saved->entry[saved->count].value) == 2)
		saved->count++;
	fclose(in);
}

static int keep(const struct sysctl_saved *saved)
{
	FILE *out = fopen(saved->file, "we");
	int err = 0;

	if (!out)
		return -errno;
	for (unsigned int i = 0; i < saved->count; i++)
		fprintf(out, "%s %s\n", saved->entry[i].path, saved->entry[i].value);
	if (fclose(out))
		err = -errno;
	return err;
}

static int is_saved(const struct sysctl_saved *saved, const char *path)
{
	for (unsigned int i = 0; i < saved->count; i++)
		if (!strcmp(saved->entry[i].path, path))
			return 1;
	return 0;
}

int sysctl_change(struct sysctl_saved *saved, const char *path, const char *value)
{
	char now[SYSCTL_VALUE_BYTES];
	int err = sysctl_read(path, now);

	if (err || !strcmp(now, value))
		return err;
	if (!is_saved(saved, path)) {
		if (saved->count == SYSCTL_SAVED_MAX)
			return -ENOSPC;
		snprintf(saved->entry[saved->count].path, sizeof(saved->entry->path), "%s", path);
		memcpy(saved->entry[saved->count].value, now, sizeof(now));
		saved->count++;
		err = keep(saved);
	}
	return err ? err : sysctl_write(path, value);
}

void sysctl_restore(struct sysctl_saved *saved)
{
	for (unsigned int i = 0; i < saved->count; i++)
		sysctl_write(saved->entry[i].path, saved->entry[i].value);
	if (saved->file[0])
		unlink(saved->file);
	saved->count = 0;
}
