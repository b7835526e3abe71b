// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/addr_text.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "config/difference.h"
#include "port/kernel.h"
#include "port/sockets.h"
#include "port/tap.h"

#define RUN_DIRECTORY "/run/plait"

enum {
	FILES_A_SESSION = 2,
	FILES_A_WORKER = 40 + 2 * PIPES_MAX,
	FILES_OF_MAIN = 128,
};

/*
 * Marks and tables of an instance follow from its name, so that two instances on
 * one machine keep apart and a restarted one finds what a killed one has left.
 */
static uint32_t mark_base_of(const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return 0x706c0000 | (((hash ^ hash >> 16) << 4) & 0xfff0);
}

static int failed(int err, const char *what)
{
	if (err)
		log_error("%s: %s", what, strerror(-err));
	return err;
}

/* Two plaitd of one name would take each other's rules and pins away. */
static int lock_name(struct instance *instance)
{
	int err, fd;

	if (mkdir(RUN_DIRECTORY, 0755) && errno != EEXIST)
		return failed(-errno, RUN_DIRECTORY);
	snprintf(instance->lock_path, sizeof(instance->lock_path), RUN_DIRECTORY "/%s.lock",
		 instance->config->name);
	fd = open(instance->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return failed(-errno, instance->lock_path);
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		err = -errno;
		close(fd);
		log_error("a plaitd named %s is running already", instance->config->name);
		return err;
	}
	instance->lock_fd = fd;
	return 0;
}

/* Fewer files than configured sessions would need: say so now, not under load. */
static void cut_limits(struct instance *instance)
{
	unsigned long files = kernel_raise_file_limit();
	unsigned long reserved =
		FILES_OF_MAIN + (unsigned long)FILES_A_WORKER * instance->worker_count;
	unsigned long possible = files > reserved ? (files - reserved) / FILES_A_SESSION : 1;

	instance->sessions_asked = instance->config->max_sessions;
	if (possible >= instance->config->max_sessions)
		return;
	log_notice("limits.sessions cut from %u to %lu: %lu file descriptors may be open",
		   instance->config->max_sessions, possible, files);
	instance->config->max_sessions = (unsigned int)possible;
}

void instance_cut_limits_again(const struct instance *instance, struct config *next)
{
	if (next->max_sessions == instance->sessions_asked)
		next->max_sessions = instance->config->max_sessions;
}

static int change_sysctls(struct instance *instance)
{
	char value[SYSCTL_VALUE_BYTES];
	int err = former_open(&instance->former, RUN_DIRECTORY);

	if (!err)
		err = sysctl_read("net/ipv4/tcp_fastopen", value);
	if (err)
		return err;
	/* client and server; cookies are waived socket by socket */
	snprintf(value, sizeof(value), "%lu", strtoul(value, NULL, 0) | 3);
	err = sysctl_change(&instance->former, "net/ipv4/tcp_fastopen", value);
	/*
	 * All legs lead to one address and port, so ports run short: take one from
	 * TIME_WAIT where timestamps make that safe (RFC 6191).
	 */
	if (!err)
		err = sysctl_change(&instance->former, "net/ipv4/tcp_tw_reuse", "1");
	/* how what is accepted gets the DSCP that the agent has put into its SYN */
	if (!err)
		err = sysctl_change(&instance->former, "net/ipv4/tcp_reflect_tos", "1");
	/* what a silent subflow has in flight goes over another after one time-out, not four */
	return err ? err : sysctl_change(&instance->former, "net/mptcp/stale_loss_cnt", "1");
}

static int prepare_steering(struct instance *instance)
{
	static const struct plait_prefix everything[] = {{.family = AF_INET}, {.family = AF_INET6}};
	uint32_t base = instance->mark_base;
	int err;

	err = routes_remove(&instance->rtnetlink, base, base + 15); /* of a killed run */
	for (unsigned int i = 0; !err && i < 2; i++) {
		err = routes_add_local(&instance->rtnetlink, &everything[i], base);
		if (!err)
			err = routes_add_mark_rule(&instance->rtnetlink, everything[i].family,
						   base + PLAIT_MARK_STEER, base,
						   RULE_PRIORITY_STEER);
	}
	return err;
}

