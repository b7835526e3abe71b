// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table/translator.h"

#include <criterion/criterion.h>
#include <netinet/in.h>

#include "../addr.h"
#include "base/clock.h"

#define S NS_PER_S

enum { EVENTS_MAX = 256, ME = 1, NEIGHBOUR = 2 };

static struct translator translator;
static struct plait_prefix four[3], six[1];
static uint32_t state = 0x7472616e;

/* What was told of blocks */
static struct translator_event events[EVENTS_MAX];
static unsigned int told, lent, returned;

static void on_block(void *context, const struct translator_event *event)
{
	cr_assert_eq(context, &translator);
	if (told < EVENTS_MAX)
		events[told] = *event;
	told++;
	lent += event->lent;
	returned += !event->lent;
}

struct size {
	uint32_t bindings, subscribers;
	unsigned int prefixes; /* of IPv4 */
	uint16_t block_ports;
};

static void open_sized(struct size size, struct subscriber_limits limits)
{
	cr_assert_eq(subscribers_open(&translator.subscribers, size.subscribers,
				      2 * size.subscribers, &limits),
		     0);
	cr_assert_eq(pool_open(&translator.pools[0], four, size.prefixes, size.block_ports), 0);
	cr_assert_eq(bindings_open(&translator.bindings, size.bindings, 0), 0);
	translator.on_block = on_block;
	translator.context = &translator;
}

/* 203.0.113.4 and 192.0.2.9, blocks of 64. */
static void open_small(struct subscriber_limits limits)
{
	four[0] = prefix("203.0.113.4", 32);
	four[1] = prefix("192.0.2.9", 32);
	open_sized((struct size){2000, 8, 2, 64}, limits);
}

/* One address, one block. */
static void open_one(uint16_t block_ports, struct subscriber_limits limits)
{
	four[0] = prefix("203.0.113.4", 32);
	open_sized((struct size){70000, 8, 1, block_ports}, limits);
}

static void open_six(void)
{
	six[0] = prefix("2001:db8::1", 128);
	cr_assert_eq(pool_open(&translator.pools[1], six, 1, 64), 0);
}

static void close_all(void)
{
	bindings_close(&translator.bindings);
	subscribers_close(&translator.subscribers);
	pool_close(&translator.pools[0]);
	pool_close(&translator.pools[1]);
}

static struct translator_request asks(uint32_t who, uint8_t protocol, uint16_t port)
{
	return (struct translator_request){
		.source = numbered(who, 1),
		.inside = numbered(100 + who, port),
		.family = AF_INET,
		.protocol = protocol,
		.random = {chance(&state), chance(&state), chance(&state)},
		.now_ns = 1 * S,
	};
}

static enum translated try(uint32_t who, uint8_t protocol, uint16_t port, struct binding **out)
{
	struct translator_request request = asks(who, protocol, port);

	return translator_begin(&translator, &request, out);
}

static struct binding *begin(uint32_t who, uint8_t protocol, uint16_t port)
{
	struct binding *binding = NULL;

	cr_assert_eq(try(who, protocol, port, &binding), TRANSLATED, "%u: %u", who, port);
	cr_assert_not_null(binding);
	return binding;
}

static void end(struct binding *binding)
{
	translator_end(&translator, binding);
}

static void expect_refused(uint32_t who, uint8_t protocol, uint16_t port, enum translated why)
{
	uint64_t ports = translator.pools[0].ports_lent, blocks = translator.pools[0].blocks_lent;
	struct binding *untouched = (void *)&state;
	uint32_t count = translator.bindings.count;

	cr_expect_eq(try(who, protocol, port, &untouched), why);
	cr_expect_eq(untouched, (void *)&state);
	cr_expect_eq(translator.bindings.count, count);
	cr_expect_eq(translator.pools[0].ports_lent, ports);
	cr_expect_eq(translator.pools[0].blocks_lent, blocks);
}

static void expect_nothing_left(void)
{
	cr_expect_eq(translator.bindings.count, 0);
	for (unsigned int i = 0; i < SUBSCRIBER_POOLS; i++) {
		cr_expect_eq(translator.pools[i].ports_lent, 0);
		cr_expect_eq(translator.pools[i].blocks_lent, 0);
		cr_expect_eq(translator.pools[i].available_count,
			     translator.pools[i].address_count);
	}
	cr_expect_eq(lent, returned);
	for (uint32_t i = 0; i < translator.subscribers.size; i++) {
		const struct subscriber *subscriber = &translator.subscribers.slots[i];

		cr_expect(!subscriber->sessions && !subscriber->ports);
		cr_expect(!subscriber->holding[0].block_count);
	}
}

static uint16_t port_of(const struct binding *binding)
{
	return ntohs(binding->external.port);
}

Test(translator, binds_to_an_address_of_the_pool)
{
	struct translator_request request;
	struct binding *binding;

	open_small((struct subscriber_limits){});
	request = asks(ME, IPPROTO_TCP, 40000);
	cr_assert_eq(translator_begin(&translator, &request, &binding), TRANSLATED);
	cr_expect_geq(pool_index_of(&translator.pools[0], &binding->external), 0);
	cr_expect_geq(port_of(binding), 1024);
	expect_same(&binding->inside, &request.inside);
	cr_expect(binding->sessions == 1 && binding->protocol == IPPROTO_TCP);
	cr_expect_eq(binding->since_ns, 1 * S);
	cr_expect_eq(bindings_of_external(&translator.bindings, IPPROTO_TCP, &binding->external),
		     binding);
	end(binding);
	expect_nothing_left();
	close_all();
}

