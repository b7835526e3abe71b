// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

void frame_reader_init(struct frame_reader *reader, size_t limit)
{
	*reader = (struct frame_reader){.limit = limit};
}

void frame_reader_reset(struct frame_reader *reader)
{
	free(reader->body);
	frame_reader_init(reader, reader->limit);
}

/* Read until *got is wanted; 0, -ENODATA at the end of the stream, or negative errno. */
static int fill(int fd, void *buffer, size_t wanted, size_t *got)
{
	while (*got < wanted) {
		ssize_t n = read(fd, (char *)buffer + *got, wanted - *got);

		if (n == 0)
			return -ENODATA;
		if (n > 0)
			*got += (size_t)n;
		else if (errno != EINTR)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	}
	return 0;
}

static int begin_body(struct frame_reader *reader)
{
	uint32_t length;

	memcpy(&length, reader->header, sizeof(length));
	length = ntohl(length);
	if (!length)
		return -EBADMSG;
	if (length > reader->limit)
		return -EMSGSIZE;
	reader->body = malloc((size_t)length + 1);
	if (!reader->body)
		return -ENOMEM;
	reader->body[length] = '\0';
	reader->body_bytes = length;
	return 0;
}

int frame_read(struct frame_reader *reader, int fd)
{
	int error = fill(fd, reader->header, sizeof(reader->header), &reader->header_got);

	if (!error && !reader->body)
		error = begin_body(reader);
	if (!error)
		error = fill(fd, reader->body, reader->body_bytes, &reader->body_got);
	return error == -ENODATA && reader->header_got ? -EPROTO : error;
}

int frame_writer_init(struct frame_writer *writer, const char *body, size_t body_bytes)
{
	uint32_t length = htonl((uint32_t)body_bytes);

	if (body_bytes > FRAME_REPLY_MAX)
		return -EMSGSIZE;
	*writer = (struct frame_writer){.body = body, .body_bytes = body_bytes};
	memcpy(writer->header, &length, sizeof(length));
	return 0;
}

static ssize_t send_rest(struct frame_writer *writer, int fd)
{
	size_t header_sent = writer->sent < FRAME_HEADER_BYTES ? writer->sent : FRAME_HEADER_BYTES;
	size_t body_sent = writer->sent - header_sent;
	struct iovec parts[] = {
		{writer->header + header_sent, FRAME_HEADER_BYTES - header_sent},
		{(char *)writer->body + body_sent, writer->body_bytes - body_sent},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	return sendmsg(fd, &message, MSG_NOSIGNAL);
}

int frame_write(struct frame_writer *writer, int fd)
{
	while (writer->sent < FRAME_HEADER_BYTES + writer->body_bytes) {
		ssize_t n = send_rest(writer, fd);

		if (n >= 0)
			writer->sent += (size_t)n;
		else if (errno != EINTR)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	}
	return 0;
}
