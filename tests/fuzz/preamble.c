/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Any octets as the start of a stream. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/syn_payload.h"
#include "plait_pm.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* A heap copy, so that AddressSanitizer sees a read behind the end. */
static int read_part(const uint8_t *bytes, size_t len, struct preamble *out)
{
	uint8_t *copy = malloc(len + 1);
	struct preamble preamble, untouched;
	int length;

	require(copy != NULL);
	memcpy(copy + 1, bytes, len);
	memset(&preamble, 0xa5, sizeof(preamble));
	untouched = preamble;
	length = preamble_read(copy + 1, len, &preamble);
	if (length < 0)
		require(memcmp(&preamble, &untouched, sizeof(preamble)) == 0);
	free(copy);
	*out = preamble;
	return length;
}

static void check_round_trip(const struct preamble *preamble)
{
	uint8_t written[PLAIT_PREAMBLE_MAX];
	struct preamble again;
	int length = preamble_write(preamble, written, sizeof(written));

	require(length > 0);
	require(preamble_read(written, length, &again) == length);
	require(memcmp(preamble, &again, sizeof(again)) == 0);
	require(preamble_write(preamble, written, length - 1) == -ENOSPC);
}

/*
 * However a stream is cut, the answer is the same: nothing until the octet
 * that decides, and from there on always that.
 */
static void check_pieces(const uint8_t *bytes, size_t len, int result)
{
	size_t longest = len < PREAMBLE_READ_MAX ? len : PREAMBLE_READ_MAX;
	bool decided = false;

	for (size_t part = 0; part <= longest; part++) {
		struct preamble preamble;
		int length = read_part(bytes, part, &preamble);

		require(length == result || (length == -EAGAIN && !decided));
		decided = length != -EAGAIN;
		require(length <= (int)part);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct preamble preamble;
	int length = read_part(bytes, len, &preamble);

	require(length <= PREAMBLE_READ_MAX && length <= (int)len);
	require(length > 0 || length == -EAGAIN || length == -EBADMSG);
	require(length != -EAGAIN || len < PREAMBLE_READ_MAX);
	check_pieces(bytes, len, length);
	if (length > 0) {
		require(preamble.has_source || preamble.has_destination);
		check_round_trip(&preamble);
	}
	return 0;
}
