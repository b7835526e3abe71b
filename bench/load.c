// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Load for the benchmarks: many small TCP exchanges, where iperf3 does the bulk.
 *
 *   load serve ADDRESS PORT
 *   load cps   ADDRESS PORT [--concurrency C] [--seconds S]
 *   load ttfb  ADDRESS PORT [--count N]
 *   load idle  ADDRESS PORT [--count N]
 *   load pace  ADDRESS PORT [--seconds S] [--every-ms M]
 *
 * One exchange is a request of 1 KB, answered by a reply of 1 KB; a connection may carry any
 * number of them, and the client closes it. Each client prints one line of JSON:
 *   cps   keeps C connections going, each for one exchange, for S seconds
 *   ttfb  one connection after another; time from connect() to the first byte of the reply
 *   idle  opens N connections, one exchange on each, then holds them until its input ends
 *   pace  one connection, a request each M ms for S seconds whether or not the last is answered;
 *         time from when a request was due to the end of its reply, or to the end of the wait
 * One thread and one epoll instance; a connection is a file descriptor and the number of
 * bytes it still waits for. cps gives up on a connection after 5 s and counts it as an error.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES    1024
#define BACKLOG          4096
#define EVENTS_AT_ONCE   256
#define MAX_FDS          20000
#define STALL_US         5000000
#define CHECK_US         500000
#define IDLE_CONCURRENCY 32

struct connection {
	bool open;
	int missing; /* bytes of the message being read */
	uint64_t since_us;
};

struct options {
	int concurrency, seconds, count, every_ms;
};

struct tally {
	long done, errors;
};

static const char message[MESSAGE_BYTES];
static struct connection connections[MAX_FDS];
static struct sockaddr_storage address;
static socklen_t address_len;

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

static void set_address(const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
	struct addrinfo *found;

	if (getaddrinfo(host, port, &hints, &found))
		errx(2, "bad address %s or port %s", host, port);
	memcpy(&address, found->ai_addr, found->ai_addrlen);
	address_len = found->ai_addrlen;
	freeaddrinfo(found);
}

static int stream_socket(int flags)
{
	int one = 1, fd = socket(address.ss_family, SOCK_STREAM | flags, 0);

	if (fd < 0 || fd >= MAX_FDS)
		err(1, "socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void watch(int epoll, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		err(1, "epoll_ctl");
	connections[fd] =
		(struct connection){.open = true, .missing = MESSAGE_BYTES, .since_us = now_us()};
}

static void drop(int fd)
{
	connections[fd].open = false;
	close(fd);
}

/* 1 when the whole message is there, 0 when more is to come, -1 when it never will. */
static int read_message(int fd)
{
	char buffer[MESSAGE_BYTES];
	ssize_t got;

	while (connections[fd].missing > 0) {
		got = recv(fd, buffer, connections[fd].missing, MSG_DONTWAIT);
		if (got < 0 && errno == EAGAIN)
			return 0;
		if (got <= 0)
			return -1;
		connections[fd].missing -= got;
	}
	connections[fd].missing = MESSAGE_BYTES;
	return 1;
}

/* A fresh socket's buffer takes 1 KB whole. */
static bool send_message(int fd)
{
	return send(fd, message, sizeof(message), MSG_NOSIGNAL) == sizeof(message);
}

static void accept_all(int epoll, int listener)
{
	int one = 1, fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		watch(epoll, fd, EPOLLIN);
	}
	if (errno == EMFILE)
		err(1, "accept");
}

static void serve_one(int fd)
{
	int complete;

	while ((complete = read_message(fd)) > 0)
		if (!send_message(fd))
			break;
	if (complete)
		drop(fd);
}

static void serve(void)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int epoll = epoll_create1(0), listener = stream_socket(SOCK_NONBLOCK), one = 1, n;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&address, address_len) || listen(listener, BACKLOG))
		err(1, "listen");
	watch(epoll, listener, EPOLLIN);
	while ((n = epoll_wait(epoll, events, EVENTS_AT_ONCE, -1)) >= 0 || errno == EINTR)
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				accept_all(epoll, listener);
			else
				serve_one(events[i].data.fd);
		}
	err(1, "epoll_wait");
}

static bool open_connection(int epoll)
{
	int fd = stream_socket(SOCK_NONBLOCK);

	if (connect(fd, (struct sockaddr *)&address, address_len) && errno != EINPROGRESS) {
		close(fd);
		return false;
	}
	watch(epoll, fd, EPOLLOUT);
	return true;
}

/* Moves one connection on; true when it is over, and counted in `tally`. */
static bool exchange(int epoll, const struct epoll_event *ready, struct tally *tally)
{
	struct epoll_event event = {.events = EPOLLIN, .data = ready->data};
	int fd = ready->data.fd, complete = 0;

	if (ready->events & EPOLLOUT) {
		if (send_message(fd) && !epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event))
			return false;
		complete = -1;
	} else {
		complete = read_message(fd);
	}
	tally->done += complete > 0;
	tally->errors += complete < 0;
	return complete;
}

static int drop_stalled(struct tally *tally)
{
	uint64_t now = now_us();
	int dropped = 0;

	for (int fd = 0; fd < MAX_FDS; fd++)
		if (connections[fd].open && now - connections[fd].since_us > STALL_US) {
			drop(fd);
			dropped++;
		}
	tally->errors += dropped;
	return dropped;
}

