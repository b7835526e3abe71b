/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The records of an MPTCP stream, which comes in pieces of any length (plain-mode-08 §5.1.2).
 *
 *	to = record_stream_room(stream, spare, sizeof(spare), &room);
 *	octets = record_stream_came(stream, spare, recv(fd, to, room, 0));
 *	while (record_stream_next(&octets, &payload))
 *		...
 *	err = record_stream_keep(stream, &octets);
 *
 * Only the beginning of a record that is not whole is copied, and costs memory until it is.
 */
#ifndef PLAIT_TABLE_RECORD_STREAM_H
#define PLAIT_TABLE_RECORD_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct record_stream {
	uint8_t *begun; /* UDP_RECORD_MAX octets; NULL: no record has begun */
	size_t begun_bytes;
};

struct octets {
	const uint8_t *at;
	size_t len;
};

void record_stream_free(struct record_stream *stream);

/* Where what comes next belongs, and how much of it: behind what has begun, or in `spare`. */
uint8_t *record_stream_room(const struct record_stream *stream, uint8_t *spare, size_t spare_bytes,
			    size_t *room);

/* So many octets were put there: what there is now, valid until record_stream_keep(). */
struct octets record_stream_came(const struct record_stream *stream, const uint8_t *spare,
				 size_t bytes);

/* The payload of the first record is taken off; false if it is not whole. */
bool record_stream_next(struct octets *octets, struct octets *payload);

/* What is left waits for its rest. -ENOMEM, and then it is lost. */
int record_stream_keep(struct record_stream *stream, const struct octets *left);

#endif
