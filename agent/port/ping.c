// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "ping.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr_text.h"

enum { REPLY_BYTES = 256 };

/* The same eight octets in both families. */
struct echo {
	uint8_t type, code;
	uint16_t checksum, id, sequence;
};

static bool is_v4(const struct ping *ping)
{
	return ping->local.family == AF_INET;
}

static uint16_t own_id(const struct ping *ping)
{
	return htons((uint16_t)(getpid() ^ ping->fd));
}

static uint16_t checksum(const struct echo *echo)
{
	const uint16_t *words = (const uint16_t *)echo;
	uint32_t sum = 0;

	for (unsigned int i = 0; i < sizeof(*echo) / sizeof(*words); i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

static int want_replies_only(const struct ping *ping)
{
	struct icmp6_filter v6;
	uint32_t v4 = ~(1u << ICMP_ECHOREPLY);
	int err;

	ICMP6_FILTER_SETBLOCKALL(&v6);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &v6);
	if (is_v4(ping))
		err = setsockopt(ping->fd, SOL_RAW, 1 /* ICMP_FILTER */, &v4, sizeof(v4));
	else
		err = setsockopt(ping->fd, IPPROTO_ICMPV6, ICMP6_FILTER, &v6, sizeof(v6));
	return err ? -errno : 0;
}

static int point(int fd, const struct plait_addr *addr,
		 int (*how)(int fd, const struct sockaddr *address, socklen_t len))
{
	struct sockaddr_storage address;
	struct plait_addr host = *addr;
	socklen_t len;

	host.port = 0; /* a raw IPv6 socket takes the port for a protocol */
	len = addr_to_sockaddr(&host, &address);
	return how(fd, (struct sockaddr *)&address, len) ? -errno : 0;
}

static int open_socket(struct ping *ping)
{
	int err;

	ping->fd = socket(ping->local.family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			  is_v4(ping) ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	if (ping->fd < 0)
		return -errno;
	err = want_replies_only(ping);
	if (!err)
		err = point(ping->fd, &ping->local, bind);
	return err ? err : point(ping->fd, &ping->remote, connect);
}

int ping_aim(struct ping *ping, const struct plait_addr *local, const struct plait_addr *remote)
{
	int err;

	if (ping->fd >= 0)
		close(ping->fd);
	ping->fd = -1;
	ping->sent_ns = 0;
	ping->local = *local;
	ping->remote = *remote;
	if (!local->family)
		return 0;
	err = open_socket(ping);
	if (err && ping->fd >= 0) {
		close(ping->fd);
		ping->fd = -1;
	}
	return err;
}

int ping_send(struct ping *ping, uint64_t now_ns)
{
	struct echo echo = {.type = is_v4(ping) ? ICMP_ECHO : ICMP6_ECHO_REQUEST};

	ping->sent_ns = now_ns;
	echo.id = own_id(ping);
	echo.sequence = htons(++ping->sequence);
	if (is_v4(ping)) /* the kernel does it for ICMPv6 */
		echo.checksum = checksum(&echo);
	return send(ping->fd, &echo, sizeof(echo), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static bool is_answer(const struct ping *ping, const uint8_t *packet, size_t len)
{
	size_t header = 0;
	struct echo echo;

	if (is_v4(ping)) /* a raw IPv4 socket gives the IP header too */
		header = len ? (size_t)(packet[0] & 0xf) * 4 : len;
	if (len < header + sizeof(echo))
		return false;
	memcpy(&echo, packet + header, sizeof(echo));
	return echo.type == (is_v4(ping) ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) &&
	       echo.id == own_id(ping) && echo.sequence == htons(ping->sequence);
}

bool ping_answered(struct ping *ping, uint64_t now_ns, uint32_t *rtt_us)
{
	uint8_t reply[REPLY_BYTES];
	bool answered = false;
	ssize_t n;

	while ((n = recv(ping->fd, reply, sizeof(reply), 0)) >= 0)
		answered |= ping->sent_ns && is_answer(ping, reply, (size_t)n);
	if (!answered)
		return false;
	*rtt_us = (uint32_t)((now_ns - ping->sent_ns) / 1000);
	ping->sent_ns = 0;
	return true;
}
