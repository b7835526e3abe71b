// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Mutated packets through datagram mode's programs. Every verdict is counted under a
 * reason that goes with it; what is converted is well-formed, has the payload and ends
 * that it must have, and a checksum that is right if it was right before; what a CPE
 * sends is what its concentrator makes the same payload of, and the reverse.
 *
 * PLAIT_FUZZ_PACKETS is how many (50,000), PLAIT_FUZZ_SEED where chance begins.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "datagram_tally.h"
#include "mutation.h"

enum { PACKETS = 50000, LEAST_BYTES = 14 };

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)(at[0] << 8 | at[1]);
}

/* What is in a packet without options that was converted, or came of it. */
struct seen {
	bool v4;
	uint8_t protocol, ttl, traffic_class;
	const uint8_t *from, *to, *l4, *payload;
	size_t address_bytes, l4_bytes, payload_bytes;
	uint32_t check; /* as it stands */
	uint16_t pseudo, whole; /* sums, folded */
};

static uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint32_t summed(const uint8_t *at, size_t count, uint32_t sum)
{
	for (size_t i = 0; i < count; i++)
		sum += i & 1 ? at[i] : (uint32_t)at[i] << 8;
	return sum;
}

static struct seen look(const struct packet *packet)
{
	const uint8_t *ip = packet->frame + 14;
	struct seen out = {.v4 = get16(packet->frame + 12) == 0x0800};
	size_t header = out.v4 ? 20 : 40, total = out.v4 ? get16(ip + 2) : 40 + get16(ip + 4), l4;

	out.address_bytes = out.v4 ? 4 : 16;
	out.protocol = ip[out.v4 ? 9 : 6];
	out.ttl = ip[out.v4 ? 8 : 7];
	out.traffic_class = out.v4 ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4);
	out.from = ip + (out.v4 ? 12 : 8);
	out.to = out.from + out.address_bytes;
	out.l4 = ip + header;
	out.l4_bytes = total - header;
	l4 = out.protocol == IPPROTO_UDP ? 8 : (out.l4[12] >> 4) * 4U;
	out.check = get16(out.l4 + (out.protocol == IPPROTO_UDP ? 6 : 16));
	out.payload = out.l4 + l4;
	out.payload_bytes = out.l4_bytes - l4;
	out.pseudo = folded(
		summed(out.from, 2 * out.address_bytes, out.protocol + (uint32_t)out.l4_bytes));
	out.whole = folded(summed(out.l4, out.l4_bytes, out.pseudo));
	return out;
}

static void expect_payload(const struct seen *a, const struct seen *b)
{
	cr_assert_eq(a->payload_bytes, b->payload_bytes);
	cr_assert_arr_eq(a->payload, b->payload, a->payload_bytes);
}

/* Of whatever came in. */
static void expect_well_formed(const struct packet *packet, const struct seen *seen,
			       const struct seen *in)
{
	const uint8_t *ip = packet->frame + 14;

	cr_assert_eq(packet->bytes, 14 + (seen->v4 ? 20 : 40) + seen->l4_bytes);
	cr_assert_eq(ip[0] >> 4, seen->v4 ? 4 : 6);
	if (seen->v4)
		cr_assert_eq(folded(summed(ip, 20, 0)), 0xffff);
	cr_assert_eq(seen->ttl, in->ttl - 1);
	cr_assert_eq(seen->traffic_class, in->traffic_class);
	expect_payload(seen, in);
}

static void expect_tcp(const struct packet *in_packet, const struct packet *out_packet, bool up)
{
	struct seen in = look(in_packet), out = look(out_packet);
	bool made_anew = !in.check || in.check == in.pseudo;
	const uint8_t *remote = up ? in.to : in.from, *option = out.l4 + 20;

	expect_well_formed(out_packet, &out, &in);
	cr_assert_eq(out.protocol, IPPROTO_TCP);
	cr_assert_eq(out.l4[13], ACK | PSH);
	cr_assert_eq(option[0], 30);
	cr_assert_eq(option[1], 6 + in.address_bytes);
	cr_assert_eq(option[2], up ? 0xe4 : 0xec);
	cr_assert_eq(option[3], 0);
	cr_assert_arr_eq(option + 4, remote, in.address_bytes);
	cr_assert_arr_eq(option + 4 + in.address_bytes, in.l4 + (up ? 2 : 0), 2);
	cr_assert_eq(out.whole == 0xffff, made_anew || in.whole == 0xffff);
}

static void expect_udp(const struct packet *in_packet, const struct packet *out_packet, bool up)
{
	struct seen in = look(in_packet), out = look(out_packet);
	const uint8_t *option = in.l4 + 20;
	size_t bytes = option[1] - 6U;

	expect_well_formed(out_packet, &out, &in);
	cr_assert_eq(out.protocol, IPPROTO_UDP);
	cr_assert_eq(get16(out.l4 + 4), out.l4_bytes);
	cr_assert_neq(out.check, 0);
	cr_assert_eq(bytes, out.address_bytes);
	cr_assert_arr_eq(option + 4, up ? out.to : out.from, bytes);
	cr_assert_arr_eq(option + 4 + bytes, out.l4 + (up ? 2 : 0), 2);
	cr_assert_eq(out.whole == 0xffff, in.whole == 0xffff);
}

