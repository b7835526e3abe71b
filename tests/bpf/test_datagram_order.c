// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* U3: packets of a binding go on in the order of their acknowledgement numbers. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <string.h>

#include "datagram_stage.h"

static const struct datagram_inner *const v4 = &datagram_inners[0];

static struct stage *open_at(enum stage_role role, uint32_t next)
{
	struct stage *stage = datagram_open(role);

	datagram_put_in_order(stage, next);
	return stage;
}

static struct stage *open_ordered(enum stage_role role)
{
	return open_at(role, 1);
}

static struct packet numbered(enum stage_role to, uint32_t number)
{
	struct recipe tcp = datagram_formatted(to, LINK_V4, v4);

	tcp.seq = tcp.ack = number;
	tcp.payload = TEXT("a datagram");
	return packet_build(&tcp);
}

static void expect(struct stage *stage, enum stage_role role, uint32_t number, const char *outcome)
{
	struct packet packet = numbered(role, number);
	struct conversion got = datagram_run(stage, datagram_receivers[role], &packet);

	cr_assert_str_eq(got.outcome, outcome, "%u: %s, not %s", number, got.outcome, outcome);
}

#define GOES "redirect datagram_received"
#define HELD "drop datagram_out_of_turn"

/* What the agent has been given. */
static struct plait_reordered given[8];
static unsigned int given_count;

static int take(void *context, void *record, size_t bytes)
{
	cr_assert_lt(given_count, 8);
	memset(&given[given_count], 0, sizeof(given[0]));
	memcpy(&given[given_count++], record, bytes);
	return 0;
}

static void read_given(const struct stage *stage)
{
	given_count = 0;
	stage_read_ring(stage_map(stage, "datagram_reordered"), take, NULL);
}

/* As the agent does it. */
static void let_go(struct stage *stage, enum stage_role role, const struct plait_reordered *record,
		   const char *outcome)
{
	struct packet packet = {.bytes = record->frame_bytes};
	const uint32_t in_turn = PLAIT_IN_TURN;
	struct conversion got;

	memcpy(packet.frame, record->frame, packet.bytes);
	memcpy(packet.frame + 6, &in_turn, sizeof(in_turn));
	got = datagram_run(stage, datagram_receivers[role], &packet);
	cr_assert_str_eq(got.outcome, outcome, "%u: %s", record->number, got.outcome);
}

Test(datagram_order, U3_in_order_nothing_waits)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = open_ordered(role);

		for (uint32_t number = 1; number < 6; number++)
			expect(stage, role, number, GOES);
		read_given(stage);
		cr_expect_eq(given_count, 0);
	}
}

Test(datagram_order, U3_early_ones_are_the_agents_as_they_came)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = open_ordered(role);
		struct packet packet = numbered(role, 3);
		struct plait_addr inner = datagram_inner_end(stage, v4);

		expect(stage, role, 1, GOES);
		expect(stage, role, 3, HELD);
		read_given(stage);
		cr_assert_eq(given_count, 1);
		cr_expect_eq(given[0].number, 3);
		cr_expect_arr_eq(&given[0].inner, &inner, sizeof(inner));
		cr_assert_eq(given[0].frame_bytes, packet.bytes);
		cr_expect_arr_eq(given[0].frame, packet.frame, packet.bytes);
	}
}

Test(datagram_order, U3_what_fills_the_gap_goes_by_the_agent_too_and_then_nothing_does)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = open_ordered(role);

		expect(stage, role, 1, GOES);
		expect(stage, role, 3, HELD);
		expect(stage, role, 2, HELD);
		expect(stage, role, 4, HELD);
		read_given(stage);
		cr_assert_eq(given_count, 3);
		let_go(stage, role, &given[1], GOES);
		let_go(stage, role, &given[0], GOES);
		expect(stage, role, 5, HELD);
		let_go(stage, role, &given[2], GOES);
		read_given(stage);
		let_go(stage, role, &given[0], GOES);
		expect(stage, role, 6, GOES);
		cr_expect_eq(datagram_traffic(stage, LINK_V4).received, 6, "each counts once");
	}
}

Test(datagram_order, U3_given_up_ones_go_on_when_they_come)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = open_ordered(role);

		expect(stage, role, 1, GOES);
		expect(stage, role, 4, HELD);
		read_given(stage);
		let_go(stage, role, &given[0], GOES);
		expect(stage, role, 2, "redirect datagram_received datagram_late");
		expect(stage, role, 5, GOES);
		expect(stage, role, 3, "redirect datagram_received datagram_late");
		expect(stage, role, 6, GOES);
	}
}

Test(datagram_order, U3_agent_that_loses_one_stops_nothing)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = open_ordered(role);

		expect(stage, role, 1, GOES);
		expect(stage, role, 3, HELD);
		expect(stage, role, 4, HELD);
		read_given(stage);
		let_go(stage, role, &given[0], GOES);
		expect(stage, role, 5, HELD);
		read_given(stage);
		let_go(stage, role, &given[0], GOES);
		expect(stage, role, 6, GOES);
	}
}

