// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "datagrams.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "codec/udp_record.h"
#include "port/datagrams.h"
#include "port/mptcp.h"
#include "report.h"

enum {
	OUT_ROOM_MIN = 4 * 1024,
	OUT_ROOM_MAX = 256 * 1024, /* while the kernel takes no more, or the leg is being dialled */
	BATCHES_A_TURN = 4,
	READS_A_TURN = 4,
};

struct datagrams *datagrams_new(void)
{
	return calloc(1, sizeof(struct datagrams));
}

void datagrams_free(struct datagrams *datagrams)
{
	if (!datagrams)
		return;
	free(datagrams->out);
	record_stream_free(&datagrams->in);
	free(datagrams);
}

/* Towards the leg */

size_t datagrams_waiting(const struct datagrams *datagrams, const uint8_t **out)
{
	*out = datagrams->out + datagrams->out_begin;
	return datagrams->out_end - datagrams->out_begin;
}

void datagrams_sent(struct datagrams *datagrams, size_t octets)
{
	datagrams->out_begin += (uint32_t)octets;
	if (datagrams->out_begin < datagrams->out_end)
		return;
	free(datagrams->out);
	datagrams->out = NULL;
	datagrams->out_begin = datagrams->out_end = datagrams->out_room = 0;
}

static bool make_room(struct datagrams *datagrams, size_t octets)
{
	size_t waiting = datagrams->out_end - datagrams->out_begin;
	size_t room = datagrams->out_room ? datagrams->out_room : OUT_ROOM_MIN;
	uint8_t *larger;

	if (datagrams->out_room - datagrams->out_end >= octets)
		return true;
	while (room < waiting + octets)
		room *= 2;
	if (room > OUT_ROOM_MAX)
		return false;
	larger = malloc(room);
	if (!larger)
		return false;
	if (waiting)
		memcpy(larger, datagrams->out + datagrams->out_begin, waiting);
	free(datagrams->out);
	datagrams->out = larger;
	datagrams->out_room = (uint32_t)room;
	datagrams->out_begin = 0;
	datagrams->out_end = (uint32_t)waiting;
	return true;
}

/* Of the longest way, without what waits in queues. */
static uint64_t round_trip_ns(const struct session *session)
{
	struct mptcp_subflow subflows[REPORT_MAX_SUBFLOWS];
	int n = mptcp_subflows(session->side[SIDE_LEG].fd, subflows, REPORT_MAX_SUBFLOWS);
	uint64_t longest_us = 0;

	for (int i = 0; i < n; i++)
		if (subflows[i].rtt_min_us != UINT32_MAX && subflows[i].rtt_min_us > longest_us)
			longest_us = subflows[i].rtt_min_us;
	return longest_us * 1000;
}

/* What is on its way and not acknowledged waits too, but for the round trip. */
static bool is_too_old(const struct worker *worker, const struct session *session)
{
	const struct datagrams *datagrams = session->datagrams;
	uint64_t limit_ns = worker->config->udp_queue_ms * NS_PER_MS, age_ns;
	int fd = session->side[SIDE_LEG].fd, unacknowledged = 0;

	if (session->stage == STAGE_RELAYING)
		ioctl(fd, SIOCOUTQ, &unacknowledged);
	age_ns = queue_age(&datagrams->age,
			   (uint64_t)unacknowledged + datagrams->out_end - datagrams->out_begin,
			   worker->now_ns);
	return age_ns > limit_ns && age_ns > limit_ns + round_trip_ns(session);
}

static bool may_queue(const struct worker *worker, const struct session *session)
{
	struct datagrams *datagrams = session->datagrams;

	if (datagrams->judged_ns != worker->now_ns) {
		datagrams->judged_ns = worker->now_ns;
		datagrams->too_old = is_too_old(worker, session);
	}
	return !datagrams->too_old;
}

static void queue_one(struct worker *worker, struct session *session, const uint8_t *bytes,
		      size_t len)
{
	struct datagrams *datagrams = session->datagrams;
	size_t octets = UDP_RECORD_HEADER_BYTES + len;

	if (!may_queue(worker, session) || !make_room(datagrams, octets)) {
		count(worker, PLAIT_UDP_QUEUE_FULL);
		return;
	}
	udp_record_write_header(len, datagrams->out + datagrams->out_end);
	memcpy(datagrams->out + datagrams->out_end + UDP_RECORD_HEADER_BYTES, bytes, len);
	datagrams->out_end += (uint32_t)octets;
	session->half[SIDE_PLAIN].moved += (uint32_t)octets;
	queue_age_append(&datagrams->age, octets, worker->now_ns,
			 worker->config->udp_queue_ms * NS_PER_MS / (QUEUE_AGE_NOTES / 2));
}

void datagrams_queue(struct worker *worker, struct session *session,
		     const struct datagram *datagram)
{
	size_t at = 0;

	do {
		size_t left = datagram->len - at;
		size_t len = left < datagram->each ? left : datagram->each;

		queue_one(worker, session, datagram->bytes + at, len);
		at += len;
	} while (at < datagram->len);
}

