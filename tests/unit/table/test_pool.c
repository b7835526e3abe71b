// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table/pool.h"

#include <criterion/criterion.h>

#include "../addr.h"

enum { ME = 7, NEIGHBOUR = 8 };

static struct pool pool;
static struct plait_prefix prefixes[3];

static void open_with(unsigned int count, uint16_t block_ports)
{
	cr_assert_eq(pool_open(&pool, prefixes, count, block_ports), 0);
}

static void open_one(const char *text, uint8_t bits, uint16_t block_ports)
{
	prefixes[0] = prefix(text, bits);
	open_with(1, block_ports);
}

static void expect_address(uint32_t index, const char *text)
{
	struct plait_addr expected = addr(text, 0), got = pool_address_at(&pool, index);

	expect_same(&got, &expected);
	cr_expect_eq(pool_index_of(&pool, &expected), (int32_t)index);
}

static void expect_none(const char *text)
{
	struct plait_addr other = addr(text, 0);

	cr_expect_eq(pool_index_of(&pool, &other), POOL_NOBODY, "%s", text);
}

static void expect_size(const char *text, uint8_t bits, uint32_t addresses)
{
	open_one(text, bits, 512);
	cr_expect_eq(pool.address_count, addresses, "%s/%u", text, bits);
	cr_expect_eq(pool.available_count, addresses);
	pool_close(&pool);
}

Test(pool, has_as_many_addresses_as_its_prefix)
{
	expect_size("203.0.113.7", 32, 1);
	expect_size("203.0.113.6", 31, 2);
	expect_size("203.0.113.0", 24, 256);
	expect_size("198.18.0.0", 17, 32768);
	expect_size("198.18.0.0", 16, 65536);
	expect_size("198.18.0.0", 15, 65536);
	expect_size("2001:db8::1", 128, 1);
	expect_size("2001:db8::", 120, 256);
	expect_size("2001:db8::", 112, 65536);
	expect_size("2001:db8::", 64, 65536);
}

Test(pool, without_prefixes_has_nothing)
{
	open_with(0, 512);
	cr_expect_eq(pool_pick_address(&pool, 5, 5), POOL_NOBODY);
	expect_none("203.0.113.1");
	pool_close(&pool);
	pool_close(&pool);
}

Test(pool, numbers_the_addresses_of_several_prefixes_in_turn)
{
	prefixes[0] = prefix("203.0.113.64", 30);
	prefixes[1] = prefix("192.0.2.1", 32);
	prefixes[2] = prefix("198.51.100.0", 24);
	open_with(3, 512);
	cr_expect_eq(pool.address_count, 4 + 1 + 256);
	expect_address(0, "203.0.113.64");
	expect_address(3, "203.0.113.67");
	expect_address(4, "192.0.2.1");
	expect_address(5, "198.51.100.0");
	expect_address(260, "198.51.100.255");
	expect_none("203.0.113.63");
	expect_none("203.0.113.68");
	expect_none("203.1.113.64");
	expect_none("192.0.2.0");
	expect_none("192.0.2.2");
	expect_none("198.51.101.0");
	expect_none("198.51.99.255");
	expect_none("c633:6400::"); /* the octets of 198.51.100.0 */
	pool_close(&pool);
}

Test(pool, counts_over_octets)
{
	open_one("198.18.0.0", 16, 512);
	expect_address(255, "198.18.0.255");
	expect_address(256, "198.18.1.0");
	expect_address(65535, "198.18.255.255");
	expect_none("198.19.0.0");
	expect_none("198.17.255.255");
	pool_close(&pool);
	open_one("198.18.0.0", 15, 512);
	expect_none("198.19.0.0");
	pool_close(&pool);
}

Test(pool, numbers_ipv6_addresses)
{
	prefixes[0] = prefix("2001:db8:0:1::", 64);
	prefixes[1] = prefix("2001:db8:0:2::ff00", 120);
	open_with(2, 512);
	expect_address(0, "2001:db8:0:1::");
	expect_address(65535, "2001:db8:0:1::ffff");
	expect_address(65536, "2001:db8:0:2::ff00");
	expect_address(65791, "2001:db8:0:2::ffff");
	expect_none("2001:db8:0:1::1:0");
	expect_none("2001:db8:0:2::feff");
	expect_none("2001:db8:0:3::");
	pool_close(&pool);
}

/* Ports (from, to) are of block number; below from and above to are others, or none. */
static void expect_block(unsigned int from, unsigned int to, unsigned int number)
{
	for (unsigned int port = from; port <= to; port += to - from ? to - from : 1) {
		struct plait_addr external = addr("203.0.113.1", (uint16_t)port);
		struct block *block = pool_block_of(&pool, &external);

		cr_assert_not_null(block, "%u", port);
		cr_expect_eq(block->number, number, "%u: %u", port, block->number);
		cr_expect_eq(block->address, 1);
		cr_expect_eq(block_first_port(&pool, block), from);
	}
}

