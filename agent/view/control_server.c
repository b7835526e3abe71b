// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Theory of operation. A client has one of CLIENTS_MAX slots and is either
 * "reading" (reply_text is NULL, watched for EPOLLIN) or "replying" (watched for
 * EPOLLOUT); then it may ask again. Every step does what the socket allows
 * without waiting and returns to the loop, one request a step, so neither a
 * silent client nor one that does not read can hold up anything but its slot;
 * and the slot is taken back after IDLE_LIMIT_NS, looked at whenever the server
 * runs: only a further client has any use for it.
 *
 * The loop may still call the watch of a client that was closed in the same turn.
 * Slots live as long as the server, and ready functions look at nothing but what
 * reading and writing say, so such a call finds no file descriptor or no work.
 */
#include "control_server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/config.h"
#include "control/frame.h"
#include "control/request.h"
#include "control/socket_path.h"
#include "report_json.h"
#include "unix_listener.h"

enum { CLIENTS_MAX = 16 };

static const uint64_t IDLE_LIMIT_NS = 10 * NS_PER_S;

struct client {
	struct loop_watch watch; /* first: a watch is its client */
	struct control_server *server;
	int fd; /* -1: the slot is free */
	uint64_t active_ns;
	struct frame_reader request;
	struct frame_writer reply;
	char *reply_text;
	bool last; /* close when the reply is sent */
};

struct control_server {
	struct loop_watch watch; /* first: a watch is its server */
	struct loop *loop;
	const struct view_source *source;
	const struct verbs *verbs;
	int fd;
	int spare_fd; /* given up to refuse a client when there is no other */
	char path[SOCKET_PATH_BYTES];
	struct client clients[CLIENTS_MAX];
};

static char *answer_status(const struct view_source *source, size_t *bytes)
{
	struct status_report status = {0};

	source->status(source->owner, &status);
	return report_json_status(&status, bytes);
}

static char *answer_sessions(const struct view_source *source, size_t *bytes)
{
	struct session_report *sessions = NULL;
	long count = source->sessions(source->owner, &sessions);
	char *text;

	if (count < 0)
		return report_json_error(strerror((int)-count), bytes);
	text = report_json_sessions(sessions, (size_t)count, clock_now_ns(), bytes);
	free(sessions);
	return text;
}

static char *answer_links(const struct view_source *source, size_t *bytes)
{
	struct link_report links[PLAIT_MAX_INTERFACES];

	return report_json_links(links, source->links(source->owner, links, PLAIT_MAX_INTERFACES),
				 bytes);
}

static char *answer_concentrators(const struct view_source *source, size_t *bytes)
{
	struct concentrator_report concentrators[CONFIG_MAX_CONCENTRATORS];
	size_t count =
		source->concentrators(source->owner, concentrators, CONFIG_MAX_CONCENTRATORS);

	return report_json_concentrators(concentrators, count, bytes);
}

static char *answer_bindings(const struct view_source *source, size_t *bytes)
{
	struct binding_report *bindings = NULL;
	long count = source->bindings(source->owner, &bindings);
	char *text;

	if (count < 0)
		return report_json_error(strerror((int)-count), bytes);
	text = report_json_bindings(bindings, (size_t)count, clock_now_ns(), bytes);
	free(bindings);
	return text;
}

static char *answer_pools(const struct view_source *source, size_t *bytes)
{
	struct pool_report pools[REPORT_MAX_POOLS];

	return report_json_pools(pools, source->pools(source->owner, pools, REPORT_MAX_POOLS),
				 bytes);
}

static char *answer_subscribers(const struct view_source *source, size_t *bytes)
{
	struct subscriber_report *subscribers = NULL;
	long count = source->subscribers(source->owner, &subscribers);
	char *text;

	if (count < 0)
		return report_json_error(strerror((int)-count), bytes);
	text = report_json_subscribers(subscribers, (size_t)count, bytes);
	free(subscribers);
	return text;
}

static char *answer_counters(const struct view_source *source, size_t *bytes)
{
	uint64_t counters[PLAIT_REASON_COUNT] = {0};

	source->counters(source->owner, counters);
	return report_json_counters(counters, bytes);
}

static char *answer_noun(const struct view_source *source, const char *noun, size_t *bytes)
{
	static const struct {
		const char *noun;
		char *(*answer)(const struct view_source *source, size_t *bytes);
	} answers[] = {
		{"status", answer_status},
		{"sessions", answer_sessions},
		{"links", answer_links},
		{"concentrators", answer_concentrators},
		{"bindings", answer_bindings},
		{"pools", answer_pools},
		{"subscribers", answer_subscribers},
		{"counters", answer_counters},
	};
	char text[REQUEST_WORD_BYTES + 32];

	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		if (!strcmp(noun, answers[i].noun))
			return answers[i].answer(source, bytes);
	}
	snprintf(text, sizeof(text), "unknown noun: %s", noun);
	return report_json_error(text, bytes);
}

static char *answer(const struct control_server *server, const struct request *request,
		    size_t *bytes)
{
	if (request->is_verb)
		return verbs_run(server->verbs, request, bytes);
	return answer_noun(server->source, request->word, bytes);
}

static void close_client(struct client *client)
{
	loop_remove(client->server->loop, client->fd);
	close(client->fd);
	client->fd = -1;
	frame_reader_reset(&client->request);
	free(client->reply_text);
	client->reply_text = NULL;
}

