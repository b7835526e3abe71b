/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* W2, W3: plain-mode-08 §4.2. All octets are written from §4.1's Figure 3. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/syn_payload.h"

/* options as octets, to be put together */
#define DESTINATION4      30, 8, 0xe0, 6, 203, 0, 113, 80
#define DESTINATION4_PORT 30, 10, 0xe0, 6, 203, 0, 113, 80, 0x01, 0xbb
#define SOURCE4           30, 8, 0xe8, 6, 192, 168, 1, 2
#define SOURCE4_PORT      30, 10, 0xe8, 6, 192, 168, 1, 2, 0x9c, 0x40
#define DESTINATION4_UDP  30, 8, 0xe0, 17, 203, 0, 113, 80
#define IP6_SERVER        0x20, 0x01, 0x0d, 0xb8, 0, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80
#define IP6_HOST          0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2
#define DESTINATION6      30, 20, 0xe0, 6, IP6_SERVER
#define DESTINATION6_PORT 30, 22, 0xe0, 6, IP6_SERVER, 0x01, 0xbb
#define SOURCE6           30, 20, 0xe8, 6, IP6_HOST
#define SOURCE6_PORT      30, 22, 0xe8, 6, IP6_HOST, 0x9c, 0x40
#define UNKNOWN_SUBTYPE   30, 4, 0x90, 0
#define NOP               1
#define EOL               0

struct sample {
	char name[40];
	int length;
	uint8_t bytes[PREAMBLE_READ_MAX];
	bool source, source_port, destination, destination_port, ipv6;
	bool rewritten; /* what preamble_write() makes of it is the same octets */
};

/* Each ends in EOL; length is counted by hand. */
static struct sample samples[] = {
	{"destination", 9, {DESTINATION4, EOL}, .destination = true, .rewritten = true},
	{"destination with port",
	 11,
	 {DESTINATION4_PORT, EOL},
	 .destination = true,
	 .destination_port = true,
	 .rewritten = true},
	{"source", 9, {SOURCE4, EOL}, .source = true, .rewritten = true},
	{"source with port",
	 11,
	 {SOURCE4_PORT, EOL},
	 .source = true,
	 .source_port = true,
	 .rewritten = true},
	{"source, destination",
	 21,
	 {SOURCE4_PORT, DESTINATION4_PORT, EOL},
	 .source = true,
	 .source_port = true,
	 .destination = true,
	 .destination_port = true,
	 .rewritten = true},
	{"destination, source",
	 21,
	 {DESTINATION4_PORT, SOURCE4_PORT, EOL},
	 .source = true,
	 .source_port = true,
	 .destination = true,
	 .destination_port = true},
	{"only one has a port",
	 19,
	 {SOURCE4, DESTINATION4_PORT, EOL},
	 .source = true,
	 .destination = true,
	 .destination_port = true,
	 .rewritten = true},
	{"IPv6 destination",
	 21,
	 {DESTINATION6, EOL},
	 .destination = true,
	 .ipv6 = true,
	 .rewritten = true},
	{"IPv6 both, ports",
	 45,
	 {SOURCE6_PORT, DESTINATION6_PORT, EOL},
	 .source = true,
	 .source_port = true,
	 .destination = true,
	 .destination_port = true,
	 .ipv6 = true,
	 .rewritten = true},
	{"IPv6 both, other order",
	 41,
	 {DESTINATION6, SOURCE6, EOL},
	 .source = true,
	 .destination = true,
	 .ipv6 = true},
	{"NOPs", 12, {NOP, DESTINATION4, NOP, NOP, EOL}, .destination = true},
	{"unknown sub-type before", 13, {UNKNOWN_SUBTYPE, DESTINATION4, EOL}, .destination = true},
	{"unknown sub-type after", 13, {DESTINATION4, UNKNOWN_SUBTYPE, EOL}, .destination = true},
	{"shortest unknown sub-type", 12, {30, 3, 0xf0, DESTINATION4, EOL}, .destination = true},
	{"as long as can be", 64, {DESTINATION4, 30, 55, 0x90, [63] = EOL}, .destination = true},
	{"flags", 9, {30, 8, 0xe7, 6, 203, 0, 113, 80, EOL}, .destination = true},
};