/* RFC 4787 REQ-1, RFC 5382 REQ-1: endpoint-independent mapping. */
Test(translator, the_same_inside_has_the_same_binding)
{
	struct plait_addr external;
	struct binding *first;

	open_small((struct subscriber_limits){});
	first = begin(ME, IPPROTO_TCP, 40000);
	external = first->external;
	cr_expect_eq(begin(ME, IPPROTO_TCP, 40000), first);
	cr_expect_eq(begin(ME, IPPROTO_TCP, 40000), first);
	cr_expect_eq(first->sessions, 3);
	cr_expect_eq(translator.pools[0].ports_lent, 1);
	cr_expect_neq(begin(ME, IPPROTO_UDP, 40000), first);
	cr_expect_neq(begin(ME, IPPROTO_TCP, 40001), first);
	cr_expect_neq(begin(NEIGHBOUR, IPPROTO_TCP, 40000), first);
	end(first);
	end(first);
	expect_same(&first->external, &external);
	cr_expect_eq(bindings_of_external(&translator.bindings, IPPROTO_TCP, &external), first);
	end(first);
	cr_expect_null(bindings_of_external(&translator.bindings, IPPROTO_TCP, &external));
	cr_expect_eq(translator.bindings.count, 3);
	close_all();
}

/* RFC 4787 REQ-2, RFC 6888 REQ-2: paired; and both protocols in the same blocks. */
Test(translator, all_of_a_subscriber_is_on_one_address_in_few_blocks)
{
	enum { SUBSCRIBERS = 3, PORTS = 256, BLOCKS = 64512 / 64 };
	static struct binding *all[SUBSCRIBERS][2][PORTS];
	static unsigned int of_block[SUBSCRIBERS][2][BLOCKS];

	open_small((struct subscriber_limits){});
	for (uint32_t i = 0; i < SUBSCRIBERS * 2 * PORTS; i++) {
		uint32_t who = i % SUBSCRIBERS, udp = i / SUBSCRIBERS % 2, port = i / 6;
		struct binding *binding =
			begin(who, udp ? IPPROTO_UDP : IPPROTO_TCP, (uint16_t)port);

		all[who][udp][port] = binding;
		of_block[who][udp][(port_of(binding) - 1024) / 64]++;
		cr_expect_arr_eq(binding->external.ip, all[who][0][0]->external.ip, 16);
	}
	for (int who = 0; who < SUBSCRIBERS; who++)
		cr_expect_arr_eq(of_block[who][0], of_block[who][1], sizeof(of_block[who][0]));
	cr_expect_eq(translator.pools[0].blocks_lent, SUBSCRIBERS * PORTS / 64);
	for (int i = 0; i < SUBSCRIBERS * 2 * PORTS; i++)
		end(all[i % SUBSCRIBERS][i / SUBSCRIBERS % 2][i / 6]);
	expect_nothing_left();
	close_all();
}

/* A CPE's links. */
Test(translator, sources_of_one_subscriber_share_its_address)
{
	const struct plait_addr links[] = {numbered(ME, 0), numbered(NEIGHBOUR, 0)};
	struct binding *one, *other;

	open_small((struct subscriber_limits){});
	cr_assert_geq(subscribers_add(&translator.subscribers, "home-1", links, 2), 0);
	one = begin(ME, IPPROTO_TCP, 40000);
	other = begin(NEIGHBOUR, IPPROTO_TCP, 40000);
	cr_expect_arr_eq(one->external.ip, other->external.ip, 16);
	cr_expect_eq(translator.pools[0].blocks_lent, 1);
	close_all();
}

Test(translator, lends_every_port_of_the_address_and_none_below_1024)
{
	static bool used[65536];

	open_one(512, (struct subscriber_limits){});
	for (unsigned int i = 0; i < 64512; i++) {
		uint16_t port = port_of(begin(ME, IPPROTO_TCP, (uint16_t)i));

		cr_assert(port >= 1024 && !used[port]);
		used[port] = true;
	}
	expect_refused(ME, IPPROTO_TCP, 65000, TRANSLATED_EXHAUSTED);
	expect_refused(NEIGHBOUR, IPPROTO_TCP, 1, TRANSLATED_EXHAUSTED);
	cr_expect_eq(begin(ME, IPPROTO_TCP, 7)->sessions, 2, "those it has go on");
	cr_expect_not_null(begin(ME, IPPROTO_UDP, 7));
	close_all();
}

Test(translator, a_whole_address_can_be_ones_own)
{
	struct binding *mine;

	open_one(POOL_PORTS, (struct subscriber_limits){});
	mine = begin(ME, IPPROTO_TCP, 1);
	for (uint16_t i = 2; i < 2000; i++)
		begin(ME, IPPROTO_TCP, i);
	expect_refused(NEIGHBOUR, IPPROTO_TCP, 1, TRANSLATED_EXHAUSTED);
	cr_expect_eq(translator.pools[0].blocks_lent, 1);
	end(mine);
	close_all();
}

/* RFC 6888 REQ-4 */
Test(translator, one_has_as_many_ports_as_it_may)
{
	struct binding *mine;

	open_small((struct subscriber_limits){.ports = 10});
	mine = begin(ME, IPPROTO_TCP, 0);
	for (uint16_t i = 1; i < 10; i++)
		begin(ME, i % 2 ? IPPROTO_TCP : IPPROTO_UDP, i);
	expect_refused(ME, IPPROTO_TCP, 10, TRANSLATED_PORT_LIMIT);
	expect_refused(ME, IPPROTO_UDP, 10, TRANSLATED_PORT_LIMIT);
	begin(ME, IPPROTO_TCP, 0);
	for (uint16_t i = 0; i < 10; i++)
		begin(NEIGHBOUR, IPPROTO_TCP, i);
	end(mine);
	expect_refused(ME, IPPROTO_TCP, 10, TRANSLATED_PORT_LIMIT);
	end(mine);
	begin(ME, IPPROTO_TCP, 10);
	close_all();
}

