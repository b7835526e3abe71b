// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "link_state.h"

#include <string.h>

#define SECOND_NS 1000000000ULL

enum {
	MISSED_MAX = 4,
	SMOOTHING = 16, /* of loss: the weight of what was before, in probes */
	RTT_SMOOTHING = 8, /* RFC 6298 §2 */
	HOLD_MAX_SECONDS = 30,
	FORGIVEN_SECONDS = 60, /* a failure later than that is a first one again */
};

void link_state_init(struct link_state *link, const struct link_limits *limits)
{
	memset(link, 0, sizeof(*link));
	link->limits = *limits;
	link->why = LINK_NO_PATH;
}

bool link_state_in_use(const struct link_state *link)
{
	return link->why == LINK_IN_USE;
}

static bool fail(struct link_state *link, enum link_why why, uint64_t now_ns)
{
	bool was_in_use = link_state_in_use(link);

	link->why = why;
	link->good_since_ns = 0;
	if (!was_in_use)
		return false;
	if (!link->failed_ns || now_ns - link->failed_ns > FORGIVEN_SECONDS * SECOND_NS)
		link->hold_ns = SECOND_NS / 2;
	else
		link->hold_ns *= 2;
	if (link->hold_ns > HOLD_MAX_SECONDS * SECOND_NS)
		link->hold_ns = HOLD_MAX_SECONDS * SECOND_NS;
	link->failed_ns = now_ns;
	return true;
}

static bool take(struct link_state *link)
{
	link->why = LINK_IN_USE;
	return true;
}

/* Nothing speaks against the link now; for long enough? */
static bool good(struct link_state *link, uint64_t now_ns)
{
	if (link_state_in_use(link))
		return false;
	if (!link->failed_ns)
		return take(link); /* its first time */
	if (!link->good_since_ns)
		link->good_since_ns = now_ns;
	link->why = LINK_SETTLING;
	return now_ns - link->good_since_ns >= link->hold_ns ? take(link) : false;
}

bool link_state_path(struct link_state *link, bool there, uint64_t now_ns)
{
	if (link->there == there)
		return false;
	link->there = there;
	link->missed = 0;
	if (!there)
		return fail(link, LINK_NO_PATH, now_ns);
	return good(link, now_ns);
}

/* Beyond a limit it is left; below half of it, it is good again. */
static bool beyond(uint32_t value, uint32_t limit, bool was_beyond)
{
	return limit && value > (was_beyond ? limit / 2 : limit);
}

static enum link_why judge(const struct link_state *link)
{
	if (!link->there)
		return LINK_NO_PATH;
	if (link->probed && link->missed >= MISSED_MAX)
		return LINK_SILENT;
	if (beyond(link->loss_permille, link->limits.loss_permille, link->why == LINK_LOSSY))
		return LINK_LOSSY;
	if (beyond(link->rtt_us, link->limits.rtt_us, link->why == LINK_SLOW))
		return LINK_SLOW;
	return LINK_IN_USE;
}

static bool settle(struct link_state *link, uint64_t now_ns)
{
	enum link_why why = judge(link);

	return why == LINK_IN_USE ? good(link, now_ns) : fail(link, why, now_ns);
}

static void learn_loss(struct link_state *link, unsigned int permille)
{
	link->loss_permille = (link->loss_permille * (SMOOTHING - 1) + permille) / SMOOTHING;
}

static void learn_rtt(struct link_state *link, uint32_t rtt_us)
{
	link->rtt_last_us = rtt_us;
	if (!link->rtt_us)
		link->rtt_us = rtt_us;
	else
		link->rtt_us = (link->rtt_us * (RTT_SMOOTHING - 1) + rtt_us) / RTT_SMOOTHING;
	if (!link->rtt_min_us || rtt_us < link->rtt_min_us)
		link->rtt_min_us = rtt_us;
}

bool link_state_answer(struct link_state *link, uint32_t rtt_us, uint64_t now_ns)
{
	link->probed = true;
	link->missed = 0;
	learn_loss(link, 0);
	learn_rtt(link, rtt_us);
	return settle(link, now_ns);
}

bool link_state_miss(struct link_state *link, bool heard, uint64_t now_ns)
{
	if (link->probed)
		learn_loss(link, 1000);
	link->missed = heard ? 0 : link->missed + 1;
	return settle(link, now_ns);
}

void link_state_moved(struct link_state *link)
{
	link->rtt_us = link->rtt_min_us = link->rtt_last_us = 0;
}

const char *link_why_text(enum link_why why)
{
	static const char *const texts[] = {"in use",   "no path", "silent",
					    "settling", "lossy",   "slow"};

	return texts[why];
}