Test(datagram_order, U3_sender_that_began_anew_is_followed)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = open_ordered(role);

		expect(stage, role, 100000, GOES);
		expect(stage, role, 1, GOES);
		expect(stage, role, 2, GOES);
		expect(stage, role, 2 + PLAIT_SEQUENCE_WINDOW + 1, GOES);
	}
}

Test(datagram_order, U3_numbers_go_round)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = open_at(role, UINT32_MAX - 1);

		expect(stage, role, UINT32_MAX - 1, GOES);
		expect(stage, role, 0, HELD);
		expect(stage, role, UINT32_MAX, HELD);
		read_given(stage);
		let_go(stage, role, &given[1], GOES);
		let_go(stage, role, &given[0], GOES);
		expect(stage, role, 1, GOES);
	}
}

Test(datagram_order, U3_what_the_agent_cannot_take_goes_on_before_its_turn)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = open_ordered(role);
		int held = 0;

		expect(stage, role, 1, GOES);
		for (; held < 1 << 16; held++) {
			struct packet packet = numbered(role, 3);
			struct conversion got =
				datagram_run(stage, datagram_receivers[role], &packet);

			if (strcmp(got.outcome, HELD))
				break;
		}
		cr_expect_gt(held, 10000);
		expect(stage, role, 3, "redirect datagram_received datagram_unordered");
		expect(stage, role, 2, "redirect datagram_received datagram_unordered");
	}
}

/* Nobody says that it is its turn but the agent, at the TAP device. */
Test(datagram_order, U3_turns_are_not_taken_from_elsewhere)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = open_ordered(role);
		const struct plait_datagram_settings elsewhere = {.tap_ifindex = 1};

		stage_put(stage, "datagram_settings", &(uint32_t){0}, &elsewhere);
		expect(stage, role, 1, GOES);
		expect(stage, role, 3, HELD);
		read_given(stage);
		let_go(stage, role, &given[0], HELD);
	}
}

Test(datagram_order, U3_bindings_without_order_are_left_as_they_come)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = open_ordered(role);
		const struct plait_path_set flows = {.count = 2};
		const struct plait_addr inner = datagram_inner_end(stage, v4);

		expect(stage, role, 1, GOES);
		datagram_put_set(stage, 0, &flows);
		expect(stage, role, 5, GOES);
		stage = open_ordered(role);
		cr_assert_eq(bpf_map_delete_elem(stage_map(stage, "datagram_order"), &inner), 0);
		expect(stage, role, 1, GOES);
		expect(stage, role, 5, GOES);
	}
}

/* To another subscriber: the last step is in another program. */
Test(datagram_order, U3_a_hairpinned_one_counts_once)
{
	struct stage *stage = open_ordered(CONCENTRATOR);
	struct datagram_inner other = *v4, aim = *v4;
	struct packet packet;

	other.wan_port++;
	other.external_port += 2;
	aim.remote = other.external;
	aim.remote_port = other.external_port;
	stage_ip("addr add 198.51.100.1/32 dev lo\n");
	datagram_put_binding(stage, &other);
	for (uint32_t number = 2; number; number--) {
		struct recipe tcp = datagram_formatted(CONCENTRATOR, LINK_V4, &aim);

		tcp.seq = tcp.ack = number;
		packet = packet_build(&tcp);
		datagram_verdict_of(stage, datagram_receivers[CONCENTRATOR], &packet, &packet);
	}
	read_given(stage);
	cr_assert_eq(given_count, 2);
	stage_counted(stage);
	let_go(stage, CONCENTRATOR, &given[1], "redirect datagram_sent datagram_received");
	let_go(stage, CONCENTRATOR, &given[0], "redirect datagram_sent datagram_received");
	cr_expect_eq(datagram_traffic(stage, LINK_V4).received, 2);
}

/* A datagram in fragments, whose first has UDP's length as window, has a number, too. */
Test(datagram_order, U3_fragments_do_not_wait_and_are_not_waited_for)
{
	BOTH_ROLES(role)
	{
		struct stage *stage = open_ordered(role);
		struct recipe tcp = datagram_formatted(role, LINK_V4, v4);
		static const uint8_t filling[64];
		struct packet whole, first;

		expect(stage, role, 1, GOES);
		tcp.ack = 3;
		tcp.payload = (struct octets){filling, sizeof(filling)};
		whole = packet_build(&tcp);
		first = packet_fragment(&whole, (struct slice){.bytes = 64, .more = true, .id = 7});
		first.frame[14 + 20 + 14] = 0;
		first.frame[14 + 20 + 15] = 72;
		cr_assert_str_eq(datagram_run(stage, datagram_receivers[role], &first).outcome,
				 GOES);
		read_given(stage);
		cr_assert_eq(given_count, 1);
		cr_expect_eq(given[0].number, 3);
		cr_expect_eq(given[0].frame_bytes, 0);
		expect(stage, role, 2, HELD);
	}
}
