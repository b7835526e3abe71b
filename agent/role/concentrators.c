// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "concentrators.h"

#include "base/container.h"
#include "base/hash.h"
#include "table/selection.h"

/* The first that answers: links ask it whether they carry anything. */
static void prefer(struct concentrators *concentrators)
{
	for (unsigned int i = 0; i < concentrators->config->concentrator_count; i++)
		if (concentrators->health[i].answers) {
			links_prefer(concentrators->links, i);
			return;
		}
}

static void health_changed(struct health *health)
{
	struct concentrators *concentrators =
		container_of(health - health->concentrator, struct concentrators, health[0]);

	prefer(concentrators);
	concentrators->on_change(concentrators);
	/* what was on its way to one that does not answer tries another */
	concentrators->links->on_change(concentrators->links);
}

int concentrators_open(struct concentrators *concentrators, struct links *links, struct loop *loop,
		       void (*on_change)(struct concentrators *concentrators))
{
	int err = 0;

	concentrators->config = links->instance->config;
	concentrators->links = links;
	concentrators->on_change = on_change;
	for (unsigned int i = 0; !err && i < concentrators->config->concentrator_count; i++)
		err = health_open(&concentrators->health[i], links, i, loop, health_changed);
	return err;
}

void concentrators_close(struct concentrators *concentrators)
{
	for (unsigned int i = 0; i < CONFIG_MAX_CONCENTRATORS; i++)
		health_close(&concentrators->health[i]);
}

bool concentrators_answer(const struct concentrators *concentrators, unsigned int concentrator)
{
	return health_answers(&concentrators->health[concentrator]);
}

bool concentrators_any_answers(const struct concentrators *concentrators)
{
	for (unsigned int i = 0; i < concentrators->config->concentrator_count; i++)
		if (concentrators_answer(concentrators, i))
			return true;
	return false;
}

int concentrators_choose(const struct concentrators *concentrators, const struct plait_addr *host,
			 uint32_t hash)
{
	const struct config *config = concentrators->config;
	uint32_t weights[CONFIG_MAX_CONCENTRATORS] = {};

	for (unsigned int i = 0; i < config->concentrator_count; i++)
		if (concentrators_answer(concentrators, i))
			weights[i] = config->concentrators[i].weight;
	/* a host keeps its concentrator, and so the address it has in the internet */
	if (config->selection == SELECTION_HASH)
		return selection_by_key(weights, config->concentrator_count,
					hash_stable(host->ip, sizeof(host->ip)));
	if (config->selection == SELECTION_WEIGHTED)
		return selection_by_weight(weights, config->concentrator_count, hash);
	for (unsigned int i = 0; i < config->concentrator_count; i++)
		if (weights[i])
			return (int)i;
	return -1;
}