/* Several records leave in one segment where they wait for each other. */
static enum pumped flush(struct datagrams *datagrams, struct side *leg)
{
	const uint8_t *bytes;
	size_t waiting = datagrams_waiting(datagrams, &bytes);
	ssize_t n;

	if (!waiting || !leg->writable)
		return PUMP_WAITS;
	n = send(leg->fd, bytes, waiting, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		return PUMP_WRITE_FAILED;
	if (n < 0 || (size_t)n < waiting)
		leg->writable = false;
	if (n > 0)
		datagrams_sent(datagrams, (size_t)n);
	return PUMP_WAITS;
}

/* From a socket of the session's own. Returns what datagrams_receive() says. */
static int receive_batch(struct worker *worker, struct session *session)
{
	int count = datagrams_receive(session->side[SIDE_PLAIN].fd, worker->batch);

	for (int i = 0; i < count; i++)
		datagrams_queue(worker, session, datagram_of(worker->batch, (unsigned int)i));
	return count;
}

/* An error is of what was sent before, such as a port unreachable, and ends nothing. */
static void receive(struct worker *worker, struct session *session)
{
	struct side *plain = &session->side[SIDE_PLAIN];
	int count = 0;

	for (unsigned int i = 0; i < BATCHES_A_TURN && count != -EAGAIN; i++)
		count = receive_batch(worker, session);
	plain->readable = count > 0;
}

static enum pumped towards_leg(struct worker *worker, struct session *session)
{
	struct side *plain = &session->side[SIDE_PLAIN];
	bool has_socket = plain->fd >= 0;
	enum pumped pumped;

	if (has_socket && plain->readable)
		receive(worker, session);
	pumped = flush(session->datagrams, &session->side[SIDE_LEG]);
	return pumped == PUMP_WAITS && has_socket && plain->readable ? PUMP_MORE : pumped;
}

/* From the leg */

/* Payloads of one length, that leave together. */
struct run {
	struct iovec payload[DATAGRAMS_A_RUN];
	unsigned int count;
};

static void send_run(struct worker *worker, const struct session *session, struct run *run)
{
	uint8_t dscp = config_dscp(worker->config->dscp.plain, 0);
	int fd = session->side[SIDE_PLAIN].fd;
	unsigned int sent = 0;

	if (!run->count)
		return;
	if (fd >= 0)
		sent = datagrams_send_run(fd, run->payload, run->count);
	for (unsigned int i = 0; fd < 0 && i < run->count; i++)
		sent += !datagram_send(&worker->sender, &session->local, &session->peer, dscp,
				       run->payload[i].iov_base, run->payload[i].iov_len);
	worker->counts[PLAIT_UDP_SEND_FAILED] += run->count - sent;
	run->count = 0;
}

static void add_to_run(struct worker *worker, const struct session *session, struct run *run,
		       const uint8_t *payload, size_t len)
{
	if (run->count == DATAGRAMS_A_RUN || (run->count && run->payload[0].iov_len != len))
		send_run(worker, session, run);
	run->payload[run->count++] = (struct iovec){(void *)payload, len};
	if (!len)
		send_run(worker, session, run);
}

/* Whole records leave; what is left of `octets` is the beginning of one. */
static void send_records(struct worker *worker, const struct session *session,
			 struct octets *octets)
{
	struct run run = {.count = 0};
	struct octets payload;

	while (record_stream_next(octets, &payload))
		add_to_run(worker, session, &run, payload.at, payload.len);
	send_run(worker, session, &run);
}

static enum pumped read_once(struct worker *worker, struct session *session)
{
	struct record_stream *stream = &session->datagrams->in;
	struct side *leg = &session->side[SIDE_LEG];
	struct octets octets;
	size_t room;
	uint8_t *to = record_stream_room(stream, worker->scratch, SCRATCH_BYTES, &room);
	ssize_t n = recv(leg->fd, to, room, 0);

	if (n < 0 && errno != EAGAIN)
		return PUMP_READ_FAILED;
	if (n <= 0) {
		leg->readable = false;
		session->half[SIDE_LEG].ended = n == 0;
		if (n == 0 && stream->begun)
			count(worker, PLAIT_UDP_RECORD_CUT);
		return PUMP_WAITS;
	}
	session->half[SIDE_LEG].moved += (uint32_t)n;
	octets = record_stream_came(stream, worker->scratch, (size_t)n);
	send_records(worker, session, &octets);
	return record_stream_keep(stream, &octets) ? PUMP_READ_FAILED : PUMP_MORE;
}

static enum pumped from_leg(struct worker *worker, struct session *session)
{
	enum pumped pumped = PUMP_MORE;

	for (unsigned int i = 0; pumped == PUMP_MORE && i < READS_A_TURN; i++)
		pumped = session->side[SIDE_LEG].readable ? read_once(worker, session) : PUMP_WAITS;
	return pumped;
}

enum pumped datagrams_pump(struct worker *worker, struct session *session, enum which_side from)
{
	return from == SIDE_PLAIN ? towards_leg(worker, session) : from_leg(worker, session);
}
