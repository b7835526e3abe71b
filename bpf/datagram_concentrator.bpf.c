// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Concentrator, datagram mode: TCP-formatted packets of subscribers become UDP from the
 * external address of their binding; what comes back to it goes out over one of the
 * subscriber's links. Everything else is as if these programs were not there.
 */
#define DATAGRAM_ROLE     CONCENTRATOR
#define DATAGRAM_RECEIVER datagram_customer
#define DATAGRAM_SENDER   datagram_internet

#include "lib/allowed.h"
#include "lib/datagram_fragment_receive.h"
#include "lib/datagram_fragment_send.h"
#include "lib/datagram_receive.h"
#include "lib/datagram_send.h"
#include "lib/prefixes.h"

static __always_inline int without_option(const struct packet *packet, enum option_found option)
{
	const __u8 *flags = datagram_address(packet, CONCENTRATOR);

	if (!flags || (option == OPTION_NONE && *flags & PLAIT_ADDRESS_SHARED))
		return XDP_PASS;
	if (!is_within(&allowed, &packet->source))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_SOURCE);
	return option == OPTION_NONE ? datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_NO_OPTION)
				     : datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_NOT_UDP);
}

/* Of a subscriber, it is the first packet of a binding, which the agent adds. */
static __always_inline int without_binding(const struct receiving *in, enum option_found option)
{
	enum plait_reason fault;

	if (!datagram_address(&in->packet, CONCENTRATOR))
		return XDP_PASS; /* for somebody else */
	if (!is_within(&allowed, &in->packet.source))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_SOURCE);
	fault = tcp_fault(in, option);
	if (fault != PLAIT_REASON_COUNT)
		return datagram_verdict(XDP_DROP, fault);
	return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_NEW);
}

static __always_inline int receive(struct xdp_md *ctx, enum sequence sequence)
{
	struct receiving in;
	enum option_found option;
	enum looked_at looked;

	looked = look_at(ctx, IPPROTO_TCP, &in.packet);
	if (looked == LOOKED_FRAGMENT)
		return aside(ctx, ASIDE_FRAGMENT_IN, XDP_PASS);
	if (looked != LOOKED_GOOD)
		return not_good(looked);
	option = find_option(ctx, &in.packet, CPE, &in.remote);
	if (option == OPTION_NONE || option == OPTION_NOT_UDP)
		return without_option(&in.packet, option);
	in.binding = find_receiver(&in.packet, CONCENTRATOR);
	if (!in.binding || !find_path(&in, CONCENTRATOR))
		return without_binding(&in, option);
	return receive_of_binding(ctx, &in, CONCENTRATOR, option, sequence);
}

/*
 * Hairpinning (RFC 4787 REQ-9a): our own addresses are no way anywhere, but one that is a
 * binding's leads to another subscriber, or to the same one. It is sent as if it had come
 * from the internet, from the external address; where it cannot be, the kernel drops it.
 */
static __always_inline int hairpin(struct xdp_md *ctx, struct receiving *in)
{
	const struct next_hop nobody = {};
	const struct ip_header header = {.old = &in->packet,
					 .source = &in->binding->inner,
					 .destination = &in->remote,
					 .l4_bytes = in->packet.l4_bytes -
						     tcp_formatted_bytes(&in->remote) +
						     sizeof(struct udphdr),
					 .protocol = IPPROTO_UDP};

	if (!become_udp(ctx, in, &header, &nobody, bpf_ktime_get_ns()))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FAILED);
	count_packet(PLAIT_DATAGRAM_RECEIVED);
	return aside(ctx, ASIDE_SENDER, XDP_DROP);
}

/* receive() has found it good. */
SEC("xdp")
int datagram_no_next_hop(struct xdp_md *ctx)
{
	struct receiving in;

	if (look_at(ctx, IPPROTO_TCP, &in.packet) != LOOKED_GOOD ||
	    find_option(ctx, &in.packet, CPE, &in.remote) != OPTION_GOOD)
		return XDP_PASS;
	in.binding = find_receiver(&in.packet, CONCENTRATOR);
	if (!in.binding || !find_path(&in, CONCENTRATOR) ||
	    !bpf_map_lookup_elem(&datagram_senders, &in.remote))
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_NO_NEXT_HOP);
	in.packet.is_let_go = is_let_go(ctx);
	return hairpin(ctx, &in);
}

SEC("xdp")
int datagram_internet(struct xdp_md *ctx)
{
	struct sending out;
	enum looked_at looked;

	looked = look_at(ctx, IPPROTO_UDP, &out.packet);
	if (looked == LOOKED_FRAGMENT)
		return aside(ctx, ASIDE_FRAGMENT_OUT, XDP_PASS);
	if (looked != LOOKED_GOOD)
		return not_good(looked);
	out.binding = bpf_map_lookup_elem(&datagram_senders, &out.packet.destination);
	if (!out.binding)
		return XDP_PASS; /* stream mode's, or nobody's: the kernel knows */
	if (is_forbidden(&out.packet.source) || !out.packet.source.port)
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FORBIDDEN);
	if (!is_let_in(out.binding, &out.packet.source))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FILTERED);
	return send_of_binding(ctx, &out, CONCENTRATOR);
}

SEC("xdp")
int datagram_fragment_out(struct xdp_md *ctx)
{
	struct sending_piece it;
	struct noting *noting = new_noting();
	enum looked_at looked;

	if (!noting || !prepare(&it))
		return XDP_PASS;
	looked = look_at_fragment(ctx, IPPROTO_UDP, &it.out.packet, &noting->piece, &noting->key);
	if (looked != LOOKED_GOOD)
		return not_good(looked);
	return send_fragment(ctx, &it, noting, CONCENTRATOR);
}

SEC("xdp")
int datagram_fragment_in(struct xdp_md *ctx)
{
	struct receiving in;
	struct noting *noting = new_noting();
	enum looked_at looked;

	if (!noting)
		return XDP_PASS;
	looked = look_at_fragment(ctx, IPPROTO_TCP, &in.packet, &noting->piece, &noting->key);
	if (looked != LOOKED_GOOD)
		return not_good(looked);
	if (!is_fragment_ours(&in.packet))
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_FRAGMENT);
	if (!is_within(&allowed, &in.packet.source))
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_SOURCE);
	return receive_fragment(ctx, &in, noting, CONCENTRATOR);
}

#include "lib/datagram_programs.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
