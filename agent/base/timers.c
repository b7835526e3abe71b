// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "timers.h"

#include <errno.h>
#include <stdlib.h>

int timers_open(struct timers *timers, uint32_t size)
{
	timers->heap = calloc((size_t)size + 1, sizeof(*timers->heap));
	timers->count = 0;
	timers->size = size;
	return timers->heap ? 0 : -ENOMEM;
}

void timers_close(struct timers *timers)
{
	free(timers->heap);
	timers->heap = NULL;
}

static void place(struct timers *timers, struct timer *timer, uint32_t position)
{
	timers->heap[position] = timer;
	timer->position = position;
}

static void sift_up(struct timers *timers, struct timer *timer, uint32_t at)
{
	while (at > 1 && timers->heap[at / 2]->due_ns > timer->due_ns) {
		place(timers, timers->heap[at / 2], at);
		at /= 2;
	}
	place(timers, timer, at);
}

static void sift_down(struct timers *timers, struct timer *timer, uint32_t at)
{
	for (;;) {
		uint32_t child = at * 2;

		if (child > timers->count)
			break;
		if (child < timers->count &&
		    timers->heap[child + 1]->due_ns < timers->heap[child]->due_ns)
			child++;
		if (timers->heap[child]->due_ns >= timer->due_ns)
			break;
		place(timers, timers->heap[child], at);
		at = child;
	}
	place(timers, timer, at);
}

void timers_arm(struct timers *timers, struct timer *timer, uint64_t due_ns)
{
	uint32_t at = timer->position;

	if (!at) {
		timer->due_ns = due_ns;
		sift_up(timers, timer, ++timers->count);
	} else if (due_ns < timer->due_ns) {
		timer->due_ns = due_ns;
		sift_up(timers, timer, at);
	} else {
		timer->due_ns = due_ns;
		sift_down(timers, timer, at);
	}
}

void timers_disarm(struct timers *timers, struct timer *timer)
{
	uint32_t at = timer->position;
	struct timer *last;

	if (!at)
		return;
	timer->position = 0;
	last = timers->heap[timers->count--];
	if (last == timer)
		return;
	if (at > 1 && timers->heap[at / 2]->due_ns > last->due_ns)
		sift_up(timers, last, at);
	else
		sift_down(timers, last, at);
}

struct timer *timers_first(const struct timers *timers)
{
	return timers->count ? timers->heap[1] : NULL;
}
