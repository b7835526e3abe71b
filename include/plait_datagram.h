/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Datagram mode (plain-mode-03, "UDP Traffic"): keys and values that its XDP programs
 * and the agent share. docs/datagram.md says how they go together. Data only; times are
 * CLOCK_MONOTONIC, what is not __be is in host byte order, one writer a field.
 */
#ifndef PLAIT_DATAGRAM_H
#define PLAIT_DATAGRAM_H

#include <linux/bpf.h>
#include <linux/types.h>
#include "plait_addr.h"

enum {
	PLAIT_PATHS_MAX = 8, /* of one set */
	PLAIT_PATH_SLOTS = 64, /* shares of a set are 64ths; a power of two */
	PLAIT_NO_PATH = 255, /* in a slot: there is none to take */
};

/*
 * Both ends of a binding entry. Two maps hold this: "datagram_senders", for UDP that
 * becomes TCP-formatted, and "datagram_receivers", for the way back.
 *
 *	                 key                                    inner
 *	CPE, senders     host's address and port                the same
 *	CPE, receivers   family 0, port of the CPE's WAN side   host's address and port
 *	conc., senders   external address and port              the same
 *	conc., receivers link's address, port of the WAN side   external address and port
 *
 * A binding has the same WAN port on all links, so a concentrator has a receiver for
 * each link of a CPE, and one sender. The agent adds and removes.
 */
struct plait_datagram_binding {
	__u64 created_ns; /* agent, once */
	__u64 last_seen_ns; /* BPF */
	__u64 packets; /* BPF; senders: the low half is the acknowledgement number */
	__u64 bytes; /* BPF; with IP and UDP headers */
	struct plait_addr inner; /* agent, once */
	__u32 set; /* agent; index in "datagram_sets": of the CPE's links */
	__be16 wan_port; /* agent, once */
	__u8 filtering; /* agent, once; enum plait_filtering */
	__u8 pad[5];
};

/*
 * The links of a CPE, on the CPE (one set a concentrator) and on the concentrator (one
 * a subscriber). An entry of the array "datagram_sets". Agent writes.
 */
struct plait_path_set {
	__u32 first; /* its paths are first ... first + count - 1 of "datagram_paths" */
	__u8 count;
	__u8 per_packet; /* 1: each packet takes the next slot; 0: a flow keeps its own */
	__u8 in_order; /* 1: what is received goes on in the order it was sent in */
	__u8 pad;
	/*
	 * Number of a path in the set, as often as its weight says, spread evenly;
	 * PLAIT_NO_PATH in all of them while no link works: hosts' UDP then goes direct.
	 */
	__u8 slot[PLAIT_PATH_SLOTS];
};

/*
 * A prefix in the LPM trie "datagram_direct": where hosts' UDP goes without being bonded.
 * Unlike plait_prefix_key, its address is at a multiple of four.
 */
struct plait_direct_key {
	__u32 bits; /* of what follows: 32 more than the prefix has; 0: any address */
	__u8 family;
	__u8 pad[3];
	__u8 ip[16];
};

/*
 * One link to one address of a concentrator. Agent writes; the addresses only while no
 * slot names it. What arrives is taken from any path of its set, in a slot or not.
 */
struct plait_path {
	struct plait_addr local; /* CPE: the link's address, port 0; concentrator: its own */
	struct plait_addr remote; /* CPE: the concentrator's; concentrator: the link's, port 0 */
	__u32 ifindex; /* out of here; 0: the program asks the FIB, which costs more */
	__u8 macs[12]; /* the next hop's MAC address, then ours there */
	__u16 mtu; /* octets of IP; at least 1280 */
	__u8 pad[6];
};

/*
 * Entry n of the array "datagram_traffic" belongs to entry n of "datagram_paths".
 * BPF writes. Lost since an earlier look: what highest has grown by, less what received
 * has grown by. After the sender's counter began anew (restarts grew), look again.
 */
struct plait_path_traffic {
	__u64 sent; /* packets; the low half is the sequence number */
	__u64 received; /* packets */
	__u64 late; /* packets of these, behind one with a higher number */
	__u32 highest; /* sequence number received */
	__u32 restarts; /* times it jumped by PLAIT_SEQUENCE_WINDOW or more */
};

enum { PLAIT_SEQUENCE_WINDOW = 1 << 16 };

/*
 * What a CPE's or a concentrator's address is for, in the map "datagram_addresses": on
 * a concentrator keyed by address and port, on a CPE by a link's address and port 0.
 */
enum plait_datagram_address_flag {
	PLAIT_ADDRESS_EXISTS = 1,
	/* concentrator: other TCP comes here as well; without a PM option it is the kernel's */
	PLAIT_ADDRESS_SHARED = 2,
};

/*
 * What a CPE tells a concentrator of its links, in the payload of ICMP echo requests over
 * each of them: which ones to use on the way back.
 */
struct plait_told_link {
	struct plait_addr local; /* the link's; port 0 */
	__be16 weight; /* 0: not now */
	__u8 pad[2];
};

struct plait_told {
	__u8 magic[4]; /* PLAIT_TOLD_MAGIC */
	__u8 count; /* of link[], all of which are sent */
	__u8 per_packet; /* as in plait_path_set */
	__u8 pad[2];
	struct plait_told_link link[PLAIT_PATHS_MAX];
};

#define PLAIT_TOLD_MAGIC "plt1"

/*
 * By the address it came from, in "datagram_told"; family 0: who is not in there has told,
 * and may. Agent adds and removes, BPF writes.
 */