enum { SAMPLES = sizeof(samples) / sizeof(samples[0]) };

static struct plait_addr make_addr(const char *text, bool ipv6, uint16_t port)
{
	struct plait_addr addr = {.family = ipv6 ? AF_INET6 : AF_INET, .port = htons(port)};

	cr_assert_eq(inet_pton(addr.family, text, addr.ip), 1);
	return addr;
}

static struct preamble expected(const struct sample *sample)
{
	struct preamble preamble = {
		.protocol = 6,
		.has_source = sample->source,
		.has_destination = sample->destination,
		.has_destination_port = sample->destination_port,
	};

	if (sample->source)
		preamble.source = make_addr(sample->ipv6 ? "fd00:1::2" : "192.168.1.2",
					    sample->ipv6, sample->source_port ? 40000 : 0);
	if (sample->destination)
		preamble.destination = make_addr(sample->ipv6 ? "2001:db8:f::80" : "203.0.113.80",
						 sample->ipv6, sample->destination_port ? 443 : 0);
	return preamble;
}

static bool same(const struct preamble *a, const struct preamble *b)
{
	return a->protocol == b->protocol && a->has_source == b->has_source &&
	       a->has_destination == b->has_destination &&
	       a->has_destination_port == b->has_destination_port &&
	       memcmp(&a->source, &b->source, sizeof(a->source)) == 0 &&
	       memcmp(&a->destination, &b->destination, sizeof(a->destination)) == 0;
}

/* A copy that ends where it ends, for AddressSanitizer to see. */
static uint8_t *exactly(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	cr_assert(copy);
	memcpy(copy, bytes, len);
	return copy;
}

ParameterizedTestParameters(syn_payload, reads)
{
	return cr_make_param_array(struct sample, samples, SAMPLES);
}

ParameterizedTest(struct sample *sample, syn_payload, reads)
{
	uint8_t *bytes = exactly(sample->bytes, sample->length);
	struct preamble want = expected(sample), preamble;

	memset(&preamble, 0xa5, sizeof(preamble));
	cr_expect_eq(preamble_read(bytes, sample->length, &preamble), sample->length, "%s",
		     sample->name);
	cr_expect(same(&preamble, &want), "%s", sample->name);
	free(bytes);
}

ParameterizedTestParameters(syn_payload, leaves_what_follows)
{
	return cr_make_param_array(struct sample, samples, SAMPLES);
}

/* §4.2: the data of the original SYN stand right after EOL. */
ParameterizedTest(struct sample *sample, syn_payload, leaves_what_follows)
{
	struct preamble want = expected(sample), preamble;
	uint8_t bytes[200];

	memset(bytes, 30, sizeof(bytes));
	memcpy(bytes, sample->bytes, sample->length);
	cr_expect_eq(preamble_read(bytes, sizeof(bytes), &preamble), sample->length, "%s",
		     sample->name);
	cr_expect(same(&preamble, &want), "%s", sample->name);
}

ParameterizedTestParameters(syn_payload, comes_in_pieces_of_one_octet)
{
	return cr_make_param_array(struct sample, samples, SAMPLES);
}

ParameterizedTest(struct sample *sample, syn_payload, comes_in_pieces_of_one_octet)
{
	struct preamble preamble, before;

	memset(&preamble, 0xa5, sizeof(preamble));
	before = preamble;
	for (int len = 0; len < sample->length; len++) {
		uint8_t *bytes = exactly(sample->bytes, len);

		cr_expect_eq(preamble_read(bytes, len, &preamble), -EAGAIN, "%s, %d octets",
			     sample->name, len);
		cr_expect_eq(memcmp(&preamble, &before, sizeof(preamble)), 0);
		free(bytes);
	}
}

