// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "socket_path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == SOCKET_PATH_BYTES,
	       "a path fits a sockaddr_un");

int socket_path(const char *name, struct socket_path *out)
{
	static const size_t room =
		SOCKET_PATH_BYTES - sizeof(SOCKET_DIRECTORY "/") - sizeof(SOCKET_SUFFIX) + 1;

	if (!*name || *name == '.' || strchr(name, '/') || strlen(name) > room)
		return -EINVAL;
	snprintf(out->text, sizeof(out->text), SOCKET_DIRECTORY "/%s" SOCKET_SUFFIX, name);
	return 0;
}
