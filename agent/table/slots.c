// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "slots.h"

#include <string.h>

static uint64_t sum_of(const uint32_t *weights, unsigned int count)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < count; i++)
		sum += weights[i];
	return sum;
}

/* A path with any weight has a slot: those that are too light are made heavier. */
static void lift(uint32_t *weights, unsigned int count)
{
	uint64_t sum = sum_of(weights, count);
	uint32_t least = (uint32_t)((sum + PLAIT_PATH_SLOTS - 1) / PLAIT_PATH_SLOTS);

	for (unsigned int i = 0; i < count; i++)
		if (weights[i] && weights[i] < least)
			weights[i] = least;
}

void slots_fill(const uint32_t *weights, unsigned int count, uint8_t slot[PLAIT_PATH_SLOTS])
{
	uint32_t lifted[PLAIT_PATHS_MAX];
	int64_t due[PLAIT_PATHS_MAX] = {};
	int64_t sum;

	memcpy(lifted, weights, count * sizeof(*lifted));
	lift(lifted, count);
	sum = (int64_t)sum_of(lifted, count);
	memset(slot, PLAIT_NO_PATH, PLAIT_PATH_SLOTS);
	/* each slot to the path that is furthest behind its share */
	for (unsigned int s = 0; sum && s < PLAIT_PATH_SLOTS; s++) {
		unsigned int next = 0;

		for (unsigned int i = 0; i < count; i++) {
			due[i] += lifted[i];
			if (due[i] > due[next])
				next = i;
		}
		due[next] -= sum;
		slot[s] = (uint8_t)next;
	}
}
