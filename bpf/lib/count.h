/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Every exit of a program goes through here: one counted reason, one verdict. */
#ifndef PLAIT_BPF_COUNT_H
#define PLAIT_BPF_COUNT_H

#include "packet_counters.h"

/* Verdicts of tcx programs (enum tcx_action_base), missing in older headers. */
enum verdict {
	VERDICT_NEXT = -1, /* as if plait were not there */
	VERDICT_PASS = 0,
	VERDICT_DROP = 2,
};

static __always_inline int verdict(enum verdict verdict, enum plait_reason reason)
{
	count_packet(reason);
	return verdict;
}

#endif