static int prepare_tap(struct instance *instance)
{
	int fds[PLAIT_MAX_WORKERS];
	int err;

	snprintf(instance->tap, sizeof(instance->tap), "plait-%03x",
		 instance->mark_base >> 4 & 0xfff);
	err = tap_open(instance->tap, fds, instance->worker_count);
	for (unsigned int i = 0; i < instance->worker_count; i++)
		instance->start[i].tap_fd = err ? -1 : fds[i];
	return err;
}

/* Without its own congestion control uneven links are used worse, and nothing else. */
static void prepare_legs(struct instance *instance)
{
	int err;

	instance->leg.mark = instance->mark_base + PLAIT_MARK_LEG;
	if (instance->config->congestion == CONGESTION_SYSTEM)
		return;
	err = congestion_open(&instance->congestion, instance->leg.congestion);
	if (err)
		log_warning("plait's congestion control: %s; the system's is used", strerror(-err));
	else
		log_debug("legs have the congestion control %s", instance->leg.congestion);
}

static void on_address(void *context, unsigned int ifindex, const struct plait_addr *addr,
		       uint8_t prefix_bits, bool broadcast)
{
	struct own_addresses *found = context;

	if (found->count == INSTANCE_MAX_ADDRESSES) {
		found->beyond++;
		return;
	}
	found->entry[found->count].addr = *addr;
	found->entry[found->count].ifindex = ifindex;
	found->entry[found->count].prefix_bits = prefix_bits;
	found->entry[found->count].broadcast = broadcast;
	found->count++;
}

static int dump_addresses(struct netlink *rtnetlink, struct own_addresses *found)
{
	int err = -EINTR;

	for (unsigned int i = 0; err == -EINTR && i < NETLINK_DUMPS_TRIED; i++) {
		memset(found, 0, sizeof(*found));
		err = interface_addresses(rtnetlink, on_address, found);
	}
	return err;
}

/* What is known stays until all is known anew. */
static int read_addresses(struct instance *instance)
{
	struct own_addresses found, *own = &instance->own;
	int err = dump_addresses(&instance->rtnetlink, &found);

	if (err)
		return err == -EINTR ? 0 : err; /* news of what interrupted it is waiting */
	if (found.beyond && !own->beyond)
		log_warning("%u addresses beyond %d are not known as this machine's", found.beyond,
			    INSTANCE_MAX_ADDRESSES);
	pthread_rwlock_wrlock(&own->lock);
	own->count = found.count;
	own->beyond = found.beyond;
	memcpy(own->entry, found.entry, sizeof(found.entry));
	pthread_rwlock_unlock(&own->lock);
	return 0;
}

/* Watched first: what changes after it was read is not to be missed. */
static int watch_addresses(struct instance *instance)
{
	instance->address_watch_fd = interface_watch_open();
	if (instance->address_watch_fd < 0)
		return instance->address_watch_fd;
	return read_addresses(instance);
}

int instance_prepare(struct instance *instance, struct config *config)
{
	int err;

	instance->config = config;
	instance->lock_fd = instance->former.fd = -1;
	err = lock_name(instance);
	if (err)
		return err;
	instance->started_ns = clock_now_ns();
	instance->mark_base = mark_base_of(config->name);
	instance->worker_count = engine_worker_count(config);
	instance->address_watch_fd = -1;
	for (unsigned int i = 0; i < instance->worker_count; i++)
		instance->start[i].tap_fd = instance->start[i].datagram_fd[0] =
			instance->start[i].datagram_fd[1] = -1;
	pthread_rwlock_init(&instance->own.lock, NULL);
	cut_limits(instance);
	err = failed(netlink_open(&instance->rtnetlink, NETLINK_ROUTE), "rtnetlink");
	if (!err)
		err = failed(change_sysctls(instance), "sysctls");
	if (!err)
		err = failed(prepare_steering(instance), "rules and routes for steering");
	if (!err)
		err = failed(prepare_tap(instance), "TAP device");
	if (!err)
		prepare_legs(instance);
	if (!err)
		err = failed(watch_addresses(instance), "addresses");
	instance->settings.mark_base = instance->mark_base;
	instance->settings.workers = instance->worker_count;
	return err;
}

