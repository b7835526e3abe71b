/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "segment.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "checksum.h"
#include "plait_pm.h"

/*
 * Headers are read and written octet by octet: a frame's IP header stands on
 * an odd multiple of two, where a struct's 32-bit fields must not be touched.
 */
enum {
	ETH_BYTES = 14,
	ETH_TYPE = 12,
	ETH_TYPE_IPV4 = 0x0800,
	ETH_TYPE_IPV6 = 0x86dd,

	IPV4_BYTES = 20,
	IPV4_TOS = 1,
	IPV4_TOTAL = 2,
	IPV4_FRAGMENT = 6,
	IPV4_DF = 0x4000,
	IPV4_MF_OR_OFFSET = 0x3fff,
	IPV4_TTL = 8,
	IPV4_PROTOCOL = 9,
	IPV4_CHECKSUM = 10,
	IPV4_SOURCE = 12,
	IPV4_DESTINATION = 16,

	IPV6_BYTES = 40,
	IPV6_PAYLOAD = 4,
	IPV6_NEXT = 6,
	IPV6_HOPS = 7,
	IPV6_SOURCE = 8,
	IPV6_DESTINATION = 24,

	TCP_BYTES = 20,
	TCP_DESTINATION_PORT = 2,
	TCP_SEQ = 4,
	TCP_ACK = 8,
	TCP_OFFSET = 12,
	TCP_FLAGS = 13,
	TCP_CHECKSUM = 16,
	TCP_FLAG_FIN = 0x01,
	TCP_FLAG_SYN = 0x02,
	TCP_FLAG_RST = 0x04,
	TCP_FLAG_ACK = 0x10,

	ICMP_BYTES = 8,
	ICMP_CHECKSUM = 2,

	HOPS = 64, /* IANA's recommended default TTL */
	ICMP_TOS = 0xc0, /* internetwork control, RFC 1812 §4.3.2.5 */
	IPV6_MIN_MTU = 1280, /* no ICMPv6 error is longer, RFC 4443 §2.4 (c) */
};

/* A place in a frame: what is read next and where the IP packet ends. */
struct cursor {
	const uint8_t *frame;
	size_t at, end;
};

static uint16_t get16(const uint8_t *bytes)
{
	return bytes[0] << 8 | bytes[1];
}

static uint32_t get32(const uint8_t *bytes)
{
	return (uint32_t)get16(bytes) << 16 | get16(bytes + 2);
}

static void put16(uint8_t *bytes, uint16_t value)
{
	bytes[0] = value >> 8;
	bytes[1] = value & 0xff;
}

static void put32(uint8_t *bytes, uint32_t value)
{
	put16(bytes, value >> 16);
	put16(bytes + 2, value & 0xffff);
}

static size_t left(const struct cursor *cursor)
{
	return cursor->end - cursor->at;
}

/* Each read_*_header() moves on behind the header and returns the l4_proto or -EBADMSG. */
static int read_ipv4_header(struct cursor *cursor, struct syn_segment *syn)
{
	const uint8_t *ip = cursor->frame + cursor->at;
	size_t header_bytes, total;

	if (left(cursor) < IPV4_BYTES || ip[0] >> 4 != 4)
		return -EBADMSG;
	header_bytes = (ip[0] & 0xf) * 4;
	total = get16(ip + IPV4_TOTAL);
	if (header_bytes < IPV4_BYTES || total < header_bytes || total > left(cursor))
		return -EBADMSG;
	if (get16(ip + IPV4_FRAGMENT) & IPV4_MF_OR_OFFSET)
		return -EBADMSG;

	syn->source.family = syn->destination.family = AF_INET;
	syn->dscp = ip[IPV4_TOS] >> 2;
	memcpy(syn->source.ip, ip + IPV4_SOURCE, 4);
	memcpy(syn->destination.ip, ip + IPV4_DESTINATION, 4);
	cursor->end = cursor->at + total;
	cursor->at += header_bytes;
	return ip[IPV4_PROTOCOL];
}

static int read_ipv6_header(struct cursor *cursor, struct syn_segment *syn)
{
	const uint8_t *ip = cursor->frame + cursor->at;
	size_t payload;
	int l4_proto;

	if (left(cursor) < IPV6_BYTES || ip[0] >> 4 != 6)
		return -EBADMSG;
	payload = get16(ip + IPV6_PAYLOAD);
	if (payload > left(cursor) - IPV6_BYTES)
		return -EBADMSG;

	syn->source.family = syn->destination.family = AF_INET6;
	syn->dscp = get16(ip) >> 6 & 0x3f;
	memcpy(syn->source.ip, ip + IPV6_SOURCE, 16);
	memcpy(syn->destination.ip, ip + IPV6_DESTINATION, 16);
	cursor->at += IPV6_BYTES;
	cursor->end = cursor->at + payload;

	l4_proto = ip[IPV6_NEXT];
	while (l4_proto == IPPROTO_HOPOPTS || l4_proto == IPPROTO_DSTOPTS) {
		const uint8_t *extension = cursor->frame + cursor->at;

		if (left(cursor) < 8 || left(cursor) < (extension[1] + 1u) * 8)
			return -EBADMSG;
		l4_proto = extension[0];
		cursor->at += (extension[1] + 1) * 8;
	}
	return l4_proto;
}

