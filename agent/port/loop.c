// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "loop.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

int loop_open(struct loop *loop)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return -errno;
	loop->epoll_fd = fd;
	loop->stopped = false;
	return 0;
}

void loop_close(struct loop *loop)
{
	close(loop->epoll_fd);
	loop->epoll_fd = -1;
}

static int control(struct loop *loop, int op, int fd, uint32_t events, struct loop_watch *watch)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	return epoll_ctl(loop->epoll_fd, op, fd, &event) ? -errno : 0;
}

int loop_add(struct loop *loop, int fd, uint32_t epoll_events, struct loop_watch *watch)
{
	return control(loop, EPOLL_CTL_ADD, fd, epoll_events, watch);
}

int loop_every(struct loop *loop, unsigned int interval_ms, struct loop_watch *watch)
{
	const struct timespec interval = {.tv_sec = interval_ms / 1000,
					  .tv_nsec = (long)(interval_ms % 1000) * 1000000};
	const struct itimerspec every = {.it_value = interval, .it_interval = interval};
	int err = 0, fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (timerfd_settime(fd, 0, &every, NULL))
		err = -errno;
	if (!err)
		err = loop_add(loop, fd, EPOLLIN, watch);
	if (!err)
		return fd;
	close(fd);
	return err;
}

int loop_modify(struct loop *loop, int fd, uint32_t epoll_events, struct loop_watch *watch)
{
	return control(loop, EPOLL_CTL_MOD, fd, epoll_events, watch);
}

void loop_remove(struct loop *loop, int fd)
{
	control(loop, EPOLL_CTL_DEL, fd, 0, NULL);
}

int loop_wait(struct loop *loop, int timeout_ms)
{
	loop->ready_count = epoll_wait(loop->epoll_fd, loop->ready, LOOP_EVENTS_A_TURN, timeout_ms);
	if (loop->ready_count >= 0)
		return 0;
	loop->ready_count = 0;
	return errno == EINTR ? 0 : -errno;
}

void loop_dispatch(struct loop *loop)
{
	for (int i = 0; i < loop->ready_count; i++) {
		struct loop_watch *watch = loop->ready[i].data.ptr;

		watch->ready(watch, loop->ready[i].events);
	}
}