Test(translator, one_has_as_many_blocks_as_it_may)
{
	struct binding *mine;

	open_small((struct subscriber_limits){.blocks = 2});
	mine = begin(ME, IPPROTO_TCP, 0);
	for (uint16_t i = 1; i < 128; i++)
		begin(ME, IPPROTO_TCP, i);
	expect_refused(ME, IPPROTO_TCP, 128, TRANSLATED_PORT_LIMIT);
	begin(ME, IPPROTO_UDP, 128);
	for (uint16_t i = 0; i < 128; i++)
		begin(NEIGHBOUR, IPPROTO_TCP, i);
	expect_refused(NEIGHBOUR, IPPROTO_TCP, 128, TRANSLATED_PORT_LIMIT);
	end(mine);
	begin(ME, IPPROTO_TCP, 128);
	close_all();
}

Test(translator, without_a_limit_one_has_any_number_of_blocks)
{
	open_small((struct subscriber_limits){});
	for (uint16_t i = 0; i < 100 * 64 / 8; i++) {
		begin(ME, IPPROTO_TCP, i);
		cr_assert_eq(translator.pools[0].blocks_lent, i / 64 + 1);
	}
	close_all();
}

Test(translator, sessions_and_rate_are_limited_for_each_one)
{
	struct binding *mine;

	open_small((struct subscriber_limits){.sessions = 3, .new_per_s = 4});
	mine = begin(ME, IPPROTO_TCP, 0);
	begin(ME, IPPROTO_TCP, 0);
	begin(ME, IPPROTO_TCP, 1);
	expect_refused(ME, IPPROTO_TCP, 0, TRANSLATED_SESSION_LIMIT);
	begin(NEIGHBOUR, IPPROTO_TCP, 0);
	end(mine);
	begin(ME, IPPROTO_TCP, 0);
	end(mine);
	expect_refused(ME, IPPROTO_TCP, 0, TRANSLATED_RATE_LIMIT);
	begin(NEIGHBOUR, IPPROTO_TCP, 0);
	close_all();
}

/* RFC 4787 REQ-4 */
Test(translator, keeps_parity_if_wanted)
{
	unsigned int differ = 0;

	open_small((struct subscriber_limits){});
	translator.keep_parity = true;
	for (uint16_t i = 0; i < 200; i++)
		cr_expect_eq(port_of(begin(ME, IPPROTO_UDP, i)) % 2, i % 2);
	translator.keep_parity = false;
	for (uint16_t i = 200; i < 400; i++)
		differ += port_of(begin(ME, IPPROTO_UDP, i)) % 2 != i % 2;
	cr_expect(differ > 50 && differ < 150, "%u", differ);
	close_all();
}

/* Even ports of all blocks gone: another block, or none, though odd ones are left. */
Test(translator, lends_another_block_for_want_of_a_parity)
{
	open_small((struct subscriber_limits){.blocks = 2});
	translator.keep_parity = true;
	for (uint16_t i = 0; i < 64; i++)
		begin(ME, IPPROTO_TCP, (uint16_t)(2 * i));
	cr_expect_eq(translator.pools[0].blocks_lent, 2);
	expect_refused(ME, IPPROTO_TCP, 128, TRANSLATED_PORT_LIMIT);
	for (uint16_t i = 0; i < 64; i++)
		begin(ME, IPPROTO_TCP, (uint16_t)(2 * i + 1));
	close_all();
}

static void expect_event(unsigned int at, bool is_lent, const struct binding *binding)
{
	const struct translator_event *event = &events[at];
	unsigned int first = 1024 + (port_of(binding) - 1024U) / 64 * 64;
	struct plait_addr external = binding->external;

	external.port = htons((uint16_t)first);
	cr_expect_eq(event->lent, is_lent);
	expect_same(&event->external, &external);
	cr_expect_eq(event->last_port, first + 63);
	cr_expect_eq(event->since_ns, 1 * S);
	cr_expect_eq(event->subscriber,
		     subscribers_at(&translator.subscribers, binding->subscriber));
}

/* RFC 6888 REQ-14: one event a block, however many sessions. */
Test(translator, tells_of_each_block_once)
{
	struct binding *mine[65], *neighbours;

	open_small((struct subscriber_limits){});
	mine[0] = begin(ME, IPPROTO_TCP, 0);
	cr_assert_eq(told, 1);
	expect_event(0, true, mine[0]);
	for (uint16_t i = 1; i < 64; i++)
		mine[i] = begin(ME, IPPROTO_TCP, i);
	cr_expect_eq(told, 1);
	mine[64] = begin(ME, IPPROTO_TCP, 64);
	cr_assert_eq(told, 2);
	expect_event(1, true, mine[64]);
	neighbours = begin(NEIGHBOUR, IPPROTO_TCP, 0);
	cr_assert_eq(told, 3);
	expect_event(2, true, neighbours);
	for (int i = 0; i < 63; i++)
		end(mine[i]);
	cr_expect_eq(told, 3);
	end(mine[63]); /* a binding that has gone stays readable until its slot is used */
	cr_assert_eq(told, 4);
	expect_event(3, false, mine[63]);
	end(neighbours);
	cr_expect_eq(told, 5);
	expect_event(4, false, neighbours);
	end(mine[64]);
	expect_event(5, false, mine[64]);
	expect_nothing_left();
	close_all();
}

Test(translator, works_with_nobody_listening)
{
	open_small((struct subscriber_limits){});
	translator.on_block = NULL;
	end(begin(ME, IPPROTO_TCP, 0));
	expect_nothing_left();
	close_all();
}

