// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "queue_age.h"

void queue_age_append(struct queue_age *queue, uint64_t octets, uint64_t now_ns, uint64_t step_ns)
{
	queue->appended += octets;
	if (!queue->note[queue->latest].at_ns ||
	    now_ns - queue->note[queue->latest].at_ns >= step_ns) {
		queue->latest = (queue->latest + 1) % QUEUE_AGE_NOTES;
		queue->note[queue->latest].at_ns = now_ns;
	}
	queue->note[queue->latest].end = queue->appended;
}

uint64_t queue_age(const struct queue_age *queue, uint64_t waiting, uint64_t now_ns)
{
	uint64_t first = queue->appended - (waiting < queue->appended ? waiting : queue->appended);

	if (!waiting)
		return 0;
	for (unsigned int i = 1; i <= QUEUE_AGE_NOTES; i++) {
		unsigned int note = (queue->latest + i) % QUEUE_AGE_NOTES; /* oldest first */

		if (queue->note[note].at_ns && queue->note[note].end > first)
			return now_ns - queue->note[note].at_ns;
	}
	return 0;
}
