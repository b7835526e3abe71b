/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Keys, values and records that BPF programs and the agent share. Data only.
 * Who writes what stands with each field: one writer a field.
 */
#ifndef PLAIT_MAPS_H
#define PLAIT_MAPS_H

#include <linux/types.h>
#include "plait_addr.h"

enum {
	PLAIT_MAX_WORKERS = 64,
	PLAIT_COUNTER_ROWS = PLAIT_MAX_WORKERS + 2, /* of "agent_counters" */
	PLAIT_MAX_LISTENERS = 2 * PLAIT_MAX_WORKERS,
	PLAIT_MAX_POLICY_RULES = 64,
	PLAIT_POLICY_SLOTS = PLAIT_MAX_POLICY_RULES + 1, /* the last one while all goes direct */
	PLAIT_MAX_INTERFACES = 64,
	PLAIT_MAX_PREFIXES = 64,
	PLAIT_FRAME_MAX = 2048, /* longest SYN that is held, octets with Ethernet header */
	PLAIT_RING_BYTES = 1 << 20, /* per worker */
	PLAIT_DATAGRAM_RING_BYTES = 1 << 19,
};

/*
 * Marks. A plaitd instance owns sixteen values, "base" to base + 15, and uses
 * base + kind; base is also the number of its first routing table.
 */
enum plait_mark_kind {
	PLAIT_MARK_STEER = 0, /* packet: deliver here, whatever its destination */
	PLAIT_MARK_LEG = 1, /* socket: an MPTCP leg; its SYNs are sent twice */
	PLAIT_MARK_TWIN = 2, /* packet: the second copy of such a SYN */
	PLAIT_MARK_LET_GO = 3, /* packet: a held SYN on its way back */
	PLAIT_MARK_TURNED = 4, /* packet: an ICMP error of the kernel's own, turned round */
};

/* The two connections of a session. */
enum plait_side {
	PLAIT_SIDE_PLAIN = 0, /* a host's, or a server's */
	PLAIT_SIDE_LEG = 1, /* by MPTCP, between CPE and concentrator */
};

/*
 * A transport session as the plain TCP side sees it: on the CPE the internal
 * transport session identifier (host, remote), on the concentrator the external
 * one (external address, remote). plain-mode-08 §4.3.1.
 */
struct plait_session_key {
	struct plait_addr inside;
	struct plait_addr remote;
	__u8 protocol; /* IANA number */
	__u8 pad[3];
};

enum plait_session_state {
	PLAIT_SESSION_OPENING = 0,
	PLAIT_SESSION_ESTABLISHED,
	PLAIT_SESSION_CLOSING, /* a FIN was seen */
	PLAIT_SESSION_RESET, /* a RST was seen */
};

enum plait_session_flag {
	PLAIT_SESSION_TRANSPARENT = 1, /* its segments need steering */
};

struct plait_session_value {
	__u64 created_ns; /* agent, once; CLOCK_MONOTONIC */
	__u64 last_seen_ns; /* BPF */
	__u64 up_packets; /* BPF; up is from inside to remote */
	__u64 up_bytes; /* BPF; with IP and TCP headers */
	__u64 down_packets; /* BPF */
	__u64 down_bytes; /* BPF */
	enum plait_session_state state; /* BPF */
	__u32 flags; /* agent, once */
	__u32 worker; /* agent, once; who has a UDP session of the CPE's */
	__u32 pad;
};

/* Datagrams that come in fragments, by what their later ones have (plain-mode-08 §5.3.2). */
struct plait_fragment_key {
	struct plait_addr source, destination; /* port 0 */
	__u32 id; /* as in the header */
};

/* A session that is gone, but may be not everywhere. Agent writes, once. */
struct plait_lapsed_value {
	__u64 until_ns; /* its segments get a RST; CLOCK_MONOTONIC */
};

/* A prefix as the key of an LPM trie. */
struct plait_prefix_key {
	__u32 bits; /* of what follows: 8 more than the prefix has; 0: any address */
	__u8 family;
	__u8 ip[16];
	__u8 pad[3];
};

/*
 * A binding entry is found by what it is in the internet, on a CPE by what it is at its
 * links: any of their addresses (family 0), and a port. plain-mode-08 §4.3.2.
 */
struct plait_binding_key {
	struct plait_addr external;
	__u8 protocol; /* IANA number */
	__u8 pad[3];
};

