// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "ranges.h"

#include <string.h>
#include <sys/socket.h>

static unsigned int family_octets(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

static uint64_t size_of(const struct ranges *ranges, const struct plait_prefix *prefix)
{
	unsigned int host_bits = 8 * family_octets(prefix->family) - prefix->bits;

	return 1ULL << (host_bits < ranges->host_bits_max ? host_bits : ranges->host_bits_max);
}

uint64_t ranges_size(const struct ranges *ranges)
{
	uint64_t size = 0;

	for (unsigned int i = 0; i < ranges->prefix_count; i++)
		size += size_of(ranges, &ranges->prefixes[i]);
	return size;
}

/* The last four octets, in which addresses of a prefix differ. */
static uint32_t low_bits(const uint8_t *ip, uint8_t family)
{
	const uint8_t *low = ip + family_octets(family) - 4;

	return (uint32_t)low[0] << 24 | (uint32_t)low[1] << 16 | (uint32_t)low[2] << 8 | low[3];
}

struct plait_addr ranges_at(const struct ranges *ranges, uint64_t number)
{
	const struct plait_prefix *prefix = ranges->prefixes;
	struct plait_addr addr = {};
	uint32_t low;

	for (; number >= size_of(ranges, prefix); prefix++)
		number -= size_of(ranges, prefix);
	addr.family = prefix->family;
	memcpy(addr.ip, prefix->ip, sizeof(addr.ip));
	low = low_bits(prefix->ip, prefix->family) + (uint32_t)number;
	for (unsigned int i = family_octets(prefix->family); low; low >>= 8)
		addr.ip[--i] = (uint8_t)low;
	return addr;
}

/* How far addr lies behind the prefix's first address; beyond the last one if it does not. */
static uint64_t offset_in(const struct plait_prefix *prefix, const struct plait_addr *addr)
{
	uint32_t first = low_bits(prefix->ip, prefix->family);
	uint32_t low = low_bits(addr->ip, prefix->family);

	if (prefix->family != addr->family ||
	    memcmp(prefix->ip, addr->ip, family_octets(prefix->family) - 4) || low < first)
		return UINT64_MAX;
	return low - first;
}

int64_t ranges_number_of(const struct ranges *ranges, const struct plait_addr *addr)
{
	uint64_t before = 0;

	for (unsigned int i = 0; i < ranges->prefix_count; i++) {
		const struct plait_prefix *prefix = &ranges->prefixes[i];
		uint64_t offset = offset_in(prefix, addr);

		if (offset < size_of(ranges, prefix))
			return (int64_t)(before + offset);
		before += size_of(ranges, prefix);
	}
	return -1;
}
