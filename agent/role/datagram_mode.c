// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "datagram_mode.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "port/neighbours.h"
#include "port/tap.h"

enum {
	LOOK_AGAIN_MS = 5, /* whether a neighbour has answered */
	WAIT_MS = 1000, /* for it: as long as the kernel asks for one */
	MTU_MIN = 1280, /* what a path must carry anyway (RFC 8200 §5) */
};

static int failed(int err, const char *what)
{
	if (err)
		log_error("datagram mode: %s: %s", what, strerror(-err));
	return err;
}

void datagram_mode_count(struct datagram_mode *mode, enum plait_reason reason)
{
	++*instance_counter(mode->instance, reason);
}

/* Held packets */

static int on_record(void *context, void *record, size_t size)
{
	struct datagram_mode *mode = context;

	mode->on_held(mode, record);
	return 0;
}

static void ring_ready(struct loop_watch *watch, uint32_t events)
{
	ring_buffer__consume(container_of(watch, struct datagram_mode, ring_watch)->ring);
}

bool datagram_mode_has_had(const struct datagram_mode *mode, const struct plait_held_syn *held)
{
	return held->ifindex == mode->tap_ifindex;
}

static void put(struct datagram_mode *mode, uint8_t *frame, size_t len)
{
	if (tap_put(mode->tap_fd, mode->tap_mac, frame, len))
		datagram_mode_count(mode, PLAIT_LET_GO_FAILED);
}

/* The ring is read-only. */
static void put_copy(void *context, const uint8_t *bytes, size_t len)
{
	uint8_t frame[PLAIT_EARLY_FRAME_MAX];

	memcpy(frame, bytes, len);
	put(context, frame, len);
}

static void arm(struct datagram_mode *mode)
{
	const struct itimerspec due = {.it_value = {.tv_nsec = LOOK_AGAIN_MS * NS_PER_MS}};

	timerfd_settime(mode->timer_fd, 0, &due, NULL);
}

static void wait_for_neighbour(struct datagram_mode *mode, const struct plait_held_syn *held,
			       const struct plait_addr *to)
{
	for (unsigned int i = 0; i < DATAGRAM_WAITING_MAX; i++) {
		struct waiting_packet *packet = &mode->waiting[i];

		if (packet->until_ns)
			continue;
		packet->until_ns = clock_now_ns() + WAIT_MS * NS_PER_MS;
		packet->to = *to;
		packet->frame_bytes = held->frame_bytes;
		memcpy(packet->frame, held->frame, held->frame_bytes);
		arm(mode);
		return;
	}
	datagram_mode_count(mode, PLAIT_DATAGRAM_NO_NEIGHBOUR);
}

void datagram_mode_let_go(struct datagram_mode *mode, const struct plait_held_syn *held,
			  const struct plait_addr *to)
{
	struct hop hop;

	if (to && neighbour_find(&mode->instance->rtnetlink, NULL, to, &hop) == -EAGAIN) {
		neighbour_ask(&mode->instance->rtnetlink, &hop);
		wait_for_neighbour(mode, held, to);
		return;
	}
	put_copy(mode, held->frame, held->frame_bytes);
}

/* False: it waits on. */
static bool look_again(struct datagram_mode *mode, struct waiting_packet *packet, uint64_t now)
{
	struct hop hop;

	if (neighbour_find(&mode->instance->rtnetlink, NULL, &packet->to, &hop) != -EAGAIN)
		put(mode, packet->frame, packet->frame_bytes);
	else if (now < packet->until_ns)
		return false;
	else
		datagram_mode_count(mode, PLAIT_DATAGRAM_NO_NEIGHBOUR);
	packet->until_ns = 0;
	return true;
}

static void timer_ready(struct loop_watch *watch, uint32_t events)
{
	struct datagram_mode *mode = container_of(watch, struct datagram_mode, timer_watch);
	uint64_t times, now = clock_now_ns();
	bool waits = false;

	if (read(mode->timer_fd, &times, sizeof(times)) != sizeof(times))
		return;
	for (unsigned int i = 0; i < DATAGRAM_WAITING_MAX; i++)
		if (mode->waiting[i].until_ns)
			waits |= !look_again(mode, &mode->waiting[i], now);
	if (waits)
		arm(mode);
}

/* Setting up */

static int open_ring(struct datagram_mode *mode)
{
	int fd = dataplane_map_fd(mode->instance->dataplane, "held_datagrams");

	mode->ring = ring_buffer__new(fd, on_record, mode, NULL);
	if (!mode->ring)
		return -errno;
	mode->ring_watch.ready = ring_ready;
	return loop_add(mode->loop, ring_buffer__epoll_fd(mode->ring), EPOLLIN, &mode->ring_watch);
}

