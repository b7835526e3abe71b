// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "nptv6.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

enum { WORDS = 8, SUBNET_WORD = 3, IID_WORD = 4 };

static uint16_t word_at(const uint8_t *ip, unsigned int word)
{
	return (uint16_t)(ip[2 * word] << 8 | ip[2 * word + 1]);
}

static uint16_t ones_add(uint16_t a, uint16_t b)
{
	uint32_t sum = (uint32_t)a + b;

	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static uint16_t ones_sum(const uint8_t *ip)
{
	uint16_t sum = 0;

	for (unsigned int i = 0; i < WORDS; i++)
		sum = ones_add(sum, word_at(ip, i));
	return sum;
}

/* Which 16 bits make up for the prefix: WORDS if none can. */
static unsigned int word_to_change(const uint8_t *ip, unsigned int bits)
{
	unsigned int word = SUBNET_WORD;

	if (bits <= 16 * SUBNET_WORD)
		return word_at(ip, word) == 0xffff ? WORDS : word;
	for (word = IID_WORD; word < WORDS; word++)
		if (word_at(ip, word) != 0xffff)
			break;
	return word;
}

static void put_prefix(uint8_t *ip, const struct plait_prefix *prefix)
{
	unsigned int whole = prefix->bits / 8, rest = prefix->bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	memcpy(ip, prefix->ip, whole);
	if (rest)
		ip[whole] = (uint8_t)((prefix->ip[whole] & mask) | (ip[whole] & ~mask));
}

int nptv6_translate(struct plait_addr *addr, const struct plait_prefix *prefix)
{
	unsigned int word = word_to_change(addr->ip, prefix->bits);
	uint16_t before = ones_sum(addr->ip), changed;

	if (word == WORDS)
		return -EADDRNOTAVAIL;
	put_prefix(addr->ip, prefix);
	changed =
		ones_add(word_at(addr->ip, word), ones_add(before, (uint16_t)~ones_sum(addr->ip)));
	if (changed == 0xffff)
		changed = 0;
	addr->ip[2 * word] = (uint8_t)(changed >> 8);
	addr->ip[2 * word + 1] = (uint8_t)changed;
	return 0;
}
