/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "pm_option.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "plait_pm.h"

enum {
	OFFSET_KIND = 0,
	OFFSET_LENGTH = 1,
	OFFSET_SUBTYPE = 2, /* high half; D and the flags are in the low half */
	OFFSET_PROTOCOL = 3,
	OFFSET_ADDRESS = 4,

	IPV4_BYTES = 4,
	IPV6_BYTES = 16,
	PORT_BYTES = 2,
};

static bool length_is_known(uint8_t length)
{
	return length == PLAIT_PM_LEN_V4 || length == PLAIT_PM_LEN_V4_PORT ||
	       length == PLAIT_PM_LEN_V6 || length == PLAIT_PM_LEN_V6_PORT;
}

/* What is there of the first three octets must be a PM option's. */
static bool could_be_pm_option(const uint8_t *bytes, size_t len)
{
	if (len > OFFSET_KIND && bytes[OFFSET_KIND] != PLAIT_TCPOPT_MPTCP)
		return false;
	if (len > OFFSET_LENGTH && !length_is_known(bytes[OFFSET_LENGTH]))
		return false;
	return len <= OFFSET_SUBTYPE || bytes[OFFSET_SUBTYPE] >> 4 == PLAIT_MPTCP_PM;
}

int pm_option_read(const uint8_t *bytes, size_t len, struct pm_option *out)
{
	struct pm_option option = {};
	size_t address_bytes;
	uint8_t length;

	if (!could_be_pm_option(bytes, len))
		return -EBADMSG;
	if (len <= OFFSET_LENGTH || len < bytes[OFFSET_LENGTH])
		return -EAGAIN;

	/* The length alone tells family and port apart (plain-mode-08 §4.1). */
	length = bytes[OFFSET_LENGTH];
	option.addr.family = length < PLAIT_PM_LEN_V6 ? AF_INET : AF_INET6;
	address_bytes = option.addr.family == AF_INET ? IPV4_BYTES : IPV6_BYTES;
	option.has_port = length == OFFSET_ADDRESS + address_bytes + PORT_BYTES;

	option.is_source = bytes[OFFSET_SUBTYPE] & PLAIT_PM_D;
	option.protocol = bytes[OFFSET_PROTOCOL];
	memcpy(option.addr.ip, bytes + OFFSET_ADDRESS, address_bytes);
	if (option.has_port)
		memcpy(&option.addr.port, bytes + OFFSET_ADDRESS + address_bytes, PORT_BYTES);

	*out = option;
	return length;
}

int pm_option_write(const struct pm_option *option, uint8_t *bytes, size_t size)
{
	size_t address_bytes;
	size_t length;

	switch (option->addr.family) {
	case AF_INET:
		address_bytes = IPV4_BYTES;
		break;
	case AF_INET6:
		address_bytes = IPV6_BYTES;
		break;
	default:
		return -EAFNOSUPPORT;
	}
	length = OFFSET_ADDRESS + address_bytes + (option->has_port ? PORT_BYTES : 0);
	if (size < length)
		return -ENOSPC;

	bytes[OFFSET_KIND] = PLAIT_TCPOPT_MPTCP;
	bytes[OFFSET_LENGTH] = length;
	bytes[OFFSET_SUBTYPE] = PLAIT_MPTCP_PM << 4 | (option->is_source ? PLAIT_PM_D : 0);
	bytes[OFFSET_PROTOCOL] = option->protocol;
	memcpy(bytes + OFFSET_ADDRESS, option->addr.ip, address_bytes);
	if (option->has_port)
		memcpy(bytes + OFFSET_ADDRESS + address_bytes, &option->addr.port, PORT_BYTES);
	return length;
}

static bool ipv4_forbidden(const uint8_t ip[IPV4_BYTES])
{
	static const uint8_t broadcast[IPV4_BYTES] = {255, 255, 255, 255};

	return ip[0] == 0 || ip[0] == 127 || (ip[0] & 0xf0) == 224 ||
	       memcmp(ip, broadcast, sizeof(broadcast)) == 0;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
	uint8_t any = 0;

	while (len > 0)
		any |= bytes[--len];
	return any == 0;
}

/*
 * RFC 8215's prefix leaves it to the operator where in it IPv4 addresses are
 * embedded, after 48, 56, 64 or 96 bits. In each form but the last the rest of
 * the address is zero (RFC 6052 §2.2), so the shortest form that has this is
 * taken; octet 8 is none of the address in any of them.
 */
static void local_nat64_embedded(const uint8_t ip[IPV6_BYTES], uint8_t out[IPV4_BYTES])
{
	static const uint8_t places[][IPV4_BYTES] = {
		{6, 7, 9, 10},
		{7, 9, 10, 11},
		{9, 10, 11, 12},
		{12, 13, 14, 15},
	};
	size_t form = 0;

	while (!all_zero(ip + places[form][3] + 1, IPV6_BYTES - 1 - places[form][3]))
		form++;
	for (size_t i = 0; i < IPV4_BYTES; i++)
		out[i] = ip[places[form][i]];
}

static bool ipv6_embedded(const uint8_t ip[IPV6_BYTES], uint8_t out[IPV4_BYTES])
{
	/* prefixes of 96 bits before an IPv4 address; :: and ::1 are in the first */
	static const uint8_t embedding[][IPV6_BYTES - IPV4_BYTES] = {
		{}, /* v4-compatible */
		{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, /* v4-mapped */
		{0x00, 0x64, 0xff, 0x9b}, /* NAT64, RFC 6052 */
	};
	static const uint8_t local_nat64[] = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01};

	for (size_t i = 0; i < sizeof(embedding) / sizeof(embedding[0]); i++) {
		if (memcmp(ip, embedding[i], sizeof(embedding[i])) != 0)
			continue;
		memcpy(out, ip + sizeof(embedding[i]), IPV4_BYTES);
		return true;
	}
	if (memcmp(ip, local_nat64, sizeof(local_nat64)) != 0)
		return false;
	local_nat64_embedded(ip, out);
	return true;
}

static bool ipv6_forbidden(const uint8_t ip[IPV6_BYTES])
{
	uint8_t embedded[IPV4_BYTES];

	return ip[0] == 0xff || (ipv6_embedded(ip, embedded) && ipv4_forbidden(embedded));
}

bool pm_addr_embedded_v4(const struct plait_addr *addr, struct plait_addr *out)
{
	uint8_t embedded[IPV4_BYTES];

	if (addr->family != AF_INET6 || !ipv6_embedded(addr->ip, embedded))
		return false;
	*out = (struct plait_addr){.family = AF_INET, .port = addr->port};
	memcpy(out->ip, embedded, IPV4_BYTES);
	return true;
}

bool pm_addr_forbidden(const struct plait_addr *addr)
{
	switch (addr->family) {
	case AF_INET:
		return ipv4_forbidden(addr->ip);
	case AF_INET6:
		return ipv6_forbidden(addr->ip);
	default:
		return true;
	}
}
