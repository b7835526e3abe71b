// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "datagram_tally.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>

enum { CPUS_MAX = 1024, VERDICTS = 5 };

/* Whose verdict a reason is. */
static const uint8_t verdict_of[PLAIT_REASON_COUNT] = {
	[PLAIT_DATAGRAM_SENT] = XDP_REDIRECT,
	[PLAIT_DATAGRAM_SENT_SUMMED] = XDP_REDIRECT,
	[PLAIT_DATAGRAM_RECEIVED] = XDP_REDIRECT,
	[PLAIT_DATAGRAM_DIRECT] = XDP_PASS,
	[PLAIT_DATAGRAM_NEW] = XDP_PASS,
	[PLAIT_DATAGRAM_NO_PATH] = XDP_PASS,
	[PLAIT_DATAGRAM_NO_NEXT_HOP] = XDP_PASS,
	[PLAIT_DATAGRAM_TOO_BIG] = XDP_PASS,
	[PLAIT_DATAGRAM_MTU_TOLD] = XDP_TX,
	[PLAIT_DATAGRAM_MTU_LIMITED] = XDP_DROP,
	[PLAIT_DATAGRAM_FRAGMENT_SENT] = XDP_REDIRECT,
	[PLAIT_DATAGRAM_FRAGMENT_RECEIVED] = XDP_REDIRECT,
	[PLAIT_DATAGRAM_CUT] = XDP_PASS,
	[PLAIT_DATAGRAM_FRAGMENT_KEPT] = XDP_DROP,
	[PLAIT_DATAGRAM_FRAGMENT_EARLY] = XDP_DROP,
	[PLAIT_DATAGRAM_FRAGMENT_LIMIT] = XDP_DROP,
	[PLAIT_DATAGRAM_FRAGMENT_TINY] = XDP_DROP,
	[PLAIT_DATAGRAM_FRAGMENT_OVERLAP] = XDP_DROP,
	[PLAIT_DATAGRAM_FRAGMENT_REFUSED] = XDP_DROP,
	[PLAIT_DATAGRAM_FRAGMENT_EXPIRED] = VERDICTS, /* beside another one's */
	[PLAIT_DATAGRAM_FRAGMENT] = XDP_PASS,
	[PLAIT_DATAGRAM_TTL_LEFT] = XDP_PASS,
	[PLAIT_DATAGRAM_TTL] = XDP_DROP,
	[PLAIT_DATAGRAM_MALFORMED] = XDP_DROP,
	[PLAIT_DATAGRAM_IP_OPTIONS] = XDP_DROP,
	[PLAIT_DATAGRAM_IP_CHECKSUM] = XDP_DROP,
	[PLAIT_DATAGRAM_NO_CHECKSUM] = XDP_DROP,
	[PLAIT_DATAGRAM_NO_OPTION] = XDP_DROP,
	[PLAIT_DATAGRAM_NOT_UDP] = XDP_DROP,
	[PLAIT_DATAGRAM_OPTION] = XDP_DROP,
	[PLAIT_DATAGRAM_FORBIDDEN] = XDP_DROP,
	[PLAIT_DATAGRAM_FILTERED] = XDP_DROP,
	[PLAIT_DATAGRAM_SOURCE] = XDP_DROP,
	[PLAIT_DATAGRAM_UNKNOWN] = XDP_DROP,
	[PLAIT_DATAGRAM_FAILED] = XDP_DROP,
};

struct tally {
	struct stage *stage;
	uint64_t verdicts[VERDICTS];
};

static struct tally tallies[2];

struct stage *tally_open(enum stage_role role)
{
	tallies[role] = (struct tally){.stage = datagram_open(role)};
	return tallies[role].stage;
}

uint32_t tally_run(enum stage_role role, bool sends, const struct packet *packet,
		   struct packet *out)
{
	static const char *const programs[2][2] = {{"datagram_link", "datagram_lan"},
						   {"datagram_customer", "datagram_internet"}};
	uint32_t verdict =
		datagram_verdict_of(tallies[role].stage, programs[role][sends], packet, out);

	cr_assert_lt(verdict, VERDICTS);
	tallies[role].verdicts[verdict]++;
	return verdict;
}

uint64_t tally_of(enum stage_role role, uint32_t verdict)
{
	return tallies[role].verdicts[verdict];
}

static void expect_one_accounted(const struct tally *tally)
{
	int fd = stage_map(tally->stage, "packet_counters");
	uint64_t counted[VERDICTS + 1] = {};

	for (uint32_t reason = PLAIT_DATAGRAM_SENT; reason <= PLAIT_DATAGRAM_FAILED; reason++) {
		static uint64_t per_cpu[CPUS_MAX];
		uint64_t count = 0;

		cr_assert_eq(bpf_map_lookup_elem(fd, &reason, per_cpu), 0);
		for (int cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++)
			count += per_cpu[cpu];
		counted[verdict_of[reason]] += count;
	}
	cr_assert_eq(tally->verdicts[XDP_REDIRECT], counted[XDP_REDIRECT]);
	cr_assert_eq(tally->verdicts[XDP_DROP], counted[XDP_DROP]);
	/* what is somebody else's passes uncounted */
	cr_assert_geq(tally->verdicts[XDP_PASS], counted[XDP_PASS]);
	cr_assert_eq(tally->verdicts[XDP_TX], counted[XDP_TX]);
	cr_assert_eq(tally->verdicts[XDP_ABORTED], 0);
}

void tally_expect_accounted(void)
{
	expect_one_accounted(&tallies[CPE]);
	expect_one_accounted(&tallies[CONCENTRATOR]);
}
