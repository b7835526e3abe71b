// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "poor.h"

#define SECOND_NS 1000000000ULL

enum {
	SHARE_MIN = 32, /* one part in so many of what all links carry */
	MOVED_MIN = 1000, /* a link that carries nothing is idle, or silent */
	LOOKS = 2,
	HOLD_MIN_SECONDS = 10,
	HOLD_MAX_SECONDS =
		120, /* twice as long each time; one that was not poor for longer begins anew */
};

bool poor_suspects(const struct poor_load *load)
{
	return load->moved >= MOVED_MIN && load->moved * SHARE_MIN < load->all_moved;
}

static void begin(struct poor *poor, uint64_t now_ns)
{
	uint64_t most = HOLD_MAX_SECONDS * SECOND_NS;

	if (!poor->since_ns || now_ns - poor->since_ns > poor->hold_ns + most)
		poor->hold_ns = HOLD_MIN_SECONDS * SECOND_NS;
	else
		poor->hold_ns = 2 * poor->hold_ns < most ? 2 * poor->hold_ns : most;
	poor->since_ns = now_ns;
	poor->is = true;
}

bool poor_update(struct poor *poor, const struct poor_load *load, uint64_t now_ns)
{
	if (poor->is) {
		poor->is = now_ns - poor->since_ns < poor->hold_ns;
		poor->looks = 0;
		return !poor->is;
	}
	poor->looks = load->late && poor_suspects(load) ? poor->looks + 1 : 0;
	if (poor->looks < LOOKS)
		return false;
	begin(poor, now_ns);
	return true;
}
