// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "health.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "port/mptcp.h"

enum { FAILURES_MAX = 2 };

static const struct config_concentrator *config_of(const struct health *health)
{
	return &health->links->instance->config->concentrators[health->concentrator];
}

static void change(struct health *health, bool answers)
{
	if (health->answers == answers)
		return;
	__atomic_store_n(&health->answers, answers, __ATOMIC_RELAXED);
	if (answers)
		log_notice("concentrator %s answers again", config_of(health)->name);
	else
		log_warning("concentrator %s does not answer", config_of(health)->name);
	health->on_change(health);
}

static void failed(struct health *health)
{
	if (++health->failures >= FAILURES_MAX)
		change(health, false);
}

static void succeeded(struct health *health)
{
	health->failures = 0;
	change(health, true);
}

static void end(struct health *health)
{
	if (health->fd >= 0)
		mptcp_fastclose(health->fd);
	health->fd = -1;
}

static void ready(struct loop_watch *watch, uint32_t events)
{
	struct health *health = container_of(watch, struct health, watch);
	int err = socket_error(health->fd);

	end(health);
	if (err == -ECONNREFUSED)
		health->failures = FAILURES_MAX; /* nothing was lost: nobody listens */
	if (err)
		failed(health);
	else
		succeeded(health);
}

static void ping_ready(struct loop_watch *watch, uint32_t events)
{
	struct health *health = container_of(watch, struct health, ping_watch);
	uint32_t rtt_us;

	if (ping_answered(&health->ping, clock_now_ns(), &rtt_us))
		succeeded(health);
}

/* Each failure leads to the next link in use: it may have been the link. */
static bool find_path(struct health *health, struct path *out)
{
	struct links *links = health->links;

	for (unsigned int i = 0; i < links->count; i++)
		if (links_path(links, (health->failures + i) % links->count, health->concentrator,
			       AF_INET, out))
			return true;
	return false;
}

static int begin_ping(struct health *health, const struct path *path)
{
	int err = ping_aim(&health->ping, &path->local, &path->remote);

	if (!err)
		err = loop_add(health->loop, health->ping.fd, EPOLLIN, &health->ping_watch);
	return err ? err : ping_send(&health->ping, clock_now_ns());
}

static int begin(struct health *health)
{
	struct path path;
	int err;

	if (!find_path(health, &path))
		return -ENETUNREACH;
	if (!path.remote.port)
		return begin_ping(health, &path);
	health->fd = mptcp_connect(&path.local, &path.remote);
	if (health->fd < 0)
		return health->fd;
	err = loop_add(health->loop, health->fd, EPOLLOUT, &health->watch);
	if (err)
		end(health);
	return err;
}

/* What has not answered by the time of the next check will not. */
static void due(struct loop_watch *watch, uint32_t events)
{
	struct health *health = container_of(watch, struct health, timer_watch);
	uint64_t times;

	if (read(health->timer_fd, &times, sizeof(times)) != sizeof(times))
		return;
	if (health->fd >= 0 || health->ping.sent_ns) {
		end(health);
		failed(health);
	}
	if (begin(health))
		failed(health);
}

int health_open(struct health *health, struct links *links, unsigned int concentrator,
		struct loop *loop, void (*on_change)(struct health *health))
{
	struct itimerspec every = {.it_value = {.tv_nsec = 1}};
	uint32_t interval_ms;

	health->links = links;
	health->concentrator = concentrator;
	health->loop = loop;
	health->on_change = on_change;
	health->answers = true;
	health->fd = health->ping.fd = -1;
	health->watch.ready = ready;
	health->ping_watch.ready = ping_ready;
	health->timer_watch.ready = due;
	interval_ms = config_of(health)->check_ms;
	every.it_interval.tv_sec = interval_ms / 1000;
	every.it_interval.tv_nsec = (long)(interval_ms % 1000) * 1000000;
	health->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (health->timer_fd < 0)
		return -errno;
	if (timerfd_settime(health->timer_fd, 0, &every, NULL))
		return -errno;
	return loop_add(loop, health->timer_fd, EPOLLIN, &health->timer_watch);
}

void health_close(struct health *health)
{
	static const struct plait_addr nobody;

	if (!health->links)
		return;
	end(health);
	ping_aim(&health->ping, &nobody, &nobody);
	if (health->timer_fd >= 0)
		close(health->timer_fd);
}

bool health_answers(const struct health *health)
{
	return __atomic_load_n(&health->answers, __ATOMIC_RELAXED);
}
