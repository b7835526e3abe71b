// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "record_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/udp_record.h"

void record_stream_free(struct record_stream *stream)
{
	free(stream->begun);
	*stream = (struct record_stream){};
}

uint8_t *record_stream_room(const struct record_stream *stream, uint8_t *spare, size_t spare_bytes,
			    size_t *room)
{
	/* never 0: a record is whole at the latest when all is full */
	*room = stream->begun ? UDP_RECORD_MAX - stream->begun_bytes : spare_bytes;
	return stream->begun ? stream->begun + stream->begun_bytes : spare;
}

struct octets record_stream_came(const struct record_stream *stream, const uint8_t *spare,
				 size_t bytes)
{
	return (struct octets){.at = stream->begun ? stream->begun : spare,
			       .len = stream->begun_bytes + bytes};
}

bool record_stream_next(struct octets *octets, struct octets *payload)
{
	int len = udp_record_read(octets->at, octets->len);

	if (len < 0)
		return false;
	*payload = (struct octets){octets->at + UDP_RECORD_HEADER_BYTES, (size_t)len};
	octets->at += UDP_RECORD_HEADER_BYTES + len;
	octets->len -= UDP_RECORD_HEADER_BYTES + (size_t)len;
	return true;
}

int record_stream_keep(struct record_stream *stream, const struct octets *left)
{
	uint8_t *begun;

	if (left->at == stream->begun) {
		stream->begun_bytes = left->len;
		return 0;
	}
	begun = left->len ? malloc(UDP_RECORD_MAX) : NULL;
	if (begun)
		memcpy(begun, left->at, left->len);
	free(stream->begun);
	*stream = (struct record_stream){begun, begun ? left->len : 0};
	return left->len && !begun ? -ENOMEM : 0;
}
