// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "icmp_error.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "checksum.h"
#include "plait_pm.h"

enum {
	ICMP_BYTES = 8,
	IPV4_BYTES = 20,
	IPV6_BYTES = 40,
	TCP_BYTES = 20,
	UDP_BYTES = 8,
	OPTION_ROOM = 24,
	HOPS = 64,
	TOS_CONTROL = 0xc0, /* RFC 1812 §4.3.2.5 */
	QUOTE_READ_MAX = 160,
	UNREACHABLE_V4 = 3,
	TIME_EXCEEDED_V4 = 11,
	UNREACHABLE_V6 = 1,
	TIME_EXCEEDED_V6 = 3,
};

struct type_code {
	uint8_t type, code;
};

/* What is written; of what is read, the nearest. */
static const struct type_code as_v4[] = {
	[ICMP_CAUSE_NET] = {UNREACHABLE_V4, 0},   [ICMP_CAUSE_HOST] = {UNREACHABLE_V4, 1},
	[ICMP_CAUSE_PORT] = {UNREACHABLE_V4, 3},  [ICMP_CAUSE_PROHIBITED] = {UNREACHABLE_V4, 13},
	[ICMP_CAUSE_TTL] = {TIME_EXCEEDED_V4, 0},
};
static const struct type_code as_v6[] = {
	[ICMP_CAUSE_NET] = {UNREACHABLE_V6, 0},   [ICMP_CAUSE_HOST] = {UNREACHABLE_V6, 3},
	[ICMP_CAUSE_PORT] = {UNREACHABLE_V6, 4},  [ICMP_CAUSE_PROHIBITED] = {UNREACHABLE_V6, 1},
	[ICMP_CAUSE_TTL] = {TIME_EXCEEDED_V6, 0},
};

static void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static bool read_cause(const uint8_t *icmp, uint8_t family, enum icmp_cause *out)
{
	const struct type_code *table = family == AF_INET ? as_v4 : as_v6;

	for (unsigned int i = 0; i < sizeof(as_v4) / sizeof(as_v4[0]); i++)
		if (table[i].type == icmp[0] && table[i].code == icmp[1]) {
			*out = (enum icmp_cause)i;
			return true;
		}
	return false;
}

/* As a frame, which is what there are readers for. */
static size_t as_frame(const uint8_t *quote, size_t len, uint8_t frame[ETH_HLEN + QUOTE_READ_MAX])
{
	if (len > QUOTE_READ_MAX)
		len = QUOTE_READ_MAX;
	memset(frame, 0, ETH_HLEN);
	put16(frame + 12, len && quote[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP);
	memcpy(frame + ETH_HLEN, quote, len);
	return ETH_HLEN + len;
}

int icmp_error_read(const uint8_t *icmp, size_t len, uint8_t family, struct icmp_error *out)
{
	uint8_t frame[ETH_HLEN + QUOTE_READ_MAX];
	struct icmp_error found = {};
	size_t frame_len;

	if (len < ICMP_BYTES || !read_cause(icmp, family, &found.cause))
		return -EBADMSG;
	frame_len = as_frame(icmp + ICMP_BYTES, len - ICMP_BYTES, frame);
	found.udp = !udp_frame_read(frame, frame_len, &found.packet);
	if ((!found.udp && formatted_frame_read(frame, frame_len, &found.packet)) ||
	    found.packet.source.family != family)
		return -EBADMSG;
	*out = found;
	return 0;
}

static size_t put_ip(uint8_t *ip, const struct plait_addr *from, const struct plait_addr *to,
		     uint8_t protocol, size_t l4_bytes)
{
	if (from->family == AF_INET6) {
		memset(ip, 0, IPV6_BYTES);
		ip[0] = 6 << 4;
		put16(ip + 4, l4_bytes);
		ip[6] = protocol;
		ip[7] = HOPS;
		memcpy(ip + 8, from->ip, 16);
		memcpy(ip + 24, to->ip, 16);
		return IPV6_BYTES;
	}
	memset(ip, 0, IPV4_BYTES);
	ip[0] = 4 << 4 | IPV4_BYTES / 4;
	ip[1] = protocol == IPPROTO_ICMP ? TOS_CONTROL : 0;
	put16(ip + 2, IPV4_BYTES + l4_bytes);
	ip[8] = HOPS;
	ip[9] = protocol;
	memcpy(ip + 12, from->ip, 4);
	memcpy(ip + 16, to->ip, 4);
	put16(ip + 10, (uint16_t)~checksum_fold(checksum_add(0, ip, IPV4_BYTES)));
	return IPV4_BYTES;
}

static void put_ports(uint8_t *l4, const struct formatted *packet)
{
	memcpy(l4, &packet->source.port, 2);
	memcpy(l4 + 2, &packet->destination.port, 2);
}

static size_t put_option(uint8_t *option, const struct formatted *packet)
{
	bool v4 = packet->remote.family == AF_INET;
	size_t ip_bytes = v4 ? 4 : 16;

	option[0] = PLAIT_TCPOPT_MPTCP;
	option[1] = v4 ? PLAIT_PM_LEN_V4_PORT : PLAIT_PM_LEN_V6_PORT;
	option[2] = (uint8_t)(PLAIT_MPTCP_PM << 4 | PLAIT_PM_U |
			      (packet->from_concentrator ? PLAIT_PM_D : 0));
	option[3] = 0;
	memcpy(option + 4, packet->remote.ip, ip_bytes);
	memcpy(option + 4 + ip_bytes, &packet->remote.port, 2);
	memset(option + 6 + ip_bytes, PLAIT_TCPOPT_NOP, 2);
	return 8 + ip_bytes;
}

/* The packet that the error is about, as far as its headers go. */
static size_t put_quote(uint8_t *quote, const struct icmp_error *error)
{
	const struct formatted *packet = &error->packet;
	uint8_t l4[TCP_BYTES + OPTION_ROOM] = {};
	size_t bytes = UDP_BYTES, ip_bytes;

	put_ports(l4, packet);
	if (error->udp) {
		put16(l4 + 4, UDP_BYTES);
	} else {
		bytes = TCP_BYTES + put_option(l4 + TCP_BYTES, packet);
		l4[12] = (uint8_t)(bytes / 4 << 4);
		l4[13] = 0x18; /* ACK, PSH */
	}
	ip_bytes = put_ip(quote, &packet->source, &packet->destination,
			  error->udp ? IPPROTO_UDP : IPPROTO_TCP, bytes);
	memcpy(quote + ip_bytes, l4, bytes);
	return ip_bytes + bytes;
}

size_t icmp_error_write(const struct icmp_error *error, const struct plait_addr *from,
			uint8_t packet[ICMP_ERROR_BYTES_MAX])
{
	bool v4 = from->family == AF_INET;
	size_t ip_bytes = v4 ? IPV4_BYTES : IPV6_BYTES;
	uint8_t *icmp = packet + ip_bytes;
	struct type_code kind = v4 ? as_v4[error->cause] : as_v6[error->cause];
	size_t bytes = ICMP_BYTES + put_quote(icmp + ICMP_BYTES, error);
	uint32_t sum;

	memset(icmp, 0, ICMP_BYTES);
	icmp[0] = kind.type;
	icmp[1] = kind.code;
	put_ip(packet, from, &error->packet.source, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, bytes);
	sum = v4 ? 0 : checksum_pseudo_header(from, &error->packet.source, IPPROTO_ICMPV6, bytes);
	put16(icmp + 2, (uint16_t)~checksum_fold(checksum_add(sum, icmp, bytes)));
	return ip_bytes + bytes;
}
