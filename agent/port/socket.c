// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr_text.h"

int socket_new(int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

	return fd < 0 ? -errno : fd;
}

int socket_set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

int socket_be_transparent(int fd, int family)
{
	return family == AF_INET ? socket_set(fd, IPPROTO_IP, IP_TRANSPARENT, 1)
				 : socket_set(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1);
}

int socket_bind(int fd, const struct plait_addr *addr)
{
	struct sockaddr_storage address;
	socklen_t len = addr_to_sockaddr(addr, &address);

	return bind(fd, (struct sockaddr *)&address, len) ? -errno : 0;
}

int socket_set_dscp(int fd, uint8_t dscp)
{
	int err = socket_set(fd, IPPROTO_IP, IP_TOS, dscp << 2);

	if (!err) /* refused by MPTCP and IPv4 sockets */
		socket_set(fd, IPPROTO_IPV6, IPV6_TCLASS, dscp << 2);
	return err;
}

int socket_close_with(int fd, int err)
{
	close(fd);
	return err;
}
