// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table/path_loss.h"

#include <criterion/criterion.h>

static struct path_loss loss;

static uint64_t look(uint32_t highest, uint64_t received, uint32_t restarts)
{
	struct plait_path_traffic now = {
		.highest = highest, .received = received, .restarts = restarts};

	path_loss_look(&loss, &now);
	return path_loss_lost(&loss);
}

Test(path_loss, is_what_has_not_come)
{
	cr_expect_eq(look(100, 90, 0), 0, "before the first look nothing is known");
	cr_expect_eq(look(200, 190, 0), 0);
	cr_expect_eq(look(300, 280, 0), 10);
	cr_expect_eq(look(300, 280, 0), 10);
}

Test(path_loss, takes_back_what_comes_late)
{
	look(100, 100, 0);
	cr_expect_eq(look(110, 107, 0), 3);
	cr_expect_eq(look(110, 110, 0), 0);
	cr_expect_eq(look(110, 112, 0), 0, "copies");
}

Test(path_loss, counts_over_the_end_of_numbers)
{
	look(UINT32_MAX - 4, 1000, 0);
	cr_expect_eq(look(5, 1008, 0), 2);
}

Test(path_loss, does_not_know_what_was_lost_when_the_sender_began_anew)
{
	look(1000000, 100, 0);
	cr_expect_eq(look(5, 105, 1), 0);
	cr_expect_eq(look(15, 110, 1), 5);
}
