// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "packet.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/if_ether.h>
#include <string.h>

enum { IPV4_BYTES = 20, IPV6_BYTES = 40, TCP_BYTES = 20, UDP_BYTES = 8 };

static const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};

static bool is_v6(const struct recipe *recipe)
{
	return strchr(recipe->from, ':');
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

/* The Internet checksum's sum, not yet folded (RFC 1071). */
static uint32_t sum(const uint8_t *at, size_t count, uint32_t start)
{
	for (size_t i = 0; i < count; i++)
		start += i & 1 ? at[i] : (uint32_t)at[i] << 8;
	return start;
}

static uint32_t folded(uint32_t value)
{
	while (value >> 16)
		value = (value & 0xffff) + (value >> 16);
	return ~value & 0xffff;
}

static size_t padded(size_t count)
{
	return (count + 3) & ~(size_t)3;
}

size_t packet_l4_offset(const struct recipe *recipe)
{
	return ETH_HLEN + (is_v6(recipe) ? IPV6_BYTES : IPV4_BYTES) + recipe->extra.count;
}

static void put_octets(uint8_t *at, struct octets octets)
{
	if (octets.count)
		memcpy(at, octets.at, octets.count);
}

static void put_tcp(const struct recipe *recipe, uint8_t *tcp)
{
	size_t header = TCP_BYTES + padded(recipe->options.count);

	put16(tcp, recipe->from_port);
	put16(tcp + 2, recipe->to_port);
	put32(tcp + 4, recipe->seq);
	put32(tcp + 8, recipe->ack);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = recipe->flags;
	put16(tcp + 14, recipe->window ? recipe->window : 65535);
	put_octets(tcp + TCP_BYTES, recipe->options);
	put_octets(tcp + header, recipe->payload);
}

static bool is_udp(const struct recipe *recipe)
{
	return recipe->protocol == IPPROTO_UDP;
}

static void put_udp(const struct recipe *recipe, uint8_t *udp)
{
	put16(udp, recipe->from_port);
	put16(udp + 2, recipe->to_port);
	put16(udp + 4, (uint32_t)(UDP_BYTES + recipe->payload.count));
	put_octets(udp + UDP_BYTES, recipe->payload);
}

static size_t l4_header_bytes(const struct recipe *recipe)
{
	return is_udp(recipe) ? UDP_BYTES : TCP_BYTES + padded(recipe->options.count);
}

static void put_ipv4(const struct recipe *recipe, uint8_t *ip, size_t total)
{
	size_t header = IPV4_BYTES + recipe->extra.count;

	ip[0] = (uint8_t)(0x40 | header / 4);
	ip[1] = recipe->traffic_class;
	put16(ip + 2, (uint32_t)total);
	put16(ip + 4, recipe->id);
	put16(ip + 6, recipe->fragment);
	ip[8] = recipe->ttl ? recipe->ttl : 64;
	ip[9] = recipe->protocol ? recipe->protocol : IPPROTO_TCP;
	cr_assert_eq(inet_pton(AF_INET, recipe->from, ip + 12), 1);
	cr_assert_eq(inet_pton(AF_INET, recipe->to, ip + 16), 1);
	put_octets(ip + IPV4_BYTES, recipe->extra);
	put16(ip + 10, folded(sum(ip, header, 0)));
}

static void put_ipv6(const struct recipe *recipe, uint8_t *ip, size_t total)
{
	put32(ip, 6U << 28 | (uint32_t)recipe->traffic_class << 20 | recipe->flow_label);
	put16(ip + 4, (uint32_t)(total - IPV6_BYTES));
	ip[6] = recipe->protocol ? recipe->protocol : IPPROTO_TCP;
	if (recipe->extra.count)
		ip[6] = recipe->first_extension;
	ip[7] = recipe->ttl ? recipe->ttl : 64;
	cr_assert_eq(inet_pton(AF_INET6, recipe->from, ip + 8), 1);
	cr_assert_eq(inet_pton(AF_INET6, recipe->to, ip + 24), 1);
	put_octets(ip + IPV6_BYTES, recipe->extra);
}

static void put_ethernet(const struct recipe *recipe, uint8_t *frame)
{
	memcpy(frame, recipe->macs ? recipe->macs : macs, sizeof(macs));
	put16(frame + sizeof(macs), is_v6(recipe) ? ETH_P_IPV6 : ETH_P_IP);
}

static void put_ip(const struct recipe *recipe, uint8_t *ip, size_t total)
{
	if (is_v6(recipe))
		put_ipv6(recipe, ip, total);
	else
		put_ipv4(recipe, ip, total);
}

/* l4 is filled in but for its checksum, which stands so many octets behind its start. */
static void put_checksum(const struct recipe *recipe, uint8_t *frame, uint32_t l4_bytes,
			 uint32_t protocol, size_t checksum_at)
{
	uint8_t *ip = frame + ETH_HLEN, *l4 = frame + packet_l4_offset(recipe);
	uint32_t pseudo = protocol + l4_bytes;

	pseudo = is_v6(recipe) ? sum(ip + 8, 32, pseudo) : sum(ip + 12, 8, pseudo);
	put16(l4 + checksum_at, folded(sum(l4, l4_bytes, pseudo)));
}

struct packet packet_build(const struct recipe *recipe)
{
	size_t l4 = packet_l4_offset(recipe);
	size_t l4_bytes = l4_header_bytes(recipe) + recipe->payload.count;
	struct packet out = {.bytes = l4 + l4_bytes};
	uint8_t *at = out.frame + l4;

	cr_assert_leq(out.bytes, sizeof(out.frame));
	put_ethernet(recipe, out.frame);
	if (is_udp(recipe))
		put_udp(recipe, at);
	else
		put_tcp(recipe, at);
	put_ip(recipe, out.frame + ETH_HLEN, out.bytes - ETH_HLEN);
	put_checksum(recipe, out.frame, (uint32_t)l4_bytes,
		     is_udp(recipe) ? IPPROTO_UDP : IPPROTO_TCP, is_udp(recipe) ? 6 : 16);
	if (is_udp(recipe) && !at[6] && !at[7])
		put16(at + 6, 0xffff); /* RFC 768 */
	return out;
}

struct packet packet_build_udp(const struct recipe *recipe)
{
	struct recipe as_udp = *recipe;

	as_udp.protocol = IPPROTO_UDP;
	return packet_build(&as_udp);
}

/* The error without checksum: eight octets of header, then what it quotes. */
static struct octets icmp_body(const struct recipe *quoted, uint8_t type, uint8_t code)
{
	enum { HEADER_BYTES = 8, QUOTED_TCP_BYTES = 8 };
	struct packet whole = packet_build(quoted);
	size_t count = packet_l4_offset(quoted) - ETH_HLEN + QUOTED_TCP_BYTES;
	static uint8_t body[256];

	memset(body, 0, HEADER_BYTES);
	body[0] = type;
	body[1] = code;
	memcpy(body + HEADER_BYTES, whole.frame + ETH_HLEN, count);
	return (struct octets){body, HEADER_BYTES + count};
}

struct packet packet_icmp_error(const char *from, const struct recipe *quoted, uint8_t type,
				uint8_t code)
{
	struct octets body = icmp_body(quoted, type, code);
	struct recipe recipe = {.from = from, .to = quoted->from};
	size_t l4 = packet_l4_offset(&recipe);
	struct packet out = {.bytes = l4 + body.count};
	uint8_t *ip = out.frame + ETH_HLEN;
	uint32_t start = 0;

	recipe.protocol = is_v6(&recipe) ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	put_ethernet(&recipe, out.frame);
	put_octets(out.frame + l4, body);
	put_ip(&recipe, ip, out.bytes - ETH_HLEN);
	if (is_v6(&recipe))
		start = sum(ip + 8, 32, IPPROTO_ICMPV6 + (uint32_t)body.count);
	put16(out.frame + l4 + 2, folded(sum(out.frame + l4, body.count, start)));
	return out;
}

static void put_ipv4_slice(uint8_t *ip, struct slice slice)
{
	put16(ip + 2, (uint32_t)(IPV4_BYTES + slice.bytes));
	put16(ip + 4, slice.id);
	put16(ip + 6, (uint32_t)(slice.offset / 8) | (slice.more ? 0x2000U : 0));
	put16(ip + 10, 0);
	put16(ip + 10, folded(sum(ip, IPV4_BYTES, 0)));
}

static void put_ipv6_slice(uint8_t *ip, struct slice slice)
{
	uint8_t *header = ip + IPV6_BYTES;

	header[0] = ip[6];
	header[1] = 0;
	put16(header + 2, (uint32_t)slice.offset | slice.more);
	put32(header + 4, slice.id);
	put16(ip + 4, (uint32_t)(8 + slice.bytes));
	ip[6] = IPPROTO_FRAGMENT;
}

struct packet packet_fragment(const struct packet *whole, struct slice slice)
{
	bool v6 = whole->frame[ETH_HLEN] >> 4 == 6;
	size_t headers = ETH_HLEN + (v6 ? IPV6_BYTES : IPV4_BYTES), l4 = headers + (v6 ? 8 : 0);
	struct packet out = {.bytes = l4 + slice.bytes};

	cr_assert_leq(out.bytes, sizeof(out.frame));
	cr_assert_leq(headers + slice.from + slice.bytes, whole->bytes);
	memcpy(out.frame, whole->frame, headers);
	memcpy(out.frame + l4, whole->frame + headers + slice.from, slice.bytes);
	if (v6)
		put_ipv6_slice(out.frame + ETH_HLEN, slice);
	else
		put_ipv4_slice(out.frame + ETH_HLEN, slice);
	return out;
}

struct packet packet_mtu_error(const char *from, const struct packet *quoted, uint16_t mtu)
{
	bool v6 = strchr(from, ':');
	char to[INET6_ADDRSTRLEN];
	uint8_t body[1280] = {v6 ? 2 : 3, v6 ? 0 : 4}, back[12];
	size_t header = v6 ? IPV6_BYTES : IPV4_BYTES, bytes = (v6 ? 1280 : 576) - header;
	const uint8_t *ip = quoted->frame + ETH_HLEN;
	struct recipe recipe = {.from = from,
				.to = to,
				.protocol = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
				.macs = back,
				.fragment = 0x4000,
				.traffic_class = 0xc0};
	struct packet out = {.bytes = ETH_HLEN + header + bytes};
	uint8_t *icmp = out.frame + ETH_HLEN + header;
	uint32_t start = 0;

	inet_ntop(v6 ? AF_INET6 : AF_INET, ip + (v6 ? 8 : 12), to, sizeof(to));
	memcpy(back, quoted->frame + 6, 6);
	memcpy(back + 6, quoted->frame, 6);
	put16(body + 6, mtu);
	memcpy(body + 8, ip, bytes - 8);
	memcpy(icmp, body, bytes);
	put_ethernet(&recipe, out.frame);
	put_ip(&recipe, out.frame + ETH_HLEN, header + bytes);
	if (v6)
		start = sum(out.frame + ETH_HLEN + 8, 32, IPPROTO_ICMPV6 + (uint32_t)bytes);
	put16(icmp + 2, folded(sum(icmp, bytes, start)));
	return out;
}

struct plait_addr packet_addr(const char *text, uint16_t port)
{
	struct plait_addr out = {.port = htons(port)};

	out.family = strchr(text, ':') ? AF_INET6 : AF_INET;
	cr_assert_eq(inet_pton(out.family, text, out.ip), 1);
	return out;
}
