/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Deadlines of very many entries, told by index, in turns of one second: arming,
 * disarming and finding what is due cost the same however many there are. A
 * deadline is met up to a turn late. What is due after more turns than there are
 * slots is parked in the last of them, and anew when its turn comes. Time is an
 * argument.
 */
#ifndef PLAIT_BASE_WHEEL_H
#define PLAIT_BASE_WHEEL_H

#include <stdint.h>

enum { WHEEL_SLOTS = 1 << 14, WHEEL_NOBODY = -1 };

/* One for each entry, in an array of the owner's. */
struct wheel_link {
	int32_t next; /* index, or WHEEL_NOBODY */
	int32_t before; /* index; of the first one in a slot, the slot's complement */
	uint32_t due_s; /* 0: not armed */
};

struct wheel {
	struct wheel_link *links; /* borrowed */
	uint32_t now_s; /* all that is due by then has been told */
	int32_t first[WHEEL_SLOTS];
};

/* links, zeros, stay the caller's. */
void wheel_init(struct wheel *wheel, struct wheel_link *links, uint64_t now_ns);

/* Arm, or arm anew. What is further off than 2^32 s is never due. */
void wheel_arm(struct wheel *wheel, uint32_t entry, uint64_t due_ns);
/* entry may be unarmed. */
void wheel_disarm(struct wheel *wheel, uint32_t entry);

/*
 * An entry that is due, disarmed now, or WHEEL_NOBODY. Call until there is none.
 * After a pause, each second of it costs a step.
 */
int32_t wheel_due(struct wheel *wheel, uint64_t now_ns);

#endif