int instance_add_listener(struct instance *instance, unsigned int worker, enum which_side side,
			  int fd)
{
	struct worker_start *start = &instance->start[worker];

	if (start->listener_count == WORKER_LISTENERS_MAX) {
		close(fd);
		return -ENOSPC;
	}
	start->listeners[start->listener_count].side = side;
	start->listeners[start->listener_count++].fd = fd;
	return 0;
}

static int listen_for_held(const struct instance *instance, enum which_side side,
			   const struct plait_addr *addr)
{
	return side == SIDE_PLAIN ? tcp_listen_transparent(addr)
				  : mptcp_listen(addr, &instance->leg, LISTEN_HELD);
}

static int add_private_listener(struct instance *instance, unsigned int worker,
				enum which_side side, const struct plait_addr *loopback)
{
	unsigned int number = 2 * worker + side;
	struct plait_addr bound;
	int err, fd = listen_for_held(instance, side, loopback);

	if (fd < 0)
		return fd;
	err = socket_local(fd, &bound);
	if (err) {
		close(fd);
		return err;
	}
	if (loopback->family == AF_INET)
		instance->settings.listener_v4[number] = bound.port;
	else
		instance->settings.listener_v6[number] = bound.port;
	return instance_add_listener(instance, worker, side, fd);
}

int instance_add_private_listeners(struct instance *instance)
{
	static const struct plait_addr loopback_v4 = {.ip = {127, 0, 0, 1}, .family = AF_INET};
	static const struct plait_addr loopback_v6 = {.ip = {[15] = 1}, .family = AF_INET6};
	int err = 0;

	for (unsigned int i = 0; !err && i < 2 * instance->worker_count; i++) {
		enum which_side side = i % 2 ? SIDE_LEG : SIDE_PLAIN;

		err = add_private_listener(instance, i / 2, side, &loopback_v4);
		if (!err)
			err = add_private_listener(instance, i / 2, side, &loopback_v6);
	}
	return failed(err, "listening on loopback addresses");
}

int instance_add_udp_sockets(struct instance *instance)
{
	static const struct plait_addr loopback[] = {{.ip = {127, 0, 0, 1}, .family = AF_INET},
						     {.ip = {[15] = 1}, .family = AF_INET6}};

	for (unsigned int i = 0; i < 2 * instance->worker_count; i++) {
		int fd = datagram_listen(&loopback[i % 2]);

		if (fd < 0)
			return failed(fd, "sockets for datagrams");
		instance->start[i / 2].datagram_fd[i % 2] = fd;
	}
	return 0;
}

int instance_attach_datagrams(struct instance *instance)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < 2 * instance->worker_count; i++) {
		uint64_t fd = (uint64_t)instance->start[i / 2].datagram_fd[i % 2];

		err = dataplane_put(instance->dataplane, "udp_sockets", &i, &fd);
	}
	if (!err)
		err = dataplane_attach_lookup(instance->dataplane, "udp_socket");
	return failed(err, "steering datagrams");
}

/* The kernel knows best which of the map's addresses are still there: all anew. */
static void publish_addresses(struct instance *instance)
{
	struct own_addresses *own = &instance->own;
	uint8_t one = 1;

	dataplane_clear(instance->dataplane, "local_addresses", sizeof(struct plait_addr));
	pthread_rwlock_rdlock(&own->lock);
	for (unsigned int i = 0; i < own->count; i++)
		dataplane_put(instance->dataplane, "local_addresses", &own->entry[i].addr, &one);
	pthread_rwlock_unlock(&own->lock);
}