static void cps(const struct options *options)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	uint64_t start = now_us(), end = start + options->seconds * 1000000ull;
	uint64_t next_check = start + CHECK_US;
	int epoll = epoll_create1(0), running = 0, n;
	struct tally tally = {};
	double seconds;

	while (now_us() < end) {
		for (; running < options->concurrency && open_connection(epoll); running++)
			;
		n = epoll_wait(epoll, events, EVENTS_AT_ONCE, CHECK_US / 1000);
		for (int i = 0; i < n; i++)
			if (exchange(epoll, &events[i], &tally)) {
				drop(events[i].data.fd);
				running--;
			}
		if (now_us() >= next_check) {
			running -= drop_stalled(&tally);
			next_check += CHECK_US;
		}
	}
	seconds = (now_us() - start) / 1e6;
	printf("{\"connections_per_second\": %.1f, \"connections\": %ld, \"errors\": %ld}\n",
	       tally.done / seconds, tally.done, tally.errors);
}

static int compare_us(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static void print_times(uint64_t *taken_us, long count, long errors)
{
	qsort(taken_us, count, sizeof(*taken_us), compare_us);
	printf("{\"median_us\": %lu, \"p99_us\": %lu, \"count\": %ld, \"errors\": %ld}\n",
	       taken_us[count / 2], taken_us[count * 99 / 100], count, errors);
}

static bool time_first_byte(uint64_t *taken_us)
{
	int fd = stream_socket(0);
	uint64_t start = now_us();
	char byte;
	bool ok = !connect(fd, (struct sockaddr *)&address, address_len) && send_message(fd) &&
		  recv(fd, &byte, 1, 0) == 1;

	*taken_us = now_us() - start;
	close(fd);
	return ok;
}

static void ttfb(const struct options *options)
{
	uint64_t *taken_us = calloc(options->count, sizeof(*taken_us));
	long done = 0, errors = 0;

	if (!taken_us)
		err(1, "calloc");
	for (int i = 0; i < options->count; i++) {
		if (time_first_byte(&taken_us[done]))
			done++;
		else
			errors++;
	}
	if (!done)
		errx(1, "no connection succeeded");
	print_times(taken_us, done, errors);
	free(taken_us);
}

/* Waits for something to read until then; true if there is. */
static bool readable_until(int fd, uint64_t deadline_us)
{
	struct pollfd wanted = {.fd = fd, .events = POLLIN};
	uint64_t now = now_us(), wait_us = deadline_us > now ? deadline_us - now : 0;
	struct timespec wait = {wait_us / 1000000, wait_us % 1000000 * 1000};

	return ppoll(&wanted, 1, &wait, NULL) > 0;
}

static void pace(const struct options *options)
{
	long count = options->seconds * 1000l / options->every_ms, sent = 0, answered = 0;
	uint64_t *taken_us = calloc(count, sizeof(*taken_us)), start, end, every;
	int fd = stream_socket(0), complete = 0;

	if (!taken_us || connect(fd, (struct sockaddr *)&address, address_len))
		err(1, "connect");
	connections[fd].missing = MESSAGE_BYTES;
	start = now_us();
	every = options->every_ms * 1000ull;
	end = start + options->seconds * 1000000ull + STALL_US;
	while (answered < count && complete >= 0 && now_us() < end) {
		for (; sent < count && now_us() >= start + sent * every; sent++)
			if (!send_message(fd))
				err(1, "send");
		if (!readable_until(fd, sent < count ? start + sent * every : end))
			continue;
		for (; (complete = read_message(fd)) > 0; answered++)
			taken_us[answered] = now_us() - (start + answered * every);
	}
	for (long i = answered; i < count; i++)
		taken_us[i] = end - (start + i * every);
	print_times(taken_us, count, count - answered);
	close(fd);
	free(taken_us);
}

static void idle(const struct options *options)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int epoll = epoll_create1(0), running = 0, started = 0, n;
	struct tally tally = {};
	char byte;

	while (tally.done + tally.errors < options->count) {
		for (; running < IDLE_CONCURRENCY && started < options->count; started++)
			running += open_connection(epoll);
		n = epoll_wait(epoll, events, EVENTS_AT_ONCE, STALL_US / 1000);
		if (n <= 0)
			break;
		for (int i = 0; i < n; i++)
			running -= exchange(epoll, &events[i], &tally);
	}
	printf("{\"held\": %ld, \"errors\": %ld}\n", tally.done, options->count - tally.done);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

static struct options parse_options(int argc, char **argv)
{
	static const struct option known[] = {{"concurrency", required_argument, NULL, 'c'},
					      {"seconds", required_argument, NULL, 's'},
					      {"count", required_argument, NULL, 'n'},
					      {"every-ms", required_argument, NULL, 'm'},
					      {}};
	struct options options = {.concurrency = 64, .seconds = 5, .count = 1000, .every_ms = 20};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == '?' || atoi(optarg) <= 0)
			errx(2, "bad option");
		*(option == 'c'   ? &options.concurrency
		  : option == 's' ? &options.seconds
		  : option == 'm' ? &options.every_ms
				  : &options.count) = atoi(optarg);
	}
	return options;
}

int main(int argc, char **argv)
{
	struct rlimit files = {MAX_FDS, MAX_FDS};
	struct options options = parse_options(argc, argv);
	const char *mode;

	if (argc - optind != 3)
		errx(2, "usage: load serve|cps|ttfb|idle|pace ADDRESS PORT [options]");
	if (setrlimit(RLIMIT_NOFILE, &files))
		warn("file descriptors stay limited");
	mode = argv[optind];
	set_address(argv[optind + 1], argv[optind + 2]);
	if (!strcmp(mode, "serve"))
		serve();
	else if (!strcmp(mode, "cps"))
		cps(&options);
	else if (!strcmp(mode, "ttfb"))
		ttfb(&options);
	else if (!strcmp(mode, "idle"))
		idle(&options);
	else if (!strcmp(mode, "pace"))
		pace(&options);
	else
		errx(2, "no such mode: %s", mode);
	return 0;
}
