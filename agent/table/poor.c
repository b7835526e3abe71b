// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "poor.h"

#define MS_NS     1000000ULL
#define SECOND_NS (1000 * MS_NS)

enum {
	SHARE_MIN = 20, /* one part in so many of what all links carry */
	BUSY_MIN = 1000,
	BUSY_MS = 200,
	LOOKS = 2,
	ALIVE_BYTES = 50, /* in these looks: else it is silent */
	FAILING_SECONDS = 2, /* so long before it fails it may look poor */
	HOLD_MIN_SECONDS = 10,
	HOLD_MAX_SECONDS =
		120, /* twice as long each time; one that was not poor for longer begins anew */
};

/* A link that carries nothing for longer is idle. */
static bool suspects(struct poor *poor, const struct poor_load *load, uint64_t now_ns)
{
	if (load->moved >= BUSY_MIN)
		poor->busy_ns = now_ns;
	return load->moved * SHARE_MIN < load->all_moved && poor->busy_ns &&
	       now_ns - poor->busy_ns <= BUSY_MS * MS_NS;
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
	poor->suspected = suspects(poor, load, now_ns);
	if (poor->is) {
		poor->is = now_ns - poor->since_ns < poor->hold_ns;
		return !poor->is;
	}
	if (!poor->suspected || !load->late) {
		poor->looks = 0;
		poor->received = 0;
		return false;
	}
	poor->looks++;
	poor->received += load->received;
	if (poor->looks < LOOKS || poor->received < ALIVE_BYTES)
		return false;
	poor->looks = 0;
	begin(poor, now_ns);
	return true;
}

bool poor_failed(struct poor *poor, uint64_t now_ns)
{
	bool was = poor->is;

	if (was && now_ns - poor->since_ns > FAILING_SECONDS * SECOND_NS)
		return false;
	*poor = (struct poor){};
	return was;
}
