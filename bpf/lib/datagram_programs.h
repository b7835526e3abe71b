/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Programs that both roles have alike, of what their files say before: receive(). */
#ifndef PLAIT_BPF_DATAGRAM_PROGRAMS_H
#define PLAIT_BPF_DATAGRAM_PROGRAMS_H

SEC("xdp")
int DATAGRAM_RECEIVER(struct xdp_md *ctx)
{
	return receive(ctx, AS_IT_COMES);
}

SEC("xdp")
int datagram_in_order(struct xdp_md *ctx)
{
	return receive(ctx, IN_ORDER);
}

/* An interface that is both has room for one program; and what the agent had held. */
SEC("xdp")
int datagram_both(struct xdp_md *ctx)
{
	int verdict = receive(ctx, AS_IT_COMES);

	return verdict == XDP_PASS ? aside(ctx, ASIDE_SENDER, XDP_PASS) : verdict;
}

SEC("xdp")
int datagram_long(struct xdp_md *ctx)
{
	return send_long(ctx, DATAGRAM_ROLE);
}

SEC("tc")
int datagram_cut(struct __sk_buff *skb)
{
	struct cut_order order;

	return take_order(skb, &order) ? cut(skb, &order) : VERDICT_NEXT;
}

#endif
