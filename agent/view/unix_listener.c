// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "unix_listener.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 16 };

static int open_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

/* Make the directories above path, as far as they are missing. */
static int make_directory(const char *path)
{
	char part[sizeof(((struct sockaddr_un *)0)->sun_path)];

	strcpy(part, path); /* its length was checked */
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

/* A server that is too busy to accept (EAGAIN) is alive all the same. */
static bool answers(const struct sockaddr_un *address)
{
	int fd = open_socket();
	bool alive;

	if (fd < 0)
		return true;
	alive = !connect(fd, (const struct sockaddr *)address, sizeof(*address)) || errno == EAGAIN;
	close(fd);
	return alive;
}

static int remove_stale(const struct sockaddr_un *address)
{
	struct stat found;

	if (lstat(address->sun_path, &found))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(found.st_mode))
		return -EEXIST;
	if (answers(address))
		return -EADDRINUSE;
	return unlink(address->sun_path) && errno != ENOENT ? -errno : 0;
}

/* Nobody can connect before listen(), so the mode is right from the first client on. */
static int bind_private(int fd, const struct sockaddr_un *address)
{
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)))
		return -errno;
	if (chmod(address->sun_path, 0600) || listen(fd, BACKLOG)) {
		int error = -errno;

		unlink(address->sun_path);
		return error;
	}
	return 0;
}

int unix_listen(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	error = make_directory(path);
	if (!error)
		error = remove_stale(&address);
	if (error)
		return error;
	fd = open_socket();
	if (fd < 0)
		return fd;
	error = bind_private(fd, &address);
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}