Test(translator, full_of_bindings_evicts_nobody)
{
	struct binding *all[4];

	four[0] = prefix("203.0.113.4", 32);
	open_sized((struct size){4, 8, 1, 64}, (struct subscriber_limits){});
	for (uint16_t i = 0; i < 4; i++)
		all[i] = begin(i % 2 ? ME : NEIGHBOUR, IPPROTO_TCP, i);
	expect_refused(ME, IPPROTO_TCP, 9, TRANSLATED_NO_ROOM);
	expect_refused(3, IPPROTO_TCP, 9, TRANSLATED_NO_ROOM);
	for (uint16_t i = 0; i < 4; i++)
		cr_expect_eq(begin(i % 2 ? ME : NEIGHBOUR, IPPROTO_TCP, i), all[i]);
	for (int i = 0; i < 4; i++) {
		end(all[i]);
		end(all[i]);
	}
	expect_nothing_left();
	close_all();
}

Test(translator, full_of_subscribers_evicts_nobody)
{
	struct binding *all[8];

	open_small((struct subscriber_limits){});
	for (uint32_t who = 0; who < 8; who++)
		all[who] = begin(who, IPPROTO_TCP, 0);
	expect_refused(8, IPPROTO_TCP, 0, TRANSLATED_NO_ROOM);
	for (uint32_t who = 0; who < 8; who++)
		cr_expect_eq(begin(who, IPPROTO_TCP, 0), all[who]);
	end(all[3]);
	end(all[3]);
	begin(8, IPPROTO_TCP, 0);
	close_all();
}

/* A refused subscriber has nothing and can be forgotten. */
Test(translator, refused_count_for_nothing)
{
	open_one(POOL_PORTS, (struct subscriber_limits){});
	begin(0, IPPROTO_TCP, 0);
	for (uint32_t who = 1; who < 100; who++)
		expect_refused(who, IPPROTO_TCP, 0, TRANSLATED_EXHAUSTED);
	cr_expect_eq(translator.subscribers.count, 8);
	close_all();
}

/* Paired: the address of the first block stays, even while another has room. */
Test(translator, does_not_leave_its_address)
{
	four[0] = prefix("203.0.113.4", 32);
	four[1] = prefix("192.0.2.9", 32);
	open_sized((struct size){70000, 8, 2, 32256}, (struct subscriber_limits){});
	for (unsigned int i = 0; i < 64512; i++)
		begin(ME, IPPROTO_TCP, (uint16_t)i);
	expect_refused(ME, IPPROTO_TCP, 65000, TRANSLATED_EXHAUSTED);
	begin(NEIGHBOUR, IPPROTO_TCP, 0);
	close_all();
}

Test(translator, has_a_pool_for_each_family)
{
	struct translator_request request;
	struct binding *binding, *untouched = NULL;

	open_small((struct subscriber_limits){});
	cr_expect(translator_has_pool(&translator, AF_INET));
	cr_expect_not(translator_has_pool(&translator, AF_INET6));
	request = asks(ME, IPPROTO_TCP, 40000);
	request.family = AF_INET6;
	cr_expect_eq(translator_begin(&translator, &request, &untouched), TRANSLATED_NO_POOL);
	open_six();
	cr_expect(translator_has_pool(&translator, AF_INET6));
	cr_assert_eq(translator_begin(&translator, &request, &binding), TRANSLATED);
	cr_expect_eq(binding->external.family, AF_INET6);
	cr_expect_eq(begin(ME, IPPROTO_TCP, 40000)->external.family, AF_INET);
	cr_expect_eq(translator.bindings.count, 2);
	end(binding);
	end(begin(ME, IPPROTO_TCP, 40000));
	cr_expect_eq(translator.pools[1].blocks_lent, 0);
	close_all();
}

Test(translator, configured_bindings_stay)
{
	struct binding *binding;

	open_small((struct subscriber_limits){});
	binding = begin(ME, IPPROTO_TCP, 0);
	binding->configured = true;
	end(binding);
	cr_expect_eq(binding->sessions, 0);
	cr_expect_eq(begin(ME, IPPROTO_TCP, 0), binding);
	binding->configured = false;
	end(binding);
	expect_nothing_left();
	close_all();
}

/* Only one port in the last of 50 blocks to look at is free. */
Test(translator, finds_the_one_port_that_came_back)
{
	enum { PORTS = 50 * 16 };
	struct binding *all[PORTS];

	four[0] = prefix("203.0.113.4", 32);
	open_sized((struct size){PORTS, 8, 1, 16}, (struct subscriber_limits){.blocks = 50});
	for (uint16_t i = 0; i < PORTS; i++)
		all[i] = begin(ME, IPPROTO_TCP, i);
	for (uint16_t i = 0; i < PORTS; i++) {
		uint16_t port = port_of(all[i]);

		end(all[i]);
		all[i] = begin(ME, IPPROTO_TCP, (uint16_t)(PORTS + i));
		cr_assert_eq(port_of(all[i]), port);
	}
	for (int i = 0; i < PORTS; i++)
		end(all[i]);
	expect_nothing_left();
	close_all();
}

/*
 * The model: plain arrays of what each of SOURCES has, and what must happen next
 * worked out from them.
 */
enum { SOURCES = 10, SLOTS = 8, INSIDES = 80, ADDRESSES = 3, BLOCKS_MAX = 128, LIVE_MAX = 3000 };
enum { RESULTS = TRANSLATED_EXHAUSTED + 1 };

struct mapping {
	unsigned int sessions; /* 0: there is none */
	struct plait_addr external;
	int address, port;
};

struct held {
	int address, number; /* block */
	unsigned int ports; /* 0: not held */
};

struct live {
	int who, udp, inside;
	struct binding *binding;
};

static struct model {
	struct size size;
	struct subscriber_limits limits;
	bool keep_parity;
	struct mapping mappings[SOURCES][2][INSIDES];
	struct held held[SOURCES][BLOCKS_MAX];
	bool used[ADDRESSES][65536][2];
	unsigned int sessions[SOURCES], ports[SOURCES], blocks[SOURCES], of_address[ADDRESSES];
	unsigned int mapping_count, live_count, results[RESULTS];
	struct live live[LIVE_MAX];
} model;

