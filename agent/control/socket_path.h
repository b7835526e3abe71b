/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Where the control socket of an instance is: /run/plait/NAME.sock. */
#ifndef PLAIT_CONTROL_SOCKET_PATH_H
#define PLAIT_CONTROL_SOCKET_PATH_H

#define SOCKET_DIRECTORY "/run/plait"
#define SOCKET_SUFFIX    ".sock"

enum { SOCKET_PATH_BYTES = 108 }; /* sun_path of a struct sockaddr_un */

struct socket_path {
	char text[SOCKET_PATH_BYTES];
};

/* 0, or -EINVAL for a name that is empty, too long, hidden or has a slash. */
int socket_path(const char *name, struct socket_path *out);

#endif