static int open_timer(struct datagram_mode *mode)
{
	mode->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (mode->timer_fd < 0)
		return -errno;
	mode->timer_watch.ready = timer_ready;
	return loop_add(mode->loop, mode->timer_fd, EPOLLIN, &mode->timer_watch);
}

int datagram_mode_open(struct datagram_mode *mode, struct instance *instance, struct loop *loop,
		       void (*on_held)(struct datagram_mode *mode,
				       const struct plait_held_syn *held))
{
	int err;

	mode->instance = instance;
	mode->loop = loop;
	mode->on_held = on_held;
	mode->tap_fd = mode->tap_program_fd = mode->timer_fd = -1;
	err = open_timer(mode);
	return failed(err ? err : open_ring(mode), "held packets");
}

void datagram_mode_detach(struct datagram_mode *mode)
{
	while (mode->attached_count)
		close(mode->attached_fd[--mode->attached_count]);
}

void datagram_mode_close(struct datagram_mode *mode)
{
	if (!mode->instance)
		return;
	datagram_mode_detach(mode);
	datagram_order_close(&mode->order);
	datagram_fragments_close(&mode->fragments);
	if (mode->tap_program_fd >= 0)
		close(mode->tap_program_fd);
	if (mode->ring)
		ring_buffer__free(mode->ring);
	if (mode->tap_fd >= 0)
		close(mode->tap_fd);
	if (mode->timer_fd >= 0)
		close(mode->timer_fd);
}

/* bpf_fib_lookup() asks whether packets that come in there are forwarded. */
static void forward_from(const char *interface)
{
	char path[96];

	snprintf(path, sizeof(path), "net/ipv4/conf/%s/forwarding", interface);
	sysctl_write(path, "1");
	snprintf(path, sizeof(path), "net/ipv6/conf/%s/forwarding", interface);
	sysctl_write(path, "1");
}

static int open_tap(struct datagram_mode *mode)
{
	int err;

	snprintf(mode->tap, sizeof(mode->tap), "%.12s-d", mode->instance->tap);
	err = tap_open(mode->tap, &mode->tap_fd, 1);
	if (err) {
		mode->tap_fd = -1;
		return err;
	}
	forward_from(mode->tap);
	mode->tap_ifindex = if_nametoindex(mode->tap);
	return tap_address(mode->tap, mode->tap_mac);
}

static enum dataplane_xdp configured_mode(const struct datagram_mode *mode)
{
	static const enum dataplane_xdp modes[] = {
		[ATTACH_AUTO] = XDP_AUTO,
		[ATTACH_NATIVE] = XDP_NATIVE,
		[ATTACH_GENERIC] = XDP_GENERIC,
	};

	return modes[mode->instance->config->datagram.attach];
}

/* docs/datagram.md, "What was tried". */
static void warn_if_nothing_is_cut(const struct datagram_mode *mode, const char *interface,
				   enum dataplane_xdp as)
{
	if (as == XDP_GENERIC && mode->instance->config->fragmentation == FRAGMENTATION_ON &&
	    strcmp(interface, mode->tap))
		log_warning("%s: fragmentation: on needs XDP in the driver: what does not fit a "
			    "link is lost",
			    interface);
}

static int attach_as(struct datagram_mode *mode, const char *program, const char *interface,
		     unsigned int ifindex, enum dataplane_xdp as)
{
	int fd = dataplane_attach_xdp(mode->instance->dataplane, program, ifindex, &as);

	if (fd < 0) {
		log_error("attaching %s to %s by XDP: %s", program, interface, strerror(-fd));
		return fd;
	}
	log_debug("%s is at %s, %s XDP", program, interface,
		  as == XDP_NATIVE ? "native" : "generic");
	warn_if_nothing_is_cut(mode, interface, as);
	return fd;
}

int datagram_mode_attach_own(struct datagram_mode *mode, const char *program, const char *interface,
			     unsigned int ifindex)
{
	return attach_as(mode, program, interface, ifindex, configured_mode(mode));
}

/* XDP's packets that are too long are cut behind it, by TC. */
static int attach_cut(struct datagram_mode *mode, const char *interface)
{
	int fd;

	if (mode->instance->config->fragmentation == FRAGMENTATION_OFF)
		return 0;
	fd = dataplane_attach_own(mode->instance->dataplane, "datagram_cut",
				  if_nametoindex(interface), HOOK_INGRESS_FIRST);
	if (fd < 0)
		return failed(fd, "attaching datagram_cut");
	mode->attached_fd[mode->attached_count++] = fd;
	return 0;
}

