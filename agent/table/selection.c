// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "selection.h"

#include "base/hash.h"

int selection_by_weight(const uint32_t *weights, unsigned int count, uint32_t hash)
{
	uint32_t total = 0, at;

	for (unsigned int i = 0; i < count; i++)
		total += weights[i];
	if (!total)
		return -1;
	at = hash % total;
	for (unsigned int i = 0; i < count; i++) {
		if (at < weights[i])
			return (int)i;
		at -= weights[i];
	}
	return -1;
}

int selection_by_key(const uint32_t *weights, unsigned int count, uint32_t key)
{
	uint32_t most = 0;
	int best = -1;

	for (unsigned int i = 0; i < count; i++) {
		uint32_t score = hash_mix(key ^ hash_mix(i + 1));

		if (!weights[i] || (best >= 0 && score <= most))
			continue;
		most = score;
		best = (int)i;
	}
	return best;
}
