// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The control server before made-up reports: fake_agent SOCKET SESSIONS, until SIGTERM. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "view/control_server.h"

static const char evil_name[] = "d\x1b]0;x\a\x7fsl";

static struct loop loop;
static long session_count;

static void stop(int signal)
{
	loop.stopped = true;
}

static struct plait_addr address(uint8_t last, uint16_t port)
{
	return (struct plait_addr){.family = AF_INET, .ip = {192, 0, 2, last}, .port = htons(port)};
}

static void status(void *owner, struct status_report *out)
{
	*out = (struct status_report){
		.name = "fake",
		.role = "cpe",
		.mode = "plain",
		.handshake = "faithful",
		.uptime_ns = 3725500000000,
		.workers = 4,
		.sessions = (unsigned int)session_count,
		.max_sessions = 65536,
		.held_syns = 1,
		.datagram_bindings = 12,
		.kernel = "6.12.1",
	};
}

static void fill_session(struct session_report *session, long i, uint64_t now_ns)
{
	session->key.inside = address(1, (uint16_t)(40000 + i % 20000));
	session->key.remote = address(2, 80);
	session->key.protocol = IPPROTO_TCP;
	session->counters = (struct plait_session_value){
		.created_ns = now_ns - 90000000000,
		.last_seen_ns = now_ns + 1000000000,
		.up_packets = 10,
		.up_bytes = 1500,
		.down_packets = 20,
		.down_bytes = 2000000,
		.state = PLAIT_SESSION_ESTABLISHED,
	};
	session->mptcp = true;
	session->token = 0xfffffffe;
	session->subflow_count = 2;
	strcpy(session->concentrator, "k1");
	for (unsigned int j = 0; j < 2; j++) {
		session->subflows[j].local = address(3, (uint16_t)(33000 + j));
		session->subflows[j].remote = address(4, 6824);
		session->subflows[j].rtt_us = 12345;
		session->subflows[j].sent_bytes = 999950;
		session->subflows[j].backup = j;
		strcpy(session->subflows[j].link, j ? "lte\xff" : evil_name);
	}
}

