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

/* bytes: of an even number. */
static uint32_t sum_words(uint32_t sum, const void *bytes, size_t len)
{
	const uint16_t *words = bytes;

	for (size_t i = 0; i < len / sizeof(*words); i++)
		sum += words[i];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

static int want_replies_only(const struct ping *ping)
{
	struct icmp6_filter v6;
	uint32_t v4 = ping->deaf ? ~0u : ~(1u << ICMP_ECHOREPLY);
	int err;

	ICMP6_FILTER_SETBLOCKALL(&v6);
	if (!ping->deaf)
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
	memset(ping->asked_ns, 0, sizeof(ping->asked_ns));
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

int ping_tell(struct ping *ping, const void *payload, size_t len)
{
	struct echo echo = {.type = is_v4(ping) ? ICMP_ECHO : ICMP6_ECHO_REQUEST};
	struct iovec parts[] = {{&echo, sizeof(echo)}, {(void *)payload, len}};
	const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	echo.id = own_id(ping);
	echo.sequence = htons(++ping->sequence);
	if (is_v4(ping)) /* the kernel does it for ICMPv6 */
		echo.checksum = fold(sum_words(sum_words(0, &echo, sizeof(echo)), payload, len));
	return sendmsg(ping->fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int ping_send(struct ping *ping, uint64_t now_ns)
{
	int err = ping_tell(ping, NULL, 0);

	ping->sent_ns = ping->asked_ns[ping->sequence % PING_KEPT] = now_ns;
	return err;
}

/* When that was asked which a packet is the first to answer; 0: it is no answer. */
static uint64_t take_answer(struct ping *ping, const uint8_t *packet, size_t len)
{
	uint16_t sequence, age;
	size_t header = 0;
	struct echo echo;
	uint64_t asked_ns;

	if (is_v4(ping)) /* a raw IPv4 socket gives the IP header too */
		header = len ? (size_t)(packet[0] & 0xf) * 4 : len;
	if (len < header + sizeof(echo))
		return 0;
	memcpy(&echo, packet + header, sizeof(echo));
	sequence = ntohs(echo.sequence);
	age = (uint16_t)(ping->sequence - sequence);
	if (echo.type != (is_v4(ping) ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) ||
	    echo.id != own_id(ping) || age >= PING_KEPT)
		return 0;
	asked_ns = ping->asked_ns[sequence % PING_KEPT];
	ping->asked_ns[sequence % PING_KEPT] = 0;
	if (!age)
		ping->sent_ns = 0;
	return asked_ns;
}

bool ping_answered(struct ping *ping, uint64_t now_ns, uint32_t *rtt_us)
{
	uint8_t reply[REPLY_BYTES];
	bool answered = false;
	ssize_t n;

	while ((n = recv(ping->fd, reply, sizeof(reply), 0)) >= 0) {
		uint64_t asked_ns = take_answer(ping, reply, (size_t)n);

		if (!asked_ns)
			continue;
		*rtt_us = (uint32_t)((now_ns - asked_ns) / 1000);
		answered = true;
	}
	return answered;
}
