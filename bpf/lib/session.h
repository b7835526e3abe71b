/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Finding a segment's session, and accounting what passes. */
#ifndef PLAIT_BPF_SESSION_H
#define PLAIT_BPF_SESSION_H

#include "maps.h"
#include "parse.h"

static __always_inline bool is_local_address(const struct plait_addr *addr)
{
	struct plait_addr key = *addr;

	key.port = 0;
	return bpf_map_lookup_elem(&local_addresses, &key);
}

/* This machine, its broadcast addresses, multicast, limited broadcast, unspecified. */
static __always_inline bool is_for_this_machine(const struct plait_addr *addr)
{
	const __u32 *words = (const __u32 *)addr->ip;
	__u8 first = addr->ip[0];

	if (addr->family == AF_INET && (first == 0 || first == 127 || first >= 224))
		return true;
	if (addr->family == AF_INET6 &&
	    (first == 0xff || (first == 0xfe && (addr->ip[1] & 0xc0) == 0x80)))
		return true; /* multicast, link-local */
	if (addr->family == AF_INET6 && !(words[0] | words[1] | words[2]) &&
	    bpf_ntohl(words[3]) <= 1)
		return true; /* unspecified, loopback */
	return is_local_address(addr);
}

enum direction { UP, DOWN }; /* up: from inside to remote */

static __always_inline struct plait_session_key session_key(const struct segment *segment,
							    enum direction direction)
{
	struct plait_session_key key = {.protocol = segment->protocol};

	key.inside = direction == UP ? segment->source : segment->destination;
	key.remote = direction == UP ? segment->destination : segment->source;
	return key;
}

static __always_inline struct plait_session_value *session_find(const struct segment *segment,
								enum direction direction)
{
	struct plait_session_key key = session_key(segment, direction);

	return bpf_map_lookup_elem(&sessions, &key);
}

static __always_inline void session_follow_state(struct plait_session_value *session, __u8 flags)
{
	enum plait_session_state state = session->state;

	if (flags & TCP_RST)
		state = PLAIT_SESSION_RESET;
	else if (flags & TCP_FIN && state < PLAIT_SESSION_CLOSING)
		state = PLAIT_SESSION_CLOSING;
	else if (!(flags & TCP_SYN) && state == PLAIT_SESSION_OPENING)
		state = PLAIT_SESSION_ESTABLISHED;
	if (state != session->state)
		session->state = state;
}

/* Packets and bytes as the stack has them here: GRO and GSO count in segments. */
static __always_inline void session_account(struct plait_session_value *session,
					    struct __sk_buff *skb, enum direction direction,
					    __u8 flags)
{
	__u64 packets = skb->gso_segs ? skb->gso_segs : 1;
	__u64 bytes = skb->len - ETH_HLEN;

	__sync_fetch_and_add(direction == UP ? &session->up_packets : &session->down_packets,
			     packets);
	__sync_fetch_and_add(direction == UP ? &session->up_bytes : &session->down_bytes, bytes);
	session->last_seen_ns = bpf_ktime_get_ns();
	session_follow_state(session, flags);
}

#endif