static long sessions(void *owner, struct session_report **out)
{
	struct timespec now;

	if (session_count < 0)
		return session_count;
	clock_gettime(CLOCK_MONOTONIC, &now);
	*out = calloc((size_t)session_count + 1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	for (long i = 0; i < session_count; i++)
		fill_session(&(*out)[i], i, (uint64_t)now.tv_sec * 1000000000);
	return session_count;
}

static size_t links(void *owner, struct link_report *out, size_t max)
{
	*out = (struct link_report){.use = "always",
				    .up = true,
				    .condition = "lossy",
				    .rtt_us = 12345,
				    .rtt_min_us = 1200,
				    .loss_permille = 257,
				    .weight = 3,
				    .mtu = 1500};
	strcpy(out->name, evil_name);
	strcpy(out->interface, "w1");
	out->addresses[0] = address(3, 0);
	out->addresses[1] = address(5, 0);
	out->address_count = 2;
	out->sent_bytes = 123456789;
	out->sent_rate = 1562500;
	out->sessions = 7;
	out->datagrams_sent = 4;
	out->datagrams_received = 3;
	out->datagrams_lost = 2;
	out->datagrams_late = 1;
	return 1;
}

static size_t concentrators(void *owner, struct concentrator_report *out, size_t max)
{
	*out = (struct concentrator_report){
		.answers = true, .port = 6824, .weight = 2, .sessions = 5, .address_count = 1};
	strcpy(out->name, evil_name);
	out->addresses[0] = address(6, 0);
	out[1] = (struct concentrator_report){.name = "k2", .weight = 1};
	return 2;
}

static long bindings(void *owner, struct binding_report **out)
{
	struct timespec now;
	struct binding_report *all;

	if (session_count < 0)
		return session_count;
	clock_gettime(CLOCK_MONOTONIC, &now);
	*out = all = calloc((size_t)session_count + 1, sizeof(**out));
	if (!all)
		return -ENOMEM;
	for (long i = 0; i < session_count; i++) {
		all[i] = (struct binding_report){
			.inside = address(1, (uint16_t)(40000 + i % 20000)),
			.external = address(64, (uint16_t)(1024 + i)),
			.state = i ? "resting" : "in use",
			.since_ns = ((uint64_t)now.tv_sec - 90) * 1000000000,
			.sessions = i ? 0 : 3,
			.protocol = i ? IPPROTO_UDP : IPPROTO_TCP};
		strcpy(all[i].subscriber, i ? "192.0.2.9" : evil_name);
	}
	return session_count;
}

static size_t pools(void *owner, struct pool_report *out, size_t max)
{
	*out = (struct pool_report){.translation = "shared",
				    .prefix_count = 2,
				    .addresses = 20,
				    .block_ports = 512,
				    .blocks_lent = 3,
				    .blocks = 2520,
				    .ports_lent = 70};
	out->prefixes[0] =
		(struct plait_prefix){.family = AF_INET, .ip = {192, 0, 2, 64}, .bits = 28};
	out->prefixes[1] =
		(struct plait_prefix){.family = AF_INET, .ip = {192, 0, 2, 96}, .bits = 30};
	out[1] = (struct pool_report){.translation = "shared", .prefix_count = 1, .blocks = 1};
	out[1].prefixes[0] =
		(struct plait_prefix){.family = AF_INET6, .ip = {0x20, 1, 0xd, 0xb8}, .bits = 120};
	return 2;
}

static long subscribers(void *owner, struct subscriber_report **out)
{
	struct subscriber_report *all = calloc(2, sizeof(*all));

	*out = all;
	if (!all)
		return -ENOMEM;
	all[0] = (struct subscriber_report){.source = address(7, 0),
					    .sessions = 9,
					    .ports = 8,
					    .blocks = 2,
					    .external_v4 = address(64, 0),
					    .max_sessions = 10,
					    .max_ports = 0,
					    .max_blocks = 4,
					    .max_new_per_s = 100,
					    .link_count = 2};
	all[0].links[0] = (struct datagram_link_report){address(3, 0), 5, 4, 3, 2};
	all[0].links[1] = (struct datagram_link_report){.address = address(5, 0)};
	strcpy(all[0].name, evil_name);
	all[1] = (struct subscriber_report){.source = address(9, 0)};
	return 2;
}

static bool drain(void *owner, const struct request *request, struct outcome *outcome)
{
	if (request_value(request, "off")) {
		outcome_say(outcome, "never\x1b[1m");
		return false;
	}
	outcome_say(outcome, "no\x1b[1m more");
	outcome_flag(outcome, "draining", true);
	outcome_number(outcome, "sessions", (uint64_t)session_count);
	outcome_item(outcome, "of", NULL);
	outcome_item(outcome, "of", "one");
	outcome_item(outcome, "of", "two");
	return true;
}

static bool greet(void *owner, const struct request *request, struct outcome *outcome)
{
	outcome_say(outcome, "hello");
	outcome_text(outcome, "whom", request_value(request, "whom"));
	return true;
}

static void counters(void *owner, uint64_t out[PLAIT_REASON_COUNT])
{
	out[PLAIT_SYN_HELD] = 12;
	out[PLAIT_PIPES_EXHAUSTED] = 1;
}

int main(int argc, char **argv)
{
	static const struct view_source source = {.status = status,
						  .sessions = sessions,
						  .links = links,
						  .concentrators = concentrators,
						  .bindings = bindings,
						  .pools = pools,
						  .subscribers = subscribers,
						  .counters = counters};
	static const struct verb verb[] = {{"drain", {{.name = "off"}}, drain},
					   {"greet", {{"whom", true}, {.name = "how"}}, greet}};
	static const struct verbs verbs = {.verb = verb, .count = 2};
	struct control_server *server = NULL;
	int error;

	session_count = atol(argv[2]);
	signal(SIGTERM, stop);
	error = loop_open(&loop);
	if (!error)
		error = control_server_open(&server, &loop, argv[1], &source, &verbs);
	if (error) {
		fprintf(stderr, "%s\n", strerrorname_np(-error));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (!loop.stopped && !error) {
		error = loop_wait(&loop, -1);
		if (!error)
			loop_dispatch(&loop);
	}
	control_server_close(server);
	loop_close(&loop);
	return error ? 1 : 0;
}
