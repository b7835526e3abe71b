// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "early.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "plait_datagram.h"

static bool first_has_come(const struct early *early, uint64_t datagram, uint64_t now_ns)
{
	for (unsigned int i = 0; i < EARLY_FIRSTS; i++)
		if (early->first[i].datagram == datagram && early->first[i].until_ns > now_ns)
			return true;
	return false;
}

static struct early_frame *free_frame(struct early *early)
{
	for (unsigned int i = 0; i < EARLY_FRAMES; i++)
		if (!early->frame[i].bytes)
			return &early->frame[i];
	return NULL;
}

enum early_fate early_came(struct early *early, uint64_t datagram, const uint8_t *bytes, size_t len,
			   uint64_t now_ns)
{
	struct early_frame *frame;

	if (first_has_come(early, datagram, now_ns))
		return EARLY_GOES;
	frame = free_frame(early);
	if (!frame)
		return EARLY_NO_ROOM;
	*frame = (struct early_frame){.datagram = datagram,
				      .until_ns = now_ns + PLAIT_FRAGMENT_LIFE_NS,
				      .number = early->next_number++,
				      .len = len,
				      .bytes = malloc(len)};
	if (!frame->bytes)
		return EARLY_NO_ROOM;
	memcpy(frame->bytes, bytes, len);
	return EARLY_KEPT;
}

void early_first_came(struct early *early, uint64_t datagram, uint64_t now_ns)
{
	early->first[early->next_first++ % EARLY_FIRSTS] =
		(struct early_first){datagram, now_ns + PLAIT_FRAGMENT_LIFE_NS};
}

uint8_t *early_next(struct early *early, uint64_t datagram, size_t *len)
{
	struct early_frame *next = NULL;
	uint8_t *bytes;

	for (unsigned int i = 0; i < EARLY_FRAMES; i++) {
		struct early_frame *frame = &early->frame[i];

		if (frame->bytes && frame->datagram == datagram &&
		    (!next || (int32_t)(frame->number - next->number) < 0))
			next = frame;
	}
	if (!next)
		return NULL;
	bytes = next->bytes;
	next->bytes = NULL;
	*len = next->len;
	return bytes;
}

static void forget(struct early_frame *frame)
{
	free(frame->bytes);
	frame->bytes = NULL;
}

unsigned int early_expire(struct early *early, uint64_t now_ns)
{
	unsigned int expired = 0;

	for (unsigned int i = 0; i < EARLY_FRAMES; i++)
		if (early->frame[i].bytes && early->frame[i].until_ns <= now_ns) {
			forget(&early->frame[i]);
			expired++;
		}
	return expired;
}

void early_close(struct early *early)
{
	for (unsigned int i = 0; i < EARLY_FRAMES; i++)
		forget(&early->frame[i]);
}
