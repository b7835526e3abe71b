/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Single values of a configuration: text in, number or address out. Pure functions. */
#ifndef PLAIT_CONFIG_VALUE_H
#define PLAIT_CONFIG_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "plait_addr.h"

/* All value_*() return 0, or -EINVAL; *out is untouched on failure. */

/* Decimal, without sign or leading zeros. */
int value_number(const char *text, unsigned int min, unsigned int max, unsigned int *out);
/* A number and its unit: ms, s, min or h; up to 49 days. */
int value_duration(const char *text, uint32_t *out_ms);
/* "N" or "N-M", 1 to 65535, N not above M; host byte order. */
int value_port_range(const char *text, uint16_t *first, uint16_t *last);
/* The port of *out is 0. */
int value_address(const char *text, struct plait_addr *out);
/* "192.0.2.1:80", "[2001:db8::1]:80" */
int value_endpoint(const char *text, struct plait_addr *out);
/* "ADDRESS/BITS", or an address alone. Host bits are kept: see prefix_network(). */
int value_prefix(const char *text, struct plait_prefix *out);

/* The same prefix with its host bits zero. */
struct plait_prefix prefix_network(const struct plait_prefix *prefix);
bool prefix_overlaps(const struct plait_prefix *one, const struct plait_prefix *other);

/*
 * Why a machine cannot have this address: "a multicast address" and the like,
 * or NULL if it can.
 */
const char *address_unusable(const struct plait_addr *addr);

/* Instances, links ... : [A-Za-z0-9][A-Za-z0-9_.-]{0,30}, because names become file names. */
bool name_valid(const char *text);
/* A host's name by RFC 1123 §2.1; never what looks like an IPv4 address. */
bool host_name_valid(const char *text);
/* What the kernel takes as an interface's name, in printable ASCII. */
bool interface_valid(const char *text);

#endif
