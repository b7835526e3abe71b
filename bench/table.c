// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The translator's tables with a million bindings, on one core: how many a second are
 * added, found and expired, what they take of memory, how long a sweep of a thousand
 * lasts, and how long it takes to find a free port in an address that fills.
 *
 * The reference, in the same run, is what a look-up cannot do without: a walk through an
 * array as large as that of the bindings, where each slot says which random one is next.
 *
 * Prints a line for each figure: name, value, unit.
 */
#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "table/translator.h"

enum {
	BINDINGS = 1000000,
	SUBSCRIBERS = 10000,
	BLOCK_PORTS = 128,
	FEW = 1000, /* due at once, among the others */
	SAMPLES = 20000, /* ports lent and given back at each filling */
	ROUNDS = 5, /* of which the median counts */
};

static struct translator translator;
static struct binding **all; /* in random order */
static struct plait_addr *insides, *externals;
static volatile uint64_t sink;

static uint32_t chance(void)
{
	static uint64_t state = 0x706c616974;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

static void report(const char *name, double value, const char *unit)
{
	printf("%-34s %10.2f %s\n", name, value, unit);
}

static double seconds_since(uint64_t start_ns)
{
	return (double)(clock_now_ns() - start_ns) / NS_PER_S;
}

static double report_rate(const char *name, uint64_t start_ns)
{
	double per_s = BINDINGS / seconds_since(start_ns);

	report(name, per_s / 1e6, "M/s");
	return per_s;
}

static size_t resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file || fscanf(file, "%*s %lu", &pages) != 1)
		err(1, "/proc/self/statm");
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* What is bound and by whom, in random order: SUBSCRIBERS of BINDINGS / SUBSCRIBERS each. */
static void make_insides(void)
{
	insides = calloc(BINDINGS, sizeof(*insides));
	externals = calloc(BINDINGS, sizeof(*externals));
	all = calloc(BINDINGS, sizeof(struct binding *));
	if (!insides || !externals || !all)
		err(1, "memory");
	memset(externals, 1, BINDINGS * sizeof(*externals)); /* touched before anything counts */
	memset(all, 1, BINDINGS * sizeof(struct binding *));
	for (uint32_t i = 0; i < BINDINGS; i++) {
		uint32_t at = chance() % (i + 1), ip = htonl(10U << 24 | i % SUBSCRIBERS);

		insides[i] = insides[at];
		insides[at] = (struct plait_addr){
			.family = AF_INET, .port = htons((uint16_t)(1024 + i / SUBSCRIBERS))};
		memcpy(insides[at].ip, &ip, sizeof(ip));
	}
}

static void shuffle(void)
{
	for (uint32_t i = BINDINGS - 1; i; i--) {
		uint32_t other = chance() % i;
		struct binding *binding = all[i];

		all[i] = all[other];
		all[other] = binding;
	}
}

static double reference(void)
{
	struct binding *slots = calloc(BINDINGS, sizeof(*slots));
	uint32_t at = 0;
	uint64_t start;
	double rate;

	if (!slots)
		err(1, "memory");
	for (uint32_t i = 0; i < BINDINGS; i++)
		slots[i].sessions = i;
	for (uint32_t i = BINDINGS - 1; i; i--) { /* one cycle through all (Sattolo) */
		uint32_t other = chance() % i, next = slots[i].sessions;

		slots[i].sessions = slots[other].sessions;
		slots[other].sessions = next;
	}
	start = clock_now_ns();
	for (uint32_t i = 0; i < BINDINGS; i++)
		at = slots[at].sessions;
	rate = report_rate("reference: random slots in turn", start);
	sink = at;
	free(slots);
	return rate;
}

static void open_tables(const struct plait_prefix *prefix, uint16_t block_ports)
{
	static const struct subscriber_limits none;

	if (bindings_open(&translator.bindings, BINDINGS, 0) ||
	    subscribers_open(&translator.subscribers, SUBSCRIBERS, SUBSCRIBERS, &none) ||
	    pool_open(&translator.pools[0], prefix, 1, block_ports))
		errx(1, "no memory");
}

static void close_tables(void)
{
	bindings_close(&translator.bindings);
	subscribers_close(&translator.subscribers);
	pool_close(&translator.pools[0]);
}

static void add_all(void)
{
	for (uint32_t i = 0; i < BINDINGS; i++) {
		const struct translator_request request = {
			.source = insides[i],
			.inside = insides[i],
			.family = AF_INET,
			.protocol = IPPROTO_TCP,
			.random = {chance(), chance(), chance()},
		};

		if (translator_begin(&translator, &request, &all[i]) != TRANSLATED)
			errx(1, "binding %u refused", i);
		bindings_keep_until(&translator.bindings, all[i], 20000 * NS_PER_S);
	}
}

static void find_all(double reference_rate)
{
	uint64_t start;

	for (uint32_t i = 0; i < BINDINGS; i++) {
		insides[i] = all[i]->inside;
		externals[i] = all[i]->external;
	}
	start = clock_now_ns();
	for (uint32_t i = 0; i < BINDINGS; i++) {
		struct plait_addr *inside = &insides[i];
		int32_t who = subscribers_of(&translator.subscribers, inside);

		sink = bindings_of_inside(&translator.bindings, IPPROTO_TCP, who, inside, AF_INET)
			       ->since_ns;
	}
	report("look up inside, of reference",
	       report_rate("look up inside", start) / reference_rate, "x");
	start = clock_now_ns();
	for (uint32_t i = 0; i < BINDINGS; i++)
		sink = bindings_of_external(&translator.bindings, IPPROTO_TCP, &externals[i])
			       ->since_ns;
	report("look up external, of reference",
	       report_rate("look up external", start) / reference_rate, "x");
}