static int read_ip_header(struct cursor *cursor, struct syn_segment *syn)
{
	uint16_t eth_type;

	if (left(cursor) < ETH_BYTES)
		return -EBADMSG;
	eth_type = get16(cursor->frame + ETH_TYPE);
	cursor->at += ETH_BYTES;
	syn->l3_offset = cursor->at;

	switch (eth_type) {
	case ETH_TYPE_IPV4:
		return read_ipv4_header(cursor, syn);
	case ETH_TYPE_IPV6:
		return read_ipv6_header(cursor, syn);
	default:
		return -EBADMSG;
	}
}

static int read_tcp_options(const uint8_t *options, size_t len, struct syn_segment *syn)
{
	size_t at = 0;

	while (at < len && options[at] != PLAIT_TCPOPT_EOL) {
		const uint8_t *option = options + at;

		if (option[0] == PLAIT_TCPOPT_NOP) {
			at++;
			continue;
		}
		if (len - at < 2 || option[1] < 2 || option[1] > len - at)
			return -EBADMSG;
		if (option[0] == PLAIT_TCPOPT_MPTCP) {
			if (option[1] < 3)
				return -EBADMSG;
			syn->mp_capable |= option[2] >> 4 == PLAIT_MPTCP_MP_CAPABLE;
			syn->mp_join |= option[2] >> 4 == PLAIT_MPTCP_MP_JOIN;
		}
		at += option[1];
	}
	return 0;
}

static int read_tcp_header(struct cursor *cursor, struct syn_segment *syn)
{
	const uint8_t *tcp = cursor->frame + cursor->at;
	size_t header_bytes;
	uint8_t flags;

	if (left(cursor) < TCP_BYTES)
		return -EBADMSG;
	header_bytes = (tcp[TCP_OFFSET] >> 4) * 4;
	if (header_bytes < TCP_BYTES || header_bytes > left(cursor))
		return -EBADMSG;
	flags = tcp[TCP_FLAGS] & (TCP_FLAG_SYN | TCP_FLAG_ACK | TCP_FLAG_RST | TCP_FLAG_FIN);
	if (flags != TCP_FLAG_SYN)
		return -EBADMSG;

	memcpy(&syn->source.port, tcp, 2);
	memcpy(&syn->destination.port, tcp + TCP_DESTINATION_PORT, 2);
	syn->seq = get32(tcp + TCP_SEQ);
	syn->l4_offset = cursor->at;
	cursor->at += header_bytes;
	syn->payload_offset = cursor->at;
	syn->payload_len = left(cursor);
	return read_tcp_options(tcp + TCP_BYTES, header_bytes - TCP_BYTES, syn);
}

int syn_segment_read(const uint8_t *frame, size_t len, struct syn_segment *out)
{
	/* offsets are 16 bits wide, and no IP packet ends beyond them by much */
	struct cursor cursor = {.frame = frame, .end = len < UINT16_MAX ? len : UINT16_MAX};
	struct syn_segment syn = {};
	int err;

	if (read_ip_header(&cursor, &syn) != IPPROTO_TCP)
		return -EBADMSG;
	err = read_tcp_header(&cursor, &syn);
	if (err < 0)
		return err;
	*out = syn;
	return 0;
}

