// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "ports.h"

#include <stdlib.h>

enum { WORD_BITS = 64 };

static const uint64_t of_parity[] = {
	[PARITY_EVEN] = 0x5555555555555555,
	[PARITY_ODD] = 0xaaaaaaaaaaaaaaaa,
	[PARITY_ANY] = UINT64_MAX,
};

static unsigned int words_of(unsigned int size)
{
	return (size + WORD_BITS - 1) / WORD_BITS;
}

struct ports *ports_new(uint16_t first, uint16_t size)
{
	struct ports *ports = calloc(1, sizeof(*ports) + words_of(size) * sizeof(*ports->free));

	if (!ports)
		return NULL;
	ports->first = first;
	ports->size = size;
	ports->count[PARITY_EVEN] = ports->count[PARITY_ODD] = size / 2;
	for (unsigned int i = 0; i < size / WORD_BITS; i++)
		ports->free[i] = UINT64_MAX;
	if (size % WORD_BITS)
		ports->free[size / WORD_BITS] = (1ULL << size % WORD_BITS) - 1;
	return ports;
}

static bool any_free(const struct ports *ports, enum parity parity)
{
	return parity == PARITY_ANY ? ports_free_count(ports) : ports->count[parity];
}

static uint16_t take_at(struct ports *ports, unsigned int at)
{
	ports->free[at / WORD_BITS] &= ~(1ULL << at % WORD_BITS);
	ports->count[at % 2]--; /* first is even */
	return (uint16_t)(ports->first + at);
}

/* The first bit that is set in word, which has one, from bit on and round. */
static unsigned int bit_from(uint64_t word, unsigned int bit)
{
	uint64_t rotated = word >> bit | word << (WORD_BITS - bit) % WORD_BITS;

	return ((unsigned int)__builtin_ctzll(rotated) + bit) % WORD_BITS;
}

uint16_t ports_take(struct ports *ports, enum parity parity, uint32_t random)
{
	unsigned int start = random % ports->size, word = start / WORD_BITS;

	if (!any_free(ports, parity))
		return 0;
	while (!(ports->free[word] & of_parity[parity]))
		word = (word + 1) % words_of(ports->size);
	return take_at(ports, word * WORD_BITS + bit_from(ports->free[word] & of_parity[parity],
							  start % WORD_BITS));
}

bool ports_take_this(struct ports *ports, uint16_t port)
{
	unsigned int at = port - ports->first;

	if (port < ports->first || at >= ports->size ||
	    !(ports->free[at / WORD_BITS] >> at % WORD_BITS & 1))
		return false;
	take_at(ports, at);
	return true;
}

void ports_give_back(struct ports *ports, uint16_t port)
{
	unsigned int at = port - ports->first;

	ports->free[at / WORD_BITS] |= 1ULL << at % WORD_BITS;
	ports->count[at % 2]++;
}
