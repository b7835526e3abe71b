/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Configuration: one YAML file in, one plain struct out (design §6). Nothing
 * here touches the system; whether an interface exists is the role's business.
 */
#ifndef PLAIT_CONFIG_H
#define PLAIT_CONFIG_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "plait_addr.h"
#include "plait_datagram.h"
#include "plait_maps.h"

enum {
	CONFIG_NAME_BYTES = 32,
	CONFIG_PATH_BYTES = 256,
	CONFIG_HOST_BYTES = 254, /* RFC 1035 §2.3.4, without the dot at its end */
	CONFIG_MAX_INTERFACES = 16,
	CONFIG_MAX_LINKS = 8,
	CONFIG_MAX_SUBFLOWS = 9, /* MPTCP in Linux allows eight further ones */
	CONFIG_MAX_CONCENTRATORS = 8,
	CONFIG_MAX_ADDRESSES = 16,
	CONFIG_MAX_PREFIXES = PLAIT_MAX_PREFIXES,
	CONFIG_MAX_INSIDE = 16,
	CONFIG_MAX_SUBSCRIBERS = 1024,
	CONFIG_MAX_SOURCES = 8,
	CONFIG_MAX_BINDINGS = 256,
	CONFIG_DEFAULT_PORT = 6824, /* of a concentrator that is given none */
	CONFIG_DSCP_PRESERVE = 64,
};

enum config_role { ROLE_CPE, ROLE_CONCENTRATOR };
enum config_mode { MODE_PLAIN, MODE_TRANSPARENT };
enum config_use { USE_ALWAYS, USE_OVERFLOW, USE_BACKUP };
/* What becomes of new connections while no concentrator answers. */
enum config_unreachable { UNREACHABLE_DIRECT, UNREACHABLE_REFUSE };
/* Which concentrator a new connection goes to, of those that answer. */
enum config_selection {
	SELECTION_ORDERED, /* the first */
	SELECTION_HASH, /* by the host's address */
	SELECTION_WEIGHTED, /* connection by connection */
};
enum config_congestion { CONGESTION_PLAIT, CONGESTION_SYSTEM };
enum config_handshake { HANDSHAKE_FAITHFUL, HANDSHAKE_EAGER };
/* What becomes of UDP that does not fit its path, in datagram mode. */
enum config_fragmentation { FRAGMENTATION_OFF, FRAGMENTATION_ON };
enum config_udp { UDP_STREAM, UDP_DATAGRAM, UDP_BOTH, UDP_OFF };
/* Where XDP programs are attached: where the driver has room for them, else in the stack. */
enum config_attach { ATTACH_AUTO, ATTACH_NATIVE, ATTACH_GENERIC };
enum config_distribution { DISTRIBUTION_FLOW, DISTRIBUTION_PACKET };
enum config_translation {
	TRANSLATION_SHARED,
	TRANSLATION_ONE_TO_ONE,
	TRANSLATION_PREFIX,
	TRANSLATION_DETERMINISTIC,
};

enum config_log_per { LOG_PER_BLOCK, LOG_PER_SESSION, LOG_PER_OFF };

struct config_interfaces {
	unsigned int count;
	char name[CONFIG_MAX_INTERFACES][IF_NAMESIZE];
};

struct config_link {
	char name[CONFIG_NAME_BYTES];
	char interface[IF_NAMESIZE];
	char type[CONFIG_NAME_BYTES]; /* access type, free text; empty if unset */
	unsigned int weight; /* 1 to 1000, default 1 */
	enum config_use use;
	uint32_t max_rtt_ms, max_loss_percent; /* of probes; 0: any */
	struct plait_addr gateway4, gateway6; /* family 0: take what the main table has */
};

/* Its address, or the name to ask for. */
struct config_host {
	struct plait_addr addr; /* family 0: by name; port 0 */
	char name[CONFIG_HOST_BYTES];
};

struct config_concentrator {
	char name[CONFIG_NAME_BYTES];
	unsigned int address_count;
	struct config_host addresses[CONFIG_MAX_ADDRESSES];
	uint16_t port; /* host byte order; 0: preserve */
	unsigned int weight; /* 1 to 1000, default 1 */
	uint32_t check_ms; /* between health checks, default 800 ms */
};

struct config_pool {
	struct plait_prefix prefix;
	enum config_translation translation;
	/* deterministic: whose blocks these are, no more than there are blocks */
	unsigned int inside_count;
	struct plait_prefix inside[CONFIG_MAX_INSIDE];
	unsigned int block_ports; /* of a block: port_block, or what the ratio gives */
};

struct config_subscriber {
	char name[CONFIG_NAME_BYTES];
	unsigned int source_count;
	struct plait_addr sources[CONFIG_MAX_SOURCES];
};

struct config_subscriber_limits { /* of each; 0: none */
	unsigned int sessions, ports;
	unsigned int blocks; /* default 8 */
	unsigned int new_per_s; /* new_per_second: sessions */
};

/* Lets connections in (plain-mode-08 §4.4.2). */
struct config_binding {
	uint8_t protocol; /* IANA number */
	struct plait_addr external; /* CPE: a port of any address of its links; family 0 */
	struct plait_addr inside; /* CPE: a host's; concentrator: a CPE's */
};