/* How many were due and have gone. */
static unsigned int sweep(uint64_t now_ns)
{
	struct binding *binding;
	unsigned int gone = 0;

	while ((binding = bindings_expired(&translator.bindings, now_ns))) {
		translator_end(&translator, binding);
		gone++;
	}
	return gone;
}

static void expire_all(double reference_rate)
{
	uint64_t start;

	for (uint32_t i = 0; i < FEW; i++)
		bindings_keep_until(&translator.bindings, all[i], 50 * NS_PER_S);
	start = clock_now_ns();
	if (sweep(50 * NS_PER_S) != FEW)
		errx(1, "others than those due have gone");
	report("sweep of 1,000 of a million", 1000 * seconds_since(start), "ms");
	/* as lifetimes have them: spread over two hours, in no order */
	for (uint32_t i = FEW; i < BINDINGS; i++)
		bindings_keep_until(&translator.bindings, all[i],
				    (100 + chance() % 7440) * NS_PER_S);
	start = clock_now_ns();
	if (sweep(10000 * NS_PER_S) != BINDINGS - FEW || translator.bindings.count)
		errx(1, "some stayed");
	report("expire, of reference", report_rate("expire", start) / reference_rate, "x");
}

/* Whatever a session needs is done: subscriber, limits, block, port, both hashes, deadline. */
static void add_all_timed(const char *name, double reference_rate)
{
	uint64_t start = clock_now_ns();
	char ratio[64];

	add_all();
	snprintf(ratio, sizeof(ratio), "%s, of reference", name);
	report(ratio, report_rate(name, start) / reference_rate, "x");
}

/* The table alone: both hashes, and a deadline. */
static void insert_all(double reference_rate)
{
	uint64_t start = clock_now_ns();

	for (uint32_t i = 0; i < BINDINGS; i++) {
		all[i] = bindings_add(&translator.bindings, IPPROTO_TCP, 0, &insides[i],
				      &externals[i], 0);
		bindings_keep_until(&translator.bindings, all[i], 20000 * NS_PER_S);
	}
	report("insert, of reference", report_rate("insert", start) / reference_rate, "x");
	for (uint32_t i = 0; i < BINDINGS; i++)
		bindings_remove(&translator.bindings, all[i]);
}

static void bench_bindings(double reference_rate)
{
	static const struct plait_prefix prefix = {
		.ip = {203, 0, 113}, .family = AF_INET, .bits = 24};
	size_t before = resident_bytes();

	open_tables(&prefix, BLOCK_PORTS);
	add_all_timed("add to fresh memory", reference_rate);
	report("memory an entry", (double)(resident_bytes() - before) / BINDINGS, "octets");
	shuffle();
	find_all(reference_rate);
	shuffle();
	expire_all(reference_rate);
	insert_all(reference_rate);
	add_all_timed("add again", reference_rate);
	close_tables();
}

/* Lend a port and give back one lent before, with the block as full as it is: ns. */
static double lend_and_return(struct pool *pool, struct block *block, uint16_t *lent,
			      unsigned int count)
{
	uint64_t start = clock_now_ns();

	for (unsigned int i = 0; i < SAMPLES; i++) {
		uint16_t *one = &lent[chance() % count];

		block_take_back(pool, block, POOL_TCP, *one);
		*one = block_lend_port(pool, block, POOL_TCP, PARITY_ANY, chance());
	}
	return seconds_since(start) * 1e9 / SAMPLES;
}

static int by_value(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;

	return (a > b) - (a < b);
}

static double median_of(struct pool *pool, struct block *block, uint16_t *lent, unsigned int count)
{
	double ns[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		ns[i] = lend_and_return(pool, block, lent, count);
	qsort(ns, ROUNDS, sizeof(*ns), by_value);
	return ns[ROUNDS / 2];
}

static void bench_ports(void)
{
	static const struct plait_prefix prefix = {
		.ip = {203, 0, 113, 1}, .family = AF_INET, .bits = 32};
	static const unsigned int percent[] = {10, 50, 99};
	static uint16_t lent[POOL_PORTS];
	unsigned int count = 0;
	struct block *block;
	struct pool pool;
	double first = 0;

	if (pool_open(&pool, &prefix, 1, POOL_PORTS))
		errx(1, "no memory");
	block = pool_lend_block(&pool, 0, 0, 0, 0);
	for (unsigned int i = 0; i < 3; i++) {
		char name[64];
		double ns;

		while (count < POOL_PORTS * percent[i] / 100)
			lent[count++] =
				block_lend_port(&pool, block, POOL_TCP, PARITY_ANY, chance());
		ns = median_of(&pool, block, lent, count);
		snprintf(name, sizeof(name), "port, address %u %% full", percent[i]);
		report(name, ns, "ns");
		if (!i)
			first = ns;
		else
			report("  of that at 10 %", ns / first, "x");
	}
	while (block_lend_port(&pool, block, POOL_TCP, PARITY_ANY, chance()))
		count++;
	report("ports used before it refuses", 100.0 * count / POOL_PORTS, "%");
	pool_close(&pool);
}

int main(void)
{
	double reference_rate;

	make_insides();
	reference_rate = reference();
	bench_bindings(reference_rate);
	bench_ports();
	free(insides);
	free(externals);
	free(all);
	return 0;
}
