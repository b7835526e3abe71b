// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table/deterministic.h"

#include <criterion/criterion.h>

#include "../addr.h"
#include "table/pool.h"

static struct plait_prefix outside, inside[6];

static struct deterministic made(unsigned int inside_count, uint16_t block_ports)
{
	return deterministic_make(&outside, inside, inside_count, block_ports);
}

/* 198.51.100.1 to .14, what an inside range of RFC 7422's example has of hosts. */
static struct deterministic example(void)
{
	outside = prefix("192.0.2.1", 32);
	inside[0] = prefix("198.51.100.1", 32);
	inside[1] = prefix("198.51.100.2", 31);
	inside[2] = prefix("198.51.100.4", 30);
	inside[3] = prefix("198.51.100.8", 30);
	inside[4] = prefix("198.51.100.12", 31);
	inside[5] = prefix("198.51.100.14", 32);
	return made(6, 64512 / (14 + 2)); /* two more parts are left free, as its D */
}

static void expect_block(const struct deterministic *pool, const char *source, const char *external,
			 uint16_t first)
{
	struct plait_addr from = addr(source, 0), expected = addr(external, first), got, back;

	cr_assert(deterministic_block_of(pool, &from, &got), "%s", source);
	expect_same(&got, &expected);
	cr_assert(deterministic_inside_of(pool, &got, &back));
	expect_same(&back, &from);
}

static void expect_owner(const struct deterministic *pool, const char *external, uint16_t port,
			 const char *source)
{
	struct plait_addr at = addr(external, port), got = {}, none = {};

	cr_expect_eq(deterministic_inside_of(pool, &at, &got), source != NULL, "%s:%u", external,
		     port);
	none = source ? addr(source, 0) : none;
	expect_same(&got, &none);
}

/* Its table: 192.0.2.1, 4032 ports each, the last 8064 of nobody. */
Test(deterministic, has_the_blocks_of_rfc_7422s_example)
{
	struct deterministic pool = example();

	cr_expect_eq(pool.block_ports, 4032);
	cr_expect_eq(deterministic_blocks(&pool), 16);
	expect_block(&pool, "198.51.100.1", "192.0.2.1", 1024);
	expect_block(&pool, "198.51.100.2", "192.0.2.1", 5056);
	expect_block(&pool, "198.51.100.3", "192.0.2.1", 9088);
	expect_block(&pool, "198.51.100.4", "192.0.2.1", 13120);
	expect_block(&pool, "198.51.100.14", "192.0.2.1", 53440);
	expect_owner(&pool, "192.0.2.1", 1023, NULL);
	expect_owner(&pool, "192.0.2.1", 1024, "198.51.100.1");
	expect_owner(&pool, "192.0.2.1", 5055, "198.51.100.1");
	expect_owner(&pool, "192.0.2.1", 5056, "198.51.100.2");
	expect_owner(&pool, "192.0.2.1", 10543, "198.51.100.3");
	expect_owner(&pool, "192.0.2.1", 57471, "198.51.100.14");
	expect_owner(&pool, "192.0.2.1", 57472, NULL);
	expect_owner(&pool, "192.0.2.1", 65535, NULL);
	expect_owner(&pool, "192.0.2.2", 1024, NULL);
}

static void expect_share(const char *external, uint8_t external_bits, const char *source,
			 uint8_t bits, uint16_t ports, uint64_t blocks)
{
	struct deterministic pool;

	outside = prefix(external, external_bits);
	inside[0] = prefix(source, bits);
	pool = made(1, 0);
	cr_expect_eq(pool.block_ports, ports, "%s/%u: %u", source, bits, pool.block_ports);
	cr_expect_eq(deterministic_blocks(&pool), blocks);
}

Test(deterministic, ports_are_shared_by_the_ratio)
{
	expect_share("203.0.113.64", 28, "10.1.0.0", 28, 64512, 16);
	expect_share("203.0.113.64", 28, "10.1.0.0", 24, 4032, 256);
	expect_share("203.0.113.64", 28, "10.1.0.0", 16, 14, 16 * 4608); /* 15.75 */
	expect_share("203.0.113.64", 28, "10.1.0.1", 32, 64512, 16);
	expect_share("203.0.113.64", 32, "10.1.0.0", 18, 2, 32256); /* 3.9 */
	expect_share("203.0.113.64", 32, "10.1.0.0", 17, 2, 32256);
	expect_share("203.0.113.64", 32, "10.0.0.0", 0, 2, 32256);
	expect_share("198.18.0.0", 15, "10.0.0.0", 8, 252, 65536 * 256);
	expect_share("2001:db8:77::", 120, "fd10:1::", 112, 252, 256 * 256);
	expect_share("203.0.113.64", 28, "fd10:1::", 64, 2, 16 * 32256);
}