int datagram_mode_attach(struct datagram_mode *mode, const char *program, const char *interface)
{
	int fd = datagram_mode_attach_own(mode, program, interface, if_nametoindex(interface));

	if (fd < 0)
		return fd;
	mode->attached_fd[mode->attached_count++] = fd;
	return attach_cut(mode, interface);
}

int datagram_mode_configure(struct datagram_mode *mode)
{
	const struct config *config = mode->instance->config;
	const struct plait_datagram_settings settings = {
		.fragmentation = config->fragmentation == FRAGMENTATION_ON,
		.contact_life_ns = config->lifetimes.udp_ms * NS_PER_MS,
		.tap_ifindex = mode->tap_ifindex};
	uint32_t zero = 0;

	return dataplane_put(mode->instance->dataplane, "datagram_settings", &zero, &settings);
}

/* In the stack, where a packet goes to any interface, whatever its driver has. */
int datagram_mode_load(struct datagram_mode *mode, const void *elf, size_t elf_bytes,
		       const struct dataplane_size *sizes, const char *program)
{
	int err = failed(dataplane_add(mode->instance->dataplane, elf, elf_bytes, sizes),
			 "loading XDP programs");

	if (!err)
		err = failed(open_tap(mode), "TAP device");
	if (!err)
		err = failed(datagram_mode_configure(mode), "settings");
	if (!err)
		err = failed(datagram_fragments_open(&mode->fragments, mode->instance, mode->loop,
						     put_copy, mode),
			     "fragments");
	if (!err)
		err = failed(datagram_order_open(&mode->order, mode->instance, mode->tap_fd,
						 mode->tap_mac),
			     "putting packets in order");
	if (err)
		return err;
	mode->tap_program_fd = attach_as(mode, program, mode->tap, mode->tap_ifindex, XDP_GENERIC);
	mode->loaded = mode->tap_program_fd >= 0;
	return mode->loaded ? 0 : mode->tap_program_fd;
}

/* Paths and bindings */

bool datagram_mode_find_hop(struct datagram_mode *mode, struct plait_path *path)
{
	struct netlink *rtnetlink = &mode->instance->rtnetlink;
	struct plait_path before = *path;
	struct hop hop = {};
	int err = neighbour_find(rtnetlink, &path->local, &path->remote, &hop);

	if (err == -EAGAIN)
		neighbour_ask(rtnetlink, &hop);
	path->ifindex = err ? 0 : hop.ifindex;
	memcpy(path->macs, hop.mac, sizeof(hop.mac));
	memcpy(path->macs + sizeof(hop.mac), hop.own_mac, sizeof(hop.own_mac));
	path->mtu = (__u16)(hop.mtu < MTU_MIN ? MTU_MIN : hop.mtu > 65535 ? 65535 : hop.mtu);
	return memcmp(&before, path, sizeof(before)) != 0;
}

static uint64_t seen_by(struct datagram_mode *mode, const char *map, const struct plait_addr *key)
{
	struct plait_datagram_binding value;

	return dataplane_get(mode->instance->dataplane, map, key, &value) ? 0 : value.last_seen_ns;
}

uint64_t datagram_mode_last_seen(struct datagram_mode *mode, const struct plait_addr *sender,
				 const struct plait_addr *receivers, unsigned int receiver_count)
{
	uint64_t latest = seen_by(mode, "datagram_senders", sender);

	for (unsigned int i = 0; i < receiver_count; i++) {
		uint64_t seen = seen_by(mode, "datagram_receivers", &receivers[i]);

		if (seen > latest)
			latest = seen;
	}
	return latest;
}

bool datagram_mode_flows(struct datagram_mode *mode, const struct bindings *bindings,
			 uint64_t (*last_seen)(struct datagram_mode *mode,
					       const struct binding *binding))
{
	uint64_t silent_since = clock_now_ns() - DATAGRAM_SILENT_SECONDS * NS_PER_S;

	for (uint32_t i = 0; i < bindings->touched; i++) {
		uint32_t slot = (mode->flowing + i) % bindings->touched;
		const struct binding *binding = &bindings->slots[slot];

		if (binding->protocol && last_seen(mode, binding) > silent_since) {
			mode->flowing = slot;
			return true;
		}
	}
	return false;
}
