/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Ethernet frames with a TCP segment or a UDP datagram, built from a recipe, checksums correct. */
#ifndef PLAIT_TESTS_BPF_PACKET_H
#define PLAIT_TESTS_BPF_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plait_addr.h"

enum { PACKET_MAX = 3500 }; /* BPF_PROG_TEST_RUN takes less than a page */

enum { FIN = 0x01, SYN = 0x02, RST = 0x04, PSH = 0x08, ACK = 0x10 };

struct packet {
	size_t bytes;
	uint8_t frame[PACKET_MAX];
};

struct octets {
	const void *at;
	size_t count;
};

#define OCTETS(...) \
	((struct octets){(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})})
#define TEXT(text) ((struct octets){text, sizeof(text) - 1})

struct recipe {
	const char *from, *to; /* IPv4 or IPv6, both of one family */
	uint16_t from_port, to_port;
	uint8_t flags;
	uint32_t seq, ack;
	uint16_t window; /* 0: 65535 */
	uint8_t protocol; /* what IP says it carries; 0: TCP; UDP has a header of its own */
	uint16_t fragment; /* IPv4: flags and offset */
	uint16_t id; /* IPv4 */
	uint8_t ttl; /* 0: 64 */
	uint8_t traffic_class;
	uint32_t flow_label; /* IPv6 */
	const uint8_t *macs; /* destination and source; NULL: some */
	uint8_t first_extension; /* IPv6: protocol number of the first octets of extra */
	struct octets extra; /* IPv4 options, or IPv6 extension headers, as they stand */
	struct octets options; /* TCP; filled up with EOL to a multiple of four */
	struct octets payload;
};

struct packet packet_build(const struct recipe *recipe);

/* Likewise with a UDP header: flags, seq, ack and options are not looked at. */
struct packet packet_build_udp(const struct recipe *recipe);

/*
 * An ICMP or ICMPv6 error from `from` to the sender of quoted, with as much of its
 * TCP segment as must be quoted: eight octets.
 */
struct packet packet_icmp_error(const char *from, const struct recipe *quoted, uint8_t type,
				uint8_t code);

/* Octets of a packet as they are sent, and where the receiver puts them. */
struct slice {
	size_t from, bytes; /* behind the IP header of the whole */
	size_t offset; /* as the fragment says; a multiple of eight */
	bool more;
	uint32_t id;
};

/* A fragment of a frame without IP options or extension headers. */
struct packet packet_fragment(const struct packet *whole, struct slice slice);

/*
 * The ICMP or ICMPv6 error that a frame without VLAN tag is too long for mtu, from that
 * address to its sender, back to where it came from; it quotes as much as a router must
 * (RFC 1812 §4.3.2.3, RFC 4443 §2.4).
 */
struct packet packet_mtu_error(const char *from, const struct packet *quoted, uint16_t mtu);

/* Where headers start in a frame of this recipe. */
size_t packet_l4_offset(const struct recipe *recipe);

/* Both ends of a recipe as the maps hold them. */
struct plait_addr packet_addr(const char *text, uint16_t port);

#endif
