// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "formatted.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "plait_pm.h"

enum {
	IPV4_BYTES = 20,
	IPV6_BYTES = 40,
	IPV4_FRAGMENT = 0x3fff, /* MF and offset */
	UDP_BYTES = 8,
	TCP_BYTES = 20,
	OPTION_PORT_V4 = 8, /* from the option's beginning */
	OPTION_PORT_V6 = 20,
};

static uint16_t read_be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static struct plait_addr take_addr(const uint8_t *ip, uint8_t family, const uint8_t *port)
{
	struct plait_addr addr = {.family = family};

	memcpy(addr.ip, ip, family == AF_INET ? 4 : 16);
	memcpy(&addr.port, port, sizeof(addr.port));
	return addr;
}

/* Offset of what is behind the IP header, if that is of this protocol; 0: it is not. */
static size_t l4_offset(const uint8_t *frame, size_t len, uint8_t protocol)
{
	const uint8_t *ip = frame + ETH_HLEN;
	size_t header;

	if (len < ETH_HLEN + IPV4_BYTES)
		return 0;
	if (read_be16(frame + 12) == ETH_P_IPV6)
		return ip[0] >> 4 == 6 && ip[6] == protocol ? ETH_HLEN + IPV6_BYTES : 0;
	header = (ip[0] & 0xf) * 4U;
	if (read_be16(frame + 12) != ETH_P_IP || ip[0] >> 4 != 4 || header < IPV4_BYTES ||
	    ip[9] != protocol || read_be16(ip + 6) & IPV4_FRAGMENT)
		return 0;
	return ETH_HLEN + header;
}

/* Addresses and ports; returns where the header behind IP's begins, or -EBADMSG. */
static int read_tuple(const uint8_t *frame, size_t len, uint8_t protocol, size_t header_bytes,
		      struct formatted *out)
{
	size_t l4 = l4_offset(frame, len, protocol);
	const uint8_t *ip = frame + ETH_HLEN;

	if (!l4 || len < l4 + header_bytes)
		return -EBADMSG;
	if (ip[0] >> 4 == 4) {
		out->source = take_addr(ip + 12, AF_INET, frame + l4);
		out->destination = take_addr(ip + 16, AF_INET, frame + l4 + 2);
	} else {
		out->source = take_addr(ip + 8, AF_INET6, frame + l4);
		out->destination = take_addr(ip + 24, AF_INET6, frame + l4 + 2);
	}
	return (int)l4;
}

int udp_frame_read(const uint8_t *frame, size_t len, struct formatted *out)
{
	struct formatted found = {};
	int l4 = read_tuple(frame, len, IPPROTO_UDP, UDP_BYTES, &found);

	if (l4 < 0)
		return l4;
	found.remote = found.destination;
	*out = found;
	return 0;
}

static int read_option(const uint8_t *option, size_t len, struct formatted *out)
{
	if (len < PLAIT_PM_LEN_V4_PORT || option[0] != PLAIT_TCPOPT_MPTCP ||
	    option[2] >> 4 != PLAIT_MPTCP_PM || !(option[2] & PLAIT_PM_U))
		return -EBADMSG;
	out->from_concentrator = option[2] & PLAIT_PM_D;
	if (option[1] == PLAIT_PM_LEN_V4_PORT)
		out->remote = take_addr(option + 4, AF_INET, option + OPTION_PORT_V4);
	else if (option[1] == PLAIT_PM_LEN_V6_PORT && len >= PLAIT_PM_LEN_V6_PORT)
		out->remote = take_addr(option + 4, AF_INET6, option + OPTION_PORT_V6);
	else
		return -EBADMSG;
	return 0;
}

int formatted_frame_read(const uint8_t *frame, size_t len, struct formatted *out)
{
	struct formatted found = {};
	int l4 = read_tuple(frame, len, IPPROTO_TCP, TCP_BYTES, &found);
	size_t header, left;

	if (l4 < 0)
		return l4;
	header = (frame[l4 + 12] >> 4) * 4U;
	left = len - (size_t)l4;
	if (header < TCP_BYTES || header > left ||
	    read_option(frame + l4 + TCP_BYTES, header - TCP_BYTES, &found))
		return -EBADMSG;
	*out = found;
	return 0;
}
