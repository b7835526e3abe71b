// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "resolver.h"

#include <ares.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/addr_text.h"
#include "base/container.h"

enum { SOCKETS_MAX = 16, ADDRESSES_MAX = 16, TIMEOUT_MS = 2000, TRIES = 2 };

struct resolver_socket {
	struct loop_watch watch;
	struct resolver *resolver;
	int fd; /* -1: the slot is free */
};

struct resolver {
	struct loop *loop;
	ares_channel channel; /* NULL: nothing was asked yet */
	unsigned int outstanding;
	int timer_fd;
	struct loop_watch timer_watch;
	struct resolver_socket sockets[SOCKETS_MAX];
};

struct question {
	struct resolver *resolver;
	resolver_on_answer *on_answer;
	void *context;
};

/* When c-ares wants to look whether a server has been silent for too long. */
static void arm(struct resolver *resolver)
{
	struct timeval until;
	const struct timeval *left = ares_timeout(resolver->channel, NULL, &until);
	struct itimerspec due = {};

	if (left) {
		due.it_value.tv_sec = left->tv_sec;
		due.it_value.tv_nsec = left->tv_usec * 1000 + 1; /* 0 would be never */
	}
	timerfd_settime(resolver->timer_fd, 0, &due, NULL);
}

static void socket_ready(struct loop_watch *watch, uint32_t events)
{
	struct resolver_socket *slot = container_of(watch, struct resolver_socket, watch);
	struct resolver *resolver = slot->resolver;

	if (slot->fd < 0)
		return;
	ares_process_fd(resolver->channel, events & ~EPOLLOUT ? slot->fd : ARES_SOCKET_BAD,
			events & EPOLLOUT ? slot->fd : ARES_SOCKET_BAD);
	arm(resolver);
}

static void timer_ready(struct loop_watch *watch, uint32_t events)
{
	struct resolver *resolver = container_of(watch, struct resolver, timer_watch);
	uint64_t times;

	if (read(resolver->timer_fd, &times, sizeof(times)) != sizeof(times))
		return;
	ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm(resolver);
}

static struct resolver_socket *find_socket(struct resolver *resolver, int fd)
{
	for (unsigned int i = 0; i < SOCKETS_MAX; i++)
		if (resolver->sockets[i].fd == fd)
			return &resolver->sockets[i];
	return NULL;
}

/* c-ares wants to know when fd is readable or writable; neither: it closes fd. */
static void socket_changed(void *context, ares_socket_t fd, int readable, int writable)
{
	struct resolver *resolver = context;
	struct resolver_socket *slot = find_socket(resolver, fd);
	uint32_t events = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0);

	if (slot && events) {
		loop_modify(resolver->loop, fd, events, &slot->watch);
	} else if (slot) {
		loop_remove(resolver->loop, fd);
		slot->fd = -1;
	} else if (events) {
		slot = find_socket(resolver, -1); /* none is free: its time-out comes */
		if (slot && !loop_add(resolver->loop, fd, events, &slot->watch))
			slot->fd = fd;
	}
}

/* So that it has read the machine's files as they are now. */
static int open_channel(struct resolver *resolver)
{
	struct ares_options options = {.timeout = TIMEOUT_MS,
				       .tries = TRIES,
				       .sock_state_cb = socket_changed,
				       .sock_state_cb_data = resolver};

	if (resolver->channel)
		ares_destroy(resolver->channel);
	resolver->channel = NULL;
	return ares_init_options(&resolver->channel, &options,
				 ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB)
		       ? -ENOMEM
		       : 0;
}

int resolver_open(struct resolver **out, struct loop *loop)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (!resolver)
		return -ENOMEM;
	resolver->loop = loop;
	for (unsigned int i = 0; i < SOCKETS_MAX; i++)
		resolver->sockets[i] = (struct resolver_socket){
			.watch.ready = socket_ready, .resolver = resolver, .fd = -1};
	resolver->timer_watch.ready = timer_ready;
	resolver->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (resolver->timer_fd < 0 ||
	    loop_add(loop, resolver->timer_fd, EPOLLIN, &resolver->timer_watch)) {
		int err = -errno;

		resolver_close(resolver);
		return err;
	}
	*out = resolver;
	return 0;
}

void resolver_close(struct resolver *resolver)
{
	if (!resolver)
		return;
	if (resolver->channel)
		ares_destroy(resolver->channel);
	if (resolver->timer_fd >= 0)
		close(resolver->timer_fd);
	free(resolver);
}

static unsigned int read_addresses(const struct ares_addrinfo *info,
				   struct plait_addr out[ADDRESSES_MAX], unsigned int *ttl_s)
{
	const struct ares_addrinfo_node *node = info->nodes;
	unsigned int count = 0;

	*ttl_s = 0;
	for (; node && count < ADDRESSES_MAX; node = node->ai_next) {
		struct sockaddr_storage address = {};

		__builtin_memcpy(&address, node->ai_addr, node->ai_addrlen);
		if (!addr_from_sockaddr(&address, &out[count]))
			continue;
		out[count].port = 0;
		if (!count || (unsigned int)node->ai_ttl < *ttl_s)
			*ttl_s = (unsigned int)node->ai_ttl;
		count++;
	}
	return count;
}

static void answered(void *context, int status, int timeouts, struct ares_addrinfo *info)
{
	struct question question = *(struct question *)context;
	struct plait_addr addrs[ADDRESSES_MAX];
	unsigned int count = 0, ttl_s = 0;

	free(context);
	question.resolver->outstanding--;
	if (info) {
		count = read_addresses(info, addrs, &ttl_s);
		ares_freeaddrinfo(info);
	}
	if (status != ARES_EDESTRUCTION)
		question.on_answer(question.context, addrs, count, ttl_s, ares_strerror(status));
}

int resolver_ask(struct resolver *resolver, const char *name, resolver_on_answer *on_answer,
		 void *context)
{
	static const struct ares_addrinfo_hints both = {.ai_socktype = SOCK_STREAM};
	struct question *question;
	int err = resolver->outstanding ? 0 : open_channel(resolver);

	if (err)
		return err;
	question = malloc(sizeof(*question));
	if (!question)
		return -ENOMEM;
	*question =
		(struct question){.resolver = resolver, .on_answer = on_answer, .context = context};
	resolver->outstanding++;
	ares_getaddrinfo(resolver->channel, name, NULL, &both, answered, question);
	arm(resolver);
	return 0;
}
