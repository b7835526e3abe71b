// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "pipes.h"

#include <fcntl.h>
#include <unistd.h>

void pipes_init(struct pipes *pipes)
{
	pipes->opened = 0;
	pipes->free_count = 0;
}

static void close_pipe(struct pipes *pipes, int index)
{
	close(pipes->pipe[index].read_fd);
	close(pipes->pipe[index].write_fd);
}

void pipes_close(struct pipes *pipes)
{
	for (unsigned int i = 0; i < pipes->opened; i++)
		close_pipe(pipes, (int)i);
	pipes_init(pipes);
}

static int open_pipe(struct pipes *pipes, int index)
{
	int fds[2];

	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC))
		return -1;
	/* a smaller pipe works too: the size is a matter of speed only */
	(void)!fcntl(fds[0], F_SETPIPE_SZ, PIPE_BYTES);
	pipes->pipe[index].read_fd = fds[0];
	pipes->pipe[index].write_fd = fds[1];
	return index;
}

int pipes_take(struct pipes *pipes)
{
	int index;

	if (pipes->free_count)
		return pipes->free[--pipes->free_count];
	if (pipes->opened == PIPES_MAX)
		return -1;
	index = open_pipe(pipes, (int)pipes->opened);
	if (index >= 0)
		pipes->opened++;
	return index;
}

void pipes_give(struct pipes *pipes, int index)
{
	pipes->free[pipes->free_count++] = index;
}

void pipes_discard(struct pipes *pipes, int index)
{
	char bytes[4096];

	while (read(pipes->pipe[index].read_fd, bytes, sizeof(bytes)) > 0)
		;
	pipes_give(pipes, index);
}
