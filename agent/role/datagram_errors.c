// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "datagram_errors.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "port/icmp_watch.h"

enum {
	A_TURN = 32,
	READ_BYTES = 512,
	A_SECOND = 100, /* more are a flood */
};

static bool may_send(struct datagram_errors *errors)
{
	uint64_t second = clock_now_ns() / NS_PER_S;

	if (second != errors->second)
		errors->in_second = 0;
	errors->second = second;
	return errors->in_second++ < A_SECOND;
}

static void pass_on(struct datagram_errors *errors, struct icmp_error *error)
{
	uint8_t packet[ICMP_ERROR_BYTES_MAX];
	struct plait_addr from;

	if (!errors->translate(errors, error, &from) || !may_send(errors))
		return;
	if (!answer_send(&errors->answer, &error->packet.source, packet,
			 icmp_error_write(error, &from, packet)))
		++*errors->count;
}

static void ready(struct loop_watch *watch, uint32_t events)
{
	struct datagram_error_socket *socket =
		container_of(watch, struct datagram_error_socket, watch);
	uint8_t buffer[READ_BYTES];
	struct icmp_error error;
	const uint8_t *icmp;

	for (unsigned int i = 0; i < A_TURN; i++) {
		int len =
			icmp_watch_read(socket->fd, socket->family, buffer, sizeof(buffer), &icmp);

		if (len < 0)
			return;
		if (!icmp_error_read(icmp, (size_t)len, socket->family, &error))
			pass_on(socket->errors, &error);
	}
}

static int open_socket(struct datagram_errors *errors, unsigned int i, struct loop *loop)
{
	struct datagram_error_socket *socket = &errors->socket[i];

	socket->errors = errors;
	socket->family = i ? AF_INET6 : AF_INET;
	socket->watch.ready = ready;
	socket->fd = icmp_watch_open(socket->family);
	return socket->fd < 0 ? socket->fd : loop_add(loop, socket->fd, EPOLLIN, &socket->watch);
}

int datagram_errors_open(struct datagram_errors *errors, struct loop *loop,
			 unsigned long long *count,
			 bool (*translate)(struct datagram_errors *errors, struct icmp_error *error,
					   struct plait_addr *from))
{
	int err;

	errors->translate = translate;
	errors->count = count;
	errors->socket[0].fd = errors->socket[1].fd = -1;
	err = answer_open(&errors->answer);
	for (unsigned int i = 0; !err && i < 2; i++)
		err = open_socket(errors, i, loop);
	return err;
}

void datagram_errors_close(struct datagram_errors *errors)
{
	if (!errors->translate)
		return;
	for (unsigned int i = 0; i < 2; i++)
		if (errors->socket[i].fd >= 0)
			close(errors->socket[i].fd);
	if (errors->answer.fd_v6 > 0)
		answer_close(&errors->answer);
}
