/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Any octets as a stream of records, in pieces of any lengths: the first eight say which,
 * in turn. Whatever they are, the same records come out as are counted off here.
 */
#include <stdlib.h>
#include <string.h>

#include "table/record_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { PIECES = 8, SHORT = 48 };

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* Takes the record off the front of the stream as a reader of the draft would. */
static bool count_off(struct octets *stream, struct octets *payload)
{
	size_t length;

	if (stream->len < 2)
		return false;
	length = stream->at[0] * 256u + stream->at[1];
	if (length > stream->len - 2)
		return false;
	*payload = (struct octets){stream->at + 2, length};
	stream->at += 2 + length;
	stream->len -= 2 + length;
	return true;
}

/* In a heap block of just its length, so that AddressSanitizer sees a read behind its end. */
static void come(struct record_stream *stream, const uint8_t *bytes, size_t len,
		 struct octets *expected)
{
	struct octets octets, payload, wanted;
	size_t room, spare_bytes = len;
	uint8_t *spare = malloc(spare_bytes);
	uint8_t *to = record_stream_room(stream, spare, spare_bytes, &room);
	size_t n = len < room ? len : room;

	require(spare && room);
	memcpy(to, bytes, n);
	octets = record_stream_came(stream, spare, n);
	while (record_stream_next(&octets, &payload)) {
		require(count_off(expected, &wanted) && wanted.len == payload.len);
		require(memcmp(wanted.at, payload.at, payload.len) == 0);
	}
	require(!record_stream_keep(stream, &octets));
	free(spare);
	if (n < len)
		come(stream, bytes + n, len - n, expected);
}

/* What is not whole is there, octet by octet, and nothing else. */
static void check_end(const struct record_stream *stream, struct octets *expected)
{
	struct octets none;

	require(!count_off(expected, &none));
	require(stream->begun_bytes == expected->len);
	require(!stream->begun == !expected->len);
	require(!expected->len || memcmp(stream->begun, expected->at, expected->len) == 0);
}

static void in_pieces(const uint8_t *pieces, const uint8_t *bytes, size_t len)
{
	struct octets expected = {bytes, len};
	struct record_stream stream = {};

	for (size_t i = 0, at = 0; at < len; i++) {
		size_t piece = (size_t)pieces[i % PIECES] * pieces[i % PIECES] + 1;

		if (piece > len - at)
			piece = len - at;
		come(&stream, bytes + at, piece, &expected);
		at += piece;
	}
	check_end(&stream, &expected);
	record_stream_free(&stream);
}

static void at_every_point(const uint8_t *bytes, size_t len)
{
	for (size_t split = 1; split < len; split++) {
		struct octets expected = {bytes, len};
		struct record_stream stream = {};

		come(&stream, bytes, split, &expected);
		come(&stream, bytes + split, len - split, &expected);
		check_end(&stream, &expected);
		record_stream_free(&stream);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	if (len < PIECES)
		return 0;
	in_pieces(bytes, bytes + PIECES, len - PIECES);
	if (len - PIECES <= SHORT)
		at_every_point(bytes + PIECES, len - PIECES);
	return 0;
}
