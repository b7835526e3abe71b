// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What workers ask of the links: paths, whose an address is, where to begin. */
#include <netinet/in.h>

#include "base/addr_text.h"
#include "links.h"
#include "table/selection.h"

bool links_path(struct links *links, unsigned int link, unsigned int concentrator, uint8_t family,
		struct path *out)
{
	const struct link *asked = &links->link[link];
	const struct plait_addr *remote = asked->paths.remote[concentrator];
	unsigned int f = family == AF_INET ? 0 : 1;
	bool found;

	pthread_rwlock_rdlock(&links->lock);
	f = remote[f].family ? f : !f;
	found = asked->in_use && remote[f].family;
	if (found)
		*out = (struct path){.local = asked->paths.local[f], .remote = remote[f]};
	pthread_rwlock_unlock(&links->lock);
	return found;
}

bool links_is_backup(struct links *links, unsigned int link)
{
	bool overflows, spared;

	pthread_rwlock_rdlock(&links->lock);
	overflows = links->overflows;
	spared = links->link[link].spared;
	pthread_rwlock_unlock(&links->lock);
	return spared || links->link[link].config->use == USE_BACKUP ||
	       (links->link[link].config->use == USE_OVERFLOW && !overflows);
}

bool links_is_spared(struct links *links, unsigned int link)
{
	bool spared;

	pthread_rwlock_rdlock(&links->lock);
	spared = links->link[link].spared;
	pthread_rwlock_unlock(&links->lock);
	return spared;
}

/* Under lock. */
static int find_address(const struct links *links, const struct plait_addr *local)
{
	for (unsigned int i = 0; i < links->count; i++)
		for (unsigned int f = 0; f < LINK_FAMILIES; f++)
			if (addr_same_ip(&links->link[i].paths.local[f], local))
				return (int)i;
	return -1;
}

int links_of_path(struct links *links, const struct plait_addr *local)
{
	int found;

	pthread_rwlock_rdlock(&links->lock);
	found = find_address(links, local);
	if (found >= 0 && !links->link[found].in_use)
		found = -1;
	pthread_rwlock_unlock(&links->lock);
	return found;
}

int links_of_address(struct links *links, const struct plait_addr *local)
{
	int found;

	pthread_rwlock_rdlock(&links->lock);
	found = find_address(links, local);
	pthread_rwlock_unlock(&links->lock);
	return found;
}

/* Equal weights mean none: the best link, which is the first, begins. */
static bool weights_differ(const struct links *links)
{
	for (unsigned int i = 1; i < links->count; i++)
		if (links->link[i].config->weight != links->link[0].config->weight)
			return true;
	return false;
}

static int choose_by_weight(struct links *links, unsigned int concentrator, uint8_t family,
			    uint32_t hash)
{
	uint32_t weights[CONFIG_MAX_LINKS] = {};
	struct path path;

	for (unsigned int i = 0; i < links->count; i++)
		if (links->link[i].config->use == USE_ALWAYS &&
		    links_path(links, i, concentrator, family, &path))
			weights[i] = links->link[i].config->weight;
	return selection_by_weight(weights, links->count, hash);
}

/* The first of the least reluctant use: always, then overflow, then backup. */
static int choose_by_order(struct links *links, unsigned int concentrator, uint8_t family)
{
	struct path path;
	int best = -1;

	for (unsigned int i = 0; i < links->count; i++)
		if (links_path(links, i, concentrator, family, &path) &&
		    (best < 0 || links->link[i].config->use < links->link[best].config->use))
			best = (int)i;
	return best;
}

int links_choose(struct links *links, unsigned int concentrator, uint8_t family, uint32_t hash)
{
	int chosen = -1;

	links_wake(links);
	if (weights_differ(links))
		chosen = choose_by_weight(links, concentrator, family, hash);
	return chosen >= 0 ? chosen : choose_by_order(links, concentrator, family);
}
