// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "links.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/addr_text.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"

enum {
	LOOK_MS = 50, /* what has moved */
	PROBE_MS = 200, /* sooner where something seems wrong */
	PROBE_IDLE_MS = 1000, /* while there are no sessions */
	PROBE_SOON_MS = 1, /* the loop must run: an answer that waits looks slow */
	PATIENCE_RTTS = 4, /* an answer may take that many, from LOOK_MS to PROBE_MS */
	LATE_US = 20000,
	FULL_QUEUE_US = 2500, /* half of what bpf/congestion.bpf.c lets wait */
};

/* Whether they are used */

static unsigned int concentrator_count(const struct links *links)
{
	return links->instance->config->concentrator_count;
}

static bool has_path(const struct link *link)
{
	for (unsigned int i = 0; i < concentrator_count(link->links); i++)
		if (paths_lead_to(&link->paths, i))
			return true;
	return false;
}

/* Where nothing speaks for any link, those with a path are better than nothing. */
static bool is_to_be_used(const struct links *links, const struct link *link)
{
	for (unsigned int i = 0; i < links->count; i++)
		if (link_state_in_use(&links->link[i].state))
			return link_state_in_use(&link->state);
	return link->state.there;
}

static void use_what_there_is(struct links *links)
{
	pthread_rwlock_wrlock(&links->lock);
	for (unsigned int i = 0; i < links->count; i++)
		links->link[i].in_use = is_to_be_used(links, &links->link[i]);
	pthread_rwlock_unlock(&links->lock);
	links->on_change(links);
}

static void tell(struct links *links, struct link *link)
{
	const char *name = link->config->name, *why = link_why_text(link->state.why);

	use_what_there_is(links);
	if (link_state_in_use(&link->state))
		log_notice("link %s is in use", name);
	else if (link->in_use)
		log_warning("link %s is %s, but there is no other", name, why);
	else
		log_warning("link %s is left: %s", name, why);
}

/* Paths */

static void log_paths(const struct link *link)
{
	const struct config *config = link->links->instance->config;
	const struct paths *paths = &link->paths;

	for (unsigned int i = 0; i < config->concentrator_count; i++)
		for (unsigned int f = 0; f < LINK_FAMILIES; f++)
			if (paths->remote[i][f].family)
				log_notice("link %s: %s to %s (%s)", link->config->name,
					   addr_text(&paths->local[f]).text,
					   addr_text(&paths->remote[i][f]).text,
					   config->concentrators[i].name);
	if (!link->attachment.ifindex)
		log_warning("link %s: there is no interface %s now", link->config->name,
			    link->config->interface);
	else if (!has_path(link))
		log_warning("link %s has no address with a route to a concentrator",
			    link->config->name);
}

/* True if they have changed. */
static bool find_paths(struct links *links, struct link *link, bool anew)
{
	struct paths found;

	attachment_paths(&link->attachment, anew, &found);
	if (!memcmp(&found, &link->paths, sizeof(found)))
		return false;
	pthread_rwlock_wrlock(&links->lock);
	link->paths = found;
	pthread_rwlock_unlock(&links->lock);
	log_paths(link);
	return true;
}

/* Probing */

static void arm(struct links *links, unsigned int ms)
{
	const struct itimerspec due = {
		.it_value = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}};

	timerfd_settime(links->timer_fd, 0, &due, NULL);
}

void links_wake(struct links *links)
{
	if (__atomic_exchange_n(&links->idle, false, __ATOMIC_RELAXED))
		arm(links, LOOK_MS);
}

void links_carry(struct links *links, bool carries)
{
	links->carries = carries;
	if (carries)
		links_wake(links);
}

/* The first concentrator that the link leads to, beginning with this one. */
static unsigned int leads_to(const struct link *link, unsigned int first)
{
	unsigned int count = concentrator_count(link->links);

	for (unsigned int i = 0; i < count; i++)
		if (paths_lead_to(&link->paths, (first + i) % count))
			return (first + i) % count;
	return first;
}

