// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Datagrams at a steady rate, in batches: iperf3's calls for each one cost more than what is
 * to be measured, and its receiver is the first to lose some.
 *
 *   datagrams send  ADDRESS PORT OCTETS RATE SECONDS TOGETHER
 *   datagrams count ADDRESS PORT
 *
 * RATE is in datagrams a second. TOGETHER of them leave the host as one buffer (UDP_SEGMENT),
 * as interfaces with GRO hand on a burst; 1: each by itself. send prints {"sent": N}; count
 * prints what has arrived, {"received": N}, for each line it reads, and begins anew. IPv4.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define A_BATCH      32
#define MAX_OCTETS   65507
#define BUFFER_BYTES (32 << 20)
#define NS_PER_S     1000000000ULL

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void wait_until(uint64_t when_ns)
{
	struct timespec when = {.tv_sec = (time_t)(when_ns / NS_PER_S),
				.tv_nsec = (long)(when_ns % NS_PER_S)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
}

static unsigned long number(const char *text, unsigned long max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (!*text || *end || !value || value > max)
		errx(2, "not a number from 1 to %lu: %s", max, text);
	return value;
}

static struct sockaddr_in address_of(const char *address, const char *port)
{
	struct sockaddr_in made = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)number(port, UINT16_MAX))};

	if (inet_pton(AF_INET, address, &made.sin_addr) != 1)
		errx(2, "not an IPv4 address: %s", address);
	return made;
}

static int new_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(1, "socket");
	return fd;
}

/* Messages that share one iovec. */
static void fill(struct mmsghdr *messages, struct iovec *vector)
{
	memset(messages, 0, A_BATCH * sizeof(*messages));
	for (unsigned int i = 0; i < A_BATCH; i++) {
		messages[i].msg_hdr.msg_iov = vector;
		messages[i].msg_hdr.msg_iovlen = 1;
	}
}

struct load {
	unsigned long octets, rate, seconds, together;
};

static void segment(int fd, const struct load *load)
{
	int octets = (int)load->octets;

	if (load->together > 1 && setsockopt(fd, SOL_UDP, UDP_SEGMENT, &octets, sizeof(octets)))
		err(1, "UDP_SEGMENT");
}

/* Late batches follow at once: the rate is that of the whole time. */
static void send_all(int fd, const struct load *load)
{
	static uint8_t bytes[MAX_OCTETS];
	struct iovec vector = {bytes, load->octets * load->together};
	struct mmsghdr messages[A_BATCH];
	unsigned int count = load->together < A_BATCH ? A_BATCH / (unsigned int)load->together : 1;
	uint64_t begun = now_ns(), end = begun + load->seconds * NS_PER_S, sent = 0, due = begun;

	if (vector.iov_len > MAX_OCTETS)
		errx(2, "too many octets together");
	segment(fd, load);
	fill(messages, &vector);
	for (; due < end && now_ns() < end; due = begun + sent * NS_PER_S / load->rate) {
		int n;

		wait_until(due);
		n = sendmmsg(fd, messages, count, 0);
		if (n < 0 && errno != ECONNREFUSED && errno != ENOBUFS)
			err(1, "sendmmsg");
		sent += n > 0 ? (uint64_t)n * load->together : 0;
	}
	printf("{\"sent\": %llu}\n", (unsigned long long)sent);
}

static unsigned long receive_some(int fd, struct mmsghdr *messages)
{
	int n = recvmmsg(fd, messages, A_BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);

	return n > 0 ? (unsigned long)n : 0;
}

/* False once nobody asks any more. */
static bool answer(unsigned long *received)
{
	char line[16];

	if (!fgets(line, sizeof(line), stdin))
		return false;
	printf("{\"received\": %lu}\n", *received);
	fflush(stdout);
	*received = 0;
	return true;
}

static void count_all(int fd)
{
	uint8_t octet;
	struct iovec vector = {&octet, 1};
	struct mmsghdr messages[A_BATCH];
	struct pollfd polled[] = {{.fd = fd, .events = POLLIN},
				  {.fd = STDIN_FILENO, .events = POLLIN}};
	unsigned long received = 0;

	fill(messages, &vector);
	while (poll(polled, 2, -1) > 0) {
		if (polled[0].revents)
			received += receive_some(fd, messages);
		else if (polled[1].revents && !answer(&received))
			return;
	}
}

int main(int argc, char **argv)
{
	bool sends = argc == 8 && !strcmp(argv[1], "send");
	struct sockaddr_in address;
	int fd, room = BUFFER_BYTES;

	if (!sends && (argc != 4 || strcmp(argv[1], "count")))
		errx(2, "usage: datagrams send ADDRESS PORT OCTETS RATE SECONDS TOGETHER | "
			"count ADDRESS PORT");
	address = address_of(argv[2], argv[3]);
	fd = new_socket();
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		err(1, "SO_RCVBUFFORCE");
	if ((sends ? connect : bind)(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "%s", argv[2]);
	if (sends) {
		struct load load = {number(argv[4], MAX_OCTETS), number(argv[5], 100000000),
				    number(argv[6], 3600), number(argv[7], 64)};

		send_all(fd, &load);
	} else {
		count_all(fd);
	}
	close(fd);
	return 0;
}