static int sum(const unsigned int *numbers, int count)
{
	unsigned int total = 0;

	for (int i = 0; i < count; i++)
		total += numbers[i];
	return (int)total;
}

static int blocks_each(void)
{
	return 64512 / model.size.block_ports;
}

static bool has_free_port(const struct held *held, int udp, int inside)
{
	int first = 1024 + held->number * model.size.block_ports;

	for (int port = first; port < first + model.size.block_ports; port++)
		if (!model.used[held->address][port][udp] &&
		    (!model.keep_parity || port % 2 == inside % 2))
			return true;
	return false;
}

static bool holds_free_port(int who, int udp, int inside)
{
	for (int i = 0; i < BLOCKS_MAX; i++)
		if (model.held[who][i].ports && has_free_port(&model.held[who][i], udp, inside))
			return true;
	return false;
}

static int address_of(int who)
{
	for (int i = 0; i < BLOCKS_MAX; i++)
		if (model.held[who][i].ports)
			return model.held[who][i].address;
	return -1;
}

static enum translated expected_of_port(int who, int udp, int inside)
{
	int address = address_of(who), blocks = sum(model.of_address, ADDRESSES);

	if (model.limits.ports && model.ports[who] >= model.limits.ports)
		return TRANSLATED_PORT_LIMIT;
	if (holds_free_port(who, udp, inside))
		return TRANSLATED;
	if (model.limits.blocks && model.blocks[who] >= model.limits.blocks)
		return TRANSLATED_PORT_LIMIT;
	if (address >= 0 ? model.of_address[address] == (unsigned int)blocks_each()
			 : blocks == blocks_each() * (int)translator.pools[0].address_count)
		return TRANSLATED_EXHAUSTED;
	return TRANSLATED;
}

static enum translated expected_result(int who, int udp, int inside)
{
	int busy = 0;

	for (int i = 0; i < SOURCES; i++)
		busy += i != who && model.sessions[i];
	if (!model.sessions[who] && busy == SLOTS)
		return TRANSLATED_NO_ROOM;
	if (model.limits.sessions && model.sessions[who] >= model.limits.sessions)
		return TRANSLATED_SESSION_LIMIT;
	if (model.mappings[who][udp][inside].sessions)
		return TRANSLATED;
	if (model.mapping_count == model.size.bindings)
		return TRANSLATED_NO_ROOM;
	return expected_of_port(who, udp, inside);
}

/* The block of a port among those who holds; if there is none yet, a place for it. */
static struct held *held_of(int who, int address, int number)
{
	struct held *none = NULL;

	for (int i = 0; i < BLOCKS_MAX; i++) {
		struct held *held = &model.held[who][i];

		if (held->ports && held->address == address && held->number == number)
			return held;
		if (!held->ports)
			none = held;
	}
	cr_assert_not_null(none);
	return none;
}

static void note_port(int who, int udp, const struct mapping *mapping)
{
	int number = (mapping->port - 1024) / model.size.block_ports;
	struct held *held = held_of(who, mapping->address, number);

	cr_assert(mapping->address >= 0 && mapping->port >= 1024);
	cr_assert_not(model.used[mapping->address][mapping->port][udp], "lent twice");
	model.used[mapping->address][mapping->port][udp] = true;
	model.ports[who]++;
	model.mapping_count++;
	if (held->ports++)
		return;
	held->address = mapping->address;
	held->number = number;
	model.blocks[who]++;
	model.of_address[mapping->address]++;
	for (int other = 0; other < SOURCES; other++)
		for (int i = 0; other != who && i < BLOCKS_MAX; i++)
			cr_assert_not(model.held[other][i].ports &&
				      model.held[other][i].address == held->address &&
				      model.held[other][i].number == number);
}

static void forget_port(int who, int udp, const struct mapping *mapping)
{
	int number = (mapping->port - 1024) / model.size.block_ports;
	struct held *held = held_of(who, mapping->address, number);

	model.used[mapping->address][mapping->port][udp] = false;
	model.ports[who]--;
	model.mapping_count--;
	if (--held->ports)
		return;
	model.blocks[who]--;
	model.of_address[mapping->address]--;
}

static void check_new(int who, int inside, const struct mapping *mapping, int old_address,
		      bool had_port)
{
	cr_assert(old_address < 0 || mapping->address == old_address, "paired");
	cr_assert(!model.keep_parity || mapping->port % 2 == inside % 2);
	cr_assert(!had_port ||
		  held_of(who, mapping->address, (mapping->port - 1024) / model.size.block_ports)
			  ->ports);
}

static void model_begin(int who, int udp, int inside)
{
	enum translated expected = expected_result(who, udp, inside);
	struct mapping *mapping = &model.mappings[who][udp][inside];
	struct binding *binding = NULL;

	cr_assert_eq(
		try((uint32_t)who, udp ? IPPROTO_UDP : IPPROTO_TCP, (uint16_t)inside, &binding),
		expected);
	model.results[expected]++;
	if (expected != TRANSLATED)
		return;
	if (!mapping->sessions++) {
		mapping->external = binding->external;
		mapping->address = pool_index_of(&translator.pools[0], &binding->external);
		mapping->port = port_of(binding);
		check_new(who, inside, mapping, address_of(who), holds_free_port(who, udp, inside));
		note_port(who, udp, mapping);
	}
	cr_assert(!memcmp(&binding->external, &mapping->external, sizeof(binding->external)));
	cr_assert_eq(binding->sessions, mapping->sessions);
	model.sessions[who]++;
	model.live[model.live_count++] =
		(struct live){.who = who, .udp = udp, .inside = inside, .binding = binding};
}

static void model_end(unsigned int at)
{
	struct live live = model.live[at];
	struct mapping *mapping = &model.mappings[live.who][live.udp][live.inside];

	end(live.binding);
	model.live[at] = model.live[--model.live_count];
	model.sessions[live.who]--;
	if (!--mapping->sessions)
		forget_port(live.who, live.udp, mapping);
}

