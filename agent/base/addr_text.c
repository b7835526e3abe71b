// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "addr_text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct addr_text addr_text(const struct plait_addr *addr)
{
	struct addr_text out = {"-"};
	char ip[INET6_ADDRSTRLEN];

	if (!addr->family && addr->port)
		snprintf(out.text, sizeof(out.text), "*:%u", ntohs(addr->port));
	if (!addr->family || !inet_ntop(addr->family, addr->ip, ip, sizeof(ip)))
		return out;
	if (!addr->port)
		snprintf(out.text, sizeof(out.text), "%s", ip);
	else if (addr->family == AF_INET)
		snprintf(out.text, sizeof(out.text), "%s:%u", ip, ntohs(addr->port));
	else
		snprintf(out.text, sizeof(out.text), "[%s]:%u", ip, ntohs(addr->port));
	return out;
}

/* 1 to 65535, without a sign or zeros before it; 0: it is none. */
static unsigned int port_from_text(const char *text)
{
	unsigned int port = 0;

	if (*text == '0')
		return 0;
	for (; *text >= '0' && *text <= '9' && port <= 65535; text++)
		port = 10 * port + (unsigned int)(*text - '0');
	return *text || port > 65535 ? 0 : port;
}

static bool ip_from_text(const char *text, size_t chars, uint8_t family, struct plait_addr *out)
{
	char ip[INET6_ADDRSTRLEN] = "";

	if (chars >= sizeof(ip))
		return false;
	memcpy(ip, text, chars);
	out->family = family;
	return inet_pton(family, ip, out->ip) == 1;
}

bool addr_from_text(const char *text, struct plait_addr *out)
{
	const char *first = strchr(text, ':'), *last = strrchr(text, ':');
	bool brackets = text[0] == '[', with_port = brackets || (first && first == last);
	struct plait_addr addr = {};

	if (with_port) {
		if (!last || (brackets && last[-1] != ']'))
			return false;
		addr.port = htons((uint16_t)port_from_text(last + 1));
		if (!addr.port)
			return false;
	}
	if (!ip_from_text(text + brackets,
			  with_port ? (size_t)(last - text) - 2 * brackets : strlen(text),
			  brackets || first != last ? AF_INET6 : AF_INET, &addr))
		return false;
	*out = addr;
	return true;
}

struct addr_text prefix_text(const struct plait_prefix *prefix)
{
	struct addr_text out = {"-"};
	char ip[INET6_ADDRSTRLEN];

	if (prefix->family && inet_ntop(prefix->family, prefix->ip, ip, sizeof(ip)))
		snprintf(out.text, sizeof(out.text), "%s/%u", ip, prefix->bits);
	return out;
}

socklen_t addr_to_sockaddr(const struct plait_addr *addr, struct sockaddr_storage *out)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (addr->family == AF_INET) {
		in4->sin_family = AF_INET;
		in4->sin_port = addr->port;
		memcpy(&in4->sin_addr, addr->ip, 4);
		return sizeof(*in4);
	}
	if (addr->family == AF_INET6) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = addr->port;
		memcpy(&in6->sin6_addr, addr->ip, 16);
		return sizeof(*in6);
	}
	return 0;
}

bool addr_from_sockaddr(const struct sockaddr_storage *in, struct plait_addr *out)
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)in;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)in;

	memset(out, 0, sizeof(*out));
	if (in->ss_family == AF_INET) {
		out->family = AF_INET;
		out->port = in4->sin_port;
		memcpy(out->ip, &in4->sin_addr, 4);
		return true;
	}
	if (in->ss_family != AF_INET6)
		return false;
	out->port = in6->sin6_port;
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		out->family = AF_INET;
		memcpy(out->ip, in6->sin6_addr.s6_addr + 12, 4);
	} else {
		out->family = AF_INET6;
		memcpy(out->ip, &in6->sin6_addr, 16);
	}
	return true;
}

struct plait_addr addr_v4_mapped(const struct plait_addr *addr)
{
	struct plait_addr mapped = {.port = addr->port, .family = AF_INET6};

	if (addr->family != AF_INET)
		return *addr;
	mapped.ip[10] = mapped.ip[11] = 0xff;
	memcpy(mapped.ip + 12, addr->ip, 4);
	return mapped;
}

bool addr_same_ip(const struct plait_addr *a, const struct plait_addr *b)
{
	return a->family == b->family && !memcmp(a->ip, b->ip, sizeof(a->ip));
}

bool addr_is_link_local(const struct plait_addr *addr)
{
	return addr->family == AF_INET6 && addr->ip[0] == 0xfe && (addr->ip[1] & 0xc0) == 0x80;
}

unsigned int addr_common_bits(const struct plait_addr *a, const struct plait_addr *b)
{
	unsigned int bits = 0, all = a->family == AF_INET ? 32 : 128;

	if (a->family != b->family)
		return 0;
	while (bits < all && !((a->ip[bits / 8] ^ b->ip[bits / 8]) & 0x80 >> bits % 8))
		bits++;
	return bits;
}

bool addr_in_prefix(const struct plait_addr *addr, const struct plait_prefix *prefix)
{
	unsigned int octets = prefix->bits / 8, bits = prefix->bits % 8;
	__u8 mask = (__u8)(0xff << (8 - bits));

	if (!prefix->family)
		return true;
	if (addr->family != prefix->family || memcmp(addr->ip, prefix->ip, octets))
		return false;
	return !bits || !((addr->ip[octets] ^ prefix->ip[octets]) & mask);
}
