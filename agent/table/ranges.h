/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The addresses of several prefixes, numbered in turn. */
#ifndef PLAIT_TABLE_RANGES_H
#define PLAIT_TABLE_RANGES_H

#include <stdint.h>

#include "plait_addr.h"

struct ranges {
	const struct plait_prefix *prefixes; /* borrowed; apart, no host bits */
	unsigned int prefix_count;
	unsigned int host_bits_max; /* up to 32: of a larger prefix the first addresses count */
};

/* How many there are. */
uint64_t ranges_size(const struct ranges *ranges);

/* The address with that number, below ranges_size(); port 0. */
struct plait_addr ranges_at(const struct ranges *ranges, uint64_t number);

/* The number of an address, whose port is not looked at; -1 if it is none of them. */
int64_t ranges_number_of(const struct ranges *ranges, const struct plait_addr *addr);

#endif
