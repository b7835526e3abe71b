// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "icmp_watch.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>
#include <unistd.h>

static int want_errors_only(int fd, uint8_t family)
{
	uint32_t v4 = ~(1u << ICMP_DEST_UNREACH | 1u << ICMP_TIME_EXCEEDED);
	struct icmp6_filter v6;

	if (family == AF_INET)
		return setsockopt(fd, SOL_RAW, 1 /* ICMP_FILTER */, &v4, sizeof(v4)) ? -errno : 0;
	ICMP6_FILTER_SETBLOCKALL(&v6);
	ICMP6_FILTER_SETPASS(ICMP6_DST_UNREACH, &v6);
	ICMP6_FILTER_SETPASS(ICMP6_TIME_EXCEEDED, &v6);
	return setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &v6, sizeof(v6)) ? -errno : 0;
}

int icmp_watch_open(uint8_t family)
{
	int err, fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			     family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);

	if (fd < 0)
		return -errno;
	err = want_errors_only(fd, family);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int icmp_watch_read(int fd, uint8_t family, uint8_t *buffer, size_t size, const uint8_t **at)
{
	ssize_t n = recv(fd, buffer, size, 0);
	ssize_t header = 0;

	if (n < 0)
		return -errno;
	if (family == AF_INET && n) /* with its IP header */
		header = (buffer[0] & 0xf) * 4;
	if (header > n)
		header = n;
	*at = buffer + header;
	return (int)(n - header);
}
