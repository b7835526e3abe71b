// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Datagrams at a steady rate, in batches: iperf3's calls for each one cost more than what is
 * to be measured, and its receiver is the first to lose some.
 *
 *   datagrams send   ADDRESS PORT OCTETS RATE SECONDS TOGETHER
 *   datagrams count  ADDRESS PORT
 *   datagrams delays ADDRESS PORT
 *
 * RATE is in datagrams a second; up to 5,000 they leave one at a time. TOGETHER of them leave
 * the host as one buffer (UDP_SEGMENT), as interfaces with GRO hand on a burst; 1: each by
 * itself. send prints {"sent": N}; count prints what has arrived, {"received": N}, for each
 * line it reads, and begins anew; delays prints what {"p50_us": A, "p99_us": B} it had taken
 * from send() to the receiving socket as well, on one machine. IPv4.
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
#define SINGLES_MOST 5000
#define DELAYS_MOST  (1 << 20)

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* The clock of SO_TIMESTAMPNS. */
static int64_t wall_ns(const struct timespec *time)
{
	return (int64_t)time->tv_sec * (int64_t)NS_PER_S + time->tv_nsec;
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

static unsigned int messages_a_batch(const struct load *load)
{
	if (load->rate <= SINGLES_MOST || load->together >= A_BATCH)
		return 1;
	return A_BATCH / (unsigned int)load->together;
}

static void stamp(uint8_t *bytes, const struct load *load)
{
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = wall_ns(&now);
	if (load->octets >= sizeof(ns))
		memcpy(bytes, &ns, sizeof(ns));
}

/* Late batches follow at once: the rate is that of the whole time. */
static void send_all(int fd, const struct load *load)
{
	static uint8_t bytes[MAX_OCTETS];
	struct iovec vector = {bytes, load->octets * load->together};
	struct mmsghdr messages[A_BATCH];
	uint64_t begun = now_ns(), end = begun + load->seconds * NS_PER_S, sent = 0, due = begun;

	if (vector.iov_len > MAX_OCTETS)
		errx(2, "too many octets together");
	segment(fd, load);
	fill(messages, &vector);
	for (; due < end && now_ns() < end; due = begun + sent * NS_PER_S / load->rate) {
		int n;

		wait_until(due);
		stamp(bytes, load);
		n = sendmmsg(fd, messages, messages_a_batch(load), 0);
		if (n < 0 && errno != ECONNREFUSED && errno != ENOBUFS)
			err(1, "sendmmsg");
		sent += n > 0 ? (uint64_t)n * load->together : 0;
	}
	printf("{\"sent\": %llu}\n", (unsigned long long)sent);
}

/* Receiving */

struct arrivals {
	unsigned long received;
	double delay_us[DELAYS_MOST]; /* of the first ones, where they are wanted */
	bool delays;
};

static void receive_some(int fd, struct arrivals *arrivals)
{
	uint8_t octet;
	struct iovec vector = {&octet, 1};
	struct mmsghdr messages[A_BATCH];
	int n;

	fill(messages, &vector);
	n = recvmmsg(fd, messages, A_BATCH, MSG_DONTWAIT, NULL);
	arrivals->received += n > 0 ? (unsigned long)n : 0;
}

static void receive_one(int fd, struct arrivals *arrivals)
{
	int64_t sent;
	struct timespec arrived;
	struct iovec vector = {&sent, sizeof(sent)};
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(arrived))];
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};

	if (recvmsg(fd, &message, MSG_DONTWAIT) != sizeof(sent) || !CMSG_FIRSTHDR(&message))
		return;
	memcpy(&arrived, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(arrived));
	if (arrivals->received < DELAYS_MOST)
		arrivals->delay_us[arrivals->received] = (double)(wall_ns(&arrived) - sent) / 1e3;
	arrivals->received++;
}

static int ascending(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void print_delays(struct arrivals *arrivals)
{
	size_t count = arrivals->received < DELAYS_MOST ? arrivals->received : DELAYS_MOST;

	if (!count)
		return;
	qsort(arrivals->delay_us, count, sizeof(arrivals->delay_us[0]), ascending);
	printf(", \"p50_us\": %.1f, \"p99_us\": %.1f", arrivals->delay_us[count / 2],
	       arrivals->delay_us[count * 99 / 100]);
}

/* False once nobody asks any more. */
static bool answer(struct arrivals *arrivals)
{
	char line[16];

	if (!fgets(line, sizeof(line), stdin))
		return false;
	printf("{\"received\": %lu", arrivals->received);
	if (arrivals->delays)
		print_delays(arrivals);
	puts("}");
	fflush(stdout);
	arrivals->received = 0;
	return true;
}

static void receive_all(int fd, bool delays)
{
	static struct arrivals arrivals;
	int on = 1;
	struct pollfd polled[] = {{.fd = fd, .events = POLLIN},
				  {.fd = STDIN_FILENO, .events = POLLIN}};

	arrivals.delays = delays;
	if (delays && setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)))
		err(1, "SO_TIMESTAMPNS");
	while (poll(polled, 2, -1) > 0) {
		if (polled[0].revents)
			(delays ? receive_one : receive_some)(fd, &arrivals);
		else if (polled[1].revents && !answer(&arrivals))
			return;
	}
}

int main(int argc, char **argv)
{
	bool sends = argc == 8 && !strcmp(argv[1], "send");
	bool delays = argc == 4 && !strcmp(argv[1], "delays");
	struct sockaddr_in address;
	int fd, room = BUFFER_BYTES;

	if (!sends && !delays && (argc != 4 || strcmp(argv[1], "count")))
		errx(2, "usage: datagrams send ADDRESS PORT OCTETS RATE SECONDS TOGETHER | "
			"count ADDRESS PORT | delays ADDRESS PORT");
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
		receive_all(fd, delays);
	}
	close(fd);
	return 0;
}