int instance_load(struct instance *instance, const void *elf, size_t elf_bytes,
		  const struct dataplane_size *more)
{
	/* workers round their share up: none may find a slot and no room in the map */
	unsigned int entries = instance->config->max_sessions + instance->worker_count;
	struct dataplane_size sizes[4] = {{"sessions", entries}};
	int err;

	for (unsigned int i = 0; i < 2 && more[i].map; i++)
		sizes[i + 1] = more[i];
	err = dataplane_open(&instance->dataplane, elf, elf_bytes, &instance->settings,
			     instance->config->name, sizes);

	if (!err) {
		publish_addresses(instance);
		dataplane_sessions_lapse(instance->dataplane,
					 clock_now_ns() +
						 instance->config->lifetimes.reset_ms * NS_PER_MS);
	}
	return failed(err, "loading BPF programs");
}

int instance_reserve_ports(struct instance *instance)
{
	static const char reserved[] = "net/ipv4/ip_local_reserved_ports";
	const struct config_datagram *config = &instance->config->datagram;
	char now[SYSCTL_VALUE_BYTES], more[2 * SYSCTL_VALUE_BYTES];
	int err = sysctl_read(reserved, now);

	if (!err) {
		snprintf(more, sizeof(more), "%s%s%u-%u", now, now[0] ? "," : "",
			 config->port_first, config->port_last);
		/* what has been read may be cut, and could not be put back */
		err = strlen(more) >= SYSCTL_VALUE_BYTES
			      ? -E2BIG
			      : sysctl_change(&instance->former, reserved, more);
	}
	return failed(err, "ip_local_reserved_ports");
}

struct plait_prefix_key instance_prefix_key(const struct plait_prefix *prefix)
{
	struct plait_prefix_key key = {.bits = 8u + prefix->bits, .family = prefix->family};

	memcpy(key.ip, prefix->ip, sizeof(key.ip));
	return key;
}

int instance_publish_prefix(struct instance *instance, const char *map,
			    const struct plait_prefix *prefix)
{
	struct plait_prefix_key key = instance_prefix_key(prefix);
	uint8_t one = 1;

	return dataplane_put(instance->dataplane, map, &key, &one);
}

int instance_publish_interfaces(struct instance *instance, const char *map,
				const struct config_interfaces *interfaces)
{
	uint8_t one = 1;
	int err = 0;

	for (unsigned int i = 0; !err && i < interfaces->count; i++) {
		uint32_t ifindex = if_nametoindex(interfaces->name[i]);

		err = dataplane_put(instance->dataplane, map, &ifindex, &one);
	}
	return err;
}

unsigned long long *instance_counter(const struct instance *instance, enum plait_reason reason)
{
	return &dataplane_counters(instance->dataplane, instance->worker_count)[reason];
}

int instance_attach(struct instance *instance, const char *program, const char *interface,
		    enum dataplane_hook hook)
{
	unsigned int ifindex = if_nametoindex(interface);
	int err = ifindex ? dataplane_attach(instance->dataplane, program, ifindex, hook) : -ENODEV;

	if (err)
		log_error("attaching %s to %s: %s", program, interface, strerror(-err));
	return err;
}

static void addresses_changed(struct loop_watch *watch, uint32_t events)
{
	struct instance *instance = container_of(watch, struct instance, address_watch);

	bool routes = interface_watch_drain(instance->address_watch_fd);

	if (failed(read_addresses(instance), "addresses"))
		return;
	publish_addresses(instance);
	if (instance->on_change)
		instance->on_change(instance, routes);
}

static int follow_addresses(struct instance *instance, struct loop *loop)
{
	instance->address_watch.ready = addresses_changed;
	return loop_add(loop, instance->address_watch_fd, EPOLLIN, &instance->address_watch);
}

