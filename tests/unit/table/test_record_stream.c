// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* plain-mode-08 §5.1.2: however a stream is cut, the same datagrams come out of it. */
#include "table/record_stream.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_RECORD = 65535 + 2 };

/* What a test reads into it. Each datagram is noted as its length and a sum of its octets. */
struct reader {
	struct record_stream stream;
	uint8_t spare[64 * 1024];
	size_t spare_bytes;
	unsigned int count;
	size_t lengths[64];
	unsigned long sums[64];
};

static unsigned long sum_of(const uint8_t *octets, size_t len)
{
	unsigned long sum = 5381;

	for (size_t i = 0; i < len; i++)
		sum = sum * 33 + octets[i];
	return sum;
}

/* As if a socket had had so much. */
static void come(struct reader *reader, const uint8_t *bytes, size_t len)
{
	while (len) {
		struct octets octets, payload;
		size_t room;
		uint8_t *to = record_stream_room(&reader->stream, reader->spare,
						 reader->spare_bytes, &room);
		size_t n = len < room ? len : room;

		cr_assert(room);
		memcpy(to, bytes, n);
		octets = record_stream_came(&reader->stream, reader->spare, n);
		while (record_stream_next(&octets, &payload)) {
			cr_assert_lt(reader->count, 64);
			reader->lengths[reader->count] = payload.len;
			reader->sums[reader->count++] = sum_of(payload.at, payload.len);
		}
		cr_assert_eq(record_stream_keep(&reader->stream, &octets), 0);
		bytes += n;
		len -= n;
	}
}

static struct reader *reader_new(size_t spare_bytes)
{
	struct reader *reader = calloc(1, sizeof(*reader));

	cr_assert(reader);
	reader->spare_bytes = spare_bytes;
	return reader;
}

static void reader_free(struct reader *reader)
{
	record_stream_free(&reader->stream);
	free(reader);
}

/* What is written by hand of a stream: lengths, and octets that are their index. */
struct expected {
	unsigned int count;
	size_t lengths[8];
	size_t left; /* octets of a record that is not whole */
};

static size_t write_stream(const struct expected *expected, uint8_t *out)
{
	size_t at = 0;

	for (unsigned int i = 0; i < expected->count; i++) {
		out[at++] = (uint8_t)(expected->lengths[i] >> 8);
		out[at++] = (uint8_t)expected->lengths[i];
		for (size_t octet = 0; octet < expected->lengths[i]; octet++)
			out[at++] = (uint8_t)(octet * 7 + i);
	}
	return at;
}

static void check(struct reader *reader, const struct expected *expected, const char *how)
{
	cr_assert_eq(reader->count, expected->count, "%s: %u", how, reader->count);
	for (unsigned int i = 0; i < expected->count; i++) {
		uint8_t payload[65535];

		for (size_t octet = 0; octet < expected->lengths[i]; octet++)
			payload[octet] = (uint8_t)(octet * 7 + i);
		cr_assert_eq(reader->lengths[i], expected->lengths[i], "%s: %u", how, i);
		cr_assert_eq(reader->sums[i], sum_of(payload, expected->lengths[i]), "%s: %u", how,
			     i);
	}
	cr_assert_eq(reader->stream.begun_bytes, expected->left, "%s: left", how);
	cr_assert_eq(!reader->stream.begun, !expected->left, "%s: memory", how);
}

/* In two pieces, the first of which has `split` octets. */
static void check_split(const uint8_t *stream, size_t len, size_t split,
			const struct expected *expected)
{
	struct reader *reader = reader_new(sizeof(reader->spare));
	char how[32];

	snprintf(how, sizeof(how), "at %zu", split);
	come(reader, stream, split);
	come(reader, stream + split, len - split);
	check(reader, expected, how);
	reader_free(reader);
}

static const struct expected several = {.count = 6, .lengths = {0, 1, 2, 0, 40, 3}};

Test(record_stream, split_at_every_point)
{
	uint8_t stream[256];
	size_t len = write_stream(&several, stream);

	cr_assert_eq(len, 6 * 2 + 46);
	for (size_t split = 0; split <= len; split++)
		check_split(stream, len, split, &several);
}

Test(record_stream, split_at_every_two_points)
{
	uint8_t stream[256];
	size_t len = write_stream(&several, stream);

	for (size_t first = 0; first <= len; first++)
		for (size_t second = first; second <= len; second++) {
			struct reader *reader = reader_new(sizeof(reader->spare));

			come(reader, stream, first);
			come(reader, stream + first, second - first);
			come(reader, stream + second, len - second);
			check(reader, &several, "two points");
			reader_free(reader);
		}
}

Test(record_stream, in_pieces_of_every_length_and_for_room_of_every_length)
{
	uint8_t stream[256];
	size_t len = write_stream(&several, stream);

	for (size_t piece = 1; piece <= len; piece++)
		for (size_t room = 1; room <= len; room++) {
			struct reader *reader = reader_new(room);

			for (size_t at = 0; at < len; at += piece)
				come(reader, stream + at, piece < len - at ? piece : len - at);
			check(reader, &several, "pieces");
			reader_free(reader);
		}
}

/* Cut by the end of the leg: the last record is never one, and what it has is known. */
Test(record_stream, cut_at_every_octet)
{
	static const size_t ends[] = {2, 5, 9, 11, 53, 58}; /* of each record, by hand */
	uint8_t stream[256];
	size_t len = write_stream(&several, stream);

	for (size_t cut = 0; cut <= len; cut++) {
		struct expected whole = several;
		struct reader *reader = reader_new(sizeof(reader->spare));

		whole.count = 0;
		while (whole.count < several.count && ends[whole.count] <= cut)
			whole.count++;
		whole.left = cut - (whole.count ? ends[whole.count - 1] : 0);
		come(reader, stream, cut);
		check(reader, &whole, "cut");
		reader_free(reader);
	}
}

/* The longest there is, between others, at every point where something changes. */
Test(record_stream, of_the_longest_records)
{
	static const struct expected longest = {.count = 4, .lengths = {65535, 0, 65535, 5}};
	static const size_t changes[] = {0,
					 1,
					 2,
					 3,
					 LONGEST_RECORD,
					 LONGEST_RECORD + 2,
					 2 * LONGEST_RECORD + 2,
					 65536,
					 2 * 65536,
					 2 * 65536 + 7};
	uint8_t *stream = malloc(3 * LONGEST_RECORD);
	size_t len = write_stream(&longest, stream);

	cr_assert_eq(len, 2 * LONGEST_RECORD + 2 + 7);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
		for (size_t split = changes[i] < 3 ? 0 : changes[i] - 3;
		     split <= changes[i] + 3 && split <= len; split++)
			check_split(stream, len, split, &longest);
	free(stream);
}
