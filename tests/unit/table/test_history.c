// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table/history.h"

#include <criterion/criterion.h>

#include "../addr.h"

static struct history history;

static void ask_port(uint16_t port, uint64_t at_ns)
{
	struct history_question question = {.external = addr("203.0.113.64", port), .at_ns = at_ns};

	history_open(&history, &question);
}

static struct binding_record record(enum binding_event event, const char *subscriber,
				    uint64_t since_ns, uint64_t until_ns)
{
	struct binding_record made = {.event = event,
				      .source = numbered(subscriber[0], 0),
				      .external = addr("203.0.113.64", 1024),
				      .last_port = 1535,
				      .since_ns = since_ns,
				      .until_ns = until_ns};

	strcpy(made.subscriber, subscriber);
	return made;
}

static void add(struct binding_record made)
{
	cr_assert_eq(history_add(&history, &made), 0);
}

static void lent(const char *subscriber, uint64_t since_ns)
{
	add(record(BLOCK_LENT, subscriber, since_ns, 0));
}

static void returned(const char *subscriber, uint64_t since_ns, uint64_t until_ns)
{
	add(record(BLOCK_RETURNED, subscriber, since_ns, until_ns));
}

/* A session of one port, TCP. */
static void session(enum binding_event event, const char *subscriber, uint16_t port,
		    uint64_t since_ns, uint64_t until_ns)
{
	struct binding_record made = record(event, subscriber, since_ns, until_ns);

	made.protocol = IPPROTO_TCP;
	made.external.port = htons(port);
	made.last_port = port;
	add(made);
}

static void expect_one(const char *subscriber, uint64_t since_ns, uint64_t until_ns)
{
	cr_assert_eq(history.count, 1, "%zu", history.count);
	cr_expect_str_eq(history.records[0].subscriber, subscriber);
	cr_expect_eq(history.records[0].since_ns, since_ns);
	cr_expect_eq(history.records[0].until_ns, until_ns);
	history_close(&history);
}

static void expect_nobody(void)
{
	cr_expect_eq(history.count, 0);
	history_close(&history);
}

static void a_block_in_turn(uint64_t at_ns)
{
	ask_port(1500, at_ns);
	lent("a", 100);
	returned("a", 100, 200);
	lent("b", 300);
	returned("b", 300, 400);
	lent("c", 500);
}

Test(history, tells_who_held_a_block)
{
	a_block_in_turn(99);
	expect_nobody();
	a_block_in_turn(100);
	expect_one("a", 100, 200);
	a_block_in_turn(200);
	expect_one("a", 100, 200);
	a_block_in_turn(201);
	expect_nobody();
	a_block_in_turn(350);
	expect_one("b", 300, 400);
	a_block_in_turn(1000);
	cr_expect_eq(history.begins_ns, 100);
	expect_one("c", 500, 0);
}

Test(history, looks_at_the_port)
{
	ask_port(1536, 150);
	lent("a", 100);
	expect_nobody();
	ask_port(1023, 150);
	lent("a", 100);
	expect_nobody();
}

/* Nothing is returned by what is killed. */
Test(history, what_is_lent_anew_was_nobodys)
{
	ask_port(1024, 250);
	lent("a", 100);
	lent("b", 200);
	expect_one("b", 200, 0);
	ask_port(1024, 250);
	lent("a", 100);
	lent("a", 200);
	expect_one("a", 200, 0);
	ask_port(1024, 150);
	lent("a", 100);
	lent("b", 200);
	expect_one("a", 100, 0);
}

Test(history, a_log_that_begins_in_the_middle)
{
	ask_port(1024, 150);
	returned("a", 100, 200);
	expect_one("a", 100, 200);
	ask_port(1024, 250);
	returned("a", 100, 200);
	expect_nobody();
}

Test(history, sessions_of_a_binding_end_one_by_one)
{
	ask_port(2000, 250);
	session(BINDING_CREATED, "a", 2000, 100, 0);
	session(BINDING_CREATED, "a", 2000, 150, 0);
	session(BINDING_CREATED, "a", 2001, 160, 0);
	session(BINDING_ENDED, "a", 2000, 150, 200);
	expect_one("a", 100, 0);
	ask_port(2000, 250);
	session(BINDING_CREATED, "a", 2000, 100, 0);
	session(BINDING_CREATED, "b", 2000, 150, 0);
	expect_one("b", 150, 0);
}

Test(history, a_port_may_be_of_a_block_and_of_sessions)
{
	ask_port(1024, 250);
	lent("a", 100);
	session(BINDING_CREATED, "a", 1024, 110, 0);
	cr_expect_eq(history.count, 2);
	returned("a", 100, 200);
	expect_one("a", 110, 0);
}

Test(history, tells_what_a_subscriber_had)
{
	struct history_question question = {.source = numbered('a', 0), .at_ns = 250};

	history_open(&history, &question);
	lent("a", 100);
	session(BINDING_CREATED, "b", 2000, 150, 0);
	expect_one("a", 100, 0);
	question = (struct history_question){.subscriber = "b", .at_ns = 250};
	history_open(&history, &question);
	for (unsigned int i = 0; i < 100; i++)
		session(BINDING_CREATED, i % 2 ? "a" : "b", (uint16_t)(2000 + i), 100, 0);
	cr_expect_eq(history.count, 50);
	history_close(&history);
}
