/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Binding entries (plain-mode-08 §4.3): which external address and port stands for
 * an internal one, found from either side. All flows of one internal address and
 * port share theirs (RFC 4787 REQ-1, RFC 5382 REQ-1). Full means full: nothing is
 * evicted. Time is an argument.
 */
#ifndef PLAIT_TABLE_BINDINGS_H
#define PLAIT_TABLE_BINDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"
#include "base/wheel.h"
#include "plait_addr.h"

struct binding {
	struct hash_node by_inside, by_external; /* next: in the free list, while free */
	struct plait_addr inside, external;
	int32_t subscriber;
	uint32_t sessions; /* that use it */
	uint64_t since_ns;
	uint8_t protocol; /* IANA number; 0: free */
	bool configured; /* stays without sessions */
};

struct bindings {
	struct binding *slots;
	struct wheel_link *links; /* one a slot */
	struct wheel wheel;
	struct hash by_inside, by_external;
	struct binding *free; /* by by_inside.next, of those used before */
	uint32_t size, touched, count;
};

/* Room for size bindings, whose memory is used as they come. 0 or -ENOMEM. */
int bindings_open(struct bindings *bindings, uint32_t size, uint64_t now_ns);
void bindings_close(struct bindings *bindings);

/* NULL: there is none. Ports count. One inside has a binding for each family outside. */
struct binding *bindings_of_inside(const struct bindings *bindings, uint8_t protocol,
				   int32_t subscriber, const struct plait_addr *inside,
				   uint8_t external_family);
struct binding *bindings_of_external(const struct bindings *bindings, uint8_t protocol,
				     const struct plait_addr *external);

/* None may be there for either address. NULL: the table is full. */
struct binding *bindings_add(struct bindings *bindings, uint8_t protocol, int32_t subscriber,
			     const struct plait_addr *inside, const struct plait_addr *external,
			     uint64_t now_ns);
void bindings_remove(struct bindings *bindings, struct binding *binding);

/* It expires then, unless it is told again; UINT64_MAX: never. */
void bindings_keep_until(struct bindings *bindings, struct binding *binding, uint64_t due_ns);

/* One that has expired, for the caller to remove, or NULL. Call until then. */
struct binding *bindings_expired(struct bindings *bindings, uint64_t now_ns);

#endif
