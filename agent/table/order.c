// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container.h"

struct order_stream {
	struct hash_node node; /* while it has packets */
	struct plait_addr binding;
	struct order_packet *first, *last; /* lowest and highest number */
	struct order_stream *next_free;
	uint32_t next; /* all before this number may go */
	uint32_t count;
};

static bool is_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

int order_open(struct order *order, uint64_t wait_ns)
{
	*order = (struct order){.wait_ns = wait_ns};
	order->packets = calloc(ORDER_PACKETS, sizeof(*order->packets));
	order->streams = calloc(ORDER_PACKETS, sizeof(*order->streams));
	if (!order->packets || !order->streams)
		return -ENOMEM;
	for (unsigned int i = 0; i < ORDER_PACKETS; i++) {
		order->streams[i].next_free = order->free_streams;
		order->free_streams = &order->streams[i];
	}
	return hash_open(&order->by_binding, ORDER_PACKETS);
}

void order_close(struct order *order)
{
	hash_close(&order->by_binding);
	free(order->packets);
	free(order->streams);
}

/* Streams */

static struct order_stream *find(const struct order *order, const struct plait_addr *binding,
				 uint32_t hash)
{
	for (struct hash_node *node = hash_first(&order->by_binding, hash); node;
	     node = hash_next(node)) {
		struct order_stream *stream = container_of(node, struct order_stream, node);

		if (!memcmp(&stream->binding, binding, sizeof(*binding)))
			return stream;
	}
	return NULL;
}

/* There are as many as packets, so one is free where a packet is. */
static struct order_stream *stream_of(struct order *order, const struct plait_addr *binding)
{
	uint32_t hash = hash_of(&order->by_binding, binding, sizeof(*binding));
	struct order_stream *stream = find(order, binding, hash);

	if (stream)
		return stream;
	stream = order->free_streams;
	order->free_streams = stream->next_free;
	stream->binding = *binding;
	stream->first = stream->last = NULL;
	stream->count = 0;
	hash_insert(&order->by_binding, &stream->node, hash);
	return stream;
}

static void end(struct order *order, struct order_stream *stream)
{
	hash_remove(&order->by_binding, &stream->node);
	stream->next_free = order->free_streams;
	order->free_streams = stream;
}

/* Whoever counts does not know of those that had gone on already: it is remembered here. */

static struct order_passed *passed_of(struct order *order, const struct plait_addr *binding)
{
	return &order->passed[hash_of(&order->by_binding, binding, sizeof(*binding)) %
			      ORDER_PASSED];
}

static uint32_t skip_passed(struct order *order, const struct plait_addr *binding, uint32_t next)
{
	const struct order_passed *passed = passed_of(order, binding);

	if (memcmp(&passed->binding, binding, sizeof(*binding)) ||
	    passed->next - next > ORDER_PACKETS_OF_ONE)
		return next;
	return passed->next;
}

/* Packets */

static struct order_packet *free_one(struct order *order)
{
	struct order_packet *packet = order->free_packets;

	if (packet)
		order->free_packets = packet->next;
	else if (order->touched < ORDER_PACKETS)
		packet = &order->packets[order->touched++];
	return packet;
}

static void append(struct order *order, struct order_packet *packet)
{
	packet->older = order->newest;
	packet->newer = NULL;
	*(order->newest ? &order->newest->newer : &order->oldest) = packet;
	order->newest = packet;
}

static void take_out(struct order *order, struct order_packet *packet)
{
	*(packet->older ? &packet->older->newer : &order->oldest) = packet->newer;
	*(packet->newer ? &packet->newer->older : &order->newest) = packet->older;
}

/* What fills a gap is mostly before all others, anything else behind them. */
static void insert(struct order_stream *stream, struct order_packet *packet)
{
	struct order_packet *before = stream->last;

	if (stream->first && is_before(packet->number, stream->first->number))
		before = NULL;
	while (before && is_before(packet->number, before->number))
		before = before->prev;
	packet->stream = stream;
	packet->prev = before;
	packet->next = before ? before->next : stream->first;
	*(packet->prev ? &packet->prev->next : &stream->first) = packet;
	*(packet->next ? &packet->next->prev : &stream->last) = packet;
}

/* Nobody waits for what is before this one any more. */
static void give_up_before(struct order *order, const struct order_packet *packet)
{
	struct order_stream *stream = packet->stream;

	if (is_before(stream->next, packet->number + 1))
		stream->next = packet->number + 1;
	order->going = stream;
}

bool order_came(struct order *order, const struct plait_reordered *record, uint32_t next,
		uint64_t now_ns)
{
	struct order_packet *packet = free_one(order);
	struct order_stream *stream;

	if (!packet)
		return false;
	packet->number = record->number;
	packet->frame_bytes = record->frame_bytes;
	packet->until_ns = now_ns + order->wait_ns;
	memcpy(packet->frame, record->frame, record->frame_bytes);
	next = skip_passed(order, &record->inner, next);
	stream = stream_of(order, &record->inner);
	if (!stream->first || is_before(stream->next, next))
		stream->next = next;
	insert(stream, packet);
	append(order, packet);
	order->going = stream;
	if (++stream->count > ORDER_PACKETS_OF_ONE)
		give_up_before(order, stream->first);
	return true;
}

void order_push(struct order *order)
{
	if (order->oldest)
		give_up_before(order, order->oldest);
}

static void free_packet(struct order *order, struct order_packet *packet)
{
	packet->next = order->free_packets;
	order->free_packets = packet;
}

/* Of the stream that goes on, the next one whose turn it is. */
static struct order_packet *take_next(struct order *order)
{
	struct order_stream *stream = order->going;
	struct order_packet *packet = stream->first;

	if (is_before(stream->next, packet->number))
		return NULL;
	stream->count--;
	stream->first = packet->next;
	*(stream->first ? &stream->first->prev : &stream->last) = NULL;
	if (packet->number == stream->next)
		stream->next++;
	take_out(order, packet);
	free_packet(order, packet);
	if (!stream->first) {
		if (!packet->frame_bytes)
			*passed_of(order, &stream->binding) =
				(struct order_passed){stream->binding, stream->next};
		end(order, stream);
		order->going = NULL;
	}
	return packet;
}

struct order_packet *order_next(struct order *order, uint64_t now_ns)
{
	for (;;) {
		struct order_packet *packet;

		if (!order->going && order->oldest && order->oldest->until_ns <= now_ns)
			give_up_before(order, order->oldest);
		if (!order->going)
			return NULL;
		packet = take_next(order);
		if (!packet)
			order->going = NULL;
		else if (packet->frame_bytes)
			return packet;
	}
}

uint64_t order_due_ns(const struct order *order)
{
	return order->oldest ? order->oldest->until_ns : 0;
}
