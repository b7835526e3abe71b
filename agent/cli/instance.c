// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "instance.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "control/socket_path.h"

/* Length of NAME in NAME.sock; 0 for another file's name. */
static int name_length(const char *file)
{
	size_t length = strlen(file), suffix = strlen(SOCKET_SUFFIX);

	if (length <= suffix || *file == '.' || strcmp(file + length - suffix, SOCKET_SUFFIX))
		return 0;
	return (int)(length - suffix);
}

static bool is_socket(const char *directory, const char *file)
{
	char path[4096];
	struct stat found;

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	return !stat(path, &found) && S_ISSOCK(found.st_mode);
}

int instances_find(const char *directory, struct instances *out)
{
	struct dirent **files;
	int count = scandir(directory, &files, NULL, alphasort);
	size_t used = 0;

	memset(out, 0, sizeof(*out));
	if (count < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < count; i++) {
		int length = name_length(files[i]->d_name);

		if (length && is_socket(directory, files[i]->d_name)) {
			snprintf(out->choices + used, sizeof(out->choices) - used, "%s%.*s",
				 out->count ? ", " : "", length, files[i]->d_name);
			used = strlen(out->choices);
			out->count++;
		}
		free(files[i]);
	}
	free(files);
	return 0;
}