struct config_binding_log {
	enum config_log_per per;
	bool destination; /* of each session, too */
	char file[CONFIG_PATH_BYTES]; /* absolute; empty: the journal or standard error */
};

/* Of what is sent on each side: 0 to 63, or CONFIG_DSCP_PRESERVE, the default. */
struct config_dscp {
	unsigned int leg;
	unsigned int plain; /* CPE: lan; concentrator: internet */
};

/* Datagram mode. */
struct config_datagram {
	enum config_distribution distribution; /* CPE: what of a host's takes one link */
	enum config_attach attach;
	/*
	 * Of this machine's own addresses, kept from the kernel's connections: CPE: of its
	 * links; concentrator: external ports where there are no pools. Host byte order,
	 * both parts of the range; first even and last odd.
	 */
	__u16 port_first, port_last;
	enum plait_filtering filtering; /* concentrator: whom an endpoint hears from */
};

struct config_lifetimes { /* milliseconds */
	uint32_t tcp_established_ms; /* default 7440 s (RFC 5382 REQ-5) */
	uint32_t tcp_transitory_ms; /* default 240 s */
	uint32_t reset_ms; /* default 240 s (plain-mode-08 §4.4.4) */
	uint32_t udp_ms; /* default 300 s, at least 120 s (RFC 4787 REQ-5) */
};

struct config {
	char name[CONFIG_NAME_BYTES];
	enum config_role role;
	enum config_mode mode;
	enum config_handshake handshake;
	enum config_congestion congestion;
	enum config_udp udp;
	struct config_datagram datagram;
	enum config_fragmentation fragmentation;
	uint32_t reorder_ms; /* 0: packets of datagram mode go on as they come; at most 1000 */
	bool preserve_source_v4, preserve_source_v6;
	struct config_dscp dscp;
	bool fastclose_on_expiry;
	struct config_lifetimes lifetimes;
	unsigned int workers; /* 0: one per CPU */
	unsigned int max_sessions; /* limits.sessions, default 65536 */
	unsigned int max_held_syns; /* limits.held_syns, default 4096 */
	unsigned int max_subflows; /* limits.subflows of one connection, default 9 */
	unsigned int max_bindings; /* limits.bindings, default 65536 */
	unsigned int max_subscribers; /* limits.subscribers, default 16384 */
	struct config_subscriber_limits subscriber_limits; /* limits.subscriber */
	unsigned int binding_count;
	struct config_binding bindings[CONFIG_MAX_BINDINGS];
	uint32_t udp_queue_ms; /* how long datagrams may wait for their leg, default 500 */
	uint32_t drain_ms; /* how long SIGTERM lets sessions finish, default 0 */

	/* role: cpe */
	struct config_interfaces lan;
	unsigned int link_count;
	struct config_link links[CONFIG_MAX_LINKS];
	unsigned int concentrator_count;
	struct config_concentrator concentrators[CONFIG_MAX_CONCENTRATORS];
	enum config_selection selection;
	enum config_unreachable when_unreachable;
	unsigned int policy_count;
	struct plait_policy_rule policy[PLAIT_MAX_POLICY_RULES];

	/* role: concentrator */
	struct config_interfaces customer;
	unsigned int customer_address_count;
	struct plait_addr customer_addresses[CONFIG_MAX_ADDRESSES];
	uint16_t customer_port; /* host byte order; 0: preserve */
	unsigned int allow_count; /* 0: anyone on a customer-facing interface */
	struct plait_prefix allow[CONFIG_MAX_PREFIXES];
	struct config_interfaces internet;
	unsigned int port_block; /* ports lent at a time, of shared pools; even, default 512 */
	bool keep_parity;
	unsigned int route_protocol; /* of the pools' routes in the main table; 0: none */
	unsigned int pool_count;
	struct config_pool pools[CONFIG_MAX_PREFIXES];
	unsigned int subscriber_count;
	struct config_subscriber subscribers[CONFIG_MAX_SUBSCRIBERS];
	struct config_binding_log binding_log;
};

/* What to send where this was configured and that was received. */
static inline uint8_t config_dscp(unsigned int configured, uint8_t received)
{
	return configured == CONFIG_DSCP_PRESERVE ? received : (uint8_t)configured;
}

/* Who has this source address; NULL: nobody that has a name. */
const struct config_subscriber *config_subscriber_of(const struct config *config,
						     const struct plait_addr *addr);

/*
 * Of the concentrator's addresses the one that has most in common with a CPE's, which knows
 * it by that; port 0. Family 0: there is none of that family.
 */
struct plait_addr config_nearest_customer_address(const struct config *config,
						  const struct plait_addr *cpe);

/* Where a file is wrong, in words: "lan.interfaces: expected a list". */
struct config_error {
	unsigned int line, column; /* from 1; 0 if the file as a whole is meant */
	char text[192];
};

/*
 * Read a configuration from file. Returns 0 and fills *out, or -EINVAL and
 * fills *error, or a negative errno for a file that cannot be read. *out is
 * untouched on failure. The caller owns everything; nothing is kept.
 */
int config_read(FILE *file, struct config *out, struct config_error *error);

#endif
