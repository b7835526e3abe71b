/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The BPF side as the agent sees it: load, pin and attach an object's programs,
 * and the maps every role has. Maps are pinned below /sys/fs/bpf/plait/NAME and
 * outlive a killed agent; programs are not, because a program that holds SYNs
 * for an agent that is gone would only lose them.
 */
#ifndef PLAIT_PORT_DATAPLANE_H
#define PLAIT_PORT_DATAPLANE_H

#include <stddef.h>
#include <stdint.h>

#include "plait_maps.h"
#include "plait_reasons.h"

struct dataplane;

enum dataplane_hook { HOOK_INGRESS, HOOK_INGRESS_FIRST /* before others */, HOOK_EGRESS };

/* Where an XDP program runs: in the driver, in the stack, or in the driver if it has XDP. */
enum dataplane_xdp { XDP_AUTO, XDP_NATIVE, XDP_GENERIC };

/* How many entries a map has room for; the last one's map is NULL. */
struct dataplane_size {
	const char *map;
	unsigned int entries;
};

/*
 * Load a BPF object from its ELF image, with settings as the programs will see them.
 * Maps pinned by an earlier run of this name are taken up if they fit, else
 * replaced.
 * 0 or negative errno.
 */
int dataplane_open(struct dataplane **out, const void *elf, size_t elf_bytes,
		   const struct plait_settings *settings, const char *name,
		   const struct dataplane_size *sizes);

/*
 * Load another object, once, sized likewise. A map that the first one has under the same
 * name is that one. From then on functions that name a map or an XDP program know it; what
 * only the second one has is the calling thread's. 0 or negative errno.
 */
int dataplane_add(struct dataplane *dataplane, const void *elf, size_t elf_bytes,
		  const struct dataplane_size *sizes);

/* Detach, unpin and free everything; NULL is fine. */
void dataplane_close(struct dataplane *dataplane);

/* Attach a program by tcx until the dataplane is closed. 0 or negative errno. */
int dataplane_attach(struct dataplane *dataplane, const char *program, unsigned int ifindex,
		     enum dataplane_hook hook);

/* The same, for as long as the returned descriptor is open; the caller's. Negative errno. */
int dataplane_attach_own(struct dataplane *dataplane, const char *program, unsigned int ifindex,
			 enum dataplane_hook hook);

/*
 * Attach an XDP program of the second object, for as long as the returned descriptor is
 * open; the caller's. *mode becomes the one that was taken. Negative errno: -EBUSY if
 * somebody else's program is there.
 */
int dataplane_attach_xdp(struct dataplane *dataplane, const char *program, unsigned int ifindex,
			 enum dataplane_xdp *mode);

/* Attach a program of sockets' look-ups to this network namespace, until it is closed. */
int dataplane_attach_lookup(struct dataplane *dataplane, const char *program);

/* Detach every program; packets pass as if plait were not there, where the
 * caller has closed its own. NULL is fine. */
void dataplane_detach(struct dataplane *dataplane);

/* Put into a map of the object by its name. 0 or negative errno. */
int dataplane_put(struct dataplane *dataplane, const char *map, const void *key, const void *value);
/* Take away from it; that it is not there is fine. */
void dataplane_remove(struct dataplane *dataplane, const char *map, const void *key);
/* The value there. 0 or negative errno. Thread-safe. */
int dataplane_get(struct dataplane *dataplane, const char *map, const void *key, void *value);
/*
 * Call back for each entry of a hash map, which may be removed or given another value;
 * nothing else may change.
 */
void dataplane_each(struct dataplane *dataplane, const char *map,
		    void (*each)(void *context, const void *key, const void *value), void *context);
/* Empty a hash map whose keys have key_bytes. */
void dataplane_clear(struct dataplane *dataplane, const char *map, size_t key_bytes);

/* Sessions; thread-safe. 0 or negative errno (-ENOENT, -E2BIG when full). */
int dataplane_session_add(struct dataplane *dataplane, const struct plait_session_key *key,
			  uint32_t flags, uint32_t worker, uint64_t now_ns);
void dataplane_session_remove(struct dataplane *dataplane, const struct plait_session_key *key);
/* The session is gone; until then its segments get a RST, unless it begins anew. */
void dataplane_session_lapse(struct dataplane *dataplane, const struct plait_session_key *key,
			     uint64_t until_ns);
/* All there are: of an earlier run, whose sockets are gone. Logged. */
void dataplane_sessions_lapse(struct dataplane *dataplane, uint64_t until_ns);
int dataplane_session_read(struct dataplane *dataplane, const struct plait_session_key *key,
			   struct plait_session_value *out);

/*
 * Take the DSCP that the far side's SYN+ACK had, by the addresses its SYN had. 0 if none
 * is known. Thread-safe.
 */
uint8_t dataplane_take_answer(struct dataplane *dataplane, const struct plait_session_key *key);

/* Worker's ring buffer of held SYNs, borrowed. */
int dataplane_ring_fd(struct dataplane *dataplane, unsigned int worker);

/* Borrowed; of either object. Negative errno. */
int dataplane_map_fd(const struct dataplane *dataplane, const char *map);

/*
 * Row of the agent's counters, shared memory; row `workers` is the main thread's, the one behind
 * it that of the thread which puts datagrams in order.
 */
unsigned long long *dataplane_counters(struct dataplane *dataplane, unsigned int row);

/* What programs and agent counted, added up. */
void dataplane_read_counters(struct dataplane *dataplane, uint64_t out[PLAIT_REASON_COUNT]);

#endif
