// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "overflow.h"

#define MS_NS 1000000ULL

enum {
	FULL_MS = 500,
	CALM_MS = 3000,
	CALM_PERCENT = 80, /* of capacity: all there is fits the links before */
};

static bool lasts(struct overflow *overflow, bool condition, uint64_t now_ns, uint64_t ms)
{
	if (!condition)
		overflow->since_ns = 0;
	else if (!overflow->since_ns)
		overflow->since_ns = now_ns;
	return condition && now_ns - overflow->since_ns >= ms * MS_NS;
}

bool overflow_update(struct overflow *overflow, const struct overflow_load *load, uint64_t now_ns)
{
	bool calm = load->all_rate * 100 < overflow->capacity * CALM_PERCENT && !load->full;
	bool change = overflow->open ? lasts(overflow, calm, now_ns, CALM_MS)
				     : lasts(overflow, load->full, now_ns, FULL_MS);

	if (load->full && (!overflow->open || load->before_rate > overflow->capacity))
		overflow->capacity = load->before_rate;
	if (!change)
		return false;
	overflow->open = !overflow->open;
	overflow->since_ns = 0;
	return true;
}
