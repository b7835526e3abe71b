/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The concentrator's translator at work: pools, ports and subscribers as configured
 * (plain-mode-08 §4.4.1 (3), §6), their addresses delivered to this machine, their
 * bindings in the pinned map. Workers and main thread share it under a lock.
 */
#ifndef PLAIT_ROLE_POOLS_H
#define PLAIT_ROLE_POOLS_H

#include "instance.h"
#include "plait_reasons.h"
#include "table/translator.h"

struct binding_log;

struct pools {
	struct instance *instance;
	pthread_mutex_t lock;
	struct translator translator;
	struct binding_log *log; /* NULL: there is none */
	/* by the translator's number of the pool */
	struct plait_prefix prefixes[TRANSLATOR_POOLS][CONFIG_MAX_PREFIXES];
	unsigned int prefix_counts[TRANSLATOR_POOLS];
	enum config_translation translation[TRANSLATOR_POOLS];
	/* datagram mode's, of families that have no pool: by translator_pool_number() */
	struct plait_prefix own[2];
	struct deterministic deterministic[TRANSLATOR_DETERMINISTIC_MAX];
	unsigned int deterministic_count;
	int timer_fd;
	struct loop_watch timer_watch;
};

/*
 * After instance_load(): takes what an earlier run has left in the map to rest. 0 or
 * negative errno, logged.
 */
int pools_open(struct pools *pools, struct instance *instance, struct loop *loop);
void pools_close(struct pools *pools);

/* The limits of each subscriber in the configuration have changed. */
void pools_reconfigured(struct pools *pools);

/* Whether connections to a family get addresses of a pool. Any thread. */
bool pools_cover(const struct pools *pools, uint8_t family);

/*
 * Give a session that is not transparent its external address (session->key.inside)
 * and binding, where there is a pool for its destination's family. source is the host's
 * address and port as far as the CPE tells, or NULL: then what is bound is the leg's. All
 * connections of one source look alike from outside. Any thread. False: *why.
 */
bool pools_bind(struct pools *pools, struct session *session, const struct plait_addr *source,
		enum plait_reason *why);

/*
 * The same for datagram mode, where an endpoint of a subscriber is known by the port that
 * the CPE has given it (source.port): on whichever of its links, *inside is its first
 * address with that port. pools_endpoint() tells whose it is, POOL_NOBODY if there is no
 * room for another subscriber. What was lent is ended by pools_return(). Without pools the external address is
 * this machine's own. False: *why.
 */
int32_t pools_endpoint(struct pools *pools, const struct plait_addr *source,
		       struct plait_addr *inside);
bool pools_lend(struct pools *pools, const struct plait_addr *source, uint8_t family,
		struct binding **out, enum plait_reason *why);
/* The endpoint's binding is not used any more: its port rests (RFC 6888 REQ-8). */
void pools_return(struct pools *pools, struct binding *binding);

/* The session ends. After a RST its port rests for lifetimes.reset (§4.4.4). Any thread. */
void pools_release(struct pools *pools, struct session *session);

/*
 * Bindings that let connections in, pools_configured.c (§4.4.2). One that
 * binding_check() has found right becomes part of the tables: 0, -EEXIST if its port or
 * what is inside is lent, -ENOSPC. Without sessions it goes at once when it is taken away;
 * false: there is none. Main thread.
 */
int pools_configure(struct pools *pools, const struct config_binding *binding);
int pools_configure_all(struct pools *pools); /* logged */
bool pools_unconfigure(struct pools *pools, const struct config_binding *binding);

/*
 * A connection from the internet (session->key): it has the binding of its external
 * address. Any thread. False: *why.
 */
bool pools_let_in(struct pools *pools, struct session *session, enum plait_reason *why);

/* Among the files of this room: under the lock; and what a refusal counts as. */
void pools_publish(struct pools *pools, const struct binding *binding);
enum plait_reason pools_reason(enum translated result);

/*
 * Reports, pools_report.c. Main thread, since they wait between portions. Count;
 * *out is malloc()ed, negative errno without.
 */
long pools_report_bindings(struct pools *pools, struct binding_report **out);
long pools_report_subscribers(struct pools *pools, struct subscriber_report **out);
size_t pools_report(struct pools *pools, struct pool_report *out, size_t max);

/*
 * The binding log, pools_log.c: opened before anything is lent, closed when the engine
 * has stopped and before the tables are. 0 or negative errno, logged.
 */
int pools_log_open(struct pools *pools);
void pools_log_close(struct pools *pools);
/*
 * All there is to log of deterministic pools per block: what follows from which
 * configuration, since when (RFC 7422 §2). To standard error.
 */
void pools_log_deterministic(const struct pools *pools);
/* Count what was dropped. Main thread, now and then. */
void pools_log_count(struct pools *pools);
/* The session has got its binding, or is about to lose it. Any thread. */
void pools_log_bound(struct pools *pools, struct session *session, uint64_t now_ns);
void pools_log_released(struct pools *pools, const struct session *session, uint64_t now_ns);
/* The same of datagram mode. */
void pools_log_lent(struct pools *pools, const struct binding *binding);
void pools_log_returned(struct pools *pools, const struct binding *binding);

#endif