/* What is asked follows the paths. */
static void aim(struct links *links, struct link *link, unsigned int first)
{
	unsigned int concentrator = leads_to(link, first);
	const struct plait_addr *remote = link->paths.remote[concentrator];
	unsigned int f = remote[0].family ? 0 : 1;
	static const struct plait_addr nobody;
	int aimed = probe_aim(&link->probe, remote[f].family ? &link->paths.local[f] : &nobody,
			      &remote[f]);

	if (aimed < 0)
		log_warning("link %s: probing: %s", link->config->name, strerror(-aimed));
	if (aimed > 0)
		link_state_moved(&link->state);
	link->probed = concentrator;
}

void links_prefer(struct links *links, unsigned int concentrator)
{
	links->preferred = concentrator;
	for (unsigned int i = 0; i < links->count; i++)
		aim(links, &links->link[i], concentrator);
}

void links_refresh(struct links *links, bool anew)
{
	for (unsigned int i = 0; i < links->count; i++) {
		struct link *link = &links->link[i];
		bool carrier = attachment_find(&link->attachment);
		bool changed = find_paths(links, link, anew);

		aim(links, link, changed ? links->preferred : link->probed);
		if (changed)
			arm(links, PROBE_SOON_MS);
		if (link_state_path(&link->state, carrier && has_path(link), clock_now_ns()))
			tell(links, link);
		else if (changed)
			use_what_there_is(links);
	}
}

/* It may be the concentrator that is silent, not the link: the next one is asked. */
static void missed(struct links *links, struct link *link, uint64_t now)
{
	if (link_state_miss(&link->state, probe_heard(&link->probe, now), now))
		tell(links, link);
	aim(links, link, link->probed + 1);
}

static uint64_t patience_ns(const struct link *link)
{
	uint64_t rtt_us = link->state.rtt_us > link->state.rtt_last_us ? link->state.rtt_us
								       : link->state.rtt_last_us;
	uint64_t ns = PATIENCE_RTTS * rtt_us * 1000;

	if (ns < LOOK_MS * NS_PER_MS)
		return LOOK_MS * NS_PER_MS;
	return ns < PROBE_MS * NS_PER_MS ? ns : PROBE_MS * NS_PER_MS;
}

static bool seems_wrong(const struct link *link)
{
	return link->state.missed || link->poor.suspected || probe_is_deaf(&link->probe);
}

static void ask_anew(struct links *links, struct link *link, uint64_t now)
{
	uint64_t waited = probe_waited_ns(&link->probe, now);

	if (waited && waited < patience_ns(link))
		return;
	if (waited)
		missed(links, link, now);
	if (seems_wrong(link) || now - link->probe.asked_ns >= PROBE_MS * NS_PER_MS)
		probe_ask(&link->probe, now);
}

static void answered(struct probe *probe, uint32_t rtt_us)
{
	struct link *link = container_of(probe, struct link, probe);

	if (link_state_answer(&link->state, rtt_us, clock_now_ns()))
		tell(link->links, link);
}

/* Bulk spares poor links */

static bool is_late(const struct link *link, uint64_t now)
{
	uint64_t most_us = link->state.rtt_min_us + LATE_US;

	return link->state.rtt_last_us > most_us ||
	       probe_waited_ns(&link->probe, now) > most_us * 1000;
}

static struct poor_load poor_load(const struct links *links, const struct link *link, uint64_t now)
{
	struct poor_load load = {.received = link->probe.received,
				 .moved = link->probe.received + link->probe.sent,
				 .late = is_late(link, now)};

	for (unsigned int i = 0; i < links->count; i++)
		load.all_moved += links->link[i].probe.received + links->link[i].probe.sent;
	return load;
}

static void judge_poor(struct links *links, struct link *link, uint64_t now)
{
	struct poor_load load = poor_load(links, link, now);

	if (link_state_in_use(&link->state) ? !poor_update(&link->poor, &load, now)
					    : !poor_failed(&link->poor, now))
		return;
	log_notice("link %s: %s", link->config->name,
		   link->poor.is ? "poor beside the others: spared by bulk" : "poor no more");
	pthread_rwlock_wrlock(&links->lock);
	link->spared = link->poor.is;
	pthread_rwlock_unlock(&links->lock);
	links->on_change(links);
}

/* Overflow */

/* What waits in the link's queue shows in the round trip of a probe. */
static bool is_full(const struct link *link)
{
	return link->state.rtt_last_us > link->state.rtt_min_us + FULL_QUEUE_US;
}

