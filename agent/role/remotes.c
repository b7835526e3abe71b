// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "remotes.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/addr_text.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "config/value.h"

enum {
	LOOK_SECONDS = 1, /* at what is due */
	TTL_MIN_SECONDS = 5, /* also after a failure */
	TTL_MAX_SECONDS = 3600,
};

static void again_after(struct remote *remote, unsigned int seconds)
{
	if (seconds < TTL_MIN_SECONDS)
		seconds = TTL_MIN_SECONDS;
	if (seconds > TTL_MAX_SECONDS)
		seconds = TTL_MAX_SECONDS;
	remote->ask_ns = clock_now_ns() + seconds * NS_PER_S;
}

/* What was known before goes on to count: a name server may be away. */
static void failed(struct remote *remote, const char *why)
{
	if (!remote->failed)
		log_warning("%s leads to no address: %s", remote->config->name, why);
	remote->failed = true;
	again_after(remote, TTL_MIN_SECONDS);
}

static unsigned int take_usable(const struct plait_addr *addrs, unsigned int count,
				struct plait_addr out[REMOTE_ADDRESSES_MAX])
{
	unsigned int taken = 0;

	for (unsigned int i = 0; i < count && taken < REMOTE_ADDRESSES_MAX; i++)
		if (!address_unusable(&addrs[i]))
			out[taken++] = addrs[i];
	return taken;
}

static void answered(void *context, const struct plait_addr *addrs, unsigned int count,
		     unsigned int ttl_s, const char *why)
{
	struct remote *remote = context;
	struct plait_addr found[REMOTE_ADDRESSES_MAX] = {};
	unsigned int usable = take_usable(addrs, count, found);

	remote->asked = false;
	if (!usable) {
		failed(remote, count ? "none that a concentrator can have" : why);
		return;
	}
	remote->failed = false;
	again_after(remote, ttl_s);
	if (usable == remote->count && !memcmp(found, remote->addr, sizeof(found)))
		return;
	remote->count = usable;
	memcpy(remote->addr, found, sizeof(found));
	for (unsigned int i = 0; i < usable; i++)
		log_notice("%s is %s", remote->config->name, addr_text(&found[i]).text);
	remote->remotes->on_change(remote->remotes);
}

static bool is_name(const struct remote *remote)
{
	return remote->config && !remote->config->addr.family;
}

static void ask(struct remote *remote)
{
	int err;

	remote->asked = true;
	err = resolver_ask(remote->remotes->resolver, remote->config->name, answered, remote);
	if (!err)
		return;
	remote->asked = false;
	failed(remote, strerror(-err));
}

static void ask_what_is_due(struct remotes *remotes)
{
	uint64_t now = clock_now_ns();

	for (unsigned int i = 0; i < CONFIG_MAX_CONCENTRATORS; i++)
		for (unsigned int j = 0; j < CONFIG_MAX_ADDRESSES; j++) {
			struct remote *remote = &remotes->remote[i][j];

			if (is_name(remote) && !remote->asked && now >= remote->ask_ns)
				ask(remote);
		}
}

static void due(struct loop_watch *watch, uint32_t events)
{
	struct remotes *remotes = container_of(watch, struct remotes, timer_watch);
	uint64_t times;

	if (read(remotes->timer_fd, &times, sizeof(times)) == sizeof(times))
		ask_what_is_due(remotes);
}

static int ask_names(struct remotes *remotes, struct loop *loop)
{
	static const struct itimerspec every = {.it_value = {.tv_nsec = 1},
						.it_interval = {.tv_sec = LOOK_SECONDS}};
	int err = resolver_open(&remotes->resolver, loop);

	if (err)
		return err;
	remotes->timer_watch.ready = due;
	remotes->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (remotes->timer_fd < 0 || timerfd_settime(remotes->timer_fd, 0, &every, NULL))
		return -errno;
	return loop_add(loop, remotes->timer_fd, EPOLLIN, &remotes->timer_watch);
}

/* True if it is a name. */
static bool init_remote(struct remotes *remotes, struct remote *remote,
			const struct config_host *config)
{
	remote->remotes = remotes;
	remote->config = config;
	if (is_name(remote))
		return true;
	remote->addr[0] = config->addr;
	remote->count = 1;
	return false;
}

int remotes_open(struct remotes *remotes, const struct config *config, struct loop *loop,
		 void (*on_change)(struct remotes *remotes))
{
	bool names = false;

	remotes->config = config;
	remotes->on_change = on_change;
	remotes->timer_fd = -1;
	for (unsigned int i = 0; i < config->concentrator_count; i++)
		for (unsigned int j = 0; j < config->concentrators[i].address_count; j++)
			names |= init_remote(remotes, &remotes->remote[i][j],
					     &config->concentrators[i].addresses[j]);
	return names ? ask_names(remotes, loop) : 0;
}

void remotes_close(struct remotes *remotes)
{
	if (!remotes->config)
		return;
	resolver_close(remotes->resolver);
	if (remotes->timer_fd >= 0)
		close(remotes->timer_fd);
}

unsigned int remotes_of(const struct remotes *remotes, unsigned int concentrator,
			struct plait_addr *out, unsigned int max)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < CONFIG_MAX_ADDRESSES; i++) {
		const struct remote *remote = &remotes->remote[concentrator][i];

		for (unsigned int j = 0; j < remote->count && count < max; j++)
			out[count++] = remote->addr[j];
	}
	return count;
}
