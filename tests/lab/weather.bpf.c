// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The weather of one access network of the lab: random loss, and a middlebox
 * that takes the payload out of SYN segments.
 *
 * Runs at TC ingress of both ports of the access node's bridge, so each
 * direction is drawn for on its own and before the shaper, which sits on the
 * egress of the port opposite. The lab writes `settings` while traffic runs
 * and reads `counts`. The interfaces that feed the bridge have segmentation and
 * checksum offload off, so one packet here is one packet on the wire and
 * its checksums are real.
 */
#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <stddef.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define TCP_HEADER_MAX 60

struct weather_settings {
	__u32 loss_per_million;
	__u32 strip_syn_payload;
};

struct weather_counts {
	__u64 seen;
	__u64 lost;
	__u64 stripped;
};

/* Written by the lab, read here. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weather_settings);
} settings SEC(".maps");

/* Written here, read by the lab. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weather_counts);
} counts SEC(".maps");

/* Where the headers of a TCP or other packet lie, and what it takes to rebuild them. */
struct packet {
	__u8 protocol;
	__u32 l4_offset;
	__u32 l4_len;
	__u32 pseudo_sum; /* addresses and protocol, without the length */
};

static __always_inline int read_ipv4(struct __sk_buff *skb, struct packet *packet)
{
	struct iphdr ip;
	__u32 header_len;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
		return -1;
	header_len = ip.ihl * 4;
	if (bpf_ntohs(ip.tot_len) < header_len || ip.frag_off & bpf_htons(0x3fff))
		return -1;
	packet->protocol = ip.protocol;
	packet->l4_offset = ETH_HLEN + header_len;
	packet->l4_len = bpf_ntohs(ip.tot_len) - header_len;
	packet->pseudo_sum = bpf_csum_diff(NULL, 0, &ip.saddr, 8, bpf_htonl(ip.protocol));
	return 0;
}

static __always_inline int read_ipv6(struct __sk_buff *skb, struct packet *packet)
{
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
		return -1;
	packet->protocol = ip.nexthdr;
	packet->l4_offset = ETH_HLEN + sizeof(ip);
	packet->l4_len = bpf_ntohs(ip.payload_len);
	packet->pseudo_sum = bpf_csum_diff(NULL, 0, (__be32 *)&ip.saddr, 32, bpf_htonl(ip.nexthdr));
	return 0;
}

static __always_inline int read_packet(struct __sk_buff *skb, struct packet *packet)
{
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return read_ipv4(skb, packet);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return read_ipv6(skb, packet);
	return -1;
}

/* A lost ARP or neighbour solicitation costs a second and says nothing about what is tested. */
static __always_inline bool resolves_neighbours(struct __sk_buff *skb)
{
	struct packet packet;
	__u8 type;

	if (skb->protocol == bpf_htons(ETH_P_ARP))
		return true;
	if (skb->protocol != bpf_htons(ETH_P_IPV6) || read_ipv6(skb, &packet) ||
	    packet.protocol != IPPROTO_ICMPV6)
		return false;
	if (bpf_skb_load_bytes(skb, packet.l4_offset, &type, sizeof(type)))
		return false;
	return type >= 133 && type <= 137;
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline void set_ip_length(struct __sk_buff *skb, __u32 l4_len)
{
	__be16 old_len, new_len;

	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		new_len = bpf_htons(l4_len);
		bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, payload_len), &new_len,
				    sizeof(new_len), 0);
		return;
	}
	new_len = bpf_htons(skb->len - ETH_HLEN);
	bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct iphdr, tot_len), &old_len,
			   sizeof(old_len));
	bpf_l3_csum_replace(skb, ETH_HLEN + offsetof(struct iphdr, check), old_len, new_len,
			    sizeof(new_len));
	bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct iphdr, tot_len), &new_len,
			    sizeof(new_len), 0);
}

/* Recomputed from the header alone, which is all that is left of the segment. */
static __always_inline void set_tcp_checksum(struct __sk_buff *skb, const struct packet *packet,
					     __u32 header_len)
{
	__be32 header[TCP_HEADER_MAX / 4] = {};
	struct tcphdr *tcp = (struct tcphdr *)header;
	__u16 check;

	if (header_len < sizeof(*tcp) || header_len > sizeof(header) ||
	    bpf_skb_load_bytes(skb, packet->l4_offset, header, header_len))
		return;
	tcp->check = 0;
	check = fold(
		(__u64)(__u32)bpf_csum_diff(NULL, 0, header, sizeof(header), packet->pseudo_sum) +
		bpf_htonl(header_len));
	bpf_skb_store_bytes(skb, packet->l4_offset + offsetof(struct tcphdr, check), &check,
			    sizeof(check), 0);
}

static __always_inline bool strip_syn_payload(struct __sk_buff *skb)
{
	struct packet packet;
	struct tcphdr tcp;
	__u32 header_len;

	if (read_packet(skb, &packet) || packet.protocol != IPPROTO_TCP ||
	    bpf_skb_load_bytes(skb, packet.l4_offset, &tcp, sizeof(tcp)))
		return false;
	header_len = tcp.doff * 4;
	if (!tcp.syn || packet.l4_len <= header_len)
		return false;
	if (bpf_skb_change_tail(skb, packet.l4_offset + header_len, 0))
		return false;
	set_ip_length(skb, header_len);
	set_tcp_checksum(skb, &packet, header_len);
	return true;
}

SEC("tc")
int weather(struct __sk_buff *skb)
{
	const __u32 zero = 0;
	struct weather_settings *setting = bpf_map_lookup_elem(&settings, &zero);
	struct weather_counts *count = bpf_map_lookup_elem(&counts, &zero);

	if (!setting || !count || resolves_neighbours(skb))
		return TC_ACT_OK;
	__sync_fetch_and_add(&count->seen, 1);
	if (setting->loss_per_million &&
	    bpf_get_prandom_u32() % 1000000 < setting->loss_per_million) {
		__sync_fetch_and_add(&count->lost, 1);
		return TC_ACT_SHOT;
	}
	if (setting->strip_syn_payload && strip_syn_payload(skb))
		__sync_fetch_and_add(&count->stripped, 1);
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
