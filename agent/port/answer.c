// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "answer.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr_text.h"

int answer_open(struct answer *answer)
{
	/* IPPROTO_RAW: the packet brings its own IP header, and nothing is received */
	answer->fd_v4 = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
	if (answer->fd_v4 < 0)
		return -errno;
	answer->fd_v6 = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
	if (answer->fd_v6 < 0) {
		int err = -errno;

		close(answer->fd_v4);
		return err;
	}
	return 0;
}

void answer_close(struct answer *answer)
{
	close(answer->fd_v4);
	close(answer->fd_v6);
}

int answer_send(const struct answer *answer, const struct plait_addr *to, const uint8_t *packet,
		size_t len)
{
	struct plait_addr host = *to;
	struct sockaddr_storage address;
	socklen_t address_len;
	int fd = to->family == AF_INET ? answer->fd_v4 : answer->fd_v6;

	host.port = 0; /* a raw IPv6 socket takes the port for a protocol */
	address_len = addr_to_sockaddr(&host, &address);
	if (sendto(fd, packet, len, 0, (struct sockaddr *)&address, address_len) < 0)
		return -errno;
	return 0;
}
