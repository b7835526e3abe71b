// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wheel.h"

#include "clock.h"

void wheel_init(struct wheel *wheel, struct wheel_link *links, uint64_t now_ns)
{
	wheel->links = links;
	wheel->now_s = (uint32_t)(now_ns / NS_PER_S);
	for (unsigned int i = 0; i < WHEEL_SLOTS; i++)
		wheel->first[i] = WHEEL_NOBODY;
}

static int32_t *slot_of(struct wheel *wheel, uint32_t due_s)
{
	return &wheel->first[due_s % WHEEL_SLOTS];
}

void wheel_disarm(struct wheel *wheel, uint32_t entry)
{
	struct wheel_link *link = &wheel->links[entry];

	if (!link->due_s)
		return;
	if (link->before == WHEEL_NOBODY)
		*slot_of(wheel, link->due_s) = link->next;
	else
		wheel->links[link->before].next = link->next;
	if (link->next != WHEEL_NOBODY)
		wheel->links[link->next].before = link->before;
	link->due_s = 0;
}

void wheel_arm(struct wheel *wheel, uint32_t entry, uint64_t due_ns)
{
	struct wheel_link *link = &wheel->links[entry];
	uint32_t due_s = (uint32_t)((due_ns + NS_PER_S - 1) / NS_PER_S);
	int32_t *slot;

	if (due_s <= wheel->now_s) /* that turn is over */
		due_s = wheel->now_s + 1;
	if (link->due_s == due_s)
		return;
	wheel_disarm(wheel, entry);
	slot = slot_of(wheel, due_s);
	*link = (struct wheel_link){.next = *slot, .before = WHEEL_NOBODY, .due_s = due_s};
	if (*slot != WHEEL_NOBODY)
		wheel->links[*slot].before = (int32_t)entry;
	*slot = (int32_t)entry;
}

/* Whoever shares the slot may be due a whole turn of the wheel later. */
static int32_t due_in_slot(struct wheel *wheel, uint32_t second)
{
	int32_t entry = *slot_of(wheel, second);

	while (entry != WHEEL_NOBODY && wheel->links[entry].due_s > second)
		entry = wheel->links[entry].next;
	return entry;
}

int32_t wheel_due(struct wheel *wheel, uint64_t now_ns)
{
	uint32_t now_s = (uint32_t)(now_ns / NS_PER_S);

	while (wheel->now_s < now_s) {
		int32_t entry = due_in_slot(wheel, wheel->now_s + 1);

		if (entry != WHEEL_NOBODY) {
			wheel_disarm(wheel, (uint32_t)entry);
			return entry;
		}
		wheel->now_s++;
	}
	return WHEEL_NOBODY;
}