Test(deterministic, blocks_go_round_the_external_addresses)
{
	struct deterministic pool;

	outside = prefix("203.0.113.64", 30);
	inside[0] = prefix("10.1.0.0", 30);
	inside[1] = prefix("fd10:1::", 126);
	pool = made(2, 512);
	expect_block(&pool, "10.1.0.0", "203.0.113.64", 1024);
	expect_block(&pool, "10.1.0.3", "203.0.113.67", 1024);
	expect_block(&pool, "fd10:1::", "203.0.113.64", 1536);
	expect_block(&pool, "fd10:1::3", "203.0.113.67", 1536);
	expect_owner(&pool, "203.0.113.67", 2047, "fd10:1::3");
	expect_owner(&pool, "203.0.113.67", 2048, NULL);
	expect_owner(&pool, "203.0.113.68", 1024, NULL);
}

/* Each inside address has its own ports, all of them, and each port its one address. */
static void expect_bijection(const struct deterministic *pool)
{
	uint64_t subscribers = ranges_size(&pool->inside), owned = 0;

	for (uint64_t i = 0; i < subscribers; i++) {
		struct plait_addr source = ranges_at(&pool->inside, i), external, back;

		cr_assert(deterministic_block_of(pool, &source, &external));
		for (unsigned int j = 0; j < pool->block_ports; j++) {
			struct plait_addr at = external;

			at.port = htons((uint16_t)(ntohs(external.port) + j));
			cr_assert_geq(ntohs(at.port), POOL_FIRST_PORT);
			cr_assert(deterministic_inside_of(pool, &at, &back));
			cr_assert_arr_eq(&back, &source, sizeof(back));
		}
	}
	for (uint64_t i = 0; i < ranges_size(&pool->external); i++)
		for (unsigned int port = 0; port < 65536; port++) {
			struct plait_addr at = ranges_at(&pool->external, i), back;

			at.port = htons((uint16_t)port);
			owned += deterministic_inside_of(pool, &at, &back);
		}
	cr_expect_eq(owned, subscribers * pool->block_ports);
}

Test(deterministic, works_both_ways_for_every_address_and_port)
{
	struct deterministic pool = example();

	expect_bijection(&pool);
	outside = prefix("203.0.113.64", 29);
	inside[0] = prefix("10.1.0.0", 24);
	inside[1] = prefix("10.2.0.0", 25);
	inside[2] = prefix("fd10:1::", 121);
	for (unsigned int count = 1; count <= 3; count++) {
		pool = made(count, 0);
		cr_assert_geq(deterministic_blocks(&pool), ranges_size(&pool.inside));
		expect_bijection(&pool);
	}
	pool = made(3, 600); /* blocks that do not use up an address */
	expect_bijection(&pool);
}

Test(deterministic, the_first_source_that_is_inside_decides)
{
	struct plait_addr sources[] = {addr("10.9.0.1", 0), addr("10.2.0.2", 0),
				       addr("10.1.0.2", 0), addr("fd10:1::2", 0)};
	static struct plait_prefix four[2], six;
	struct deterministic pools[3];
	struct plait_addr external, expected = addr("203.0.113.72", 33280);

	inside[0] = prefix("10.1.0.0", 30);
	inside[1] = prefix("10.2.0.0", 30);
	inside[2] = prefix("fd10:1::", 126);
	four[0] = prefix("203.0.113.64", 31);
	four[1] = prefix("203.0.113.72", 31);
	six = prefix("2001:db8:77::", 127);
	pools[0] = deterministic_make(&four[0], &inside[0], 1, 0);
	pools[1] = deterministic_make(&four[1], &inside[1], 1, 0);
	pools[2] = deterministic_make(&six, &inside[2], 1, 0);
	cr_expect_eq(deterministic_find(pools, 3, AF_INET, sources, 4, &external), &pools[1]);
	expect_same(&external, &expected);
	cr_expect_eq(deterministic_find(pools, 3, AF_INET6, sources, 4, &external), &pools[2]);
	cr_expect_null(deterministic_find(pools, 3, AF_INET, sources, 1, &external));
	cr_expect_null(deterministic_find(pools, 0, AF_INET, sources, 4, &external));
}
