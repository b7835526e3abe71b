// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Datagrams in fragments, of any length and in any order, from one role to the other,
 * some of them twice, lost or mutated on the way; and TCP-formatted packets that were cut.
 * What arrives of a datagram of which nothing was lost or mutated is what was sent, and
 * nothing that arrives overlaps. All verdicts are counted.
 *
 * PLAIT_FUZZ_PACKETS is how many datagrams (3,000), PLAIT_FUZZ_SEED where chance begins.
 */
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

#include "datagram_tally.h"
#include "mutation.h"

enum {
	DATAGRAMS = 3000,
	FRAGMENTS_MAX = 64,
	PAYLOAD_MAX = 3400,
	LEAST_BYTES = 14,
	HELD_MAX = 512,
	SHUFFLED_MAX = 16, /* with more the programs may lose track of what they have seen */
	AT_L4 = 34,
	UDP_MAX = 1472, /* of a LAN and the internet */
};

/* One that the agent keeps. */
struct held {
	uint64_t datagram;
	bool sends;
	struct packet packet;
};

/* What an agent has, and where its fragments go. */
struct agent {
	enum stage_role role;
	struct stage *stage;
	struct ring_buffer *ring;
	struct held held[HELD_MAX];
	unsigned int count;
	bool sends; /* which program runs */
};

/* A way for fragments: what comes out of one end goes into the other. */
struct wire {
	struct packet packet[2 * FRAGMENTS_MAX];
	unsigned int count;
};

static struct agent agents[2];
static struct wire links, arrived;
static uint8_t payload[PAYLOAD_MAX];

static void put(struct wire *wire, const struct packet *packet)
{
	cr_assert_lt(wire->count, 2 * FRAGMENTS_MAX);
	wire->packet[wire->count++] = *packet;
}

static void run(struct agent *agent, bool sends, const struct packet *packet)
{
	struct packet out;

	agent->sends = sends;
	if (tally_run(agent->role, sends, packet, &out) == XDP_REDIRECT)
		put(sends ? &links : &arrived, &out);
	ring_buffer__consume(agent->ring);
}

/* In their order, what was held of a datagram. */
static void let_go(struct agent *agent, uint64_t datagram)
{
	for (unsigned int i = 0; i < agent->count; i++) {
		struct held *held = &agent->held[i];
		struct packet out;

		if (held->datagram != datagram)
			continue;
		held->datagram = 0;
		if (tally_run(agent->role, held->sends, &held->packet, &out) == XDP_REDIRECT)
			put(held->sends ? &links : &arrived, &out);
	}
}

static int take(void *context, void *record, size_t bytes)
{
	struct agent *agent = context;
	const struct plait_early_fragment *early = record;
	struct held *held = &agent->held[agent->count % HELD_MAX];

	if (!early->frame_bytes) {
		let_go(agent, early->datagram);
		return 0;
	}
	if (agent->count == HELD_MAX)
		return 0;
	agent->count++;
	held->datagram = early->datagram;
	held->sends = agent->sends;
	held->packet.bytes = early->frame_bytes;
	memcpy(held->packet.frame, early->frame, early->frame_bytes);
	return 0;
}

static void open_agent(enum stage_role role)
{
	struct stage *stage = tally_open(role);

	datagram_put_fragmentation(stage, true);
	agents[role].role = role;
	agents[role].stage = stage;
	agents[role].ring =
		ring_buffer__new(stage_map(stage, "datagram_early"), take, &agents[role], NULL);
	cr_assert_not_null(agents[role].ring);
}

static void shuffle(struct wire *wire)
{
	for (unsigned int i = 0; i + 1 < wire->count; i++) {
		unsigned int with = i + any(wire->count - i);
		struct packet packet = wire->packet[i];

		wire->packet[i] = wire->packet[with];
		wire->packet[with] = packet;
	}
}

/* As the sender of a mutated packet would have made it. */
static void complete(struct packet *packet)
{
	if (packet->bytes > AT_L4 && packet->frame[12] == 8 && !packet->frame[13])
		*packet = packet_with_ipv4(*packet, 14, packet->frame[14]);
}

/* false: all of it is as it was. */
static bool spoil(struct wire *wire)
{
	unsigned int at = any(wire->count);

	switch (any(4)) {
	case 0:
		mutate_once(&wire->packet[at], LEAST_BYTES);
		if (any(4))
			complete(&wire->packet[at]);
		break;
	case 1:
		put(wire, &wire->packet[at]);
		break;
	case 2:
		wire->packet[at] = wire->packet[--wire->count];
		break;
	default:
		return false;
	}
	return true;
}

/* In pieces of steps of eight octets, as many as fit the wire. */
static void cut(struct wire *wire, const struct packet *whole, size_t l4_bytes, uint32_t id,
		size_t least)
{
	size_t at = 0;

	wire->count = 0;
	while (at < l4_bytes) {
		size_t bytes = (least + any(1440)) & ~(size_t)7;
		struct packet packet;

		if (at + bytes >= l4_bytes || wire->count == FRAGMENTS_MAX - 1)
			bytes = l4_bytes - at;
		packet = packet_fragment(whole, (struct slice){.from = at,
							       .bytes = bytes,
							       .offset = at,
							       .more = at + bytes < l4_bytes,
							       .id = id});
		put(wire, &packet);
		at += bytes;
	}
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)(at[0] << 8 | at[1]);
}

/* Copies that by chance have the same identification: it is a random one of 65,536. */
static unsigned long alike;

