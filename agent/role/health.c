// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "health.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/container.h"
#include "base/log.h"
#include "port/mptcp.h"

enum { CHECK_SECONDS = 1, FAILURES_MAX = 2 };

static void change(struct health *health, bool answers)
{
	if (health->answers == answers)
		return;
	health->answers = answers;
	if (answers)
		log_notice("the concentrator answers again");
	else
		log_warning("the concentrator does not answer");
	health->on_change(health);
}

/* What has not answered by the time of the next check will not. */
static void failed(struct health *health)
{
	if (++health->failures >= FAILURES_MAX)
		change(health, false);
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
	if (err) {
		failed(health);
		return;
	}
	health->failures = 0;
	change(health, true);
}

/* Over the link that a new connection would take; of any family. */
static bool find_path(struct links *links, struct path *out)
{
	int link = links_choose(links, AF_INET, 0);

	return link >= 0 && links_path(links, (unsigned int)link, AF_INET, out);
}

static int begin(struct health *health)
{
	struct path path;
	int err;

	if (!find_path(health->links, &path))
		return -ENETUNREACH;
	if (!path.remote.port)
		return 0; /* port: preserve: there is no port to ask */
	health->fd = mptcp_connect(&path.local, &path.remote);
	if (health->fd < 0)
		return health->fd;
	err = loop_add(health->loop, health->fd, EPOLLOUT, &health->watch);
	if (err)
		end(health);
	return err;
}

static void due(struct loop_watch *watch, uint32_t events)
{
	struct health *health = container_of(watch, struct health, timer_watch);
	uint64_t times;

	if (read(health->timer_fd, &times, sizeof(times)) != sizeof(times))
		return;
	if (health->fd >= 0) {
		end(health);
		failed(health);
	}
	if (begin(health))
		failed(health);
}

int health_open(struct health *health, struct links *links, struct loop *loop,
		void (*on_change)(struct health *health))
{
	static const struct itimerspec every = {.it_value = {.tv_nsec = 1},
						.it_interval = {.tv_sec = CHECK_SECONDS}};

	health->links = links;
	health->loop = loop;
	health->on_change = on_change;
	health->answers = true;
	health->fd = -1;
	health->watch.ready = ready;
	health->timer_watch.ready = due;
	health->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (health->timer_fd < 0)
		return -errno;
	if (timerfd_settime(health->timer_fd, 0, &every, NULL))
		return -errno;
	return loop_add(loop, health->timer_fd, EPOLLIN, &health->timer_watch);
}

void health_close(struct health *health)
{
	if (!health->links)
		return;
	end(health);
	if (health->timer_fd >= 0)
		close(health->timer_fd);
}
