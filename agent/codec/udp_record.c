// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "udp_record.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "checksum.h"

static void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

void udp_record_write_header(size_t payload_len, uint8_t out[UDP_RECORD_HEADER_BYTES])
{
	put16(out, payload_len);
}

int udp_record_read(const uint8_t *bytes, size_t len)
{
	size_t payload_len;

	if (len < UDP_RECORD_HEADER_BYTES)
		return -EAGAIN;
	payload_len = (size_t)(bytes[0] << 8 | bytes[1]);
	return len - UDP_RECORD_HEADER_BYTES < payload_len ? -EAGAIN : (int)payload_len;
}

void udp_header_write(const struct plait_addr *from, const struct plait_addr *to,
		      const uint8_t *payload, size_t payload_len, uint8_t out[UDP_HEADER_BYTES])
{
	size_t bytes = UDP_HEADER_BYTES + payload_len;
	uint16_t checksum;
	uint32_t sum;

	memcpy(out, &from->port, 2);
	memcpy(out + 2, &to->port, 2);
	put16(out + 4, bytes);
	put16(out + 6, 0);
	sum = checksum_pseudo_header(from, to, IPPROTO_UDP, bytes);
	sum = checksum_add(sum, out, UDP_HEADER_BYTES);
	checksum = (uint16_t)~checksum_fold(checksum_add(sum, payload, payload_len));
	put16(out + 6, checksum ? checksum : 0xffff); /* 0 would say that there is none */
}
