/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Frames of the control protocol: four octets of length, big-endian, then that
 * many octets of one JSON document. Reader and writer keep their place, so one
 * function serves a blocking client and a server that must never wait.
 */
#ifndef PLAIT_CONTROL_FRAME_H
#define PLAIT_CONTROL_FRAME_H

#include <stddef.h>

enum {
	FRAME_HEADER_BYTES = 4,
	FRAME_REQUEST_MAX = 4 << 10,
	FRAME_REPLY_MAX = 64 << 20,
};

struct frame_reader {
	size_t limit; /* longest body that is accepted */
	unsigned char header[FRAME_HEADER_BYTES];
	size_t header_got;
	char *body; /* malloc()ed, with a NUL behind it; owned by the reader */
	size_t body_bytes, body_got;
};

struct frame_writer {
	unsigned char header[FRAME_HEADER_BYTES];
	const char *body; /* the caller's; must live until all is sent */
	size_t body_bytes;
	size_t sent; /* of header and body together */
};

void frame_reader_init(struct frame_reader *reader, size_t limit);

/* Free the body and get ready for the next frame. */
void frame_reader_reset(struct frame_reader *reader);

/*
 * Read until the frame is whole; never reads past its end. Returns 0 with
 * body and body_bytes set, -EAGAIN if fd has no more for now (non-blocking, or
 * a receive timeout passed): call again. Everything else ends the conversation:
 * -ENODATA end of stream before a frame, -EPROTO end of stream within one,
 * -EMSGSIZE longer than limit, -EBADMSG length 0, or the errno of read().
 */
int frame_read(struct frame_reader *reader, int fd);

/* 0, or -EMSGSIZE for a body above FRAME_REPLY_MAX. */
int frame_writer_init(struct frame_writer *writer, const char *body, size_t body_bytes);

/*
 * Send the rest of the frame over the socket fd, without SIGPIPE. Returns 0 when
 * all is sent, -EAGAIN if fd takes no more for now: call again, or negative errno.
 */
int frame_write(struct frame_writer *writer, int fd);

#endif
