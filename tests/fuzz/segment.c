/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Any octets as a frame: a SYN that is read can be completed and answered. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "codec/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { IPV4_BYTES = 20, IPV6_BYTES = 40, TCP_CHECKSUM = 16, CHECKSUM_END = 18 };

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_checksum(const uint8_t *bytes, size_t len, const struct syn_segment *syn)
{
	size_t checksum = syn->l4_offset + TCP_CHECKSUM, behind = syn->l4_offset + CHECKSUM_END;
	uint8_t *frame = malloc(len);
	int err;

	require(frame != NULL);
	memcpy(frame, bytes, len);
	err = syn_segment_complete_checksum(frame, len, syn);
	require(memcmp(frame, bytes, checksum) == 0);
	require(memcmp(frame + behind, bytes + behind, len - behind) == 0);
	if (err < 0)
		require(memcmp(frame, bytes, len) == 0);
	else
		require(syn_segment_complete_checksum(frame, len, syn) == 0);
	free(frame);
}

/* Packets are written into no more room than they say they need. */
static void check_answers(const uint8_t *bytes, const struct syn_segment *syn)
{
	int rst_bytes = (syn->source.family == AF_INET ? IPV4_BYTES : IPV6_BYTES) + 20;
	struct plait_addr from = syn->destination;
	uint8_t packet[2048], *exact;
	int length;

	exact = malloc(rst_bytes);
	require(exact && rst_for_syn_write(syn, exact, rst_bytes) == rst_bytes);
	require(rst_for_syn_write(syn, exact, rst_bytes - 1) == -ENOSPC);
	free(exact);

	length = icmp_unreachable_write(bytes, syn, &from, true, packet, sizeof(packet));
	require(length > 0 && length <= 1280);
	exact = malloc(length);
	require(exact != NULL);
	require(icmp_unreachable_write(bytes, syn, &from, true, exact, length) == length);
	require(memcmp(exact, packet, length) == 0);
	require(icmp_unreachable_write(bytes, syn, &from, false, exact, length - 1) == -ENOSPC);
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct syn_segment syn, untouched;

	memset(&syn, 0xa5, sizeof(syn));
	untouched = syn;
	if (syn_segment_read(bytes, len, &syn) < 0) {
		require(memcmp(&syn, &untouched, sizeof(syn)) == 0);
		return 0;
	}
	require(syn.l3_offset < syn.l4_offset && syn.l4_offset + 20 <= syn.payload_offset);
	require((size_t)syn.payload_offset + syn.payload_len <= len);
	check_checksum(bytes, len, &syn);
	check_answers(bytes, &syn);
	return 0;
}