static void compare(void)
{
	int blocks = sum(model.blocks, SOURCES);

	cr_assert_eq(translator.bindings.count, model.mapping_count);
	cr_assert_eq(translator.pools[0].ports_lent, model.mapping_count);
	cr_assert_eq(translator.pools[0].blocks_lent, blocks);
	cr_assert_eq((int)(lent - returned), blocks);
}

/* Now filling, now emptying. wanted: bits of the results that must have come often. */
static void run_model(int steps, uint32_t seed, unsigned int wanted)
{
	state = seed;
	open_sized(model.size, model.limits);
	translator.keep_parity = model.keep_parity;
	for (int step = 0; step < steps; step++) {
		bool fill = step / 8000 % 2 == 0;

		if (model.live_count < LIVE_MAX && chance(&state) % 10 < (fill ? 8 : 4))
			model_begin((int)(chance(&state) % SOURCES), (int)(chance(&state) % 2),
				    (int)(chance(&state) % INSIDES));
		else if (model.live_count)
			model_end(chance(&state) % model.live_count);
		compare();
	}
	for (int i = 0; i < RESULTS; i++)
		cr_expect(!(wanted >> i & 1) || model.results[i] > 100, "%d: %u", i,
			  model.results[i]);
	while (model.live_count)
		model_end(model.live_count - 1);
	expect_nothing_left();
	close_all();
}

Test(translator, behaves_as_the_model_with_all_limits, .timeout = 120)
{
	four[0] = prefix("203.0.113.4", 31);
	four[1] = prefix("192.0.2.9", 32);
	model.size = (struct size){260, SLOTS, 2, 8};
	model.limits = (struct subscriber_limits){.sessions = 40, .ports = 28, .blocks = 2};
	run_model(80000, 0x6d6f6401,
		  1 << TRANSLATED_NO_ROOM | 1 << TRANSLATED_SESSION_LIMIT |
			  1 << TRANSLATED_PORT_LIMIT);
}

/* Six blocks for eight subscribers. */
Test(translator, behaves_as_the_model_where_the_pool_runs_out, .timeout = 120)
{
	four[0] = prefix("203.0.113.4", 32);
	four[1] = prefix("192.0.2.9", 32);
	model.size = (struct size){1000, SLOTS, 2, 21504};
	model.limits = (struct subscriber_limits){};
	run_model(60000, 0x6d6f6402, 1 << TRANSLATED_EXHAUSTED);
}

Test(translator, behaves_as_the_model_with_parity_kept, .timeout = 120)
{
	four[0] = prefix("203.0.113.4", 32);
	model.size = (struct size){1400, SLOTS, 1, 2};
	model.limits = (struct subscriber_limits){.sessions = 300, .blocks = 25};
	model.keep_parity = true;
	run_model(60000, 0x6d6f6403, 1 << TRANSLATED_PORT_LIMIT);
}

/* Deterministic pools, RFC 7422 */

static struct plait_prefix fixed, insides[2];
static struct deterministic deterministic;

/* 10.0.0.0 to .7 have blocks of 64 on 198.51.100.0 and .1; others have 203.0.113.4. */
static void open_deterministic(struct subscriber_limits limits)
{
	open_one(64, limits);
	fixed = prefix("198.51.100.0", 31);
	insides[0] = prefix("10.0.0.0", 29);
	deterministic = deterministic_make(&fixed, insides, 1, 64);
	translator.subscribers.deterministic = &deterministic;
	translator.subscribers.deterministic_count = 1;
	cr_assert_eq(pool_open(&translator.pools[TRANSLATOR_DETERMINISTIC], &fixed, 1, 64), 0);
}

static void close_deterministic(void)
{
	pool_close(&translator.pools[TRANSLATOR_DETERMINISTIC]);
	close_all();
}

static void expect_within(const struct binding *binding, const char *address, uint16_t first)
{
	struct plait_addr expected = addr(address, port_of(binding));

	expect_same(&binding->external, &expected);
	cr_expect(port_of(binding) >= first && port_of(binding) < first + 64, "%u",
		  port_of(binding));
}

Test(translator, lends_the_computed_block_and_no_other)
{
	static struct binding *all[64];
	unsigned int ascending = 0;

	open_deterministic((struct subscriber_limits){.blocks = 8});
	for (uint16_t i = 0; i < 64; i++) {
		all[i] = begin(ME, IPPROTO_TCP, i);
		expect_within(all[i], "198.51.100.1", 1024);
		ascending += i && port_of(all[i]) == port_of(all[i - 1]) + 1;
	}
	cr_expect_lt(ascending, 16, "at random within the block");
	expect_refused(ME, IPPROTO_TCP, 64, TRANSLATED_PORT_LIMIT);
	expect_within(begin(ME, IPPROTO_UDP, 64), "198.51.100.1", 1024);
	expect_within(begin(NEIGHBOUR, IPPROTO_TCP, 64), "198.51.100.0", 1088);
	end(all[17]);
	cr_expect_eq(port_of(begin(ME, IPPROTO_TCP, 64)), port_of(all[17]));
	cr_expect_eq(told, 0, "RFC 7422: nothing to log");
	close_deterministic();
}

Test(translator, who_is_inside_of_no_deterministic_pool_gets_what_is_free)
{
	struct binding *binding;

	open_deterministic((struct subscriber_limits){});
	binding = begin(8, IPPROTO_TCP, 40000);
	cr_expect_eq(pool_index_of(&translator.pools[0], &binding->external), 0);
	cr_expect_eq(told, 1);
	end(binding);
	end(begin(ME, IPPROTO_TCP, 40000));
	expect_nothing_left();
	pool_close(&translator.pools[0]);
	expect_refused(8, IPPROTO_TCP, 40000, TRANSLATED_NO_POOL);
	expect_within(begin(ME, IPPROTO_TCP, 40000), "198.51.100.1", 1024);
	close_deterministic();
}