/* RFC 1624 eqn. 3: what an octet pair of the header was and is. */
static uint16_t checksum_changed(uint16_t checksum, uint16_t was, uint16_t is)
{
	uint32_t sum = (uint16_t)~checksum + (uint16_t)~was + is;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

void syn_segment_set_dscp(uint8_t *frame, const struct syn_segment *syn, uint8_t dscp)
{
	uint8_t *ip = frame + syn->l3_offset;
	uint16_t was = get16(ip), is;

	if (syn->source.family == AF_INET6) {
		put16(ip, (was & 0xf03f) | dscp << 6);
		return;
	}
	is = (was & 0xff03) | dscp << 2;
	put16(ip, is);
	put16(ip + IPV4_CHECKSUM, checksum_changed(get16(ip + IPV4_CHECKSUM), was, is));
}

int syn_segment_complete_checksum(uint8_t *frame, size_t len, const struct syn_segment *syn)
{
	size_t l4_bytes = syn->payload_offset - syn->l4_offset + syn->payload_len;
	uint8_t *tcp = frame + syn->l4_offset;
	uint32_t pseudo;

	if (syn->l4_offset + l4_bytes > len)
		return -EBADMSG;
	pseudo = checksum_pseudo_header(&syn->source, &syn->destination, IPPROTO_TCP, l4_bytes);
	if (checksum_fold(checksum_add(pseudo, tcp, l4_bytes)) == 0xffff)
		return 0;
	if (get16(tcp + TCP_CHECKSUM) != checksum_fold(pseudo))
		return -EBADMSG;
	/* the field already holds what the pseudo-header adds */
	put16(tcp + TCP_CHECKSUM, ~checksum_fold(checksum_add(0, tcp, l4_bytes)));
	return 0;
}

static size_t ip_header_bytes(uint8_t family)
{
	return family == AF_INET ? IPV4_BYTES : IPV6_BYTES;
}

/* The header of an answer that carries l4_bytes. The caller has checked the room. */
static void write_ip_header(uint8_t *ip, const struct plait_addr *from, const struct plait_addr *to,
			    uint8_t l4_proto, size_t l4_bytes)
{
	memset(ip, 0, ip_header_bytes(from->family));
	if (from->family == AF_INET6) {
		ip[0] = 6 << 4;
		put16(ip + IPV6_PAYLOAD, l4_bytes);
		ip[IPV6_NEXT] = l4_proto;
		ip[IPV6_HOPS] = HOPS;
		memcpy(ip + IPV6_SOURCE, from->ip, 16);
		memcpy(ip + IPV6_DESTINATION, to->ip, 16);
		return;
	}
	ip[0] = 4 << 4 | IPV4_BYTES / 4;
	ip[IPV4_TOS] = l4_proto == IPPROTO_ICMP ? ICMP_TOS : 0;
	put16(ip + IPV4_TOTAL, IPV4_BYTES + l4_bytes);
	put16(ip + IPV4_FRAGMENT, IPV4_DF);
	ip[IPV4_TTL] = HOPS;
	ip[IPV4_PROTOCOL] = l4_proto;
	memcpy(ip + IPV4_SOURCE, from->ip, 4);
	memcpy(ip + IPV4_DESTINATION, to->ip, 4);
	put16(ip + IPV4_CHECKSUM, ~checksum_fold(checksum_add(0, ip, IPV4_BYTES)));
}

int rst_for_syn_write(const struct syn_segment *syn, uint8_t *packet, size_t size)
{
	const struct plait_addr *from = &syn->destination, *to = &syn->source;
	size_t header_bytes = ip_header_bytes(from->family);
	uint8_t *tcp = packet + header_bytes;
	uint32_t pseudo;

	if (size < header_bytes + TCP_BYTES)
		return -ENOSPC;
	write_ip_header(packet, from, to, IPPROTO_TCP, TCP_BYTES);

	memset(tcp, 0, TCP_BYTES);
	memcpy(tcp, &from->port, 2);
	memcpy(tcp + TCP_DESTINATION_PORT, &to->port, 2);
	/* what the SYN takes of the sequence space: itself and its payload */
	put32(tcp + TCP_ACK, syn->seq + 1 + syn->payload_len);
	tcp[TCP_OFFSET] = TCP_BYTES / 4 << 4;
	tcp[TCP_FLAGS] = TCP_FLAG_RST | TCP_FLAG_ACK;
	pseudo = checksum_pseudo_header(from, to, IPPROTO_TCP, TCP_BYTES);
	put16(tcp + TCP_CHECKSUM, ~checksum_fold(checksum_add(pseudo, tcp, TCP_BYTES)));
	return header_bytes + TCP_BYTES;
}

/* Type and code: RFC 792 (net 0, host 1), RFC 4443 §3.1 (no route 0, address 3). */
static void write_icmp_head(uint8_t *icmp, uint8_t family, bool net)
{
	memset(icmp, 0, ICMP_BYTES);
	icmp[0] = family == AF_INET ? 3 : 1;
	if (!net)
		icmp[1] = family == AF_INET ? 1 : 3;
}

int icmp_unreachable_write(const uint8_t *frame, const struct syn_segment *syn,
			   const struct plait_addr *from, bool net, uint8_t *packet, size_t size)
{
	const struct plait_addr *to = &syn->source;
	size_t header_bytes = ip_header_bytes(to->family);
	size_t quoted = syn->payload_offset - syn->l3_offset;
	uint8_t *icmp = packet + header_bytes;
	size_t icmp_bytes;
	uint32_t before = 0;

	if (from->family != to->family)
		return -EAFNOSUPPORT;
	if (quoted > IPV6_MIN_MTU - IPV6_BYTES - ICMP_BYTES)
		quoted = IPV6_MIN_MTU - IPV6_BYTES - ICMP_BYTES;
	icmp_bytes = ICMP_BYTES + quoted;
	if (size < header_bytes + icmp_bytes)
		return -ENOSPC;

	write_ip_header(packet, from, to, to->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6,
			icmp_bytes);
	write_icmp_head(icmp, to->family, net);
	memcpy(icmp + ICMP_BYTES, frame + syn->l3_offset, quoted);
	if (to->family == AF_INET6)
		before = checksum_pseudo_header(from, to, IPPROTO_ICMPV6, icmp_bytes);
	put16(icmp + ICMP_CHECKSUM, ~checksum_fold(checksum_add(before, icmp, icmp_bytes)));
	return header_bytes + icmp_bytes;
}
