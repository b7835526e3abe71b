/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#ifndef PLAIT_BASE_CLOCK_H
#define PLAIT_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

/* CLOCK_MONOTONIC, the clock of bpf_ktime_get_ns(). */
static inline uint64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* For epoll_wait(): from now on, and not before due_ns; 0 if that is over. */
static inline int clock_ms_until(uint64_t due_ns)
{
	uint64_t now_ns = clock_now_ns();

	return due_ns <= now_ns ? 0 : (int)((due_ns - now_ns) / NS_PER_MS) + 1;
}

#endif
