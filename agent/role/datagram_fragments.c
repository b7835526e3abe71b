// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "datagram_fragments.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/addr_text.h"
#include "base/clock.h"
#include "base/container.h"
#include "plait_datagram.h"

static void count_dropped(struct datagram_fragments *fragments, unsigned int frames)
{
	*instance_counter(fragments->instance, PLAIT_DATAGRAM_EARLY_DROPPED) += frames;
}

static void put_again(struct datagram_fragments *fragments, const uint8_t *frame, size_t len)
{
	fragments->let_go(fragments->context, frame, len);
}

static void first_came(struct datagram_fragments *fragments, uint64_t datagram)
{
	uint8_t *frame;
	size_t len;

	early_first_came(&fragments->early, datagram, clock_now_ns());
	while ((frame = early_next(&fragments->early, datagram, &len))) {
		put_again(fragments, frame, len);
		free(frame);
	}
}

static int on_record(void *context, void *data, size_t size)
{
	struct datagram_fragments *fragments = context;
	const struct plait_early_fragment *record = data;

	if (!record->datagram) {
		put_again(fragments, record->frame, record->frame_bytes);
		return 0;
	}
	if (!record->frame_bytes) {
		first_came(fragments, record->datagram);
		return 0;
	}
	switch (early_came(&fragments->early, record->datagram, record->frame, record->frame_bytes,
			   clock_now_ns())) {
	case EARLY_KEPT:
		break;
	case EARLY_GOES:
		put_again(fragments, record->frame, record->frame_bytes);
		break;
	case EARLY_NO_ROOM:
		count_dropped(fragments, 1);
		break;
	}
	return 0;
}

static void ring_ready(struct loop_watch *watch, uint32_t events)
{
	struct datagram_fragments *fragments =
		container_of(watch, struct datagram_fragments, ring_watch);

	datagram_fragments_sweep(fragments);
	ring_buffer__consume(fragments->ring);
}

int datagram_fragments_open(struct datagram_fragments *fragments, struct instance *instance,
			    struct loop *loop,
			    void (*let_go)(void *context, const uint8_t *frame, size_t len),
			    void *context)
{
	fragments->instance = instance;
	fragments->let_go = let_go;
	fragments->context = context;
	fragments->ring = ring_buffer__new(dataplane_map_fd(instance->dataplane, "datagram_early"),
					   on_record, fragments, NULL);
	if (!fragments->ring)
		return -errno;
	fragments->ring_watch.ready = ring_ready;
	return loop_add(loop, ring_buffer__epoll_fd(fragments->ring), EPOLLIN,
			&fragments->ring_watch);
}

void datagram_fragments_close(struct datagram_fragments *fragments)
{
	if (fragments->ring)
		ring_buffer__free(fragments->ring);
	early_close(&fragments->early);
}

void datagram_fragments_sweep(struct datagram_fragments *fragments)
{
	unsigned int expired = early_expire(&fragments->early, clock_now_ns());

	if (expired)
		count_dropped(fragments, expired);
}

/* Names in ICMP errors */

/* One of each family, of those that other networks reach rather than of the others. */
static struct plait_router router_at(const struct own_addresses *own, unsigned int ifindex)
{
	struct plait_router router = {};

	for (unsigned int i = 0; i < own->count; i++) {
		const struct plait_addr *addr = &own->entry[i].addr;
		struct plait_addr *name = addr->family == AF_INET ? &router.ipv4 : &router.ipv6;

		if (own->entry[i].ifindex == ifindex && (!name->family || addr_is_link_local(name)))
			*name = *addr;
	}
	return router;
}

void datagram_fragments_name(struct instance *instance, const struct config_interfaces *interfaces)
{
	for (unsigned int i = 0; i < interfaces->count; i++) {
		uint32_t ifindex = if_nametoindex(interfaces->name[i]);
		struct plait_router router = router_at(&instance->own, ifindex);

		if (ifindex)
			dataplane_put(instance->dataplane, "datagram_routers", &ifindex, &router);
	}
}
