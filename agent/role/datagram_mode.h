/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Datagram mode, as far as both roles have it alike (docs/datagram.md): XDP programs are
 * attached while they are needed; first packets of bindings, which TC programs hold, come
 * to the role, and are put before the same XDP programs again at a TAP device of plait's
 * own. Main thread's.
 */
#ifndef PLAIT_ROLE_DATAGRAM_MODE_H
#define PLAIT_ROLE_DATAGRAM_MODE_H

#include "datagram_fragments.h"
#include "datagram_order.h"
#include "instance.h"
#include "plait_datagram.h"
#include "table/bindings.h"

enum {
	DATAGRAM_ATTACHED_MAX = 4 * CONFIG_MAX_INTERFACES, /* by XDP and TC, on both sides */
	DATAGRAM_WAITING_MAX = 64,
	DATAGRAM_REST_SECONDS = 120, /* of a port: RFC 6888 REQ-8 */
	DATAGRAM_SILENT_SECONDS = 10, /* what a binding's flows are over after, if that is asked */
};

struct ring_buffer;
struct datagram_mode;

/* A held packet that may not go before its next hop is known. */
struct waiting_packet {
	uint64_t until_ns; /* 0: free */
	struct plait_addr to;
	size_t frame_bytes;
	uint8_t frame[PLAIT_FRAME_MAX];
};

struct datagram_mode {
	struct instance *instance;
	struct loop *loop;
	void (*on_held)(struct datagram_mode *mode, const struct plait_held_syn *held);
	struct ring_buffer *ring;
	struct loop_watch ring_watch;
	bool loaded;
	char tap[IF_NAMESIZE];
	int tap_fd; /* -1: not open */
	unsigned int tap_ifindex;
	uint8_t tap_mac[6];
	int tap_program_fd; /* -1: not attached */
	unsigned int attached_count;
	int attached_fd[DATAGRAM_ATTACHED_MAX];
	int timer_fd;
	struct loop_watch timer_watch;
	struct datagram_fragments fragments;
	struct datagram_order order;
	uint32_t flowing; /* slot of the binding that datagram_mode_flows() has found last */
	struct waiting_packet waiting[DATAGRAM_WAITING_MAX];
};

/* What TC programs hold is told from now on. 0 or negative errno, logged. */
int datagram_mode_open(struct datagram_mode *mode, struct instance *instance, struct loop *loop,
		       void (*on_held)(struct datagram_mode *mode,
				       const struct plait_held_syn *held));
/* Nothing is attached any more. One that was not opened is fine. */
void datagram_mode_close(struct datagram_mode *mode);

/*
 * Load the role's XDP programs, and attach the one that held packets are put before. 0 or
 * negative errno, logged.
 */
int datagram_mode_load(struct datagram_mode *mode, const void *elf, size_t elf_bytes,
		       const struct dataplane_size *sizes, const char *program);

/* Tell the programs what the configuration says. After loading: 0 or negative errno. */
int datagram_mode_configure(struct datagram_mode *mode);

/* Attach an XDP program until datagram_mode_detach(). 0 or negative errno, logged. */
int datagram_mode_attach(struct datagram_mode *mode, const char *program, const char *interface);
void datagram_mode_detach(struct datagram_mode *mode);
/* The same; the descriptor is the caller's. Negative errno, logged. */
int datagram_mode_attach_own(struct datagram_mode *mode, const char *program, const char *interface,
			     unsigned int ifindex);

/* Let a held packet go. to: where it is to leave to, if that may have to be asked for. */
void datagram_mode_let_go(struct datagram_mode *mode, const struct plait_held_syn *held,
			  const struct plait_addr *to);

/* Whether the packet was put before XDP already, which could not send it. */
bool datagram_mode_has_had(const struct datagram_mode *mode, const struct plait_held_syn *held);

void datagram_mode_count(struct datagram_mode *mode, enum plait_reason reason);

/* The entry of a set's path in "datagram_paths" and "datagram_traffic": each set has as many. */
static inline uint32_t datagram_mode_path_number(uint32_t set, unsigned int path)
{
	return set * PLAIT_PATHS_MAX + path;
}

/*
 * Fill in how a path is reached: interface, MAC addresses, MTU. Where the neighbour is not
 * known the FIB will be asked for each packet, and the kernel is told to find it. True: the
 * path has changed.
 */
bool datagram_mode_find_hop(struct datagram_mode *mode, struct plait_path *path);

/* The later last_seen_ns of a binding's sender and receiver, 0 if it has neither. */
uint64_t datagram_mode_last_seen(struct datagram_mode *mode, const struct plait_addr *sender,
				 const struct plait_addr *receivers, unsigned int receiver_count);

/*
 * Whether any binding had a packet within DATAGRAM_SILENT_SECONDS. Cheap as long as one
 * has: it is asked first the next time.
 */
bool datagram_mode_flows(struct datagram_mode *mode, const struct bindings *bindings,
			 uint64_t (*last_seen)(struct datagram_mode *mode,
					       const struct binding *binding));

#endif