static bool is_fragment(const struct packet *packet)
{
	return get16(packet->frame + 12) == 0x0800 && get16(packet->frame + 20) & 0x3fff;
}

static uint32_t try_one(enum stage_role role, bool sends, const struct packet *packet,
			struct packet *out)
{
	uint32_t verdict = tally_run(role, sends, packet, out);

	if (is_fragment(packet))
		return XDP_DROP; /* a test of its own looks at these */
	if (verdict == XDP_PASS) {
		cr_assert_eq(out->bytes, packet->bytes);
		cr_assert_arr_eq(out->frame, packet->frame, packet->bytes);
	} else if (verdict == XDP_REDIRECT && sends) {
		expect_tcp(packet, out, role == CPE);
	} else if (verdict == XDP_REDIRECT) {
		expect_udp(packet, out, role == CONCENTRATOR);
	}
	return verdict;
}

/* At the far end the same payload, from and to the same remote. */
static void expect_there(enum stage_role from, const struct packet *sent, const struct packet *wire)
{
	bool up = from == CPE;
	struct seen in = look(sent), out;
	struct packet arrived;
	uint32_t verdict;

	if (in.ttl < 3)
		return;
	verdict = try_one(up ? CONCENTRATOR : CPE, false, wire, &arrived);
	cr_assert_neq(verdict, XDP_DROP);
	if (verdict == XDP_PASS)
		return; /* no way to where a mutation leads */
	out = look(&arrived);
	expect_payload(&in, &out);
	cr_assert_eq(in.address_bytes, out.address_bytes);
	cr_assert_arr_eq(up ? in.to : in.from, up ? out.to : out.from, in.address_bytes);
	cr_assert_arr_eq(in.l4 + (up ? 2 : 0), out.l4 + (up ? 2 : 0), 2);
	cr_assert_eq(get16(out.l4 + (up ? 0 : 2)), !up     ? 5000
						   : in.v4 ? datagram_inners[0].external_port
							   : datagram_inners[1].external_port);
}

static struct recipe seed(enum stage_role role, bool udp)
{
	static const uint8_t filling[1500] = {1, 2, 3, 4, 5, 0xff, 0xfe};
	const struct datagram_inner *inner = &datagram_inners[any(2)];
	struct recipe out = !udp ? datagram_formatted(role, (uint8_t)any(2), inner)
				 : datagram_to_send(role, inner);

	out.payload = (struct octets){filling, any(any(8) ? 80 : 1400)};
	out.ttl = (uint8_t)(1 + any(255));
	out.traffic_class = (uint8_t)any(256);
	out.id = (uint16_t)any(65536);
	if (!any(16))
		out.options = (struct octets){};
	return out;
}

/* As the sender of a mutated packet would have made it. */
static void complete(struct packet *packet)
{
	if (packet->bytes > 34 && packet->frame[12] == 8 && !packet->frame[13] && any(4))
		*packet = packet_with_ipv4(*packet, 14, packet->frame[14]);
}

static struct packet mutated(enum stage_role role, bool udp)
{
	struct recipe recipe = seed(role, udp);
	struct packet packet = udp ? packet_build_udp(&recipe) : packet_build(&recipe);
	uint32_t mutations = any(4);

	if (!mutations)
		return packet;
	while (mutations--)
		mutate_once(&packet, LEAST_BYTES);
	complete(&packet);
	return packet;
}

static void try_everywhere(void)
{
	enum stage_role role = any(2);
	struct packet packet = mutated(role, any(2)), out, after;

	for (enum stage_role at = CPE; at <= CONCENTRATOR; at++) {
		try_one(at, false, &packet, &out);
		if (try_one(at, true, &packet, &out) != XDP_REDIRECT)
			continue;
		expect_there(at, &packet, &out);
		/* and what may become of it on the link */
		mutate_once(&out, LEAST_BYTES);
		complete(&out);
		try_one(at == CPE ? CONCENTRATOR : CPE, false, &out, &after);
	}
}

Test(datagram_fuzz, whatever_comes)
{
	unsigned long packets = any_begin(PACKETS);
	int log = kernel_log_from_here();

	for (enum stage_role role = CPE; role <= CONCENTRATOR; role++) {
		struct plait_path_set set = {.count = 2, .per_packet = 1};

		for (size_t i = 0; i < PLAIT_PATH_SLOTS; i++)
			set.slot[i] = i % 2;
		datagram_put_set(tally_open(role), 0, &set);
	}
	for (unsigned long i = 0; i < packets; i++) {
		try_everywhere();
		if (i % 1000 == 0 || i + 1 == packets)
			tally_expect_accounted();
	}
	cr_expect_gt(tally_of(CPE, XDP_REDIRECT), packets / 10);
	cr_expect_gt(tally_of(CONCENTRATOR, XDP_REDIRECT), packets / 10);
	kernel_log_expect_no_warning(log);
}