enum plait_binding_flag {
	PLAIT_BINDING_CONFIGURED = 1, /* lets connections in; plain-mode-08 §4.4.2 */
};

/* Agent writes, once. */
struct plait_binding_value {
	__u64 created_ns; /* CLOCK_MONOTONIC */
	struct plait_addr inside;
	struct plait_addr subscriber; /* its first source address, port 0; CPE: none */
	__u32 flags; /* enum plait_binding_flag */
	__u32 pad;
};

/* What becomes of UDP. */
enum plait_udp {
	PLAIT_UDP_LEFT = 0, /* to the kernel */
	PLAIT_UDP_STREAM = 1, /* CPE: given to the agent, packet by packet */
	PLAIT_UDP_DATAGRAM = 2, /* the first packet of a binding is held; XDP has the rest */
};

/* What a policy rule asks for. design W4, plain-mode-08 §4.2 and §4.4.1. */
enum plait_action {
	PLAIT_BOND = 0,
	PLAIT_DIRECT,
	PLAIT_DROP,
};

/* First match wins. Agent writes, BPF reads. */
struct plait_policy_rule {
	struct plait_prefix source; /* family 0: any */
	struct plait_prefix destination; /* family 0: any */
	__u16 source_port_first, source_port_last; /* host byte order; 0 to 65535: any */
	__u16 destination_port_first, destination_port_last;
	__u8 protocol; /* 0: any */
	__u8 in_use; /* 0 ends the list */
	__u8 new_only; /* what is bonded already stays so */
	__u8 pad;
	enum plait_action action;
};

/*
 * Ring buffer record: one held SYN, or the first packet of a binding in datagram mode
 * (ifindex and frame only), as it arrived; cut after frame_bytes of the frame.
 */
struct plait_held_syn {
	__u32 ifindex;
	__u16 frame_bytes;
	__u8 in_time_wait; /* its addresses are: an earlier connection's */
	__u8 side; /* enum plait_side: what it begins */
	__u8 frame[PLAIT_FRAME_MAX];
};

/*
 * A held SYN that is let go is written to plait's TAP device. Its source MAC
 * address, which nobody needs any more, says where it goes.
 */
struct plait_let_go {
	__u8 locally_administered; /* 0x02, so that it is a valid unicast source */
	__u8 listener; /* that answers: worker * 2 + enum plait_side */
	__be32 ifindex; /* where it had arrived */
} __attribute__((packed));

/* What a program knows of its instance. Agent writes it before loading (.rodata). */
struct plait_settings {
	__u32 mark_base;
	__u32 workers;
	/* loopback ports of listeners for SYNs let go, by worker * 2 + enum plait_side */
	__be16 listener_v4[PLAIT_MAX_LISTENERS];
	__be16 listener_v6[PLAIT_MAX_LISTENERS];
	enum plait_udp udp; /* CPE: what the policy bonds; concentrator: datagrams or not */
	/* concentrator: ports of its own addresses that datagram mode has; host byte order */
	__u16 datagram_port_first, datagram_port_last;
	__u32 hold; /* 0: the kernel answers SYNs with a payload at once */
	/* CPE: where a listener for MP_JOINs is for each port of a binding; port 0 */
	struct plait_addr join_v4, join_v6;
};

_Static_assert(sizeof(struct plait_session_key) == 44, "layout of plait_session_key");
_Static_assert(sizeof(struct plait_session_value) == 64, "layout of plait_session_value");
_Static_assert(sizeof(struct plait_fragment_key) == 44, "layout of plait_fragment_key");
_Static_assert(sizeof(struct plait_lapsed_value) == 8, "layout of plait_lapsed_value");
_Static_assert(sizeof(struct plait_binding_key) == 24, "layout of plait_binding_key");
_Static_assert(sizeof(struct plait_binding_value) == 56, "layout of plait_binding_value");
_Static_assert(sizeof(struct plait_prefix_key) == 24, "layout of plait_prefix_key");
_Static_assert(sizeof(struct plait_policy_rule) == 56, "layout of plait_policy_rule");
_Static_assert(sizeof(struct plait_held_syn) == 8 + PLAIT_FRAME_MAX, "layout of plait_held_syn");
_Static_assert(sizeof(struct plait_let_go) == 6, "layout of plait_let_go");

#endif