Test(translator, a_named_subscriber_has_the_block_of_its_first_source_inside)
{
	const struct plait_addr sources[] = {numbered(9, 0), numbered(4, 0), numbered(3, 0)};

	open_deterministic((struct subscriber_limits){});
	subscribers_add(&translator.subscribers, "home", sources, 3);
	for (uint32_t who = 3; who <= 4; who++)
		expect_within(begin(who, IPPROTO_TCP, 40000), "198.51.100.0", 1024 + 2 * 64);
	expect_within(begin(9, IPPROTO_TCP, 40001), "198.51.100.0", 1024 + 2 * 64);
	close_deterministic();
}

/* Resting, plain-mode-08 §4.4.4, and adopting, RFC 6888 REQ-8 */

Test(translator, a_port_that_rests_is_lent_to_nobody_else)
{
	struct plait_addr external;
	struct binding *binding;

	open_one(2, (struct subscriber_limits){.blocks = 1});
	binding = begin(ME, IPPROTO_TCP, 40000);
	external = binding->external;
	translator_rest(&translator, binding, 10 * S);
	cr_expect_eq(translator.subscribers.slots[binding->subscriber].sessions, 0);
	translator_sweep(&translator, 9 * S);
	cr_expect_neq(port_of(begin(ME, IPPROTO_TCP, 40001)), ntohs(external.port));
	expect_refused(ME, IPPROTO_TCP, 40002, TRANSLATED_PORT_LIMIT);
	translator_sweep(&translator, 11 * S);
	cr_expect_eq(begin(ME, IPPROTO_TCP, 40002)->external.port, external.port);
	close_all();
}

Test(translator, the_same_inside_takes_its_port_back_from_rest)
{
	struct plait_addr external;
	struct binding *binding;

	open_small((struct subscriber_limits){});
	binding = begin(ME, IPPROTO_TCP, 40000);
	external = binding->external;
	translator_rest(&translator, binding, 10 * S);
	binding = begin(ME, IPPROTO_TCP, 40000);
	expect_same(&binding->external, &external);
	translator_sweep(&translator, 100 * S);
	cr_expect_eq(binding->sessions, 1);
	end(binding);
	expect_nothing_left();
	close_all();
}

/* Its subscriber must not be forgotten meanwhile, for its block is not free. */
Test(translator, whoever_has_a_resting_port_is_remembered)
{
	open_small((struct subscriber_limits){});
	translator_rest(&translator, begin(ME, IPPROTO_TCP, 40000), 10 * S);
	for (uint32_t who = 10; who < 17; who++)
		begin(who, IPPROTO_TCP, 40000);
	expect_refused(17, IPPROTO_TCP, 40000, TRANSLATED_NO_ROOM);
	translator_sweep(&translator, 11 * S);
	begin(17, IPPROTO_TCP, 40000);
	close_all();
}

static struct plait_addr external_at(const char *address, uint16_t port)
{
	struct plait_prefix at = prefix(address, 32);
	struct plait_addr addr = {.family = AF_INET, .port = htons(port)};

	memcpy(addr.ip, at.ip, sizeof(addr.ip));
	return addr;
}

static bool adopt(uint32_t who, uint16_t inside, const char *address, uint16_t port)
{
	struct translator_request request = asks(who, IPPROTO_TCP, inside);
	struct plait_addr external = external_at(address, port);

	return translator_adopt(&translator, &request, &external, 120 * S);
}

Test(translator, adopts_what_an_earlier_life_has_lent)
{
	open_small((struct subscriber_limits){});
	cr_assert(adopt(ME, 40000, "192.0.2.9", 1030));
	cr_assert(adopt(ME, 40001, "192.0.2.9", 1031));
	cr_expect(translator.pools[0].ports_lent == 2 && translator.pools[0].blocks_lent == 1);
	/* paired: what comes now is on the same address, beside them */
	for (uint16_t i = 0; i < 62; i++) {
		const struct binding *binding = begin(ME, IPPROTO_TCP, (uint16_t)(41000 + i));

		cr_assert(port_of(binding) >= 1024 && port_of(binding) < 1088);
		cr_assert(port_of(binding) != 1030 && port_of(binding) != 1031);
	}
	translator_sweep(&translator, 121 * S);
	cr_expect_eq(translator.pools[0].ports_lent, 62);
	close_all();
}

Test(translator, adopts_nothing_that_does_not_fit)
{
	open_small((struct subscriber_limits){});
	cr_expect_not(adopt(ME, 40000, "198.51.100.1", 2000), "of no pool");
	cr_expect_not(adopt(ME, 40000, "192.0.2.9", 80), "never lent");
	cr_assert(adopt(ME, 40000, "192.0.2.9", 1030));
	cr_expect_not(adopt(ME, 40000, "192.0.2.9", 1031), "the inside has one");
	cr_expect_not(adopt(ME, 40001, "192.0.2.9", 1030), "twice");
	cr_expect_not(adopt(ME, 40001, "203.0.113.4", 2000), "another address than before");
	cr_expect_not(adopt(NEIGHBOUR, 40000, "192.0.2.9", 1040), "somebody else's block");
	cr_expect(translator.pools[0].ports_lent == 1 && translator.pools[0].blocks_lent == 1);
	translator_sweep(&translator, 121 * S);
	expect_nothing_left();
	close_all();
}

/* Bindings that are configured, plain-mode-08 §4.4.2 */

static enum translated configure(uint32_t who, uint16_t inside_port, const char *external,
				 uint16_t port, struct binding **out)
{
	struct translator_request request = asks(who, IPPROTO_TCP, inside_port);
	struct plait_addr at = addr(external, port);

	return translator_configure(&translator, &request, &at, out);
}

