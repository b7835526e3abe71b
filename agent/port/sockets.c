// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr_text.h"
#include "socket.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef TCP_FASTOPEN_NO_COOKIE
#define TCP_FASTOPEN_NO_COOKIE 34
#endif

enum {
	LISTEN_BACKLOG = 4096,
	FASTOPEN_QUEUE = 4096,
	/*
	 * Of a leg; the kernel doubles them. Fixed, and the receiver's well above the
	 * sender's: with the kernel's autotuning a sender of two subflows overshoots the
	 * shared window, what lies beyond is dropped after it was acknowledged, and comes
	 * again one segment a time-out (NoDSSInWindow; docs/kernel.md).
	 */
	LEG_RECEIVE_BYTES = 12 * 1024 * 1024,
	LEG_SEND_BYTES = 3 * 1024 * 1024,
};

static int bind_and_listen(int fd, const struct plait_addr *addr)
{
	int err = socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	if (!err && addr->family == AF_INET6)
		err = socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!err)
		err = socket_bind(fd, addr);
	if (!err && listen(fd, LISTEN_BACKLOG))
		err = -errno;
	return err;
}

int tcp_listen_transparent(const struct plait_addr *addr)
{
	int err, fd = socket_new(addr->family, SOCK_STREAM, IPPROTO_TCP);

	if (fd < 0)
		return fd;
	err = socket_be_transparent(fd, addr->family);
	if (!err) /* what it accepts inherits this: a relay must not wait for more */
		err = socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (!err)
		err = bind_and_listen(fd, addr);
	return err ? socket_close_with(fd, err) : fd;
}

static int start_connect(int fd, const struct plait_addr *to)
{
	struct sockaddr_storage address;
	socklen_t len = addr_to_sockaddr(to, &address);

	if (connect(fd, (struct sockaddr *)&address, len) && errno != EINPROGRESS)
		return -errno;
	return 0;
}

int tcp_dial(const struct plait_addr *from, const struct plait_addr *to, uint8_t dscp)
{
	int err, fd = socket_new(to->family, SOCK_STREAM, IPPROTO_TCP);

	if (fd < 0)
		return fd;
	err = socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (!err && dscp)
		err = socket_set_dscp(fd, dscp);
	if (!err && from) {
		err = socket_be_transparent(fd, from->family);
		if (!err)
			err = socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		if (!err)
			err = socket_bind(fd, from);
	}
	if (!err)
		err = start_connect(fd, to);
	return err ? socket_close_with(fd, err) : fd;
}

static int set_congestion(int fd, const char *name)
{
	if (!name[0])
		return 0;
	return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) ? -errno
											  : 0;
}

static int prepare_leg(int fd, const struct leg_options *options)
{
	int err = socket_set(fd, SOL_SOCKET, SO_MARK, (int)options->mark);

	if (!err)
		err = socket_set(fd, SOL_SOCKET, SO_RCVBUFFORCE, LEG_RECEIVE_BYTES);
	if (!err)
		err = socket_set(fd, SOL_SOCKET, SO_SNDBUFFORCE, LEG_SEND_BYTES);
	if (!err) /* a relay must not wait for more */
		err = socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (!err)
		err = socket_set(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1);
	return err ? err : set_congestion(fd, options->congestion);
}

int mptcp_listen(const struct plait_addr *addr, const struct leg_options *options,
		 enum mptcp_listener kind)
{
	int err, fd = socket_new(addr->family, SOCK_STREAM, IPPROTO_MPTCP);

	if (fd < 0)
		return fd;
	err = prepare_leg(fd, options);
	if (!err && kind != LISTEN_HELD)
		err = socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!err && kind != LISTEN_SHARED)
		err = socket_be_transparent(fd, addr->family);
	if (!err)
		err = socket_set(fd, IPPROTO_TCP, TCP_FASTOPEN, FASTOPEN_QUEUE);
	if (!err)
		err = bind_and_listen(fd, addr);
	return err ? socket_close_with(fd, err) : fd;
}

/*
 * Subflows of both families are possible on an IPv6 socket only, which then begins on
 * an IPv4-mapped address where it must. Without IPv6 in the kernel nothing is lost.
 */
static int new_leg_socket(int family, struct plait_addr *from, struct plait_addr *to)
{
	int err, fd = socket_new(AF_INET6, SOCK_STREAM, IPPROTO_MPTCP);

	if (fd == -EAFNOSUPPORT)
		return socket_new(family, SOCK_STREAM, IPPROTO_MPTCP);
	if (fd < 0)
		return fd;
	err = socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (err)
		return socket_close_with(fd, err);
	*from = addr_v4_mapped(from);
	*to = addr_v4_mapped(to);
	return fd;
}

static int dial_leg(const struct plait_addr *from, const struct plait_addr *to,
		    const struct leg_options *options, uint8_t dscp, const uint8_t *payload,
		    size_t len)
{
	struct plait_addr own = *from, peer = *to;
	struct sockaddr_storage address;
	int err, fd = new_leg_socket(to->family, &own, &peer);
	socklen_t address_len = addr_to_sockaddr(&peer, &address);
	ssize_t sent;

	if (fd < 0)
		return fd;
	err = prepare_leg(fd, options);
	if (!err && dscp)
		err = socket_set_dscp(fd, dscp);
	if (!err)
		err = socket_set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (!err)
		err = socket_bind(fd, &own);
	if (err)
		return socket_close_with(fd, err);
	sent = sendto(fd, payload, len, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&address,
		      address_len);
	if (sent != (ssize_t)len)
		return socket_close_with(fd, sent < 0 ? -errno : -EMSGSIZE);
	return fd;
}

int mptcp_dial(const struct plait_addr *from, const struct plait_addr *to,
	       const struct leg_options *options, uint8_t dscp, const uint8_t *payload, size_t len)
{
	struct plait_addr any_port = *from;
	int fd = dial_leg(from, to, options, dscp, payload, len);

	any_port.port = 0;
	if (fd != -EADDRINUSE || !from->port)
		return fd;
	return dial_leg(&any_port, to, options, dscp, payload, len);
}

int mptcp_connect(const struct plait_addr *from, const struct plait_addr *to)
{
	int err, fd = socket_new(to->family, SOCK_STREAM, IPPROTO_MPTCP);

	if (fd < 0)
		return fd;
	err = socket_set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (!err)
		err = socket_bind(fd, from);
	if (!err)
		err = start_connect(fd, to);
	return err ? socket_close_with(fd, err) : fd;
}

int socket_accept(int listener, struct plait_addr *peer, struct plait_addr *local)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	int err, fd;

	fd = accept4(listener, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return -errno;
	addr_from_sockaddr(&address, peer);
	err = socket_local(fd, local);
	return err ? socket_close_with(fd, err) : fd;
}

int socket_local(int fd, struct plait_addr *out)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &len))
		return -errno;
	return addr_from_sockaddr(&address, out) ? 0 : -EAFNOSUPPORT;
}

int socket_peer(int fd, struct plait_addr *out)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	if (getpeername(fd, (struct sockaddr *)&address, &len))
		return -errno;
	return addr_from_sockaddr(&address, out) ? 0 : -EAFNOSUPPORT;
}

int socket_error(int fd)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
		return -errno;
	return -err;
}

void tcp_reset(int fd)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
}
