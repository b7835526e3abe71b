/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What both roles share of a running plaitd: the kernel's state it borrows (marks,
 * rules, routes, sysctls, a TAP device), the BPF side and the engine, set up in
 * this order and taken back in the opposite one.
 */
#ifndef PLAIT_ROLE_INSTANCE_H
#define PLAIT_ROLE_INSTANCE_H

#include <pthread.h>

#include "config/config.h"
#include "engine/engine.h"
#include "port/congestion.h"
#include "port/dataplane.h"
#include "port/loop.h"
#include "port/interfaces.h"
#include "port/routes.h"
#include "port/sockets.h"
#include "port/sysctl.h"

enum {
	INSTANCE_MAX_ADDRESSES = 256,
	RULE_PRIORITY_STEER = 20000,
	RULE_PRIORITY_LINK = 20001,
	RULE_PRIORITY_POOL = 20001,
};

/* Addresses of this machine, kept up to date from netlink; read by all threads. */
struct own_addresses {
	pthread_rwlock_t lock;
	unsigned int count;
	unsigned int beyond; /* more than there is room for */
	struct {
		struct plait_addr addr;
		unsigned int ifindex;
		uint8_t prefix_bits;
		bool broadcast;
	} entry[INSTANCE_MAX_ADDRESSES];
};

struct instance {
	struct config *config; /* owned; limits are cut to what is possible */
	unsigned int sessions_asked; /* limits.sessions before it was cut */
	char lock_path[128];
	int lock_fd; /* -1: another instance has this name */
	uint32_t mark_base; /* of marks and routing tables, sixteen each */
	char tap[IF_NAMESIZE];
	struct netlink rtnetlink;
	struct former former; /* sysctls, and what a role adds */
	struct own_addresses own;
	struct loop_watch address_watch;
	int address_watch_fd;
	/* the role's; after own changed. routes: so may they have */
	void (*on_change)(struct instance *instance, bool routes);
	unsigned int worker_count;
	struct worker_start start[PLAIT_MAX_WORKERS];
	struct plait_settings settings;
	struct leg_options leg;
	struct congestion *congestion;
	struct dataplane *dataplane;
	struct engine engine;
	bool engine_runs, starts_taken;
	uint64_t started_ns;
};

/*
 * First step: limits, sysctls, rules for steering, TAP device and addresses.
 * 0 or negative errno, logged; instance_close() is safe either way.
 */
int instance_prepare(struct instance *instance, struct config *config);

/*
 * Remember a listener for worker, and which side of a session it accepts; -ENOSPC if it
 * has too many. Takes fd.
 */
int instance_add_listener(struct instance *instance, unsigned int worker, enum which_side side,
			  int fd);

/*
 * Give every worker a listener of each side and family on a loopback address, which only
 * SYNs let go can reach, by sk_assign. 0 or negative errno.
 */
int instance_add_private_listeners(struct instance *instance);

/* Give every worker a socket of each family for hosts' datagrams. 0 or negative errno; logged. */
int instance_add_udp_sockets(struct instance *instance);

/* And let the loaded object's look-ups find them. */
int instance_attach_datagrams(struct instance *instance);

/*
 * Second step: load the role's BPF object with instance->settings, and at most two maps of
 * its own in those sizes (as dataplane_open() has them). Sessions of an earlier run lapse. Logged.
 */
int instance_load(struct instance *instance, const void *elf, size_t elf_bytes,
		  const struct dataplane_size *more);

/*
 * Keep the configured ports of datagram mode from the kernel's own connections. 0 or
 * negative errno; logged.
 */
int instance_reserve_ports(struct instance *instance);

/* A prefix as a key of an LPM trie of the object. */
struct plait_prefix_key instance_prefix_key(const struct plait_prefix *prefix);

/* Put a prefix into an LPM trie of the object by its name. 0 or negative errno. */
int instance_publish_prefix(struct instance *instance, const char *map,
			    const struct plait_prefix *prefix);

/* Put the interfaces' indices into a map of the object by its name. 0 or negative errno. */
int instance_publish_interfaces(struct instance *instance, const char *map,
				const struct config_interfaces *interfaces);

/* The main thread's of the agent's counters. */
unsigned long long *instance_counter(const struct instance *instance, enum plait_reason reason);

/* Attach program to an interface by name. Logged. */
int instance_attach(struct instance *instance, const char *program, const char *interface,
		    enum dataplane_hook hook);

/* Last step: start the workers, and follow address changes from loop. */
int instance_start(struct instance *instance, const struct role_ops *ops, struct loop *loop);

/* Cut the limits of a configuration that is read again as those of the first one were. */
void instance_cut_limits_again(const struct instance *instance, struct config *next);

/* Copy what next changes of what may change, while no worker looks. Main thread's. */
void instance_take_changes(struct instance *instance, const struct config *next);

/* Take everything back. */
void instance_close(struct instance *instance);

/*
 * Dial a session's plain side, TCP or UDP, with its DSCP. from as tcp_dial() has it. Returns
 * the socket or negative errno.
 */
int instance_dial_plain(const struct instance *instance, const struct session *session,
			const struct plait_addr *from, const struct plait_addr *to);

/* A global address of an interface; false: it has none of that family. */
bool instance_address_of(struct instance *instance, unsigned int ifindex, uint8_t family,
			 struct plait_addr *out);

/* addr is one of this machine's unicast addresses; its port is ignored. */
bool instance_owns(struct instance *instance, const struct plait_addr *addr);

#endif
