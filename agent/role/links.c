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
	FIRST_LINK_TABLE = 1, /* from the instance's base */
	LOOK_MS = 50, /* what has moved */
	PROBE_MS = 200, /* sooner where something seems wrong */
	PROBE_IDLE_MS = 1000, /* while there are no sessions */
	PROBE_SOON_MS = 1, /* the loop must run: an answer that waits looks slow */
	PATIENCE_RTTS = 4, /* an answer may take that many, from LOOK_MS to PROBE_MS */
	HEARD_RATE = 3000, /* octets a second: more than neighbours' questions, less than ACKs */
	LATE_US = 20000,
	FULL_QUEUE_US = 2500, /* half of what bpf/congestion.bpf.c lets wait */
};

static const uint8_t families[LINK_FAMILIES] = {AF_INET, AF_INET6};

/* Paths and the routing tables they need */

static uint32_t link_table(const struct links *links, unsigned int link)
{
	return links->instance->mark_base + FIRST_LINK_TABLE + link;
}

static bool link_address(struct links *links, unsigned int ifindex, uint8_t family,
			 struct plait_addr *out)
{
	struct own_addresses *own = &links->instance->own;
	bool found = false;

	pthread_rwlock_rdlock(&own->lock);
	for (unsigned int i = 0; i < own->count && !found; i++) {
		const struct plait_addr *addr = &own->entry[i].addr;
		bool link_local = addr->family == AF_INET6 && addr->ip[0] == 0xfe &&
				  (addr->ip[1] & 0xc0) == 0x80;

		if (own->entry[i].ifindex != ifindex || own->entry[i].broadcast || link_local ||
		    addr->family != family)
			continue;
		*out = *addr;
		found = true;
	}
	pthread_rwlock_unlock(&own->lock);
	return found;
}

/* The concentrator's address closest by the link's own routes; the first of equals. */
static bool choose_remote(struct links *links, unsigned int link, uint8_t family,
			  struct plait_addr *out)
{
	const struct config_concentrator *concentrator = links->instance->config->concentrators;
	int best = -1;

	for (unsigned int i = 0; i < concentrator->address_count; i++) {
		const struct plait_addr *addr = &concentrator->addresses[i];
		int bits;

		if (addr->family != family)
			continue;
		bits = routes_prefix_to(&links->instance->rtnetlink, addr, link_table(links, link));
		if (bits <= best)
			continue;
		best = bits;
		*out = *addr;
		out->port = htons(concentrator->port);
	}
	return best >= 0;
}

/* The table of a link is the main table without the other links. */
static int copy_routes(struct links *links, unsigned int link, unsigned int ifindex, uint8_t family)
{
	const struct config_interfaces *lan = &links->instance->config->lan;
	uint32_t table = link_table(links, link);
	int err = routes_copy(&links->instance->rtnetlink, family, ifindex, table);

	for (unsigned int i = 0; !err && i < lan->count; i++)
		err = routes_copy(&links->instance->rtnetlink, family, if_nametoindex(lan->name[i]),
				  table);
	return err;
}

static int route_link(struct links *links, unsigned int link, unsigned int ifindex, uint8_t family,
		      const struct plait_addr *local)
{
	const struct config_link *config = &links->instance->config->links[link];
	const struct plait_addr *gateway =
		family == AF_INET ? &config->gateway4 : &config->gateway6;
	struct netlink *rtnetlink = &links->instance->rtnetlink;
	uint32_t table = link_table(links, link);
	/* first of all: without it the address would leave by another link */
	int err = routes_add_source_rule(rtnetlink, local, table, RULE_PRIORITY_LINK);

	if (!err)
		err = copy_routes(links, link, ifindex, family);
	if (!err && gateway->family)
		err = routes_add_default(rtnetlink, family, table, ifindex, gateway);
	return err;
}

