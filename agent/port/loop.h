/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* An epoll loop for one thread: file descriptors with a function each. */
#ifndef PLAIT_PORT_LOOP_H
#define PLAIT_PORT_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

enum { LOOP_EVENTS_A_TURN = 128 };

struct loop {
	int epoll_fd;
	bool stopped;
	int ready_count;
	struct epoll_event ready[LOOP_EVENTS_A_TURN];
};

/* Embedded in whatever owns a file descriptor; the loop keeps a pointer to it. */
struct loop_watch {
	void (*ready)(struct loop_watch *watch, uint32_t epoll_events);
};

/* 0 or negative errno. */
int loop_open(struct loop *loop);
void loop_close(struct loop *loop);

/* Watch fd for epoll_events until it is closed or removed; 0 or negative errno. */
int loop_add(struct loop *loop, int fd, uint32_t epoll_events, struct loop_watch *watch);
int loop_modify(struct loop *loop, int fd, uint32_t epoll_events, struct loop_watch *watch);
void loop_remove(struct loop *loop, int fd);

/*
 * A timer that is ready each interval_ms, first after one. Returns its descriptor, which
 * ready() has to read, and the caller to close; or negative errno.
 */
int loop_every(struct loop *loop, unsigned int interval_ms, struct loop_watch *watch);

/* Wait at most timeout_ms (-1: for ever). 0, or negative errno if waiting failed. */
int loop_wait(struct loop *loop, int timeout_ms);

/*
 * Call what loop_wait() found ready. A watch that is freed from within a ready()
 * function may still be called by the same loop_dispatch(): free it afterwards.
 */
void loop_dispatch(struct loop *loop);

#endif