Test(translator, what_is_configured_stays_without_sessions_and_lets_in)
{
	struct plait_addr external = addr("192.0.2.9", 2000);
	struct binding *binding, *same;

	open_small((struct subscriber_limits){.sessions = 1});
	cr_assert_eq(configure(ME, 80, "192.0.2.9", 2000, &binding), TRANSLATED);
	translator_sweep(&translator, 1000000 * S);
	cr_expect_eq(translator_let_in(&translator, IPPROTO_TCP, &external, 2 * S, &same),
		     TRANSLATED);
	cr_expect_eq(same, binding);
	cr_expect_eq(translator_let_in(&translator, IPPROTO_TCP, &external, 2 * S, &same),
		     TRANSLATED_SESSION_LIMIT);
	cr_expect_eq(translator_let_in(&translator, IPPROTO_UDP, &external, 2 * S, &same),
		     TRANSLATED_NOT_BOUND);
	translator_end(&translator, binding);
	cr_expect_eq(translator.bindings.count, 1);
	cr_expect(translator_unconfigure(&translator, IPPROTO_TCP, &external));
	cr_expect_not(translator_unconfigure(&translator, IPPROTO_TCP, &external));
	expect_nothing_left();
	close_all();
}

Test(translator, what_is_configured_goes_with_its_last_session)
{
	struct plait_addr external = addr("192.0.2.9", 443);
	struct binding *binding;

	open_small((struct subscriber_limits){});
	cr_assert_eq(configure(ME, 80, "192.0.2.9", 443, &binding), TRANSLATED, "a low port");
	cr_assert_eq(translator_let_in(&translator, IPPROTO_TCP, &external, 0, &binding),
		     TRANSLATED);
	cr_expect(translator_unconfigure(&translator, IPPROTO_TCP, &external));
	cr_expect_eq(translator_let_in(&translator, IPPROTO_TCP, &external, 0, &binding),
		     TRANSLATED_NOT_BOUND);
	cr_expect_eq(translator.bindings.count, 1);
	translator_end(&translator, binding);
	expect_nothing_left();
	close_all();
}

Test(translator, nothing_is_configured_that_is_somebody_else_s)
{
	struct translator_request request = asks(ME, IPPROTO_TCP, 90);
	struct binding *binding = NULL, *other;

	open_small((struct subscriber_limits){});
	other = begin(NEIGHBOUR, IPPROTO_TCP, 40000);
	cr_assert_eq(configure(ME, 80, "192.0.2.9", 80, &binding), TRANSLATED);
	cr_expect_eq(configure(ME, 80, "192.0.2.9", 81, &binding), TRANSLATED_TAKEN);
	cr_expect_eq(configure(NEIGHBOUR, 80, "192.0.2.9", 80, &binding), TRANSLATED_TAKEN);
	cr_expect_eq(translator_configure(&translator, &request, &other->external, &binding),
		     TRANSLATED_TAKEN);
	cr_expect_eq(configure(ME, 90, "198.51.100.1", 80, &binding), TRANSLATED_TAKEN);
	close_all();
}

Test(translator, a_low_port_holds_an_address_that_is_lent_whole)
{
	struct binding *binding = NULL;

	open_one(64512, (struct subscriber_limits){});
	cr_assert_eq(configure(ME, 80, "203.0.113.4", 80, &binding), TRANSLATED);
	cr_expect_eq(configure(NEIGHBOUR, 80, "203.0.113.4", 81, &binding), TRANSLATED_TAKEN);
	cr_expect(translator_unconfigure(&translator, IPPROTO_TCP, &(struct plait_addr){}) ==
		  false);
	cr_expect(translator_unconfigure(&translator, IPPROTO_TCP, &binding->external));
	expect_nothing_left();
	cr_expect_eq(configure(NEIGHBOUR, 80, "203.0.113.4", 81, &binding), TRANSLATED);
	close_all();
}

/* Pools set aside */

Test(translator, who_has_a_name_gets_what_is_set_aside)
{
	struct plait_prefix aside[] = {prefix("198.51.100.7", 32)};
	struct plait_addr named = numbered(50, 0);
	const struct binding *binding;

	open_small((struct subscriber_limits){});
	cr_assert_eq(pool_open(&translator.pools[2], aside, 1, 64512), 0);
	cr_assert_geq(subscribers_add(&translator.subscribers, "home", &named, 1), 0);
	binding = begin(50, IPPROTO_TCP, 40000);
	cr_expect_eq(pool_index_of(&translator.pools[2], &binding->external), 0);
	cr_expect_geq(pool_index_of(&translator.pools[0], &begin(ME, IPPROTO_TCP, 40000)->external),
		      0);
	end((struct binding *)binding);
	cr_expect_eq(translator.pools[2].ports_lent, 0);
	cr_expect_eq(translator.pools[2].blocks_lent, 0);
	pool_close(&translator.pools[2]);
	close_all();
}

/* By another configuration it may have been somebody else's. */
Test(translator, adopts_of_deterministic_pools_what_is_computed)
{
	open_deterministic((struct subscriber_limits){});
	cr_expect_not(adopt(NEIGHBOUR, 40000, "198.51.100.1", 1030), "mine");
	cr_expect_not(adopt(8, 40000, "198.51.100.1", 1030), "of one who is outside");
	cr_expect_not(adopt(ME, 40000, "203.0.113.4", 2000), "of another pool");
	cr_expect(adopt(ME, 40000, "198.51.100.1", 1030));
	cr_expect(adopt(ME, 40001, "198.51.100.1", 1031));
	cr_expect_eq(translator.pools[TRANSLATOR_DETERMINISTIC].blocks_lent, 1);
	expect_within(begin(ME, IPPROTO_TCP, 40002), "198.51.100.1", 1024);
	cr_expect_eq(translator.pools[TRANSLATOR_DETERMINISTIC].blocks_lent, 1);
	close_deterministic();
}
