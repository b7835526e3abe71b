// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * CPE, datagram mode: UDP of the LAN's hosts that has a binding leaves over a link as
 * TCP-formatted packets; those of concentrators become UDP again. Everything else is as
 * if these programs were not there.
 */
#define DATAGRAM_ROLE     CPE
#define DATAGRAM_RECEIVER datagram_link
#define DATAGRAM_SENDER   datagram_lan

#include "lib/datagram_fragment_receive.h"
#include "lib/datagram_fragment_send.h"
#include "lib/datagram_receive.h"
#include "lib/datagram_send.h"
#include "lib/policy_rules.h"

/*
 * Where hosts' UDP goes without being asked for in the policy: this machine, its LANs.
 * Agent writes.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct plait_direct_key);
	__type(value, __u8);
} datagram_direct SEC(".maps");

/* A host's port that is bonded for one remote may not be for another. */
static __always_inline bool policy_bonds(const struct packet *packet)
{
	const struct policy_question question = {.source = &packet->source,
						 .destination = &packet->destination,
						 .protocol = IPPROTO_UDP,
						 .is_bonded = true};

	return policy_ask(&question) == PLAIT_BOND;
}

static __always_inline bool goes_direct(const struct packet *packet)
{
	struct plait_direct_key key = {.bits = 8 * (sizeof(key) - sizeof(key.bits)),
				       .family = packet->family};
	void *ip = key.ip;

	*(struct ip_octets *)ip = *(const struct ip_octets *)ip_words(&packet->destination);
	return bpf_map_lookup_elem(&datagram_direct, &key);
}

/* UDP from a host, to anywhere that a PM option may name. */
static __always_inline int from_host(struct xdp_md *ctx, struct sending *out)
{
	if (goes_direct(&out->packet))
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_DIRECT);
	out->binding = bpf_map_lookup_elem(&datagram_senders, &out->packet.source);
	if (!out->binding)
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_NEW);
	if (!out->packet.destination.port)
		return datagram_verdict(XDP_DROP, PLAIT_DATAGRAM_FORBIDDEN);
	if (!policy_bonds(&out->packet)) /* the TC program knows what then */
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_DIRECT);
	return send_of_binding(ctx, out, CPE);
}

SEC("xdp")
int datagram_lan(struct xdp_md *ctx)
{
	struct sending out;
	enum looked_at looked;

	looked = look_at(ctx, IPPROTO_UDP, &out.packet);
	if (looked == LOOKED_FRAGMENT)
		return aside(ctx, ASIDE_FRAGMENT_OUT, XDP_PASS);
	if (looked != LOOKED_GOOD)
		return not_good(looked);
	if (is_forbidden(&out.packet.destination))
		return XDP_PASS; /* multicast and the like: this machine's */
	return from_host(ctx, &out);
}

/* TCP to the port of a binding must be a concentrator's. */
static __always_inline int without_option(const struct packet *packet, enum plait_reason reason)
{
	if (!find_receiver(packet, CPE) || !datagram_address(packet, CPE))
		return XDP_PASS;
	return datagram_verdict(XDP_DROP, reason);
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
	option = find_option(ctx, &in.packet, CONCENTRATOR, &in.remote);
	if (option == OPTION_NONE)
		return without_option(&in.packet, PLAIT_DATAGRAM_NO_OPTION);
	if (option == OPTION_NOT_UDP)
		return without_option(&in.packet, PLAIT_DATAGRAM_NOT_UDP);
	in.binding = find_receiver(&in.packet, CPE);
	if (!in.binding || !find_path(&in, CPE))
		return receive_of_nobody(ctx, &in, CPE);
	return receive_of_binding(ctx, &in, CPE, option, sequence);
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
	if (is_forbidden(&it.out.packet.destination))
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_FRAGMENT);
	if (goes_direct(&it.out.packet))
		return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_DIRECT);
	return send_fragment(ctx, &it, noting, CPE);
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
	return receive_fragment(ctx, &in, noting, CPE);
}

SEC("xdp")
int datagram_no_next_hop(struct xdp_md *ctx)
{
	return datagram_verdict(XDP_PASS, PLAIT_DATAGRAM_NO_NEXT_HOP);
}

#include "lib/datagram_programs.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