int instance_start(struct instance *instance, const struct role_ops *ops, struct loop *loop)
{
	int err = failed(follow_addresses(instance, loop), "watching addresses");

	if (!err)
		err = instance_attach(instance, "let_go", instance->tap, HOOK_INGRESS);
	if (err)
		return err;
	instance->starts_taken = true;
	err = failed(engine_start(&instance->engine, instance->config, ops, instance->dataplane,
				  instance->start),
		     "starting workers");
	instance->engine_runs = !err;
	return err;
}

struct changes {
	struct config *running;
	const struct config *next;
};

static void copy_changes(void *argument)
{
	const struct changes *changes = argument;

	config_take_changes(changes->running, changes->next);
}

void instance_take_changes(struct instance *instance, const struct config *next)
{
	struct changes changes = {.running = instance->config, .next = next};

	engine_pause(&instance->engine, copy_changes, &changes);
	engine_lifetimes_changed(&instance->engine);
}

static void close_starts(struct instance *instance)
{
	for (unsigned int i = 0; i < instance->worker_count; i++) {
		struct worker_start *start = &instance->start[i];

		for (unsigned int l = 0; l < start->listener_count; l++)
			close(start->listeners[l].fd);
		for (unsigned int f = 0; f < 2; f++)
			if (start->datagram_fd[f] >= 0)
				close(start->datagram_fd[f]);
		if (start->tap_fd >= 0)
			close(start->tap_fd);
	}
}

void instance_close(struct instance *instance)
{
	if (instance->lock_fd < 0)
		return; /* nothing was touched */
	dataplane_detach(instance->dataplane); /* no more SYNs for an engine that ends */
	if (instance->engine_runs)
		engine_stop(&instance->engine);
	else if (!instance->starts_taken)
		close_starts(instance);
	dataplane_close(instance->dataplane);
	congestion_close(instance->congestion);
	if (instance->address_watch_fd >= 0)
		close(instance->address_watch_fd);
	if (instance->rtnetlink.socket) {
		routes_remove(&instance->rtnetlink, instance->mark_base, instance->mark_base + 15);
		netlink_close(&instance->rtnetlink);
	}
	if (former_is_last(&instance->former))
		sysctl_restore(&instance->former);
	former_close(&instance->former);
	pthread_rwlock_destroy(&instance->own.lock);
	unlink(instance->lock_path);
	close(instance->lock_fd);
}

int instance_dial_plain(const struct instance *instance, const struct session *session,
			const struct plait_addr *from, const struct plait_addr *to)
{
	uint8_t dscp = config_dscp(instance->config->dscp.plain, session->asked_dscp);

	return session->key.protocol == IPPROTO_UDP ? datagram_dial(from, to, dscp)
						    : tcp_dial(from, to, dscp);
}

bool instance_address_of(struct instance *instance, unsigned int ifindex, uint8_t family,
			 struct plait_addr *out)
{
	struct own_addresses *own = &instance->own;
	bool found = false;

	pthread_rwlock_rdlock(&own->lock);
	for (unsigned int i = 0; i < own->count && !found; i++) {
		const struct plait_addr *addr = &own->entry[i].addr;

		if (own->entry[i].ifindex != ifindex || own->entry[i].broadcast ||
		    addr_is_link_local(addr) || addr->family != family)
			continue;
		*out = *addr;
		found = true;
	}
	pthread_rwlock_unlock(&own->lock);
	return found;
}

bool instance_owns(struct instance *instance, const struct plait_addr *addr)
{
	struct own_addresses *own = &instance->own;
	bool found = false;

	pthread_rwlock_rdlock(&own->lock);
	for (unsigned int i = 0; i < own->count && !found; i++)
		found = !own->entry[i].broadcast && addr_same_ip(&own->entry[i].addr, addr);
	pthread_rwlock_unlock(&own->lock);
	return found;
}
