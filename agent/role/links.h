/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The CPE's access networks, and which of them are used. The main thread follows
 * netlink and probes; workers read.
 */
#ifndef PLAIT_ROLE_LINKS_H
#define PLAIT_ROLE_LINKS_H

#include "attachment.h"
#include "probe.h"
#include "table/link_state.h"
#include "table/overflow.h"
#include "table/poor.h"

/* How to reach a concentrator over a link. */
struct path {
	struct plait_addr local;
	struct plait_addr remote; /* port 0: the flow's own */
};

struct links;

struct link {
	struct links *links;
	const struct config_link *config;
	struct paths paths; /* under lock */
	bool in_use, spared; /* under lock; spared: it is poor */
	struct attachment attachment; /* main thread's, like all that follows */
	struct link_state state;
	struct probe probe;
	struct poor poor;
	unsigned int probed; /* the concentrator that is asked */
};

struct links {
	struct instance *instance;
	const struct remotes *remotes;
	struct loop *loop;
	pthread_rwlock_t lock;
	unsigned int count;
	struct link link[CONFIG_MAX_LINKS];
	bool overflows; /* under lock: links with use: overflow take part */
	struct overflow overflow;
	uint64_t judged_ns; /* when overflow was */
	bool idle; /* no sessions: looked at seldom. Atomic */
	bool carries; /* datagrams, which are no sessions. Main thread's, like all that follows */
	void (*on_change)(struct links *links);
	unsigned int preferred; /* concentrator to probe first */
	int timer_fd;
	struct loop_watch timer_watch;
};

/*
 * Find out what there is and follow it. on_change: which links there are to use, or how
 * much, has changed. 0 or negative errno.
 */
int links_open(struct links *links, struct instance *instance, const struct remotes *remotes,
	       struct loop *loop, void (*on_change)(struct links *links));
void links_close(struct links *links);

/* Addresses, carriers or routes have changed; anew: also routes that look the same. */
void links_refresh(struct links *links, bool anew);

/* Weights, uses and limits in the configuration have changed. Main thread's. */
void links_reconfigured(struct links *links);

/* Probe this concentrator where it can be reached: it answers. Main thread's. */
void links_prefer(struct links *links, unsigned int concentrator);

/* Whether datagrams go over them: then they are looked at often. Main thread's. */
void links_carry(struct links *links, bool carries);

/* Somebody wants to know how they are: they are looked at often. Any thread. */
void links_wake(struct links *links);

/*
 * To a concentrator over a link in use, in the flow's own family if there is a path,
 * else in the other. false: none. Any thread.
 */
bool links_path(struct links *links, unsigned int link, unsigned int concentrator, uint8_t family,
		struct path *out);

/* Whether a link takes part only when the others fail, as things are. Any thread. */
bool links_is_backup(struct links *links, unsigned int link);

/* Whether a link is a backup because bulk goes faster without it. Any thread. */
bool links_is_spared(struct links *links, unsigned int link);

/* The link in use that a local address lies on, or -1. Any thread. */
int links_of_path(struct links *links, const struct plait_addr *local);

/* The link a local address lies on, in use or not, or -1. Any thread. */
int links_of_address(struct links *links, const struct plait_addr *local);

/*
 * Which link a new connection to a concentrator begins on: one in use, by order or
 * by weight; or -1. Any thread.
 */
int links_choose(struct links *links, unsigned int concentrator, uint8_t family, uint32_t hash);

#endif
