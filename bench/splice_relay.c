// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The reference for goodput: the barest relay that splices.
 *
 *   splice_relay LISTEN_ADDRESS PORT ADDRESS PORT [--mptcp-listen] [--mptcp-connect]
 *
 * Two of them in a row, with MPTCP between them, bound what a relay on kernel sockets can
 * carry. Each accepted connection goes to one fixed destination and has two threads, one a
 * direction, that move bytes through a pipe of their own until end of file. It knows no
 * timeouts, no resets and no limits.
 */
#include <err.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIPE_BYTES (1 << 20)
#define BACKLOG    4096

struct endpoint {
	struct sockaddr_storage address;
	socklen_t address_len;
	int protocol;
};

struct direction {
	int from, to;
};

static struct endpoint destination;

static struct endpoint resolve(const char *host, const char *port, bool mptcp)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
	struct endpoint endpoint = {.protocol = mptcp ? IPPROTO_MPTCP : IPPROTO_TCP};
	struct addrinfo *found;

	if (getaddrinfo(host, port, &hints, &found))
		errx(2, "bad address %s or port %s", host, port);
	memcpy(&endpoint.address, found->ai_addr, found->ai_addrlen);
	endpoint.address_len = found->ai_addrlen;
	freeaddrinfo(found);
	return endpoint;
}

static int stream_socket(const struct endpoint *endpoint)
{
	int one = 1, fd = socket(endpoint->address.ss_family, SOCK_STREAM, endpoint->protocol);

	if (fd < 0)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void pump(int from, int to, const int pipe_fds[2])
{
	ssize_t held, moved;

	while ((held = splice(from, NULL, pipe_fds[1], NULL, PIPE_BYTES, SPLICE_F_MOVE)) > 0)
		for (; held > 0; held -= moved) {
			moved = splice(pipe_fds[0], NULL, to, NULL, held, SPLICE_F_MOVE);
			if (moved <= 0)
				return;
		}
}

static void *run_direction(void *argument)
{
	const struct direction *direction = argument;
	int pipe_fds[2];

	if (pipe(pipe_fds))
		err(1, "pipe");
	fcntl(pipe_fds[0], F_SETPIPE_SZ, PIPE_BYTES);
	pump(direction->from, direction->to, pipe_fds);
	shutdown(direction->from, SHUT_RD);
	shutdown(direction->to, SHUT_WR);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return NULL;
}

static void *run_connection(void *argument)
{
	int accepted = (int)(long)argument, connected = stream_socket(&destination);
	struct direction forth = {accepted, connected}, back = {connected, accepted};
	pthread_t thread;

	if (connect(connected, (struct sockaddr *)&destination.address, destination.address_len))
		warn("connect");
	else if (pthread_create(&thread, NULL, run_direction, &back))
		warnx("no more threads");
	else {
		run_direction(&forth);
		pthread_join(thread, NULL);
	}
	close(accepted);
	close(connected);
	return NULL;
}

static bool has_flag(int argc, char **argv, const char *flag)
{
	for (int i = 5; i < argc; i++)
		if (!strcmp(argv[i], flag))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct endpoint local;
	pthread_t thread;
	int listener, fd;

	if (argc < 5)
		errx(2, "usage: splice_relay LISTEN_ADDRESS PORT ADDRESS PORT "
			"[--mptcp-listen] [--mptcp-connect]");
	local = resolve(argv[1], argv[2], has_flag(argc, argv, "--mptcp-listen"));
	destination = resolve(argv[3], argv[4], has_flag(argc, argv, "--mptcp-connect"));
	signal(SIGPIPE, SIG_IGN);
	listener = stream_socket(&local);
	if (bind(listener, (struct sockaddr *)&local.address, local.address_len) ||
	    listen(listener, BACKLOG))
		err(1, "listen on %s port %s", argv[1], argv[2]);
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (pthread_create(&thread, NULL, run_connection, (void *)(long)fd)) {
			warnx("no more threads");
			close(fd);
			continue;
		}
		pthread_detach(thread);
	}
	err(1, "accept");
}
