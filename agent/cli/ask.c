// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/frame.h"

static int dial(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = 10};
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

/* A server that refuses a client says why and hangs up, so EPIPE is no reason not to read. */
static int send_request(int fd, const struct request *request)
{
	char *text = request_encode(request);
	struct frame_writer writer;
	int error;

	if (!text)
		return -ENOMEM;
	frame_writer_init(&writer, text, strlen(text));
	error = frame_write(&writer, fd);
	free(text);
	return error == -EPIPE ? 0 : error;
}

static int receive_reply(int fd, json_t **reply)
{
	struct frame_reader reader;
	json_t *document = NULL;
	int error;

	frame_reader_init(&reader, FRAME_REPLY_MAX);
	error = frame_read(&reader, fd);
	if (!error) {
		document = json_loadb(reader.body, reader.body_bytes, 0, NULL);
		error = json_is_object(document) ? 0 : -EBADMSG;
	}
	frame_reader_reset(&reader);
	if (error)
		json_decref(document);
	else
		*reply = document;
	return error;
}

int ask(const char *path, const struct request *request, json_t **reply)
{
	int fd = dial(path), error;

	if (fd < 0)
		return fd;
	error = send_request(fd, request);
	if (!error)
		error = receive_reply(fd, reply);
	close(fd);
	return error;
}
