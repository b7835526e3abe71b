/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a CPE lets in from the internet by way of its concentrators: which port of its
 * links' addresses stands for which host and port (plain-mode-08 §4.4.2 (2)).
 */
#ifndef PLAIT_ROLE_INCOMING_H
#define PLAIT_ROLE_INCOMING_H

#include "instance.h"
#include "port/mptcp_pm.h"

struct incoming_binding {
	struct config_binding config;
	uint64_t since_ns;
	int join_fd[2]; /* listeners for MP_JOINs, IPv4 and IPv6; nobody accepts */
};

struct incoming {
	struct instance *instance;
	struct mptcp_pm joins; /* open with the first binding */
	bool takes_joins;
	pthread_rwlock_t lock; /* the main thread changes what workers read */
	unsigned int count;
	struct incoming_binding binding[CONFIG_MAX_BINDINGS];
};

/* Where listeners for MP_JOINs are, into instance->settings: before instance_load(). */
void incoming_prepare(struct instance *instance);

/* With those that are configured. 0 or negative errno, logged. */
int incoming_open(struct incoming *incoming, struct instance *instance);
void incoming_close(struct incoming *incoming);

/* One that binding_check() has found right. 0, -EEXIST, -ENOSPC, or what a port says. Main thread. */
int incoming_add(struct incoming *incoming, const struct config_binding *binding);
/* What it has let in goes on. False: there is none. Main thread. */
bool incoming_remove(struct incoming *incoming, const struct config_binding *binding);

/* The host and port that a port (network byte order) stands for; false: none. Any thread. */
bool incoming_find(struct incoming *incoming, uint8_t protocol, __be16 port,
		   struct plait_addr *inside);

/* Each of incoming->count. Main thread. */
void incoming_report(const struct incoming *incoming, struct binding_report *out);

#endif
