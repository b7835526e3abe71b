/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Addresses of host names, by c-ares: from /etc/hosts and the servers of
 * /etc/resolv.conf as they are when asked, without ever waiting.
 */
#ifndef PLAIT_PORT_RESOLVER_H
#define PLAIT_PORT_RESOLVER_H

#include "loop.h"
#include "plait_addr.h"

struct resolver;

/*
 * addrs have no ports; ttl_s is how long they hold, in seconds. If there are none,
 * count is 0 and why says so. Nothing new may be asked from within.
 */
typedef void resolver_on_answer(void *context, const struct plait_addr *addrs, unsigned int count,
				unsigned int ttl_s, const char *why);

/* 0 or negative errno. */
int resolver_open(struct resolver **out, struct loop *loop);
/* What is asked is answered no more; NULL is fine. */
void resolver_close(struct resolver *resolver);

/* Ask for both families; on_answer may be called at once. 0 or negative errno. */
int resolver_ask(struct resolver *resolver, const char *name, resolver_on_answer *on_answer,
		 void *context);

#endif
