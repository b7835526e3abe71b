// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What programs note of the far sides' SYN+ACKs (A2). */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "stage.h"

enum { EF = 46, NONE = -1 };

static const struct recipe syn_ack_v4 = {.from = "203.0.113.1",
					 .to = "192.0.2.2",
					 .from_port = 6824,
					 .to_port = 40000,
					 .flags = SYN | ACK};
static const struct recipe syn_ack_v6 = {.from = "2001:db8:c::1",
					 .to = "2001:db8:1::2",
					 .from_port = 6824,
					 .to_port = 40000,
					 .flags = SYN | ACK};

static int noted(const struct stage *stage, const struct recipe *recipe)
{
	struct plait_session_key key = {.inside = packet_addr(recipe->to, recipe->to_port),
					.remote = packet_addr(recipe->from, recipe->from_port),
					.protocol = IPPROTO_TCP};
	uint8_t dscp;

	return bpf_map_lookup_elem(stage_map(stage, "answers"), &key, &dscp) ? NONE : dscp;
}

/* ECN is set, too, and not to be taken for DSCP. */
static void pass(struct stage *stage, const char *program, const struct recipe *recipe,
		 uint8_t dscp)
{
	struct packet packet = packet_build(recipe);
	uint8_t *ip = packet.frame + ETH_HLEN, octet = (uint8_t)(dscp << 2 | 3);

	if (strchr(recipe->from, ':')) {
		ip[0] |= octet >> 4;
		ip[1] = (uint8_t)(octet << 4);
	} else {
		ip[1] = octet;
	}
	stage_run(stage, program, &packet, (struct stage_context){.interface = "wan0"});
}

static void notes_answers(enum stage_role role, const char *program)
{
	static const struct recipe *const recipes[] = {&syn_ack_v4, &syn_ack_v6};
	struct stage *stage = stage_open(role);

	for (int i = 0; i < 2; i++) {
		struct recipe other = *recipes[i];

		other.flags = ACK;
		pass(stage, program, &other, EF);
		other.flags = SYN;
		pass(stage, program, &other, EF);
		cr_expect_eq(noted(stage, recipes[i]), NONE, "SYN+ACKs only");
		pass(stage, program, recipes[i], 0);
		cr_expect_eq(noted(stage, recipes[i]), NONE, "0 needs no note");
		pass(stage, program, recipes[i], EF);
		cr_expect_eq(noted(stage, recipes[i]), EF);
		pass(stage, program, recipes[i], 63);
		cr_expect_eq(noted(stage, recipes[i]), 63);
		pass(stage, program, recipes[i], 0);
		cr_expect_eq(noted(stage, recipes[i]), NONE, "an earlier one's is gone");
	}
}

Test(dscp, cpe_notes_the_concentrators_answers)
{
	notes_answers(CPE, "leg_ingress_ether");
}

Test(dscp, concentrator_notes_the_servers_answers)
{
	notes_answers(CONCENTRATOR, "internet_ingress");
}
