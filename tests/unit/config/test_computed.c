/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "config/computed.h"

#include <criterion/criterion.h>

#include "../addr.h"

static const char text[] =
	"role: concentrator\n"
	"customer: {interfaces: [w1], addresses: [10.1.0.1]}\n"
	"internet:\n"
	"  interfaces: [net0]\n"
	"  pools:\n"
	"  - {prefix: 203.0.113.64/30, translation: deterministic, inside: [10.1.0.0/29]}\n"
	"  - {prefix: 203.0.113.80/28}\n"
	"  - {prefix: 203.0.113.68/30, translation: deterministic, inside: [10.2.0.0/29]}\n"
	"subscribers: [{name: home, sources: [10.9.0.1, 10.2.0.2, 10.1.0.2]}]\n";

static struct config config;

static void read_config(void)
{
	FILE *file = fmemopen((void *)text, sizeof(text) - 1, "r");
	struct config_error error = {};

	cr_assert_eq(config_read(file, &config, &error), 0, "%u: %s", error.line, error.text);
	fclose(file);
}

static void expect_block(const char *source, const char *external, uint16_t first,
			 const char *inside)
{
	struct plait_addr from = addr(source, 0), at = addr(external, first), by = addr(inside, 0);
	struct computed_block block;

	cr_assert(computed_block_of(&config, &from, AF_INET, &block), "%s", source);
	expect_same(&block.external, &at);
	expect_same(&block.inside, &by);
	cr_expect_eq(block.last_port, first + 32255);
	cr_expect(computed_block_has(&block, &at));
	at.port = htons(block.last_port);
	cr_expect(computed_block_has(&block, &at));
	at.port = htons((uint16_t)(first - 1));
	cr_expect_not(computed_block_has(&block, &at));
	at = addr("203.0.113.99", first);
	cr_expect_not(computed_block_has(&block, &at));
}

Test(computed, a_name_has_the_block_of_its_first_source_inside)
{
	read_config();
	expect_block("10.1.0.1", "203.0.113.65", 1024, "10.1.0.1");
	expect_block("10.1.0.5", "203.0.113.65", 33280, "10.1.0.5");
	expect_block("10.9.0.1", "203.0.113.70", 1024, "10.2.0.2");
	expect_block("10.1.0.2", "203.0.113.70", 1024, "10.2.0.2");
}

Test(computed, who_is_inside_of_nothing_has_no_block)
{
	struct plait_addr outside = addr("10.3.0.1", 0), inside = addr("10.1.0.1", 0);
	struct computed_block block;

	read_config();
	cr_expect_not(computed_block_of(&config, &outside, AF_INET, &block));
	cr_expect_not(computed_block_of(&config, &inside, AF_INET6, &block));
	cr_expect_null(computed_subscriber(&config, &outside));
}

Test(computed, ports_stand_for_an_inside_address)
{
	struct plait_addr external = addr("203.0.113.70", 33279), inside, expected;

	read_config();
	cr_assert(computed_inside_of(&config, &external, &inside));
	expected = addr("10.2.0.2", 0);
	expect_same(&inside, &expected);
	external = addr("203.0.113.70", 1023);
	cr_expect_not(computed_inside_of(&config, &external, &inside));
	external = addr("203.0.113.81", 4242); /* lent */
	cr_expect_not(computed_inside_of(&config, &external, &inside));
	cr_expect_eq(computed_pool(&config, &external), &config.pools[1]);
	external = addr("192.0.2.1", 4242);
	cr_expect_not(computed_inside_of(&config, &external, &inside));
	cr_expect_null(computed_pool(&config, &external));
}
