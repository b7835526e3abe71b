/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A worker's pool of pipes. A pipe is held only while bytes are in it. */
#ifndef PLAIT_ENGINE_PIPES_H
#define PLAIT_ENGINE_PIPES_H

#include <stddef.h>

enum { PIPE_BYTES = 256 * 1024, PIPES_MAX = 256 };

struct pipes {
	unsigned int opened, free_count;
	int free[PIPES_MAX];
	struct {
		int read_fd, write_fd;
	} pipe[PIPES_MAX];
};

void pipes_init(struct pipes *pipes);
void pipes_close(struct pipes *pipes);

/* Index of an empty pipe, or -1 if PIPES_MAX are in use or none can be opened. */
int pipes_take(struct pipes *pipes);
/* Give back an empty pipe. */
void pipes_give(struct pipes *pipes, int index);
/* Give back a pipe that still holds bytes, which are lost. */
void pipes_discard(struct pipes *pipes, int index);

#endif
