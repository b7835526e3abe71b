// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table/ports.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "../addr.h"

static struct ports *made(uint16_t first, uint16_t size)
{
	struct ports *ports = ports_new(first, size);

	cr_assert_not_null(ports);
	cr_assert_eq(ports_free_count(ports), size);
	return ports;
}

/* Every port of the block, each once, and then none. */
static void expect_all_lent(uint16_t first, uint16_t size, enum parity parity, unsigned int number)
{
	static bool lent[65536];
	struct ports *ports = made(first, size);
	uint32_t state = 0x706f7274;

	memset(lent, 0, sizeof(lent));
	for (unsigned int i = 0; i < number; i++) {
		uint16_t port = ports_take(ports, parity, chance(&state));

		cr_assert(port >= first && port - first < size, "%u of %u+%u", port, first, size);
		cr_assert_not(lent[port], "%u twice", port);
		cr_assert(parity == PARITY_ANY || port % 2 == (parity == PARITY_ODD));
		lent[port] = true;
	}
	cr_expect_eq(ports_take(ports, parity, chance(&state)), 0);
	cr_expect_eq(ports_free_count(ports), size - number);
	free(ports);
}

Test(ports, are_all_lent_before_there_is_none)
{
	static const uint16_t sizes[] = {2, 4, 62, 64, 66, 126, 128, 130, 512, 1000, 64512};

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		expect_all_lent(1024, sizes[i], PARITY_ANY, sizes[i]);
		expect_all_lent((uint16_t)(65536 - sizes[i]), sizes[i], PARITY_ANY, sizes[i]);
		expect_all_lent(1024, sizes[i], PARITY_EVEN, sizes[i] / 2);
		expect_all_lent((uint16_t)(65536 - sizes[i]), sizes[i], PARITY_ODD, sizes[i] / 2);
	}
}

Test(ports, of_one_parity_gone_leave_the_other)
{
	struct ports *ports = made(2000, 100);

	for (int i = 0; i < 50; i++)
		cr_assert_eq(ports_take(ports, PARITY_EVEN, (uint32_t)i * 7919) % 2, 0);
	cr_expect_eq(ports_take(ports, PARITY_EVEN, 3), 0);
	for (int i = 0; i < 50; i++)
		cr_assert_eq(ports_take(ports, PARITY_ANY, (uint32_t)i) % 2, 1);
	cr_expect_eq(ports_take(ports, PARITY_ANY, 3), 0);
	free(ports);
}

Test(ports, bear_any_chance)
{
	static const uint32_t chances[] = {0, 1, 63, 64, 65, 0x7fffffff, 0x80000000, UINT32_MAX};

	for (unsigned int i = 0; i < sizeof(chances) / sizeof(*chances); i++) {
		struct ports *ports = made(65536 - 130, 130);

		for (int j = 0; j < 130; j++)
			cr_assert_geq(ports_take(ports, PARITY_ANY, chances[i]), 65536 - 130);
		cr_assert_eq(ports_take(ports, PARITY_ANY, chances[i]), 0);
		free(ports);
	}
}

Test(ports, this_very_one_is_lent_once)
{
	static const uint16_t of_block[] = {1024, 1025, 1087, 1088, 1123};
	static const uint16_t others[] = {0, 1, 1023, 1124, 1151, 1152, 65535};
	struct ports *ports = made(1024, 100);

	for (unsigned int i = 0; i < sizeof(of_block) / sizeof(*of_block); i++) {
		cr_expect(ports_take_this(ports, of_block[i]));
		cr_expect_not(ports_take_this(ports, of_block[i]), "taken");
	}
	for (unsigned int i = 0; i < sizeof(others) / sizeof(*others); i++)
		cr_expect_not(ports_take_this(ports, others[i]), "%u", others[i]);
	cr_expect_eq(ports_free_count(ports), 95);
	ports_give_back(ports, 1088);
	cr_expect(ports_take_this(ports, 1088));
	free(ports);
}

Test(ports, behind_the_last_whole_word_there_is_none)
{
	struct ports *ports = made(1024, 64);

	cr_expect_not(ports_take_this(ports, 1024 + 64));
	cr_expect_not(ports_take_this(ports, 1024 + 65));
	cr_expect(ports_take_this(ports, 1024 + 63));
	free(ports);
}

Test(ports, the_last_one_free_is_found)
{
	for (unsigned int last = 0; last < 300; last++) {
		struct ports *ports = made(4096, 300);

		for (unsigned int i = 0; i < 300; i++)
			cr_assert(i == last || ports_take_this(ports, (uint16_t)(4096 + i)));
		cr_assert_eq(ports_take(ports, PARITY_ANY, last * 2654435761U), 4096 + last);
		free(ports);
	}
}

/* Not one after another: 100 ports, 100,000 draws; 1000 is the mean, 31 the deviation. */
Test(ports, are_picked_evenly)
{
	struct ports *ports = made(1024, 100);
	unsigned int picked[100] = {};
	uint32_t state = 0x6576656e;

	for (int i = 0; i < 100000; i++) {
		uint16_t port = ports_take(ports, PARITY_ANY, chance(&state));

		picked[port - 1024]++;
		ports_give_back(ports, port);
	}
	for (int i = 0; i < 100; i++)
		cr_expect(picked[i] > 840 && picked[i] < 1160, "%d: %u", i, picked[i]);
	free(ports);
}

Test(ports, behave_as_a_list_does)
{
	enum { SIZE = 200, FIRST = 1024 };
	struct ports *ports = made(FIRST, SIZE);
	unsigned int count[2] = {SIZE / 2, SIZE / 2};
	bool lent[SIZE] = {};
	uint32_t state = 0x6d6f6465;

	for (int step = 0; step < 50000; step++) {
		uint32_t at = chance(&state) % SIZE;
		enum parity parity = chance(&state) % 3;
		unsigned int left = parity == PARITY_ANY ? count[0] + count[1] : count[parity];
		uint16_t port;

		if (lent[at] && chance(&state) % 8 < (step / 5000 % 2 ? 1 : 7)) {
			ports_give_back(ports, (uint16_t)(FIRST + at));
			lent[at] = false;
			count[at % 2]++;
			continue;
		}
		port = ports_take(ports, parity, chance(&state));
		cr_assert_eq(!!port, !!left);
		if (port) {
			cr_assert_not(lent[port - FIRST]);
			lent[port - FIRST] = true;
			count[port % 2]--;
		}
		cr_assert_eq(ports_free_count(ports), count[0] + count[1]);
	}
	free(ports);
}