/* Send text, which is taken over; NULL closes the client. */
static void begin_reply(struct client *client, char *text, size_t bytes)
{
	frame_reader_reset(&client->request);
	client->reply_text = text;
	if (text && frame_writer_init(&client->reply, text, bytes)) {
		free(text);
		client->reply_text = report_json_error("the answer is too long", &bytes);
		if (client->reply_text)
			frame_writer_init(&client->reply, client->reply_text, bytes);
	}
	if (!client->reply_text)
		close_client(client);
}

static void step_reading(struct client *client)
{
	int error = frame_read(&client->request, client->fd);
	struct request request;
	size_t bytes = 0;
	char *text;

	if (error == -EAGAIN)
		return;
	if (error && error != -EMSGSIZE && error != -EBADMSG) {
		close_client(client);
		return;
	}
	client->last = error; /* where the next frame begins is anyone's guess */
	if (error)
		text = report_json_error("not a frame of the control protocol", &bytes);
	else if (request_decode(client->request.body, client->request.body_bytes, &request))
		text = report_json_error("not a request", &bytes);
	else
		text = answer(client->server, &request, &bytes);
	begin_reply(client, text, bytes);
}

static void step_replying(struct client *client)
{
	int error = frame_write(&client->reply, client->fd);

	if (error == -EAGAIN)
		return;
	if (error || client->last) {
		close_client(client);
		return;
	}
	free(client->reply_text);
	client->reply_text = NULL;
}

static void close_idle(struct control_server *server)
{
	uint64_t now = clock_now_ns();

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &server->clients[i];

		if (client->fd >= 0 && now - client->active_ns > IDLE_LIMIT_NS)
			close_client(client);
	}
}

static void client_ready(struct loop_watch *watch, uint32_t epoll_events)
{
	struct client *client = (struct client *)watch;

	if (client->fd < 0)
		return;
	if (!client->reply_text)
		step_reading(client);
	if (client->fd >= 0 && client->reply_text)
		step_replying(client);
	if (client->fd >= 0 && loop_modify(client->server->loop, client->fd,
					   client->reply_text ? EPOLLOUT : EPOLLIN, watch))
		close_client(client);
	client->active_ns = clock_now_ns(); /* now: an answer may have taken its time */
	close_idle(client->server);
}

/* A fresh socket takes a short frame whole; if not, the client sees the end of the stream. */
static void refuse(int fd, const char *reason)
{
	size_t bytes = 0;
	char *text = report_json_error(reason, &bytes);
	struct frame_writer writer;

	if (text && !frame_writer_init(&writer, text, bytes))
		frame_write(&writer, fd);
	free(text);
	close(fd);
}

static void take_client(struct control_server *server, int fd)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &server->clients[i];

		if (client->fd >= 0)
			continue;
		client->fd = fd;
		client->active_ns = clock_now_ns();
		client->last = false;
		if (loop_add(server->loop, fd, EPOLLIN, &client->watch))
			close_client(client);
		return;
	}
	refuse(fd, "too many clients");
}

static int accept_one(struct control_server *server)
{
	int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/*
 * A client that cannot be accepted for want of a file descriptor would keep the
 * listener readable and the loop spinning.
 */
static void refuse_without_descriptor(struct control_server *server)
{
	int fd;

	if (server->spare_fd >= 0)
		close(server->spare_fd);
	fd = accept_one(server);
	if (fd >= 0)
		refuse(fd, "plaitd has no file descriptor left");
	server->spare_fd = open_spare();
}

static void server_ready(struct loop_watch *watch, uint32_t epoll_events)
{
	struct control_server *server = (struct control_server *)watch;
	int fd;

	close_idle(server);
	fd = accept_one(server);
	if (fd >= 0)
		take_client(server, fd);
	else if (fd == -EMFILE || fd == -ENFILE)
		refuse_without_descriptor(server);
}

static void init_clients(struct control_server *server)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &server->clients[i];

		client->watch.ready = client_ready;
		client->server = server;
		client->fd = -1;
		frame_reader_init(&client->request, FRAME_REQUEST_MAX);
	}
}

int control_server_open(struct control_server **out, struct loop *loop, const char *path,
			const struct view_source *source, const struct verbs *verbs)
{
	int fd = unix_listen(path), error;
	struct control_server *server;

	if (fd < 0)
		return fd;
	server = calloc(1, sizeof(*server));
	if (!server) {
		unlink(path);
		close(fd);
		return -ENOMEM;
	}
	server->watch.ready = server_ready;
	server->loop = loop;
	server->source = source;
	server->verbs = verbs;
	server->fd = fd;
	server->spare_fd = open_spare();
	strcpy(server->path, path); /* unix_listen() saw that it fits */
	init_clients(server);
	error = loop_add(loop, fd, EPOLLIN, &server->watch);
	if (error) {
		control_server_close(server);
		return error;
	}
	*out = server;
	return 0;
}

void control_server_close(struct control_server *server)
{
	if (!server)
		return;
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		if (server->clients[i].fd >= 0)
			close_client(&server->clients[i]);
	}
	unlink(server->path);
	loop_remove(server->loop, server->fd);
	close(server->fd);
	if (server->spare_fd >= 0)
		close(server->spare_fd);
	free(server);
}