struct plait_told_value {
	__u64 heard_ns; /* 0: not yet */
	struct plait_told told;
};

_Static_assert(sizeof(struct plait_told) == 200, "layout of plait_told");
_Static_assert(sizeof(struct plait_told_value) == 208, "layout of plait_told_value");

/*
 * What this machine is called in ICMP errors that leave by an interface, the key of the
 * map "datagram_routers": addresses of that interface, or others of its own; port 0,
 * family 0: none, and no such errors are made. Agent writes.
 */
struct plait_router {
	struct plait_addr ipv4, ipv6;
};

enum {
	PLAIT_FRAGMENT_PLACES = 1024, /* entries of "datagram_fragments" and "datagram_wholes" */
	PLAIT_WHOLE_MAX = 2048, /* octets behind IP's header of what is cut and put together */
	PLAIT_EARLY_FRAME_MAX = 2112, /* of what is held, with Ethernet and IP header */
	PLAIT_EARLY_RING_BYTES = 1 << 18,
};

/*
 * How long fragments wait for the rest of their datagram, here and with the agent: at
 * least as long as RFC 6146 §4 wants (FRAGMENT_MIN).
 */
#define PLAIT_FRAGMENT_LIFE_NS (2ULL * 1000 * 1000 * 1000)

/* Whom an endpoint hears from: RFC 4787 §5 and its words. */
enum plait_filtering {
	PLAIT_FILTERING_ENDPOINT_INDEPENDENT, /* anybody */
	PLAIT_FILTERING_ADDRESS_DEPENDENT, /* addresses that it has sent to, at any port */
	PLAIT_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
};

/* What it has sent to, in the LRU hash "datagram_contacts" of a concentrator. BPF writes. */
struct plait_contact {
	struct plait_addr external;
	struct plait_addr remote; /* port 0: PLAIT_FILTERING_ADDRESS_DEPENDENT */
};

_Static_assert(sizeof(struct plait_contact) == 40, "layout of plait_contact");

/* The one entry of the array "datagram_settings". Agent writes, at any time. */
struct plait_datagram_settings {
	/*
	 * 1: what does not fit its path is cut after conversion, and put together before
	 * (plain-mode-08 §5.3); 0: it goes direct, and such fragments are the kernel's
	 */
	__u32 fragmentation;
	__u32 tap_ifindex; /* where the agent puts packets before the programs again */
	__u64 contact_life_ns; /* how long an endpoint hears from whom it has sent to */
};

/*
 * Record of the ring "datagram_early": a fragment that came before the first of its
 * datagram. The agent keeps it for PLAIT_FRAGMENT_LIFE_NS at most. When it gets a record
 * of the same datagram with frame_bytes 0, the first has come, and those that it keeps are
 * run through the program of that interface (BPF_F_TEST_XDP_LIVE_FRAMES) in their order;
 * a later record of that datagram at once. So is what has no name: a datagram that was put
 * together, for which the driver's buffer had no room.
 */
struct plait_early_fragment {
	__u64 datagram; /* names it, of no other one within that time; 0: a whole one */
	__u32 ifindex; /* where it came */
	__u32 frame_bytes;
	__u8 frame[PLAIT_EARLY_FRAME_MAX]; /* cut after frame_bytes */
};

/*
 * A binding in the map "datagram_order", by its inner end, where packets are put back in
 * order: by their acknowledgement numbers. The agent adds and removes.
 */
struct plait_datagram_order {
	struct bpf_spin_lock lock; /* for what follows; BPF writes it */
	__u32 next; /* the number that goes on without waiting; agent: 1 */
	__u32 kept_to; /* above next: some below this one are with the agent */
	__u32 pad;
};

/*
 * Record of the ring "datagram_reordered": a packet that came before others of its binding,
 * or behind such. The agent keeps it until its turn has come or it has waited for `reorder`,
 * and puts it before the programs again at the TAP device, with PLAIT_IN_TURN as source.
 */
struct plait_reordered {
	struct plait_addr inner; /* of the binding */
	__u32 number;
	__u32 frame_bytes; /* 0: it has gone on already, and nothing waits for it */
	__u8 frame[PLAIT_EARLY_FRAME_MAX]; /* cut after frame_bytes */
};

enum {
	PLAIT_REORDERED_RING_BYTES = 1 << 22,
	PLAIT_IN_TURN = 0x75747002, /* first octets of a MAC address, locally administered */
};

_Static_assert(sizeof(struct plait_datagram_order) == 16, "layout of plait_datagram_order");
_Static_assert(sizeof(struct plait_reordered) == 28 + PLAIT_EARLY_FRAME_MAX,
	       "layout of plait_reordered");
_Static_assert(sizeof(struct plait_datagram_binding) == 64, "layout of plait_datagram_binding");
_Static_assert(sizeof(struct plait_path_set) == 72, "layout of plait_path_set");
_Static_assert(sizeof(struct plait_direct_key) == 24, "layout of plait_direct_key");
_Static_assert(sizeof(struct plait_path) == 64, "layout of plait_path");
_Static_assert(sizeof(struct plait_path_traffic) == 32, "layout of plait_path_traffic");
_Static_assert(sizeof(struct plait_datagram_settings) == 16, "layout of plait_datagram_settings");
_Static_assert(sizeof(struct plait_early_fragment) == 16 + PLAIT_EARLY_FRAME_MAX,
	       "layout of plait_early_fragment");
_Static_assert(sizeof(struct plait_router) == 40, "layout of plait_router");

#endif
