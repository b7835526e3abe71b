// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table/queue_age.h"

#include <criterion/criterion.h>

#define MS   1000000ULL
#define STEP (10 * MS)

Test(queue_age, of_nothing_is_nothing)
{
	struct queue_age queue = {};

	cr_expect_eq(queue_age(&queue, 0, 1000 * MS), 0);
	cr_expect_eq(queue_age(&queue, 100, 1000 * MS), 0, "more than was ever appended");
	queue_age_append(&queue, 100, 1000 * MS, STEP);
	cr_expect_eq(queue_age(&queue, 0, 2000 * MS), 0);
}

Test(queue_age, is_that_of_the_oldest_octet)
{
	struct queue_age queue = {};

	for (uint64_t i = 1; i <= 5; i++)
		queue_age_append(&queue, 100, 1000 * MS + i * STEP, STEP);
	for (uint64_t waiting = 1; waiting <= 5; waiting++) {
		cr_expect_eq(queue_age(&queue, waiting * 100, 1050 * MS), (waiting - 1) * STEP);
		cr_expect_eq(queue_age(&queue, waiting * 100 - 99, 1050 * MS),
			     (waiting - 1) * STEP);
	}
}

Test(queue_age, is_exact_to_a_step)
{
	struct queue_age queue = {};

	for (uint64_t i = 0; i < 100; i++)
		queue_age_append(&queue, 10, 1000 * MS + i * MS, STEP);
	for (uint64_t waiting = 10; waiting <= 1000; waiting += 10) {
		uint64_t true_age = (waiting / 10 - 1) * MS;
		uint64_t age = queue_age(&queue, waiting, 1099 * MS);

		cr_expect_geq(age, true_age, "%lu", waiting);
		cr_expect_leq(age, true_age + STEP, "%lu", waiting);
	}
}

/* What is older than the notes seems as old as they are. */
Test(queue_age, is_no_more_than_what_it_notes)
{
	struct queue_age queue = {};

	for (uint64_t i = 1; i <= 100; i++)
		queue_age_append(&queue, 10, i * STEP, STEP);
	cr_expect_eq(queue_age(&queue, 1000, 100 * STEP), (QUEUE_AGE_NOTES - 1) * STEP);
}

/* A pause in which nothing was appended counts. */
Test(queue_age, goes_on_while_nothing_is_appended)
{
	struct queue_age queue = {};

	queue_age_append(&queue, 10, 1000 * MS, STEP);
	cr_expect_eq(queue_age(&queue, 10, 6000 * MS), 5000 * MS);
	queue_age_append(&queue, 10, 6000 * MS, STEP);
	cr_expect_eq(queue_age(&queue, 20, 6000 * MS), 5000 * MS);
	cr_expect_eq(queue_age(&queue, 10, 6000 * MS), 0);
}
