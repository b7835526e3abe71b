/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A running role. Only this room knows which one it is. */
#ifndef PLAIT_ROLE_ROLE_H
#define PLAIT_ROLE_ROLE_H

#include "config/config.h"
#include "engine/report.h"
#include "port/loop.h"

struct instance;

struct role {
	/*
	 * Set everything up and begin; config is taken. 0 or negative errno, logged.
	 * close() is needed either way.
	 */
	int (*open)(struct role *role, struct config *config, struct loop *loop);
	/* End every session and leave nothing behind. */
	void (*close)(struct role *role);
	/* Whether new connections are taken; those there are go on. */
	void (*drain)(struct role *role, bool on);
	/* Bindings of datagram mode; on a CPE also those that rest. */
	unsigned int (*datagram_bindings)(const struct role *role);
	/* Whether datagrams of bindings flow: beside sessions, what an end waits for. */
	bool (*datagrams_flow)(struct role *role);
	/*
	 * Take what next changes of what may change (config/difference.h). 0 or negative
	 * errno: nothing has changed.
	 */
	int (*reload)(struct role *role, const struct config *next);
	/*
	 * A binding that lets connections in, which binding_check() has found right: 0, -EEXIST
	 * if its port or what is inside is taken, or another negative errno.
	 */
	int (*bind)(struct role *role, const struct config_binding *binding);
	/* What it has let in goes on. False: there is none. */
	bool (*unbind)(struct role *role, const struct config_binding *binding);
	/* Fills at most max; returns their number. */
	size_t (*links)(struct role *role, struct link_report *out, size_t max);
	/* The same of a CPE's concentrators; a concentrator has none. */
	size_t (*concentrators)(struct role *role, struct concentrator_report *out, size_t max);
	/*
	 * What a concentrator has lent; a CPE has none of it. *out is malloc()ed; count or
	 * negative errno.
	 */
	long (*bindings)(struct role *role, struct binding_report **out);
	long (*subscribers)(struct role *role, struct subscriber_report **out);
	/* Fills at most max; returns their number. */
	size_t (*pools)(struct role *role, struct pool_report *out, size_t max);
	bool draining; /* new connections are not taken */
	bool ending; /* and that stays so */
	const char *file; /* of the configuration; borrowed */
	struct instance *instance;
	void *own; /* the role's state */
};

extern const struct role role_cpe, role_concentrator;

/* Fill a report with what the kernel knows of an interface. */
void role_report_interface(struct role *role, const char *interface, struct link_report *out);

#endif