static void expect_no_block(const char *text, uint16_t port)
{
	struct plait_addr external = addr(text, port);

	cr_expect_null(pool_block_of(&pool, &external), "%s %u", text, port);
}

Test(pool, cuts_ports_from_1024_on_into_blocks)
{
	open_one("203.0.113.0", 30, 512);
	cr_expect_eq(pool.blocks_each, 126);
	expect_block(1024, 1535, 0);
	expect_block(1536, 2047, 1);
	expect_block(65024, 65535, 125);
	expect_no_block("203.0.113.1", 0);
	expect_no_block("203.0.113.1", 1023);
	expect_no_block("203.0.113.4", 1024);
	pool_close(&pool);
}

/* 64512 = 64 * 1000 + 512: the last 512 ports are nobody's. */
Test(pool, leaves_out_what_is_no_whole_block)
{
	open_one("203.0.113.0", 30, 1000);
	cr_expect_eq(pool.blocks_each, 64);
	expect_block(64024, 65023, 63);
	expect_no_block("203.0.113.1", 65024);
	expect_no_block("203.0.113.1", 65535);
	pool_close(&pool);
}

Test(pool, may_have_some_ports_of_each_address_only)
{
	static const struct plait_prefix one = {
		.ip = {203, 0, 113, 1}, .family = AF_INET, .bits = 32};

	cr_assert_eq(pool_open_part(&pool, &one, 1, 32, 61000, 4536), 0);
	cr_expect_eq(pool.blocks_each, 141);
	expect_no_block("203.0.113.1", 60999);
	expect_no_block("203.0.113.1", 1024);
	cr_expect_eq(pool_lend_this(&pool, 0, 0, ME, 5)->number, 0);
	cr_expect_eq(block_first_port(&pool, pool_lend_this(&pool, 0, 140, ME, 5)), 65480);
	expect_no_block("203.0.113.1", 65512);
	pool_close(&pool);
}

Test(pool, a_whole_address_can_be_a_block)
{
	bool lent[65536] = {};
	struct block *block;

	open_one("203.0.113.1", 32, POOL_PORTS);
	cr_expect_eq(pool.blocks_each, 1);
	block = pool_lend_block(&pool, 0, ME, 99, 5);
	cr_assert_not_null(block);
	for (unsigned int i = 0; i < 64512; i++) {
		uint16_t port =
			block_lend_port(&pool, block, POOL_TCP, PARITY_ANY, i * 2654435761U);

		cr_assert(port >= 1024 && !lent[port]);
		lent[port] = true;
	}
	cr_expect_eq(block_lend_port(&pool, block, POOL_TCP, PARITY_ANY, 1), 0);
	cr_expect(lent[1024] && lent[65535]);
	cr_expect_eq(pool.ports_lent, 64512);
	cr_expect_eq(pool_pick_address(&pool, 0, 0), POOL_NOBODY);
	pool_close(&pool); /* with all of it lent: nothing leaks */
}

Test(pool, lends_each_block_once_and_then_no_address)
{
	enum { BLOCKS = 4 * 63 };
	bool lent[4][63] = {};
	struct block *blocks[BLOCKS];
	uint32_t state = 0x706f6f6c;

	open_one("203.0.113.0", 30, 1024);
	for (int i = 0; i < BLOCKS; i++) {
		int32_t address = pool_pick_address(&pool, chance(&state), chance(&state));

		cr_assert(address >= 0 && address < 4);
		blocks[i] = pool_lend_block(&pool, (uint32_t)address, ME, chance(&state), 1234);
		cr_assert_not_null(blocks[i]);
		cr_assert(!lent[address][blocks[i]->number]);
		cr_expect(blocks[i]->owner == ME && blocks[i]->since_ns == 1234 &&
			  blocks[i]->address == (uint32_t)address);
		lent[address][blocks[i]->number] = true;
	}
	cr_expect_eq(pool.blocks_lent, BLOCKS);
	cr_expect_eq(pool_pick_address(&pool, 3, 3), POOL_NOBODY);
	for (uint32_t i = 0; i < 4; i++)
		cr_expect_null(pool_lend_block(&pool, i, ME, 0, 0));
	pool_take_back(&pool, blocks[17]);
	cr_expect_eq(blocks[17]->owner, POOL_NOBODY);
	for (uint32_t i = 0; i < 10; i++)
		cr_expect_eq(pool_pick_address(&pool, i, i), (int32_t)blocks[17]->address);
	cr_expect_eq(pool_lend_block(&pool, blocks[17]->address, NEIGHBOUR, 5, 0), blocks[17]);
	for (int i = 0; i < BLOCKS; i++)
		pool_take_back(&pool, blocks[i]);
	cr_expect_eq(pool.blocks_lent, 0);
	cr_expect_eq(pool.available_count, 4);
	pool_close(&pool);
}

