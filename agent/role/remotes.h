/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Where the concentrators are: the addresses that are configured, and those that
 * configured names lead to, asked again when they no longer hold. Main thread's.
 */
#ifndef PLAIT_ROLE_REMOTES_H
#define PLAIT_ROLE_REMOTES_H

#include "config/config.h"
#include "port/loop.h"
#include "port/resolver.h"

enum { REMOTE_ADDRESSES_MAX = 8 };

/* What one line of a concentrator's addresses stands for. */
struct remote {
	struct remotes *remotes;
	const struct config_host *config;
	unsigned int count;
	struct plait_addr addr[REMOTE_ADDRESSES_MAX]; /* without ports */
	bool asked; /* the answer is on its way */
	bool failed; /* the last answer was none */
	uint64_t ask_ns; /* when to ask again */
};

struct remotes {
	const struct config *config;
	struct remote remote[CONFIG_MAX_CONCENTRATORS][CONFIG_MAX_ADDRESSES];
	struct resolver *resolver; /* NULL: there are no names */
	int timer_fd;
	struct loop_watch timer_watch;
	void (*on_change)(struct remotes *remotes);
};

/* on_change is called when an address has come, gone or changed. 0 or negative errno. */
int remotes_open(struct remotes *remotes, const struct config *config, struct loop *loop,
		 void (*on_change)(struct remotes *remotes));
void remotes_close(struct remotes *remotes);

/* All known addresses of a concentrator, at most max, without ports; returns their number. */
unsigned int remotes_of(const struct remotes *remotes, unsigned int concentrator,
			struct plait_addr *out, unsigned int max);

#endif