/* The tables of a link whose addresses have changed, or whose routes may have. */
static void route_anew(struct links *links, unsigned int i, const struct path paths[LINK_FAMILIES])
{
	uint32_t table = link_table(links, i);

	routes_remove(&links->instance->rtnetlink, table, table);
	for (unsigned int f = 0; f < LINK_FAMILIES; f++) {
		int err = 0;

		if (paths[f].local.family)
			err = route_link(links, i, links->link[i].ifindex, families[f],
					 &paths[f].local);
		if (err)
			log_warning("link %s: routes: %s", links->link[i].config->name,
				    strerror(-err));
	}
}

static bool same_addresses(const struct path a[LINK_FAMILIES], const struct path b[LINK_FAMILIES])
{
	for (unsigned int f = 0; f < LINK_FAMILIES; f++)
		if (memcmp(&a[f].local, &b[f].local, sizeof(a[f].local)))
			return false;
	return true;
}

static void log_paths(const struct link *link)
{
	for (unsigned int f = 0; f < LINK_FAMILIES; f++)
		if (link->paths[f].local.family)
			log_notice("link %s: %s to %s", link->config->name,
				   addr_text(&link->paths[f].local).text,
				   addr_text(&link->paths[f].remote).text);
	if (!link->ifindex)
		log_warning("link %s: there is no interface %s now", link->config->name,
			    link->config->interface);
	else if (!link->paths[0].local.family && !link->paths[1].local.family)
		log_warning("link %s has no address with a route to a concentrator",
			    link->config->name);
}

/* An interface that goes takes its programs along; one that comes needs them. */
static void attach_twin(struct links *links, struct link *link, bool ethernet)
{
	const char *program = ethernet ? "leg_egress_ether" : "leg_egress_raw";

	if (link->twin_fd >= 0)
		close(link->twin_fd);
	link->twin_fd = -1;
	if (!link->ifindex)
		return;
	link->twin_fd = dataplane_attach_own(links->instance->dataplane, program, link->ifindex,
					     HOOK_EGRESS);
	if (link->twin_fd < 0)
		log_warning("attaching %s to %s: %s", program, link->config->interface,
			    strerror(-link->twin_fd));
}

/* True if the link has carrier and is up. */
static bool find_interface(struct links *links, struct link *link)
{
	struct interface found = {};

	if (interface_read(&links->instance->rtnetlink, link->config->interface, &found))
		found.ifindex = 0;
	if (found.ifindex != link->ifindex) {
		link->ifindex = found.ifindex;
		attach_twin(links, link, found.ethernet);
	}
	return found.up && found.carrier;
}

static void find_paths(struct links *links, unsigned int i, bool anew)
{
	struct link *link = &links->link[i];
	struct path found[LINK_FAMILIES] = {};

	for (unsigned int f = 0; f < LINK_FAMILIES; f++)
		if (link->ifindex)
			link_address(links, link->ifindex, families[f], &found[f].local);
	if (anew || !same_addresses(found, link->paths))
		route_anew(links, i, found);
	for (unsigned int f = 0; f < LINK_FAMILIES; f++)
		if (found[f].local.family &&
		    !choose_remote(links, i, families[f], &found[f].remote))
			memset(&found[f], 0, sizeof(found[f]));
	if (!memcmp(found, link->paths, sizeof(found)))
		return;
	pthread_rwlock_wrlock(&links->lock);
	memcpy(link->paths, found, sizeof(found));
	pthread_rwlock_unlock(&links->lock);
	log_paths(link);
}

/* Whether they are used */

static void tell(struct links *links, struct link *link)
{
	bool in_use = link_state_in_use(&link->state);

	if (in_use)
		log_notice("link %s is in use", link->config->name);
	else
		log_warning("link %s is left: %s", link->config->name,
			    link_why_text(link->state.why));
	pthread_rwlock_wrlock(&links->lock);
	link->in_use = in_use;
	pthread_rwlock_unlock(&links->lock);
	engine_paths_changed(&links->instance->engine);
}

static const struct path *probed_path(const struct link *link)
{
	return link->paths[0].local.family ? &link->paths[0] : &link->paths[1];
}

static void arm(struct links *links, unsigned int ms)
{
	const struct itimerspec due = {
		.it_value = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}};

	timerfd_settime(links->timer_fd, 0, &due, NULL);
}

