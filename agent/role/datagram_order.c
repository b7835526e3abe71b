// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "datagram_order.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "port/tap.h"

/* In its thread */

static void let_go(struct datagram_order *order)
{
	static const uint32_t in_turn = PLAIT_IN_TURN;
	struct order_packet *packet;

	while ((packet = order_next(&order->order, clock_now_ns()))) {
		memcpy(packet->frame + sizeof(order->tap_mac), &in_turn, sizeof(in_turn));
		if (tap_put(order->tap_fd, order->tap_mac, packet->frame, packet->frame_bytes))
			++*order->failed;
	}
}

/* The program at the TAP device has seen all that was put there: writing is running it. */
static uint32_t next_number(const struct datagram_order *order,
			    const struct plait_reordered *record)
{
	struct plait_datagram_order value;

	return bpf_map_lookup_elem(order->map_fd, &record->inner, &value) ? record->number
									  : value.next;
}

static int on_record(void *context, void *data, size_t size)
{
	struct datagram_order *order = context;
	const struct plait_reordered *record = data;
	uint32_t next = next_number(order, record);

	while (!order_came(&order->order, record, next, clock_now_ns())) {
		order_push(&order->order);
		let_go(order);
	}
	let_go(order);
	return 0;
}

static void ring_ready(struct loop_watch *watch, uint32_t events)
{
	ring_buffer__consume(container_of(watch, struct datagram_order, ring_watch)->ring);
}

static void stop_ready(struct loop_watch *watch, uint32_t events)
{
	container_of(watch, struct datagram_order, stop_watch)->loop.stopped = true;
}

static int timeout_ms(const struct datagram_order *order)
{
	uint64_t due_ns = order_due_ns(&order->order);

	return due_ns ? clock_ms_until(due_ns) : -1;
}

static void *run(void *argument)
{
	struct datagram_order *order = argument;

	while (!order->loop.stopped && !loop_wait(&order->loop, timeout_ms(order))) {
		loop_dispatch(&order->loop);
		let_go(order);
	}
	return NULL;
}

/* In the main thread */

static int open_loop(struct datagram_order *order, int ring_fd)
{
	int err = loop_open(&order->loop);

	if (err)
		return err;
	order->ring = ring_buffer__new(ring_fd, on_record, order, NULL);
	order->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!order->ring || order->stop_fd < 0)
		return -errno;
	order->ring_watch.ready = ring_ready;
	order->stop_watch.ready = stop_ready;
	err = loop_add(&order->loop, ring_buffer__epoll_fd(order->ring), EPOLLIN,
		       &order->ring_watch);
	return err ? err : loop_add(&order->loop, order->stop_fd, EPOLLIN, &order->stop_watch);
}

static int start(struct datagram_order *order)
{
	int err = -pthread_create(&order->thread, NULL, run, order);

	if (err)
		order->thread = 0;
	else
		pthread_setname_np(order->thread, "plait-order");
	return err;
}

unsigned int datagram_order_room(const struct config *config, unsigned int entries)
{
	enum { PAGE_BYTES = 4096 }; /* the least that a ring can have */

	return config->reorder_ms ? entries : PAGE_BYTES;
}

int datagram_order_open(struct datagram_order *order, struct instance *instance, int tap_fd,
			const uint8_t tap_mac[6])
{
	int err;

	if (!instance->config->reorder_ms)
		return 0;
	order->dataplane = instance->dataplane;
	order->map_fd = dataplane_map_fd(instance->dataplane, "datagram_order");
	order->failed = dataplane_counters(instance->dataplane, instance->worker_count + 1) +
			PLAIT_LET_GO_FAILED;
	order->stop_fd = -1;
	order->tap_fd = tap_fd;
	memcpy(order->tap_mac, tap_mac, sizeof(order->tap_mac));
	err = order_open(&order->order, instance->config->reorder_ms * NS_PER_MS);
	if (!err)
		err = open_loop(order, dataplane_map_fd(instance->dataplane, "datagram_reordered"));
	return err ? err : start(order);
}

void datagram_order_close(struct datagram_order *order)
{
	const uint64_t one = 1;

	if (!order->dataplane)
		return;
	if (order->thread && write(order->stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(order->thread, NULL);
	if (order->ring)
		ring_buffer__free(order->ring);
	if (order->stop_fd >= 0)
		close(order->stop_fd);
	if (order->loop.epoll_fd)
		loop_close(&order->loop);
	order_close(&order->order);
}

int datagram_order_begin(struct datagram_order *order, const struct plait_addr *inner)
{
	struct plait_datagram_order known, value = {.next = 1, .kept_to = 1};

	if (!order->dataplane || !dataplane_get(order->dataplane, "datagram_order", inner, &known))
		return 0;
	return dataplane_put(order->dataplane, "datagram_order", inner, &value);
}

void datagram_order_end(struct datagram_order *order, const struct plait_addr *inner)
{
	if (order->dataplane)
		dataplane_remove(order->dataplane, "datagram_order", inner);
}