ParameterizedTestParameters(syn_payload, writes)
{
	return cr_make_param_array(struct sample, samples, SAMPLES);
}

ParameterizedTest(struct sample *sample, syn_payload, writes)
{
	struct preamble preamble = expected(sample), again;
	uint8_t bytes[80];
	int length;

	memset(bytes, 0xa5, sizeof(bytes));
	length = preamble_write(&preamble, bytes, sizeof(bytes));
	cr_assert_gt(length, 0, "%s", sample->name);
	cr_expect_eq(bytes[length], 0xa5, "%s: behind its end", sample->name);
	cr_expect_eq(preamble_read(bytes, length, &again), length);
	cr_expect(same(&preamble, &again), "%s", sample->name);
	if (!sample->rewritten)
		return;
	cr_expect_eq(length, sample->length, "%s", sample->name);
	cr_expect_arr_eq(bytes, sample->bytes, sample->length, "%s", sample->name);
}

ParameterizedTestParameters(syn_payload, needs_room)
{
	return cr_make_param_array(struct sample, samples, SAMPLES);
}

ParameterizedTest(struct sample *sample, syn_payload, needs_room)
{
	struct preamble preamble = expected(sample);
	uint8_t bytes[80];
	int length = preamble_write(&preamble, bytes, sizeof(bytes));

	for (int size = 0; size < length; size++) {
		uint8_t *small = exactly(bytes, size);

		memset(small, 0xa5, size);
		cr_expect_eq(preamble_write(&preamble, small, size), -ENOSPC, "%s, %d",
			     sample->name, size);
		for (int at = 0; at < size; at++)
			cr_expect_eq(small[at], 0xa5, "untouched");
		free(small);
	}
}

ParameterizedTestParameters(syn_payload, survives_every_corrupted_octet)
{
	return cr_make_param_array(struct sample, samples, SAMPLES);
}

ParameterizedTest(struct sample *sample, syn_payload, survives_every_corrupted_octet)
{
	uint8_t *bytes = exactly(sample->bytes, sample->length);

	for (int at = 0; at < sample->length; at++) {
		for (int octet = 0; octet < 256; octet++) {
			struct preamble preamble;
			int err;

			bytes[at] = octet;
			err = preamble_read(bytes, sample->length, &preamble);
			if (err == -EAGAIN || err == -EBADMSG)
				continue;
			cr_assert(err > 0 && err <= sample->length);
			cr_expect(preamble.has_source || preamble.has_destination);
		}
		bytes[at] = sample->bytes[at];
	}
	free(bytes);
}

struct refused {
	char name[40];
	int length;
	uint8_t bytes[80];
};