/* What is asked follows the path. */
static void aim(struct links *links, struct link *link)
{
	const struct path *path = probed_path(link);
	int err;

	if (!memcmp(&link->ping.local, &path->local, sizeof(path->local)) &&
	    !memcmp(&link->ping.remote, &path->remote, sizeof(path->remote)))
		return;
	err = ping_aim(&link->ping, &path->local, &path->remote);
	if (!err && link->ping.fd >= 0)
		err = loop_add(links->loop, link->ping.fd, EPOLLIN, &link->ping_watch);
	if (!err)
		arm(links, PROBE_SOON_MS);
	if (err)
		log_warning("link %s: probing: %s", link->config->name, strerror(-err));
}

void links_refresh(struct links *links, bool anew)
{
	for (unsigned int i = 0; i < links->count; i++) {
		struct link *link = &links->link[i];
		bool carrier = find_interface(links, link), changed;
		struct path before[LINK_FAMILIES];

		memcpy(before, link->paths, sizeof(before));
		find_paths(links, i, anew);
		aim(links, link);
		changed = link_state_path(&link->state, carrier && probed_path(link)->local.family,
					  clock_now_ns());
		if (changed)
			tell(links, link);
		else if (memcmp(before, link->paths, sizeof(before)))
			engine_paths_changed(&links->instance->engine);
	}
}

