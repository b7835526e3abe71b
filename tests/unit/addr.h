/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Addresses and repeatable chance for tests. */
#ifndef PLAIT_TESTS_ADDR_H
#define PLAIT_TESTS_ADDR_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "plait_addr.h"

static inline struct plait_addr addr(const char *text, uint16_t port)
{
	struct plait_addr made = {.port = htons(port)};

	made.family = strchr(text, ':') ? AF_INET6 : AF_INET;
	cr_assert_eq(inet_pton(made.family, text, made.ip), 1, "%s", text);
	return made;
}

static inline struct plait_prefix prefix(const char *text, uint8_t bits)
{
	struct plait_addr first = addr(text, 0);
	struct plait_prefix made = {.family = first.family, .bits = bits};

	memcpy(made.ip, first.ip, sizeof(made.ip));
	return made;
}

/* 10.x.y.z and a port, one for each number. */
static inline struct plait_addr numbered(uint32_t number, uint16_t port)
{
	struct plait_addr made = {.family = AF_INET, .port = htons(port)};
	uint32_t ip = htonl(10U << 24 | number);

	memcpy(made.ip, &ip, sizeof(ip));
	return made;
}

static inline void expect_same(const struct plait_addr *one, const struct plait_addr *other)
{
	cr_expect_arr_eq(one, other, sizeof(*one));
}

/* xorshift32: the same run every time. *state: not 0. */
static inline uint32_t chance(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

#endif
