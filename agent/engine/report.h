/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the engine tells of itself: plain copies, safe to keep after the call. */
#ifndef PLAIT_ENGINE_REPORT_H
#define PLAIT_ENGINE_REPORT_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plait_datagram.h"
#include "plait_maps.h"
#include "plait_reasons.h"

enum { REPORT_MAX_SUBFLOWS = 9 }; /* the first and eight further ones */

struct subflow_report {
	struct plait_addr local, remote;
	char link[32]; /* name of the link; empty on the concentrator */
	uint32_t rtt_us;
	uint64_t sent_bytes, received_bytes; /* acknowledged, received */
	uint32_t retransmits;
	bool backup;
};

struct session_report {
	struct plait_session_key key;
	struct plait_session_value counters;
	bool opening; /* not yet relayed */
	bool mptcp; /* false: the leg fell back to plain TCP */
	char concentrator[32]; /* name; empty on the concentrator */
	uint32_t token; /* MPTCP connection, 0 if none */
	unsigned int worker;
	unsigned int subflow_count;
	struct subflow_report subflows[REPORT_MAX_SUBFLOWS];
};

struct link_report {
	char name[32], interface[IF_NAMESIZE], type[32];
	const char *use; /* "always", "overflow", "backup", or "customer" / "internet" */
	const char *condition; /* "in use", or why not; NULL on the concentrator */
	uint32_t rtt_us, rtt_min_us; /* of probes; 0: unknown */
	uint32_t loss_permille;
	unsigned int weight;
	uint32_t mtu;
	unsigned int sessions; /* with a subflow over it */
	uint64_t sent_bytes, received_bytes; /* of the interface, since it exists */
	uint64_t sent_packets, received_packets;
	uint64_t sent_rate, received_rate; /* octets a second; 0 on the concentrator */
	/* datagram mode's packets; 0 on the concentrator */
	uint64_t datagrams_sent, datagrams_received, datagrams_lost, datagrams_late;
	unsigned int address_count;
	struct plait_addr addresses[8];
	bool up, carrier;
};

struct concentrator_report {
	char name[32];
	bool answers;
	uint16_t port; /* host byte order; 0: the flow's own */
	unsigned int weight, sessions;
	unsigned int address_count;
	struct plait_addr addresses[16];
};

struct binding_report {
	struct plait_addr inside, external;
	char subscriber[56]; /* name, else its source address */
	const char *state; /* "in use", "resting", "configured" */
	uint64_t since_ns;
	uint32_t sessions; /* that use it */
	uint8_t protocol;
};

enum { REPORT_MAX_POOLS = PLAIT_MAX_PREFIXES };

struct pool_report {
	const char *translation;
	unsigned int prefix_count;
	struct plait_prefix prefixes[PLAIT_MAX_PREFIXES];
	uint32_t addresses;
	unsigned int block_ports; /* of a block */
	uint64_t blocks_lent, blocks; /* of how many */
	uint64_t ports_lent;
};

/* Datagram mode over one link of a CPE, since the subscriber has bindings. */
struct datagram_link_report {
	struct plait_addr address; /* of the CPE there; port 0 */
	uint64_t sent, received, lost, late; /* packets */
};

struct subscriber_report {
	uint32_t number; /* the translator's */
	char name[32]; /* empty: not configured */
	struct plait_addr source; /* the first one; port 0 */
	uint32_t sessions, ports, blocks;
	struct plait_addr external_v4, external_v6; /* family 0: none */
	uint32_t max_sessions, max_ports, max_blocks, max_new_per_s; /* 0: no limit */
	unsigned int link_count; /* 0: no binding of datagram mode */
	struct datagram_link_report links[PLAIT_PATHS_MAX];
};

struct status_report {
	const char *name, *role, *mode, *handshake;
	bool draining; /* new connections are not taken */
	uint64_t uptime_ns;
	unsigned int workers, sessions, max_sessions, held_syns;
	unsigned int datagram_bindings; /* on a CPE also those that rest */
	const char *kernel;
};

#endif
