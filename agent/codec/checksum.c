// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "checksum.h"

#include <sys/socket.h>

uint32_t checksum_add(uint32_t before, const uint8_t *bytes, size_t len)
{
	for (; len >= 2; bytes += 2, len -= 2)
		before += (uint32_t)(bytes[0] << 8 | bytes[1]);
	return len ? before + (uint32_t)(bytes[0] << 8) : before;
}

uint32_t checksum_pseudo_header(const struct plait_addr *from, const struct plait_addr *to,
				uint8_t protocol, size_t l4_bytes)
{
	size_t ip_bytes = from->family == AF_INET ? 4 : 16;
	uint32_t sum = checksum_add((uint32_t)(protocol + l4_bytes), from->ip, ip_bytes);

	return checksum_add(sum, to->ip, ip_bytes);
}

uint16_t checksum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)(sum + (sum >> 16));
}