/* What has moved over the interface since the last time. */
static void measure(struct links *links, struct link *link)
{
	struct interface now = {};

	if (interface_read(&links->instance->rtnetlink, link->config->interface, &now))
		return;
	link->received = now.received_bytes - link->received_bytes;
	link->sent = now.sent_bytes - link->sent_bytes;
	link->moved_bytes += link->received + link->sent;
	link->heard_bytes += link->received;
	link->received_bytes = now.received_bytes;
	link->sent_bytes = now.sent_bytes;
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

static bool is_late(const struct link *link, uint64_t now)
{
	uint64_t most_us = link->state.rtt_min_us + LATE_US;

	return link->state.rtt_last_us > most_us ||
	       (link->ping.sent_ns && now - link->ping.sent_ns > most_us * 1000);
}

static struct poor_load poor_load(const struct links *links, const struct link *link, uint64_t now)
{
	struct poor_load load = {.received = link->received,
				 .moved = link->received + link->sent,
				 .late = is_late(link, now)};

	for (unsigned int i = 0; i < links->count; i++)
		load.all_moved += links->link[i].received + links->link[i].sent;
	return load;
}

static void judge_poor(struct links *links, struct link *link, const struct poor_load *load,
		       uint64_t now)
{
	/* one that fails begins anew when it is back */
	if (!link_state_in_use(&link->state) && !link->spared)
		link->poor = (struct poor){};
	if (!link_state_in_use(&link->state) || !poor_update(&link->poor, load, now))
		return;
	log_notice("link %s: %s", link->config->name,
		   link->poor.is ? "poor beside the others: spared by bulk" : "tried again");
	pthread_rwlock_wrlock(&links->lock);
	link->spared = link->poor.is;
	pthread_rwlock_unlock(&links->lock);
	engine_paths_changed(&links->instance->engine);
}

static void ask(struct link *link, uint64_t now)
{
	link->asked_ns = now;
	link->heard_bytes = 0;
	ping_send(&link->ping, now);
}

static bool was_heard(const struct link *link, uint64_t now)
{
	return link->heard_bytes * 1000 > (now - link->asked_ns) / NS_PER_MS * HEARD_RATE;
}

static void probe(struct links *links, struct link *link, bool suspected, uint64_t now)
{
	bool deaf = link->sent && !link->received;

	if (link->ping.fd < 0 ||
	    (link->ping.sent_ns && now - link->ping.sent_ns < patience_ns(link)))
		return;
	if (link->ping.sent_ns && link_state_miss(&link->state, was_heard(link, now), now))
		tell(links, link);
	if (now - link->asked_ns >= PROBE_MS * NS_PER_MS || link->state.missed || suspected || deaf)
		ask(link, now);
}

static void look(struct links *links)
{
	uint64_t now = clock_now_ns();

	for (unsigned int i = 0; i < links->count; i++)
		measure(links, &links->link[i]);
	for (unsigned int i = 0; i < links->count; i++) {
		struct link *link = &links->link[i];
		struct poor_load load = poor_load(links, link, now);

		judge_poor(links, link, &load, now);
		probe(links, link, link->poor.suspected, now);
	}
}

/* What waits in the link's queue shows in the round trip of a probe. */
static bool is_full(const struct link *link)
{
	return link->state.rtt_last_us > link->state.rtt_min_us + FULL_QUEUE_US;
}

static struct overflow_load load_since(struct links *links, uint64_t elapsed_ns)
{
	struct overflow_load load = {.full = true};

	for (unsigned int i = 0; i < links->count; i++) {
		struct link *link = &links->link[i];
		uint64_t rate = link->moved_bytes * 1000 / (elapsed_ns / NS_PER_MS + 1);

		link->moved_bytes = 0;
		load.all_rate += rate;
		if (link->config->use != USE_ALWAYS || !link_state_in_use(&link->state))
			continue;
		load.before_rate += rate;
		load.full &= is_full(link);
	}
	return load;
}

static void overflow(struct links *links)
{
	uint64_t now = clock_now_ns();
	struct overflow_load load;

	if (now - links->measured_ns < PROBE_MS * NS_PER_MS)
		return;
	load = load_since(links, now - links->measured_ns);
	links->measured_ns = now;
	if (!overflow_update(&links->overflow, &load, now))
		return;
	pthread_rwlock_wrlock(&links->lock);
	links->overflows = links->overflow.open;
	pthread_rwlock_unlock(&links->lock);
	engine_paths_changed(&links->instance->engine);
}

static void answered(struct loop_watch *watch, uint32_t events)
{
	struct link *link = container_of(watch, struct link, ping_watch);
	struct links *links = link->links;
	uint64_t now = clock_now_ns();
	uint32_t rtt_us;

	if (ping_answered(&link->ping, now, &rtt_us) &&
	    link_state_answer(&link->state, rtt_us, now))
		tell(links, link);
}

static void due(struct loop_watch *watch, uint32_t events)
{
	struct links *links = container_of(watch, struct links, timer_watch);
	unsigned int sessions, held;
	uint64_t times;

	if (read(links->timer_fd, &times, sizeof(times)) != sizeof(times))
		return;
	look(links);
	overflow(links);
	engine_totals(&links->instance->engine, &sessions, &held);
	__atomic_store_n(&links->idle, !sessions, __ATOMIC_RELAXED);
	arm(links, sessions ? LOOK_MS : PROBE_IDLE_MS);
}

int links_open(struct links *links, struct instance *instance, struct loop *loop)
{
	const struct config *config = instance->config;

	links->instance = instance;
	links->loop = loop;
	links->count = config->link_count;
	for (unsigned int i = 0; i < links->count; i++) {
		struct link *link = &links->link[i];
		const struct link_limits limits = {.rtt_us = config->links[i].max_rtt_ms * 1000,
						   .loss_permille =
							   config->links[i].max_loss_percent * 10};

		link->links = links;
		link->config = &config->links[i];
		link->ping.fd = link->twin_fd = -1;
		link->ping_watch.ready = answered;
		link_state_init(&link->state, &limits);
	}
	pthread_rwlock_init(&links->lock, NULL);
	links->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (links->timer_fd < 0)
		return -errno;
	links_refresh(links, true);
	for (unsigned int i = 0; i < links->count; i++)
		if (!probed_path(&links->link[i])->local.family)
			log_paths(&links->link[i]);
	links->timer_watch.ready = due;
	return loop_add(loop, links->timer_fd, EPOLLIN, &links->timer_watch);
}

void links_close(struct links *links)
{
	static const struct plait_addr nobody;

	if (!links->instance)
		return;
	for (unsigned int i = 0; i < links->count; i++) {
		ping_aim(&links->link[i].ping, &nobody, &nobody);
		if (links->link[i].twin_fd >= 0)
			close(links->link[i].twin_fd);
	}
	if (links->timer_fd >= 0)
		close(links->timer_fd);
	pthread_rwlock_destroy(&links->lock);
}

/* Questions of any thread */

bool links_path(struct links *links, unsigned int link, uint8_t family, struct path *out)
{
	unsigned int first = family == AF_INET ? 0 : 1;
	const struct link *asked = &links->link[link];

	pthread_rwlock_rdlock(&links->lock);
	memset(out, 0, sizeof(*out));
	if (asked->in_use)
		*out = asked->paths[asked->paths[first].local.family ? first : !first];
	pthread_rwlock_unlock(&links->lock);
	return out->local.family != 0;
}

bool links_is_backup(struct links *links, unsigned int link)
{
	bool overflows, spared;

	pthread_rwlock_rdlock(&links->lock);
	overflows = links->overflows;
	spared = links->link[link].spared;
	pthread_rwlock_unlock(&links->lock);
	return spared || links->link[link].config->use == USE_BACKUP ||
	       (links->link[link].config->use == USE_OVERFLOW && !overflows);
}

bool links_is_spared(struct links *links, unsigned int link)
{
	bool spared;

	pthread_rwlock_rdlock(&links->lock);
	spared = links->link[link].spared;
	pthread_rwlock_unlock(&links->lock);
	return spared;
}

/* Under lock. */
static int find_address(const struct links *links, const struct plait_addr *local)
{
	for (unsigned int i = 0; i < links->count; i++)
		for (unsigned int f = 0; f < LINK_FAMILIES; f++)
			if (addr_same_ip(&links->link[i].paths[f].local, local))
				return (int)i;
	return -1;
}

int links_of_path(struct links *links, const struct plait_addr *local)
{
	int found;

	pthread_rwlock_rdlock(&links->lock);
	found = find_address(links, local);
	if (found >= 0 && !links->link[found].in_use)
		found = -1;
	pthread_rwlock_unlock(&links->lock);
	return found;
}

int links_of_address(struct links *links, const struct plait_addr *local)
{
	int found;

	pthread_rwlock_rdlock(&links->lock);
	found = find_address(links, local);
	pthread_rwlock_unlock(&links->lock);
	return found;
}

/* Equal weights mean none: the best link, which is the first, begins. */
static bool weights_differ(const struct links *links)
{
	for (unsigned int i = 1; i < links->count; i++)
		if (links->link[i].config->weight != links->link[0].config->weight)
			return true;
	return false;
}

static int choose_by_weight(struct links *links, uint8_t family, uint32_t hash)
{
	unsigned int total = 0, at;
	struct path path;

	for (unsigned int i = 0; i < links->count; i++)
		if (links->link[i].config->use == USE_ALWAYS && links_path(links, i, family, &path))
			total += links->link[i].config->weight;
	at = total ? hash % total : 0;
	for (unsigned int i = 0; i < links->count; i++) {
		if (links->link[i].config->use != USE_ALWAYS ||
		    !links_path(links, i, family, &path))
			continue;
		if (at < links->link[i].config->weight)
			return (int)i;
		at -= links->link[i].config->weight;
	}
	return -1;
}

/* The first of the least reluctant use: always, then overflow, then backup. */
static int choose_by_order(struct links *links, uint8_t family)
{
	struct path path;
	int best = -1;

	for (unsigned int i = 0; i < links->count; i++)
		if (links_path(links, i, family, &path) &&
		    (best < 0 || links->link[i].config->use < links->link[best].config->use))
			best = (int)i;
	return best;
}

int links_choose(struct links *links, uint8_t family, uint32_t hash)
{
	int chosen = weights_differ(links) ? choose_by_weight(links, family, hash) : -1;

	if (__atomic_exchange_n(&links->idle, false, __ATOMIC_RELAXED))
		arm(links, LOOK_MS);
	return chosen >= 0 ? chosen : choose_by_order(links, family);
}
