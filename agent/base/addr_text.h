/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Addresses as text and as sockaddr. */
#ifndef PLAIT_BASE_ADDR_TEXT_H
#define PLAIT_BASE_ADDR_TEXT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "plait_addr.h"

enum { ADDR_TEXT_BYTES = 56 };

struct addr_text {
	char text[ADDR_TEXT_BYTES];
};

/*
 * "192.0.2.1:80", "[2001:db8::1]:80"; without port if it is 0; "*:80" without an address,
 * "-" without either.
 */
struct addr_text addr_text(const struct plait_addr *addr);

/* What addr_text() writes, but no "-". False: *out is untouched. */
bool addr_from_text(const char *text, struct plait_addr *out);

/* "192.0.2.0/24", "2001:db8::/32"; "-" if family is 0. */
struct addr_text prefix_text(const struct plait_prefix *prefix);

/* Fill *out; returns its length for bind() and connect(), 0 for an unset family. */
socklen_t addr_to_sockaddr(const struct plait_addr *addr, struct sockaddr_storage *out);

/* An IPv4-mapped IPv6 address becomes IPv4. False if it is neither family. */
bool addr_from_sockaddr(const struct sockaddr_storage *in, struct plait_addr *out);

/* As IPv6 sockets write an IPv4 address; IPv6 ones stay as they are. */
struct plait_addr addr_v4_mapped(const struct plait_addr *addr);

/* Same family and address; ports are not looked at. */
bool addr_same_ip(const struct plait_addr *a, const struct plait_addr *b);

/* fe80::/10, which says nothing beyond its link. */
bool addr_is_link_local(const struct plait_addr *addr);

/* How many bits two addresses begin with alike; 0 for two families. */
unsigned int addr_common_bits(const struct plait_addr *a, const struct plait_addr *b);

/* addr lies in prefix; a prefix of family 0 holds every address. */
bool addr_in_prefix(const struct plait_addr *addr, const struct plait_prefix *prefix);

#endif
