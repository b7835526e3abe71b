// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Reports of long tables, and who else wants their lock: pools_reporter BINDINGS lends so
 * many, of which each seventh ends again, then prints: bindings and subscribers reported;
 * how many of the bindings came twice; milliseconds that their report took; how often
 * another thread had the lock meanwhile, and its longest wait in milliseconds.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "role/pools.h"

enum { EACH = 1000, SUBSCRIBERS_MAX = 1 << 12 };

static struct pools pools;
static bool ends;
static unsigned long turns;
static uint64_t longest_ns;

static void *want_the_lock(void *unused)
{
	static const struct timespec rest = {.tv_nsec = 20000};

	while (!__atomic_load_n(&ends, __ATOMIC_RELAXED)) {
		uint64_t before = clock_now_ns(), waited;

		pthread_mutex_lock(&pools.lock);
		waited = clock_now_ns() - before;
		pthread_mutex_unlock(&pools.lock);
		turns++;
		if (waited > longest_ns)
			longest_ns = waited;
		nanosleep(&rest, NULL);
	}
	return NULL;
}

static struct plait_addr address(uint8_t first, uint32_t number, uint16_t port)
{
	return (struct plait_addr){
		.family = AF_INET,
		.ip = {first, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number},
		.port = htons(port)};
}

static bool lend(uint32_t i)
{
	struct translator_request request = {.source = address(10, i / EACH, 0),
					     .inside = address(192, i, 1),
					     .family = AF_INET,
					     .protocol = IPPROTO_TCP,
					     .random = {i, i * 7, i * 13},
					     .now_ns = clock_now_ns()};
	struct binding *binding;

	return translator_begin(&pools.translator, &request, &binding) == TRANSLATED;
}

/* Leaves free slots between those in use. */
static void end_some(uint32_t count)
{
	for (uint32_t i = 3; i < count; i += 7)
		translator_end(&pools.translator, &pools.translator.bindings.slots[i]);
}

static bool open_pools(uint32_t count)
{
	static const struct subscriber_limits limits;
	struct translator *translator = &pools.translator;

	pools.prefixes[0][0] =
		(struct plait_prefix){.family = AF_INET, .ip = {100, 64}, .bits = 16};
	pthread_mutex_init(&pools.lock, NULL);
	return !bindings_open(&translator->bindings, count, clock_now_ns()) &&
	       !subscribers_open(&translator->subscribers, SUBSCRIBERS_MAX, SUBSCRIBERS_MAX,
				 &limits) &&
	       !pool_open(&translator->pools[0], pools.prefixes[0], 1, 512) &&
	       !pool_open(&translator->pools[1], pools.prefixes[1], 0, 512);
}

static int by_external(const void *a, const void *b)
{
	const struct binding_report *one = a, *other = b;

	return memcmp(&one->external, &other->external, sizeof(one->external));
}

static unsigned long repeated(struct binding_report *bindings, long count)
{
	unsigned long found = 0;

	qsort(bindings, (size_t)count, sizeof(*bindings), by_external);
	for (long i = 1; i < count; i++)
		found += !by_external(&bindings[i - 1], &bindings[i]);
	return found;
}

static void close_pools(void)
{
	for (unsigned int i = 0; i < SUBSCRIBER_POOLS; i++)
		pool_close(&pools.translator.pools[i]);
	subscribers_close(&pools.translator.subscribers);
	bindings_close(&pools.translator.bindings);
}

int main(int argc, char **argv)
{
	uint32_t wanted = (uint32_t)atol(argv[1]);
	struct subscriber_report *subscribers;
	struct binding_report *bindings;
	long count, subscriber_count;
	pthread_t other;
	uint64_t begin;

	if (!open_pools(wanted + 1))
		return 1;
	for (uint32_t i = 0; i < wanted; i++)
		if (!lend(i))
			return 1;
	end_some(wanted);
	pthread_create(&other, NULL, want_the_lock, NULL);
	begin = clock_now_ns();
	count = pools_report_bindings(&pools, &bindings);
	begin = clock_now_ns() - begin;
	__atomic_store_n(&ends, true, __ATOMIC_RELAXED);
	pthread_join(other, NULL);
	subscriber_count = pools_report_subscribers(&pools, &subscribers);
	printf("%ld %ld %lu %llu %lu %llu\n", count, subscriber_count, repeated(bindings, count),
	       begin / NS_PER_MS, turns, longest_ns / NS_PER_MS);
	free(bindings);
	free(subscribers);
	close_pools();
	return 0;
}