/* Whether all of UDP with this payload is there; nothing is there twice. */
static bool is_complete(size_t bytes)
{
	static uint8_t whole[65536 + 1500];
	static bool seen[65536 + 1500];
	size_t count = 0;

	memset(seen, 0, sizeof(seen));
	for (unsigned int i = 0; i < arrived.count; i++) {
		const uint8_t *ip = arrived.packet[i].frame + 14;
		size_t offset = (get16(ip + 6) & 0x1fff) * 8, octets = get16(ip + 2) - 20;

		/* a copy of the first begins another one */
		if (get16(ip + 4) != get16(arrived.packet[0].frame + 18))
			continue;
		if (!offset && seen[0]) {
			alike++;
			continue;
		}
		cr_assert_eq(arrived.packet[i].bytes, 14 + 20 + octets);
		cr_assert_eq(ip[9], IPPROTO_UDP);
		for (size_t n = 0; n < octets; n++) {
			cr_assert_not(seen[offset + n]);
			seen[offset + n] = true;
			whole[offset + n] = arrived.packet[i].frame[AT_L4 + n];
		}
		count += octets;
	}
	return count == 8 + bytes && get16(whole + 4) == 8 + bytes &&
	       !memcmp(whole + 8, payload, bytes);
}

/* UDP's checksum is right where all of it arrived at once. */
static void expect_whole(const struct recipe *as, size_t bytes)
{
	struct recipe expected = *as;
	struct packet packet;

	expected.payload = (struct octets){payload, bytes};
	packet = packet_build_udp(&expected);
	cr_assert_eq(arrived.count, 1);
	cr_assert_eq(arrived.packet[0].bytes, packet.bytes);
	cr_assert_arr_eq(arrived.packet[0].frame + AT_L4, packet.frame + AT_L4,
			 packet.bytes - AT_L4);
}

static void feed(struct wire *wire, struct agent *agent, bool sends)
{
	static struct wire from;

	from = *wire;
	wire->count = 0;
	for (unsigned int i = 0; i < from.count; i++)
		run(agent, sends, &from.packet[i]);
}

/* Its checksum is as that of one whose device is to make it: one in 65,536, and not taken. */
static bool is_summed_later(const struct packet *whole)
{
	uint32_t sum = IPPROTO_UDP + (uint32_t)(whole->bytes - AT_L4);

	for (size_t i = 26; i < AT_L4; i += 2)
		sum += get16(whole->frame + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == get16(whole->frame + AT_L4 + 6);
}

/* In fragments from the start. Whether it was spoilt. */
static bool try_apart(enum stage_role from, size_t bytes, uint16_t id)
{
	struct recipe udp = datagram_to_send(from, &datagram_inners[0]);
	static struct wire source;
	struct packet whole;
	bool spoilt = false;

	udp.payload = (struct octets){payload, bytes};
	whole = packet_build_udp(&udp);
	cut(&source, &whole, 8 + bytes, id, 8);
	if (source.count < 2)
		return false;
	if (source.count <= SHUFFLED_MAX && any(2))
		shuffle(&source);
	if (!any(4))
		spoilt = spoil(&source);
	links.count = arrived.count = 0;
	feed(&source, &agents[from], true);
	if (links.count && links.count <= SHUFFLED_MAX && any(2))
		shuffle(&links);
	if (links.count && !any(4))
		spoilt |= spoil(&links);
	feed(&links, &agents[!from], false);
	cr_assert(is_complete(bytes) || spoilt || is_summed_later(&whole));
	return spoilt;
}

/* Cut after conversion. The identification is none of those that the sender uses now. */
static bool try_cut(enum stage_role from, size_t bytes, uint32_t i)
{
	uint32_t id = (uint32_t)datagram_traffic(agents[from].stage, LINK_V4).sent + 30000 + i % 64;
	struct recipe tcp = datagram_formatted(!from, (uint8_t)any(2), &datagram_inners[0]);
	const struct recipe udp = datagram_received(!from, &datagram_inners[0]);
	struct packet whole;
	bool spoilt = false;

	tcp.payload = (struct octets){payload, bytes};
	whole = packet_build(&tcp);
	cut(&links, &whole, 32 + bytes, id, 32);
	if (links.count < 2)
		return false;
	if (any(2))
		shuffle(&links);
	if (!any(4))
		spoilt = spoil(&links);
	arrived.count = 0;
	feed(&links, &agents[!from], false);
	if (!spoilt)
		expect_whole(&udp, bytes);
	return spoilt;
}

static void forget(void)
{
	for (enum stage_role role = CPE; role <= CONCENTRATOR; role++) {
		datagram_forget_fragments(agents[role].stage);
		agents[role].count = 0;
	}
}

Test(datagram_fragment_fuzz, whatever_comes)
{
	unsigned long datagrams = any_begin(DATAGRAMS);
	int log = kernel_log_from_here();

	open_agent(CPE);
	open_agent(CONCENTRATOR);
	for (unsigned long i = 0; i < datagrams; i++) {
		for (size_t n = 0; n < 8; n++)
			payload[any(PAYLOAD_MAX)] = (uint8_t)any(256);
		/* mutations may lead from one identification to another */
		if ((any(3) ? try_apart(any(2), 8 + any(PAYLOAD_MAX - 8), (uint16_t)i)
			    : try_cut(any(2), 8 + any(UDP_MAX - 8), (uint32_t)i)) ||
		    i % 16 == 0)
			forget();
		if (i % 100 == 0)
			tally_expect_accounted();
	}
	tally_expect_accounted();
	cr_expect_gt(tally_of(CPE, XDP_REDIRECT), datagrams / 4);
	cr_expect_gt(tally_of(CONCENTRATOR, XDP_REDIRECT), datagrams / 4);
	cr_expect_leq(alike, 1 + datagrams / 100000);
	kernel_log_expect_no_warning(log);
}
