/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "value.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/addr_text.h"

enum { NAME_MAX_CHARS = 31, LABEL_MAX_CHARS = 63, HOST_NAME_MAX_CHARS = 253, MAX_PORT = 65535 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Read the digits text begins with; *end is what follows them. */
static int leading_number(const char *text, uint64_t max, const char **end, uint64_t *out)
{
	uint64_t number = 0;
	const char *at = text;

	/* "010" is ten to one reader and eight to another */
	if (at[0] == '0' && is_digit(at[1]))
		return -EINVAL;
	for (; is_digit(*at); at++) {
		number = number * 10 + (*at - '0');
		if (number > max)
			return -EINVAL;
	}
	if (at == text)
		return -EINVAL;
	*end = at;
	*out = number;
	return 0;
}

int value_number(const char *text, unsigned int min, unsigned int max, unsigned int *out)
{
	const char *end;
	uint64_t number;
	int err = leading_number(text, max, &end, &number);

	if (err < 0 || *end || number < min)
		return -EINVAL;
	*out = number;
	return 0;
}

int value_duration(const char *text, uint32_t *out_ms)
{
	static const struct {
		const char *name;
		uint32_t ms;
	} units[] = {
		{"ms", 1},
		{"s", 1000},
		{"min", 60 * 1000},
		{"h", 60 * 60 * 1000},
	};
	const char *unit;
	uint64_t number;

	if (leading_number(text, UINT32_MAX, &unit, &number) < 0)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(unit, units[i].name) != 0)
			continue;
		if (number > UINT32_MAX / units[i].ms)
			return -EINVAL;
		*out_ms = number * units[i].ms;
		return 0;
	}
	return -EINVAL;
}

int value_port_range(const char *text, uint16_t *first, uint16_t *last)
{
	uint64_t from, to;
	const char *end;

	if (leading_number(text, MAX_PORT, &end, &from) < 0)
		return -EINVAL;
	to = from;
	if (*end == '-' && leading_number(end + 1, MAX_PORT, &end, &to) < 0)
		return -EINVAL;
	if (*end || from == 0 || from > to)
		return -EINVAL;
	*first = from;
	*last = to;
	return 0;
}

int value_address(const char *text, struct plait_addr *out)
{
	struct plait_addr addr;

	if (!addr_from_text(text, &addr) || addr.port)
		return -EINVAL;
	*out = addr;
	return 0;
}

int value_endpoint(const char *text, struct plait_addr *out)
{
	struct plait_addr addr;

	if (!addr_from_text(text, &addr) || !addr.port)
		return -EINVAL;
	*out = addr;
	return 0;
}

int value_prefix(const char *text, struct plait_prefix *out)
{
	const char *slash = strchr(text, '/');
	size_t address_chars = slash ? (size_t)(slash - text) : strlen(text);
	char address[INET6_ADDRSTRLEN];
	struct plait_addr addr;
	unsigned int bits;

	if (address_chars >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, address_chars);
	address[address_chars] = '\0';
	if (value_address(address, &addr) < 0)
		return -EINVAL;
	bits = addr.family == AF_INET ? 32 : 128;
	if (slash && value_number(slash + 1, 0, bits, &bits) < 0)
		return -EINVAL;

	*out = (struct plait_prefix){.family = addr.family, .bits = bits};
	memcpy(out->ip, addr.ip, sizeof(out->ip));
	return 0;
}

struct plait_prefix prefix_network(const struct plait_prefix *prefix)
{
	struct plait_prefix network = *prefix;

	for (unsigned int bit = prefix->bits; bit < sizeof(network.ip) * 8; bit++)
		network.ip[bit / 8] &= ~(0x80 >> bit % 8);
	return network;
}

bool prefix_overlaps(const struct plait_prefix *one, const struct plait_prefix *other)
{
	struct plait_prefix a = *one, b = *other;

	a.bits = b.bits = a.bits < b.bits ? a.bits : b.bits;
	a = prefix_network(&a);
	b = prefix_network(&b);
	return memcmp(&a, &b, sizeof(a)) == 0;
}

static const char *ipv4_unusable(const uint8_t ip[4])
{
	static const uint8_t broadcast[] = {255, 255, 255, 255};

	if (ip[0] == 0)
		return "an address of no machine";
	if (ip[0] == 127)
		return "a loopback address";
	if ((ip[0] & 0xf0) == 224)
		return "a multicast address";
	if (memcmp(ip, broadcast, sizeof(broadcast)) == 0)
		return "the broadcast address";
	return NULL;
}

static const char *ipv6_unusable(const uint8_t ip[16])
{
	struct in6_addr in6;

	memcpy(&in6, ip, sizeof(in6));
	if (IN6_IS_ADDR_UNSPECIFIED(&in6))
		return "an address of no machine";
	if (IN6_IS_ADDR_LOOPBACK(&in6))
		return "a loopback address";
	if (IN6_IS_ADDR_MULTICAST(&in6))
		return "a multicast address";
	/* the kernel would speak IPv4 to it, and no comparison would find it */
	if (IN6_IS_ADDR_V4MAPPED(&in6) || IN6_IS_ADDR_V4COMPAT(&in6))
		return "an IPv4 address in disguise";
	return NULL;
}

const char *address_unusable(const struct plait_addr *addr)
{
	return addr->family == AF_INET ? ipv4_unusable(addr->ip) : ipv6_unusable(addr->ip);
}

bool name_valid(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > NAME_MAX_CHARS || !(is_letter(text[0]) || is_digit(text[0])))
		return false;
	for (const char *at = text; *at; at++)
		if (!is_letter(*at) && !is_digit(*at) && !strchr("_.-", *at))
			return false;
	return true;
}

/* Up to the next dot or the end; its length, 0 if it is none. */
static size_t label_length(const char *text)
{
	size_t len = 0;

	while (is_letter(text[len]) || is_digit(text[len]) || text[len] == '-')
		len++;
	if (len == 0 || len > LABEL_MAX_CHARS || text[0] == '-' || text[len - 1] == '-')
		return 0;
	return len;
}

bool host_name_valid(const char *text)
{
	const char *label = text;
	size_t len;

	if (strlen(text) > HOST_NAME_MAX_CHARS)
		return false;
	while ((len = label_length(label)) && label[len] == '.')
		label += len + 1;
	return len && !label[len] && is_letter(label[0]);
}

bool interface_valid(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len >= IF_NAMESIZE || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return false;
	for (const char *at = text; *at; at++)
		if (*at <= ' ' || *at > '~' || *at == '/' || *at == ':')
			return false;
	return true;
}
