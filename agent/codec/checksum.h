/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The internet checksum (RFC 1071), and the pseudo-headers of TCP and UDP. */
#ifndef PLAIT_CODEC_CHECKSUM_H
#define PLAIT_CODEC_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include "plait_addr.h"

/* Add octets to a sum; every piece but the last has an even length. At most 128 KB in all. */
uint32_t checksum_add(uint32_t before, const uint8_t *bytes, size_t len);

/* Add what TCP and UDP cover of the IP header (RFC 9293 §3.1, RFC 8200 §8.1). */
uint32_t checksum_pseudo_header(const struct plait_addr *from, const struct plait_addr *to,
				uint8_t protocol, size_t l4_bytes);

/* The sum in 16 bits, host byte order; its complement is what stands in headers. */
uint16_t checksum_fold(uint32_t sum);

#endif
