// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "ports.h"

#include <stdlib.h>

static uint16_t *free_of(struct ports *ports, enum parity parity)
{
	return ports->free + (parity == PARITY_ODD ? ports->size / 2 : 0);
}

struct ports *ports_new(uint16_t first, uint16_t size)
{
	struct ports *ports = malloc(sizeof(*ports) + size * sizeof(*ports->free));

	if (!ports)
		return NULL;
	ports->first = first;
	ports->size = size;
	ports->count[PARITY_EVEN] = ports->count[PARITY_ODD] = 0;
	for (unsigned int i = 0; i < size; i++)
		ports_give_back(ports, (uint16_t)(first + i));
	return ports;
}

static uint16_t take_at(struct ports *ports, enum parity parity, unsigned int at)
{
	uint16_t *free = free_of(ports, parity), port = free[at];

	free[at] = free[--ports->count[parity]];
	return port;
}

uint16_t ports_take(struct ports *ports, enum parity parity, uint32_t random)
{
	unsigned int even = ports->count[PARITY_EVEN], at;

	if (parity == PARITY_ANY) {
		if (!ports_free_count(ports))
			return 0;
		at = random % ports_free_count(ports);
		return at < even ? take_at(ports, PARITY_EVEN, at)
				 : take_at(ports, PARITY_ODD, at - even);
	}
	if (!ports->count[parity])
		return 0;
	return take_at(ports, parity, random % ports->count[parity]);
}

bool ports_take_this(struct ports *ports, uint16_t port)
{
	enum parity parity = port % 2 ? PARITY_ODD : PARITY_EVEN;

	for (unsigned int i = 0; i < ports->count[parity]; i++)
		if (free_of(ports, parity)[i] == port) {
			take_at(ports, parity, i);
			return true;
		}
	return false;
}

void ports_give_back(struct ports *ports, uint16_t port)
{
	enum parity parity = port % 2 ? PARITY_ODD : PARITY_EVEN;

	free_of(ports, parity)[ports->count[parity]++] = port;
}
