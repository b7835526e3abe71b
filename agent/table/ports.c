// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "ports.h"

#include <stdlib.h>

enum { WORD_BITS = 64 };

static const uint64_t of_parity[] = {
	[PARITY_EVEN] = 0x5555555555555555,
	[PARITY_ODD] = 0xaaaaaaaaaaaaaaaa,
	[PARITY_ANY] = UINT64_MAX,
};

static unsigned int words_for(unsigned int bits)
{
	return (bits + WORD_BITS - 1) / WORD_BITS;
}

/* A bit for each word: whether it has free ports of that parity. */
static uint64_t *having(struct ports *ports, unsigned int odd)
{
	unsigned int words = words_for(ports->size);

	return ports->words + words + odd * words_for(words);
}

static void set(uint64_t *words, unsigned int at, bool value)
{
	uint64_t *word = &words[at / WORD_BITS];

	*word = (*word & ~(1ULL << at % WORD_BITS)) | (uint64_t)value << at % WORD_BITS;
}

/* No branch depends on at, which is random. */
static void set_free(struct ports *ports, unsigned int at, bool is_free)
{
	unsigned int odd = at % 2, word = at / WORD_BITS; /* first is even */

	set(ports->words, at, is_free);
	set(having(ports, odd), word, ports->words[word] & of_parity[odd]);
	ports->count[odd] += is_free ? 1 : -1;
}

struct ports *ports_new(uint16_t first, uint16_t size)
{
	unsigned int words = words_for(size);
	struct ports *ports =
		calloc(1, sizeof(*ports) + (words + 2 * words_for(words)) * sizeof(uint64_t));

	if (!ports)
		return NULL;
	ports->first = first;
	ports->size = size;
	for (unsigned int i = 0; i < size; i++)
		set_free(ports, i, true);
	return ports;
}

/* The first bit that is set in word, which has one, from bit on and round. */
static unsigned int bit_from(uint64_t word, unsigned int bit)
{
	uint64_t rotated = word >> bit | word << (WORD_BITS - bit) % WORD_BITS;

	return ((unsigned int)__builtin_ctzll(rotated) + bit) % WORD_BITS;
}

/* A word with free ports, of which there are, from word on. */
static unsigned int word_from(struct ports *ports, enum parity parity, unsigned int word)
{
	const uint64_t *even = having(ports, PARITY_EVEN), *odd = having(ports, PARITY_ODD);
	unsigned int i = word / WORD_BITS;
	uint64_t any;

	while (!(any = (parity != PARITY_ODD ? even[i] : 0) | (parity != PARITY_EVEN ? odd[i] : 0)))
		i = (i + 1) % words_for(words_for(ports->size));
	return i * WORD_BITS + bit_from(any, word % WORD_BITS);
}

static bool any_free(const struct ports *ports, enum parity parity)
{
	return parity == PARITY_ANY ? ports_free_count(ports) : ports->count[parity];
}

uint16_t ports_take(struct ports *ports, enum parity parity, uint32_t random)
{
	unsigned int start = random % ports->size, word, at;

	if (!any_free(ports, parity))
		return 0;
	word = word_from(ports, parity, start / WORD_BITS);
	at = word * WORD_BITS + bit_from(ports->words[word] & of_parity[parity], start % WORD_BITS);
	set_free(ports, at, false);
	return (uint16_t)(ports->first + at);
}

bool ports_take_this(struct ports *ports, uint16_t port)
{
	unsigned int at = port - ports->first;

	if (port < ports->first || at >= ports->size ||
	    !(ports->words[at / WORD_BITS] >> at % WORD_BITS & 1))
		return false;
	set_free(ports, at, false);
	return true;
}

void ports_give_back(struct ports *ports, uint16_t port)
{
	set_free(ports, port - ports->first, true);
}
