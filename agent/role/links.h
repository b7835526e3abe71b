/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The CPE's access networks: their addresses and routing tables, and whether they
 * are to be used. The main thread follows netlink and probes; workers read.
 */
#ifndef PLAIT_ROLE_LINKS_H
#define PLAIT_ROLE_LINKS_H

#include "instance.h"
#include "port/ping.h"
#include "table/link_state.h"
#include "table/overflow.h"
#include "table/poor.h"

enum { LINK_FAMILIES = 2 };

/* How to reach a concentrator over a link in one family. */
struct path {
	struct plait_addr local; /* family 0: there is no way */
	struct plait_addr remote; /* port 0: the flow's own */
};

struct links;

struct link {
	struct links *links;
	const struct config_link *config;
	unsigned int ifindex; /* 0: no such interface now */
	int twin_fd; /* attachment of the program that sends SYNs twice; -1: none */
	struct path paths[LINK_FAMILIES]; /* IPv4, IPv6; under lock */
	bool in_use, spared; /* under lock; spared: it is poor */
	struct link_state state; /* main thread's, like all that follows */
	struct ping ping;
	struct loop_watch ping_watch;
	struct poor poor;
	uint64_t received_bytes, sent_bytes; /* the interface's counts at the last look */
	uint64_t received, sent; /* between the last two */
	uint64_t moved_bytes; /* both ways, since overflow was judged */
	uint64_t asked_ns, heard_bytes; /* the last probe, and what has arrived since */
};

struct links {
	struct instance *instance;
	struct loop *loop;
	pthread_rwlock_t lock;
	unsigned int count;
	struct link link[CONFIG_MAX_LINKS];
	bool overflows; /* under lock: links with use: overflow take part */
	struct overflow overflow;
	uint64_t measured_ns; /* when the counts were read */
	bool idle; /* no sessions: looked at seldom. Atomic */
	int timer_fd;
	struct loop_watch timer_watch;
};

/* Find out what there is and follow it. 0 or negative errno. */
int links_open(struct links *links, struct instance *instance, struct loop *loop);
void links_close(struct links *links);

/* Addresses, carriers or routes have changed; anew: also routes that look the same. */
void links_refresh(struct links *links, bool anew);

/*
 * Over a link in use, in the flow's own family if there is a path, else in the
 * other. false: none. Any thread.
 */
bool links_path(struct links *links, unsigned int link, uint8_t family, struct path *out);

/* Whether a link takes part only when the others fail, as things are. Any thread. */
bool links_is_backup(struct links *links, unsigned int link);

/* Whether a link is a backup because bulk goes faster without it. Any thread. */
bool links_is_spared(struct links *links, unsigned int link);

/* The link in use that a local address lies on, or -1. Any thread. */
int links_of_path(struct links *links, const struct plait_addr *local);

/* The link a local address lies on, in use or not, or -1. Any thread. */
int links_of_address(struct links *links, const struct plait_addr *local);

/* Which link a new connection begins on: one in use, by order or by weight; or -1. Any thread. */
int links_choose(struct links *links, uint8_t family, uint32_t hash);

#endif