static struct overflow_load load_now(const struct links *links)
{
	struct overflow_load load = {.full = true};

	for (unsigned int i = 0; i < links->count; i++) {
		const struct link *link = &links->link[i];
		uint64_t rate = link->probe.received_rate + link->probe.sent_rate;

		load.all_rate += rate;
		if (link->config->use != USE_ALWAYS || !link_state_in_use(&link->state))
			continue;
		load.before_rate += rate;
		load.full &= is_full(link);
	}
	return load;
}

static void overflow(struct links *links, uint64_t now)
{
	struct overflow_load load = load_now(links);

	if (now - links->judged_ns < PROBE_MS * NS_PER_MS)
		return;
	links->judged_ns = now;
	if (!overflow_update(&links->overflow, &load, now))
		return;
	pthread_rwlock_wrlock(&links->lock);
	links->overflows = links->overflow.open;
	pthread_rwlock_unlock(&links->lock);
	links->on_change(links);
}

/* Looking */

static void measure(struct links *links, struct link *link, uint64_t now)
{
	struct interface interface = {};

	if (!interface_read(&links->instance->rtnetlink, link->config->interface, &interface))
		probe_measure(&link->probe, &interface, now);
}

static void look(struct links *links)
{
	uint64_t now = clock_now_ns();

	for (unsigned int i = 0; i < links->count; i++) {
		measure(links, &links->link[i], now);
		probe_listen(&links->link[i].probe);
	}
	for (unsigned int i = 0; i < links->count; i++) {
		judge_poor(links, &links->link[i], now);
		ask_anew(links, &links->link[i], now);
	}
	overflow(links, now);
}

static void due(struct loop_watch *watch, uint32_t events)
{
	struct links *links = container_of(watch, struct links, timer_watch);
	unsigned int sessions, held;
	uint64_t times;

	if (read(links->timer_fd, &times, sizeof(times)) != sizeof(times))
		return;
	look(links);
	engine_totals(&links->instance->engine, &sessions, &held);
	__atomic_store_n(&links->idle, !sessions && !links->carries, __ATOMIC_RELAXED);
	arm(links, links->idle ? PROBE_IDLE_MS : LOOK_MS);
}

/* Life */

static struct link_limits limits_of(const struct config_link *config)
{
	return (struct link_limits){.rtt_us = config->max_rtt_ms * 1000,
				    .loss_permille = config->max_loss_percent * 10};
}

static void open_link(struct links *links, unsigned int i)
{
	const struct config_link *config = &links->instance->config->links[i];
	const struct link_limits limits = limits_of(config);
	struct link *link = &links->link[i];

	link->links = links;
	link->config = config;
	attachment_open(&link->attachment, links->instance, links->remotes, i);
	probe_open(&link->probe, links->loop, answered);
	link_state_init(&link->state, &limits);
}

int links_open(struct links *links, struct instance *instance, const struct remotes *remotes,
	       struct loop *loop, void (*on_change)(struct links *links))
{
	links->on_change = on_change;
	links->instance = instance;
	links->remotes = remotes;
	links->loop = loop;
	links->count = instance->config->link_count;
	for (unsigned int i = 0; i < links->count; i++)
		open_link(links, i);
	pthread_rwlock_init(&links->lock, NULL);
	links->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (links->timer_fd < 0)
		return -errno;
	links_refresh(links, true);
	for (unsigned int i = 0; i < links->count; i++)
		if (!has_path(&links->link[i]))
			log_paths(&links->link[i]);
	arm(links, PROBE_SOON_MS);
	links->timer_watch.ready = due;
	return loop_add(loop, links->timer_fd, EPOLLIN, &links->timer_watch);
}

void links_close(struct links *links)
{
	if (!links->instance)
		return;
	for (unsigned int i = 0; i < links->count; i++) {
		probe_close(&links->link[i].probe);
		attachment_close(&links->link[i].attachment);
	}
	if (links->timer_fd >= 0)
		close(links->timer_fd);
	pthread_rwlock_destroy(&links->lock);
}

/* The next probe tells whether a link keeps within its limits. */
void links_reconfigured(struct links *links)
{
	for (unsigned int i = 0; i < links->count; i++)
		links->link[i].state.limits = limits_of(links->link[i].config);
	links->on_change(links);
}
