/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Datagram mode on the network of stage.h: a CPE whose LAN is lan0, and a concentrator
 * whose internet is at wan0, which know each other by two links, of which one is IPv4.
 * Programs only run by BPF_PROG_TEST_RUN, so that both may be in one namespace.
 *
 *	host                CPE, WAN port        concentrator, port 6825   external
 *	10.0.0.2:5000       40001, link 0: 192.0.2.2 ═══════ 203.0.113.1     198.51.100.1:7001
 *	fd00:1::2 :5000     40102, link 1: 2001:db8:1::2 ═══ 2001:db8:c::1   2001:db8:e::1 :7002
 */
#ifndef PLAIT_TESTS_BPF_DATAGRAM_STAGE_H
#define PLAIT_TESTS_BPF_DATAGRAM_STAGE_H

#include <stdbool.h>

#include "plait_datagram.h"
#include "stage.h"

enum { LINK_V4 = 0, LINK_V6 = 1, DATAGRAM_PORT = 6825, PATH_MTU = 3400 };

#define BOTH_ROLES(role) for (enum stage_role role = CPE; role <= CONCENTRATOR; role++)

/* The program of each role that makes TCP-formatted packets, and the one that undoes it. */
extern const char *const datagram_senders[2], *const datagram_receivers[2];

/* What both are called in ICMP errors. */
#define ROUTER_V4 "10.0.0.1"
#define ROUTER_V6 "fd00:1::1"

/* A binding of this network, by its family: [0] is IPv4's. */
struct datagram_inner {
	const char *host, *external, *remote;
	uint16_t host_port, wan_port, external_port, remote_port;
};
extern const struct datagram_inner datagram_inners[2];

/* UDP of that binding to and from its remote. */
struct recipe datagram_from_host(const struct datagram_inner *inner);
struct recipe datagram_from_remote(const struct datagram_inner *inner);

/* UDP as it comes to that role's sender, and as its receiver puts it out, but for what a
 * header inherits. */
struct recipe datagram_to_send(enum stage_role role, const struct datagram_inner *inner);
struct recipe datagram_received(enum stage_role role, const struct datagram_inner *inner);

/* So many octets, each another than its neighbours; the count may be changed, to 4096 at most. */
struct octets datagram_payload(size_t count);

/* The MAC addresses of what goes to the LAN or the internet. */
extern const uint8_t datagram_macs[12];

/* What becomes of a frame on its way. */
struct conversion {
	const char *outcome; /* verdict and what was counted: "redirect datagram_sent" */
	struct packet packet;
};

/* Both roles may be open at a time; the namespace is made once. */
struct stage *datagram_open(enum stage_role role);

/* Beside those of datagram_inners, of the same set. */
void datagram_put_binding(const struct stage *stage, const struct datagram_inner *from);

/* Everything takes that link. */
void datagram_use_link(const struct stage *stage, uint8_t link);
void datagram_put_set(const struct stage *stage, uint32_t index, const struct plait_path_set *set);
struct plait_path datagram_path(const struct stage *stage, uint32_t index);
void datagram_put_path(const struct stage *stage, uint32_t index, const struct plait_path *path);
struct plait_path_traffic datagram_traffic(const struct stage *stage, uint32_t index);
struct plait_datagram_binding datagram_binding(const struct stage *stage, const char *map,
					       const char *address, uint16_t port);
void datagram_put_direct(const struct stage *stage, const char *text, unsigned int bits);

/*
 * From now on what is received goes on in order, of the IPv4 binding, beginning with next. The
 * agent's packets come by wan0, as all do in test runs.
 */
void datagram_put_in_order(const struct stage *stage, uint32_t next);
struct plait_addr datagram_inner_end(const struct stage *stage, const struct datagram_inner *inner);

/* plait_datagram_settings.fragmentation. */
void datagram_put_fragmentation(const struct stage *stage, bool on);
/* Of all bindings, also of those that are put from here on, and for how long. */
void datagram_put_filtering(const struct stage *stage, enum plait_filtering filtering,
			    uint64_t life_ns);
/* What a path takes. */
void datagram_put_mtu(const struct stage *stage, uint8_t link, uint16_t mtu);

/* As if the time of all datagrams that are not complete were over. */
void datagram_make_fragments_old(const struct stage *stage);

/* The same, and nobody's share of places is used. */
void datagram_forget_fragments(const struct stage *stage);

/* Two packets are the same; says where they are not. */
void datagram_expect_packet(const struct packet *got, const struct packet *expected);

struct conversion datagram_run(struct stage *stage, const char *program,
			       const struct packet *packet);

/* Only the verdict (enum xdp_action), and what became of the frame: out may be packet. */
uint32_t datagram_verdict_of(const struct stage *stage, const char *program,
			     const struct packet *packet, struct packet *out);

/* Verdict and count are these, and what passes is as it came. */
void datagram_expect(struct stage *stage, const char *program, const struct packet *packet,
		     const char *outcome);

/* Metadata of other programs leaves no room for a longer header: dropped and counted. */
void datagram_expect_no_room(struct stage *cpe);

/* The same frame with another octet there; checksums are as they were. */
struct packet packet_with(struct packet packet, size_t at, uint8_t octet);

/* Likewise, and IPv4's header checksum is made anew. */
struct packet packet_with_ipv4(struct packet packet, size_t at, uint8_t octet);

/*
 * A TCP-formatted packet to a role, from the other one, of that binding and its remote.
 * Its options are valid until the eighth call from here.
 */
struct recipe datagram_formatted(enum stage_role to, uint8_t link,
				 const struct datagram_inner *inner);

#endif
