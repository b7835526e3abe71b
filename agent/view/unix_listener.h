/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#ifndef PLAIT_VIEW_UNIX_LISTENER_H
#define PLAIT_VIEW_UNIX_LISTENER_H

/*
 * A non-blocking Unix stream listener at path, for the owner of the process
 * alone. The directory is made. A socket nobody answers on is replaced; one with
 * a live server is -EADDRINUSE, anything else in the way -EEXIST. Returns the
 * file descriptor or negative errno.
 */
int unix_listen(const char *path);

#endif
