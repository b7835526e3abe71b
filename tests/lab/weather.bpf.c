// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The weather of one access network of the lab, and the wire through it: what comes in at one
 * port leaves by the other.
 *
 *   to-cpe ingress: up     ──> [delay-up] ──> to-conc egress
 *   to-conc ingress: down  ──> [delay-down] ──> to-cpe egress
 *
 * Each direction is drawn for on its own: black hole, burst loss, random loss, a middlebox that
 * takes the payload out of SYN segments, duplication. A direction with a delay then takes the
 * detour through its TAP, where delay_line.c holds each frame and writes it back, to be
 * delivered here. The shaper sits on the egress of the port.
 *
 * The interfaces that feed the ports have segmentation and checksum offload off, so one packet
 * here is one packet on the wire and its checksums are real.
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
#include "weather.h"

#define TCP_HEADER_MAX 60

struct weather_counts {
	__u64 seen;
	__u64 lost;
	__u64 stripped;
	__u64 duplicated;
};

/* Written by the lab, read here, and by delay_line.c in memory of its own. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEATHER_DIRECTIONS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct weather_settings);
} settings SEC(".maps");

/* Written here, read by the lab. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEATHER_DIRECTIONS);
	__type(key, __u32);
	__type(value, struct weather_counts);
} counts SEC(".maps");

/* Whether a burst of loss is on. Written and read here. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEATHER_DIRECTIONS);
	__type(key, __u32);
	__type(value, __u32);
} bursts SEC(".maps");

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

static __always_inline bool happens(__u32 per_million)
{
	return per_million && bpf_get_prandom_u32() % 1000000 < per_million;
}

/* Gilbert's model: a burst begins and ends by chance, and loses every packet meanwhile. */
static __always_inline bool in_burst(const struct weather_settings *setting, __u32 *burst)
{
	if (!setting->burst_enter_per_million)
		*burst = 0;
	else if (*burst)
		*burst = !happens(setting->burst_leave_per_million);
	else
		*burst = happens(setting->burst_enter_per_million);
	return *burst;
}

/*
 * A clone has no socket. The packet itself would keep its sender's all the way into the shaper's
 * queue, and TCP, which counts what it has in queues of its own host, would never fill that.
 */
static __always_inline int send_on(struct __sk_buff *skb, __u32 ifindex)
{
	bpf_clone_redirect(skb, ifindex, 0);
	return TC_ACT_STOLEN;
}

static __always_inline int pass_through(struct __sk_buff *skb, __u32 direction)
{
	struct weather_settings *setting = bpf_map_lookup_elem(&settings, &direction);
	struct weather_counts *count = bpf_map_lookup_elem(&counts, &direction);
	__u32 *burst = bpf_map_lookup_elem(&bursts, &direction);
	__u32 next;

	if (!setting || !count || !burst)
		return TC_ACT_SHOT;
	next = setting->delay_line_ifindex ?: setting->out_ifindex;
	if (!setting->black_hole && resolves_neighbours(skb))
		return send_on(skb, next);
	__sync_fetch_and_add(&count->seen, 1);
	if (setting->black_hole || in_burst(setting, burst) || happens(setting->loss_per_million)) {
		__sync_fetch_and_add(&count->lost, 1);
		return TC_ACT_SHOT;
	}
	if (setting->strip_syn_payload && strip_syn_payload(skb))
		__sync_fetch_and_add(&count->stripped, 1);
	if (happens(setting->duplicate_per_million) && !bpf_clone_redirect(skb, next, 0))
		__sync_fetch_and_add(&count->duplicated, 1);
	return send_on(skb, next);
}

static __always_inline int deliver(__u32 direction)
{
	const struct weather_settings *setting = bpf_map_lookup_elem(&settings, &direction);

	return setting ? bpf_redirect(setting->out_ifindex, 0) : TC_ACT_SHOT;
}

SEC("tc")
int up(struct __sk_buff *skb)
{
	return pass_through(skb, WEATHER_UP);
}

SEC("tc")
int down(struct __sk_buff *skb)
{
	return pass_through(skb, WEATHER_DOWN);
}

SEC("tc")
int deliver_up(struct __sk_buff *skb)
{
	return deliver(WEATHER_UP);
}

SEC("tc")
int deliver_down(struct __sk_buff *skb)
{
	return deliver(WEATHER_DOWN);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
