/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Every verdict of datagram mode's programs is counted under a reason that goes with it:
 * what tests have seen is compared with the counters.
 */
#ifndef PLAIT_TESTS_BPF_DATAGRAM_TALLY_H
#define PLAIT_TESTS_BPF_DATAGRAM_TALLY_H

#include "datagram_stage.h"

/* Opens that role; what its programs do is noted from here on. */
struct stage *tally_open(enum stage_role role);

/* What the program that sends, or the one that receives, makes of it (enum xdp_action). */
uint32_t tally_run(enum stage_role role, bool sends, const struct packet *packet,
		   struct packet *out);

/* So many packets of that role got that verdict. */
uint64_t tally_of(enum stage_role role, uint32_t verdict);

/* All that was seen of both roles was counted as such. */
void tally_expect_accounted(void);

#endif
