// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "binding_log.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "port/journal.h"

enum {
	QUEUE_RECORDS = 1 << 15, /* their memory is used as they come */
	WAIT_MS = 100, /* for room, before it looks whether to end */
	CLOSE_MS = 2000,
	STUCK_MS = 500, /* more, for one that is in the middle of writing */
	CLOCK_STEP_MS = 10,
};

struct binding_log {
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows; never held while writing */
	pthread_cond_t changed;
	struct binding_record *queue; /* a ring */
	uint32_t first, count;
	uint64_t dropped;
	uint64_t close_by_ns; /* 0: not closing */

	/* the thread's own */
	struct journal journal;
	uint64_t epoch_ns; /* CLOCK_REALTIME when CLOCK_MONOTONIC was 0 */
	bool fails;
};

/*
 * The wall clock may be set while we run. But what was lent at one time must have the
 * same one in both of its records, so noise of a reading is no reason to change.
 */
static void follow_wall_clock(struct binding_log *log)
{
	uint64_t before = clock_now_ns(), epoch, apart;
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	if (clock_now_ns() - before > NS_PER_MS && log->epoch_ns)
		return; /* interrupted */
	epoch = (uint64_t)wall.tv_sec * NS_PER_S + (uint64_t)wall.tv_nsec - before;
	apart = epoch > log->epoch_ns ? epoch - log->epoch_ns : log->epoch_ns - epoch;
	if (apart > CLOCK_STEP_MS * NS_PER_MS)
		log->epoch_ns = epoch;
}

static bool time_is_over(struct binding_log *log)
{
	uint64_t close_by_ns;

	pthread_mutex_lock(&log->lock);
	close_by_ns = log->close_by_ns;
	pthread_mutex_unlock(&log->lock);
	return close_by_ns && clock_now_ns() >= close_by_ns;
}

static void drop(struct binding_log *log, uint64_t count)
{
	pthread_mutex_lock(&log->lock);
	log->dropped += count;
	pthread_mutex_unlock(&log->lock);
}

/* Once, until it works again. */
static void tell_of_failure(struct binding_log *log, int err)
{
	bool fails = err != 0;

	if (fails == log->fails)
		return;
	log->fails = fails;
	if (fails)
		log_error("binding log: %s; records are dropped", strerror(-err));
	else
		log_notice("binding log: it can be written again");
}

static void write_record(struct binding_log *log, const struct binding_record *record)
{
	struct record_field fields[RECORD_FIELDS];
	size_t count;
	int err;

	follow_wall_clock(log);
	count = binding_record_fields(record, log->epoch_ns, fields);
	do
		err = journal_write(&log->journal, fields, count, WAIT_MS);
	while (err == -EAGAIN && !time_is_over(log));
	if (err)
		drop(log, 1);
	if (err != -EAGAIN)
		tell_of_failure(log, err);
}

/* The oldest one, waited for. False: there will be none. */
static bool take(struct binding_log *log, struct binding_record *out)
{
	bool any;

	pthread_mutex_lock(&log->lock);
	while (!log->count && !log->close_by_ns)
		pthread_cond_wait(&log->changed, &log->lock);
	any = log->count;
	if (any) {
		*out = log->queue[log->first];
		log->first = (log->first + 1) % QUEUE_RECORDS;
		log->count--;
	}
	pthread_mutex_unlock(&log->lock);
	return any;
}

static void *run(void *argument)
{
	struct binding_log *log = argument;
	struct binding_record record;

	while (take(log, &record)) {
		if (time_is_over(log))
			drop(log, 1);
		else
			write_record(log, &record);
	}
	return NULL;
}

static void free_log(struct binding_log *log)
{
	journal_close(&log->journal);
	free(log->queue);
	free(log);
}

int binding_log_open(struct binding_log **out, const char *file)
{
	struct binding_log *log = calloc(1, sizeof(*log));
	int err;

	if (!log)
		return -ENOMEM;
	pthread_mutex_init(&log->lock, NULL);
	pthread_cond_init(&log->changed, NULL);
	err = journal_open(&log->journal, file);
	log->queue = calloc(QUEUE_RECORDS, sizeof(*log->queue));
	if (!err && !log->queue)
		err = -ENOMEM;
	if (!err)
		err = -pthread_create(&log->thread, NULL, run, log);
	if (err) {
		free_log(log);
		return err;
	}
	pthread_setname_np(log->thread, "plait-bind-log");
	*out = log;
	return 0;
}

void binding_log_put(struct binding_log *log, const struct binding_record *record)
{
	pthread_mutex_lock(&log->lock);
	if (log->count == QUEUE_RECORDS) {
		log->dropped++;
	} else {
		log->queue[(log->first + log->count++) % QUEUE_RECORDS] = *record;
		if (log->count == 1)
			pthread_cond_signal(&log->changed);
	}
	pthread_mutex_unlock(&log->lock);
}

uint64_t binding_log_dropped(struct binding_log *log)
{
	uint64_t dropped;

	pthread_mutex_lock(&log->lock);
	dropped = log->dropped;
	log->dropped = 0;
	pthread_mutex_unlock(&log->lock);
	return dropped;
}

static int join_by(pthread_t thread, uint64_t by_ns)
{
	const struct timespec by = {.tv_sec = (time_t)(by_ns / NS_PER_S),
				    .tv_nsec = (long)(by_ns % NS_PER_S)};

	return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &by);
}

static uint64_t left_behind(struct binding_log *log)
{
	uint64_t left;

	pthread_mutex_lock(&log->lock);
	left = log->count + 1; /* and the one that it is stuck in */
	pthread_mutex_unlock(&log->lock);
	return left;
}

/*
 * Writing to a disk or to the journal cannot be interrupted: a thread that does not come
 * back from there keeps what it needs until the process ends.
 */
void binding_log_close(struct binding_log *log)
{
	uint64_t close_by_ns = clock_now_ns() + CLOSE_MS * NS_PER_MS, dropped;
	bool stuck;

	if (!log)
		return;
	pthread_mutex_lock(&log->lock);
	log->close_by_ns = close_by_ns;
	pthread_cond_signal(&log->changed);
	pthread_mutex_unlock(&log->lock);
	stuck = join_by(log->thread, close_by_ns + STUCK_MS * NS_PER_MS);
	dropped = binding_log_dropped(log) + (stuck ? left_behind(log) : 0);
	if (dropped)
		log_warning("binding log: %llu records dropped", (unsigned long long)dropped);
	if (!stuck)
		free_log(log);
}
