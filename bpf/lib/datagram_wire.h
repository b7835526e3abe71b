/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The TCP-formatted packet of plain-mode-03, "UDP Traffic", as docs/datagram.md has it. */
#ifndef PLAIT_BPF_DATAGRAM_WIRE_H
#define PLAIT_BPF_DATAGRAM_WIRE_H

#include <bpf/bpf_endian.h>

#include "datagram_maps.h"
#include "datagram_packet.h"
#include "plait_pm.h"

enum {
	TCP_BYTES = 20,
	FLAG_FIN = 0x01,
	FLAG_SYN = 0x02,
	FLAG_RST = 0x04,
	FLAG_PSH = 0x08,
	FLAG_ACK = 0x10,
	DATAGRAM_TCP_FLAGS = FLAG_ACK | FLAG_PSH,
	DATAGRAM_TCP_WINDOW = 0xffff,

	/* with the two octets of padding */
	PM_V4_BYTES = PLAIT_PM_LEN_V4_PORT + 2,
	PM_V6_BYTES = PLAIT_PM_LEN_V6_PORT + 2,
	TCP_V4_BYTES = TCP_BYTES + PM_V4_BYTES,
	TCP_V6_BYTES = TCP_BYTES + PM_V6_BYTES,
};

struct pm_option {
	__u8 kind, length, subtype, flags;
	union {
		struct {
			__u8 ip[4];
			__be16 port;
			__u8 padding[2];
		} v4;
		struct {
			__u8 ip[16];
			__be16 port;
			__u8 padding[2];
		} v6;
	};
} __attribute__((aligned(4)));

/* The whole header; that of an IPv4 remote is shorter and ends within. */
struct tcp_formatted {
	__be16 source, destination;
	__be32 sequence, acknowledgement;
	__u8 offset, flags;
	__be16 window;
	__u16 check;
	__be16 urgent;
	struct pm_option option;
} __attribute__((aligned(4)));

_Static_assert(sizeof(struct tcp_formatted) == TCP_V6_BYTES, "layout of tcp_formatted");

static __always_inline __u32 tcp_formatted_bytes(const struct plait_addr *remote)
{
	return remote->family == AF_INET ? TCP_V4_BYTES : TCP_V6_BYTES;
}

/* The option names a remote: where to, from a CPE; where from, from a concentrator. */
static __always_inline __u8 pm_subtype(enum role sender)
{
	return PLAIT_MPTCP_PM << 4 | (sender == CONCENTRATOR ? PLAIT_PM_D : 0) | PLAIT_PM_U;
}

static __always_inline void make_option(enum role sender, const struct plait_addr *remote,
					struct pm_option *out)
{
	out->kind = PLAIT_TCPOPT_MPTCP;
	out->subtype = pm_subtype(sender);
	if (remote->family == AF_INET) {
		out->length = PLAIT_PM_LEN_V4_PORT;
		__builtin_memcpy(out->v4.ip, remote->ip, 4);
		out->v4.port = remote->port;
		__builtin_memset(out->v4.padding, PLAIT_TCPOPT_NOP, 2);
	} else {
		out->length = PLAIT_PM_LEN_V6_PORT;
		__builtin_memcpy(out->v6.ip, remote->ip, 16);
		out->v6.port = remote->port;
		__builtin_memset(out->v6.padding, PLAIT_TCPOPT_NOP, 2);
	}
}

enum option_found {
	OPTION_GOOD,
	OPTION_WRONG, /* a PM option with U, but not as it must be */
	OPTION_NOT_UDP, /* a PM option without U */
	OPTION_NONE, /* no PM option, where plait puts it */
};

/* remote is the option's address and port. What TCP's data offset says fits the packet. */
static __always_inline enum option_found find_option(struct xdp_md *ctx,
						     const struct packet *packet, enum role sender,
						     struct plait_addr *remote)
{
	const __u8 never = FLAG_FIN | FLAG_SYN | FLAG_RST;
	struct tcp_formatted *tcp = l4_of(ctx, packet);
	const struct pm_option *option = &tcp->option;
	__u32 header;

	if (ends_before(ctx, (void *)tcp + TCP_V4_BYTES))
		return OPTION_NONE;
	header = (tcp->offset >> 4) * 4;
	if (header < TCP_V4_BYTES || option->kind != PLAIT_TCPOPT_MPTCP ||
	    option->subtype >> 4 != PLAIT_MPTCP_PM)
		return OPTION_NONE;
	if (!(option->subtype & PLAIT_PM_U))
		return OPTION_NOT_UDP;
	if ((option->subtype ^ pm_subtype(sender)) & PLAIT_PM_D || tcp->flags & never)
		return OPTION_WRONG;
	__builtin_memset(remote, 0, sizeof(*remote));
	if (option->length == PLAIT_PM_LEN_V4_PORT && header == TCP_V4_BYTES) {
		remote->family = AF_INET;
		remote->port = option->v4.port;
		*(__u32 *)remote->ip = *(const __u32 *)option->v4.ip;
		return OPTION_GOOD;
	}
	if (option->length != PLAIT_PM_LEN_V6_PORT || header != TCP_V6_BYTES ||
	    ends_before(ctx, tcp + 1))
		return OPTION_WRONG;
	remote->family = AF_INET6;
	remote->port = option->v6.port;
	__builtin_memcpy(remote->ip, option->v6.ip, 16);
	return OPTION_GOOD;
}

#endif
