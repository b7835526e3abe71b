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

/* Where next of whoever stands before link is kept. */
static int32_t *next_of_before(struct wheel *wheel, const struct wheel_link *link)
{
	return link->before < 0 ? &wheel->first[~link->before] : &wheel->links[link->before].next;
}

void wheel_disarm(struct wheel *wheel, uint32_t entry)
{
	struct wheel_link *link = &wheel->links[entry];

	if (!link->due_s)
		return;
	*next_of_before(wheel, link) = link->next;
	if (link->next != WHEEL_NOBODY)
		wheel->links[link->next].before = link->before;
	link->due_s = 0;
}

/* entry is not armed, and due_s not over. */
static void park(struct wheel *wheel, uint32_t entry, uint32_t due_s)
{
	uint32_t turns = due_s - wheel->now_s;
	uint32_t slot = (turns < WHEEL_SLOTS ? due_s : wheel->now_s + WHEEL_SLOTS) % WHEEL_SLOTS;
	int32_t next = wheel->first[slot];

	wheel->links[entry] =
		(struct wheel_link){.next = next, .before = ~(int32_t)slot, .due_s = due_s};
	if (next != WHEEL_NOBODY)
		wheel->links[next].before = (int32_t)entry;
	wheel->first[slot] = (int32_t)entry;
}

static uint32_t turn_of(const struct wheel *wheel, uint64_t due_ns)
{
	uint64_t due_s = due_ns / NS_PER_S + !!(due_ns % NS_PER_S);

	if (due_s <= wheel->now_s) /* that turn is over */
		return wheel->now_s + 1;
	return due_s < UINT32_MAX ? (uint32_t)due_s : UINT32_MAX;
}

void wheel_arm(struct wheel *wheel, uint32_t entry, uint64_t due_ns)
{
	uint32_t due_s = turn_of(wheel, due_ns);

	if (wheel->links[entry].due_s == due_s)
		return;
	wheel_disarm(wheel, entry);
	park(wheel, entry, due_s);
}

int32_t wheel_due(struct wheel *wheel, uint64_t now_ns)
{
	uint32_t now_s = (uint32_t)(now_ns / NS_PER_S);

	while (wheel->now_s < now_s) {
		uint32_t turn = wheel->now_s + 1, due_s;
		int32_t entry = wheel->first[turn % WHEEL_SLOTS];

		if (entry == WHEEL_NOBODY) {
			wheel->now_s = turn;
			continue;
		}
		due_s = wheel->links[entry].due_s;
		wheel_disarm(wheel, (uint32_t)entry);
		if (due_s <= turn)
			return entry;
		park(wheel, (uint32_t)entry, due_s);
	}
	return WHEEL_NOBODY;
}