/* 256 addresses, 25,600 picks: 100 is the mean, 10 the deviation. */
Test(pool, picks_addresses_evenly)
{
	unsigned int picked[256] = {};
	uint32_t state = 0x7069636b;

	open_one("203.0.113.0", 24, 512);
	for (int i = 0; i < 25600; i++)
		picked[pool_pick_address(&pool, chance(&state), chance(&state))]++;
	for (int i = 0; i < 256; i++)
		cr_expect(picked[i] > 50 && picked[i] < 150, "%d: %u", i, picked[i]);
	pool_close(&pool);
}

Test(pool, gives_the_address_that_is_wished_for_while_it_has_a_block)
{
	unsigned int others[4] = {};

	open_one("203.0.113.0", 30, 64512);
	for (uint32_t i = 0; i < 20; i++)
		cr_assert_eq(pool_pick_address(&pool, 4 * i + 2, i), 2);
	cr_assert_not_null(pool_lend_block(&pool, 2, ME, 0, 0));
	for (uint32_t i = 0; i < 300; i++)
		others[pool_pick_address(&pool, 2, i)]++;
	cr_expect(others[0] == 100 && others[1] == 100 && others[2] == 0 && others[3] == 100);
	pool_close(&pool);
}

Test(pool, lends_this_very_block)
{
	struct block *block;

	open_one("203.0.113.0", 31, 512);
	block = pool_lend_this(&pool, 1, 125, ME, 9);
	cr_assert_not_null(block);
	cr_expect(block->address == 1 && block->number == 125 && block->owner == ME);
	cr_expect_null(pool_lend_this(&pool, 1, 125, NEIGHBOUR, 9), "taken");
	cr_expect_null(pool_lend_this(&pool, 1, 126, ME, 9), "there is none");
	for (unsigned int i = 0; i < 125; i++)
		cr_expect_neq(pool_lend_block(&pool, 1, NEIGHBOUR, i, 0), block);
	cr_expect_null(pool_lend_block(&pool, 1, NEIGHBOUR, 0, 0));
	pool_close(&pool);
}

Test(block, lends_the_same_ports_for_tcp_and_udp)
{
	struct block *block;

	open_one("203.0.113.1", 32, 2);
	block = pool_lend_this(&pool, 0, 32255, ME, 0);
	cr_assert_not_null(block);
	for (enum pool_protocol protocol = POOL_TCP; protocol <= POOL_UDP; protocol++) {
		cr_expect_eq(block_lend_port(&pool, block, protocol, PARITY_EVEN, 1), 65534);
		cr_expect_eq(block_lend_port(&pool, block, protocol, PARITY_EVEN, 1), 0);
		cr_expect_eq(block_lend_port(&pool, block, protocol, PARITY_ANY, 1), 65535);
		cr_expect_eq(block_lend_port(&pool, block, protocol, PARITY_ANY, 1), 0);
	}
	cr_expect_eq(block->lent, 4);
	cr_expect_eq(pool.ports_lent, 4);
	block_take_back(&pool, block, POOL_UDP, 65535);
	cr_expect_eq(block_lend_port(&pool, block, POOL_TCP, PARITY_ANY, 1), 0);
	cr_expect_eq(block_lend_port(&pool, block, POOL_UDP, PARITY_ANY, 1), 65535);
	pool_close(&pool);
}

Test(block, lends_this_very_port)
{
	struct block *block;

	open_one("203.0.113.1", 32, 512);
	block = pool_lend_this(&pool, 0, 0, ME, 0);
	cr_expect(block_lend_this(&pool, block, POOL_TCP, 1024));
	cr_expect_not(block_lend_this(&pool, block, POOL_TCP, 1024));
	cr_expect(block_lend_this(&pool, block, POOL_UDP, 1024));
	cr_expect_not(block_lend_this(&pool, block, POOL_TCP, 1023));
	cr_expect_not(block_lend_this(&pool, block, POOL_TCP, 1536));
	cr_expect_eq(block->lent, 2);
	block_take_back(&pool, block, POOL_TCP, 1024);
	block_take_back(&pool, block, POOL_UDP, 1024);
	cr_expect(block->lent == 0 && pool.ports_lent == 0);
	pool_take_back(&pool, block);
	cr_expect_null(block->ports[POOL_TCP]);
	pool_close(&pool);
}

Test(block, that_was_returned_comes_with_all_ports)
{
	struct block *block;

	open_one("203.0.113.1", 32, POOL_PORTS);
	for (int round = 0; round < 3; round++) {
		block = pool_lend_block(&pool, 0, ME, 0, 0);
		for (int i = 0; i < 5; i++)
			cr_assert(block_lend_this(&pool, block, POOL_TCP, (uint16_t)(1024 + i)));
		for (int i = 0; i < 5; i++)
			block_take_back(&pool, block, POOL_TCP, (uint16_t)(1024 + i));
		pool_take_back(&pool, block);
	}
	cr_expect(pool.blocks_lent == 0 && pool.ports_lent == 0);
	pool_close(&pool);
}