ParameterizedTestParameters(syn_payload, refuses)
{
	static struct refused refused[] = {
		{"EOL alone", 1, {EOL}},
		{"NOP and EOL", 2, {NOP, EOL}},
		{"unknown sub-type and EOL", 5, {UNKNOWN_SUBTYPE, EOL}},
		{"HTTP", 4, {'G', 'E', 'T', ' '}},
		{"TLS", 3, {0x16, 0x03, 0x01}},
		{"SSH", 4, {'S', 'S', 'H', '-'}},
		{"something before EOL", 9, {DESTINATION4, 'x'}},
		{"another TCP option", 12, {DESTINATION4, 2, 4, 5, 0xb4}},
		{"two destinations", 17, {DESTINATION4, DESTINATION4, EOL}},
		{"two sources", 17, {SOURCE4, SOURCE4, EOL}},
		{"two destinations of two forms", 19, {DESTINATION4, DESTINATION4_PORT, EOL}},
		{"three options", 25, {SOURCE4, DESTINATION4, SOURCE4, EOL}},
		{"two protocols", 17, {SOURCE4, DESTINATION4_UDP, EOL}},
		{"two families", 29, {SOURCE4, DESTINATION6, EOL}},
		{"two families, other order", 29, {SOURCE6, DESTINATION4, EOL}},
		{"PM option of length 9", 10, {30, 9, 0xe0, 6, 203, 0, 113, 80, 1, EOL}},
		{"PM option of length 3", 4, {30, 3, 0xe0, EOL}},
		{"MPTCP option of length 0", 2, {30, 0}},
		{"MPTCP option of length 2", 2, {30, 2}},
		{"too long for EOL", 10, {DESTINATION4, 30, 56}},
		{"too long, known at its length", 2, {30, 64}},
		{"64 NOPs", 64, {[0 ... 63] = NOP}},
		{"option, then NOPs without end", 64, {DESTINATION4, [8 ... 63] = NOP}},
		{"MPTCP kind at octet 64", 64, {DESTINATION4, 30, 55, 0x90, [63] = 30}},
		{"no room for the shortest option", 62, {DESTINATION4, [8 ... 60] = NOP, 30}},
		{"EOL at octet 65", 65, {DESTINATION4, [8 ... 63] = NOP, EOL}},
	};

	return cr_make_param_array(struct refused, refused, sizeof(refused) / sizeof(refused[0]));
}

ParameterizedTest(struct refused *refused, syn_payload, refuses)
{
	uint8_t *bytes = exactly(refused->bytes, refused->length);
	struct preamble preamble, before;

	memset(&preamble, 0xa5, sizeof(preamble));
	before = preamble;
	cr_expect_eq(preamble_read(bytes, refused->length, &preamble), -EBADMSG, "%s",
		     refused->name);
	cr_expect_eq(memcmp(&preamble, &before, sizeof(preamble)), 0, "%s", refused->name);
	/* and what is once refused stays so, whatever else arrives */
	cr_expect_eq(preamble_read(refused->bytes, sizeof(refused->bytes), &preamble), -EBADMSG,
		     "%s", refused->name);
	free(bytes);
}

Test(syn_payload, waits_while_63_octets_may_still_end)
{
	const uint8_t bytes[63] = {DESTINATION4, [8 ... 62] = NOP};
	struct preamble preamble;

	cr_expect_eq(preamble_read(bytes, sizeof(bytes), &preamble), -EAGAIN);
}

Test(syn_payload, skips_every_other_subtype)
{
	for (int subtype = 0; subtype < 16; subtype++) {
		const uint8_t bytes[] = {30, 4, subtype << 4, 0, DESTINATION4, EOL};
		struct preamble preamble;

		cr_expect_eq(preamble_read(bytes, sizeof(bytes), &preamble),
			     subtype == 0xe ? -EBADMSG : 13, "sub-type %x", subtype);
	}
}

Test(syn_payload, is_not_written_without_option)
{
	const struct preamble preamble = {.protocol = 6};
	uint8_t bytes[64];

	cr_expect_eq(preamble_write(&preamble, bytes, sizeof(bytes)), -EINVAL);
}

Test(syn_payload, is_not_written_with_two_families)
{
	const struct preamble preamble = {
		.protocol = 6,
		.has_source = true,
		.has_destination = true,
		.source = {.family = AF_INET, .ip = {192, 168, 1, 2}},
		.destination = {.family = AF_INET6, .ip = {IP6_SERVER}},
	};
	uint8_t bytes[64];

	cr_expect_eq(preamble_write(&preamble, bytes, sizeof(bytes)), -EINVAL);
}

Test(syn_payload, is_not_written_with_an_unknown_family)
{
	struct preamble preamble = {.protocol = 6, .has_source = true};
	uint8_t bytes[64];

	cr_expect_eq(preamble_write(&preamble, bytes, sizeof(bytes)), -EAFNOSUPPORT);
	preamble.has_destination = true;
	cr_expect_eq(preamble_write(&preamble, bytes, sizeof(bytes)), -EAFNOSUPPORT);
}
