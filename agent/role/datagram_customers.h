/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Subscribers' links in datagram mode, as the concentrator's programs have them: paths and
 * sets in the maps, from the configuration, from where packets come, and from what CPEs
 * tell (docs/datagram.md, "Keeping paths alive"). Main thread's.
 */
#ifndef PLAIT_ROLE_DATAGRAM_CUSTOMERS_H
#define PLAIT_ROLE_DATAGRAM_CUSTOMERS_H

#include "codec/formatted.h"
#include "datagram_mode.h"
#include "engine/report.h"
#include "table/path_loss.h"

/* The links of a subscriber, as they are in the maps. */
struct customer {
	uint32_t bindings; /* that use them; 0: nothing else counts */
	uint32_t active; /* index in the list of those that have any */
	uint64_t heard_ns; /* when the CPE told what is in slots; 0: never */
	uint8_t family; /* that it sends in */
	struct plait_path_set set;
	struct plait_path path[PLAIT_PATHS_MAX];
	struct path_loss loss[PLAIT_PATHS_MAX];
};

struct datagram_customers {
	struct datagram_mode *mode;
	struct customer *all; /* by the translator's number of the subscriber */
	uint32_t *active, active_count; /* subscribers that have bindings */
	uint32_t look_next, link_next; /* in it */
};

/* After datagram_mode_open(). 0 or -ENOMEM. */
int datagram_customers_open(struct datagram_customers *customers, struct datagram_mode *mode);
void datagram_customers_close(struct datagram_customers *customers);

/* Another binding of the subscriber: with its first one, its links are known from there on. */
void datagram_customers_use(struct datagram_customers *customers, uint32_t subscriber,
			    const struct formatted *packet);
/* One less; without any its links are forgotten. */
void datagram_customers_leave(struct datagram_customers *customers, uint32_t subscriber);

/* Its packets come by this link, and to this address of ours: the CPE knows best. */
void datagram_customers_learn(struct datagram_customers *customers, uint32_t subscriber,
			      const struct formatted *packet);

/* Where packets of an endpoint may come from: keys of "datagram_receivers". Their count. */
unsigned int datagram_customers_receivers(const struct datagram_customers *customers,
					  uint32_t subscriber, __be16 wan_port,
					  struct plait_addr keys[PLAIT_PATHS_MAX]);

/* The path that the first slot names; NULL: there is none. */
const struct plait_path *datagram_customers_path(const struct datagram_customers *customers,
						 uint32_t subscriber);

/* Now and then, at some of them in turn: what CPEs have told, next hops, loss. */
void datagram_customers_look(struct datagram_customers *customers);

/* Fill in the links of the subscriber with out->number. Nothing was opened: it has none. */
void datagram_customers_report(struct datagram_customers *customers, struct subscriber_report *out);

#endif
