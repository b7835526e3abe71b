// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "datagram_cpe.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/hash.h"
#include "base/log.h"
#include "codec/formatted.h"

/* after plait_maps.h, whose types it uses */
#include "datagram_cpe.skel.h"

enum { SWEEP_SECONDS = 1 };

static struct dataplane *dataplane_of(const struct datagram_cpe *cpe)
{
	return cpe->mode.instance->dataplane;
}

static const struct config *config_of(const struct datagram_cpe *cpe)
{
	return cpe->mode.instance->config;
}

/* Bindings */

static struct plait_datagram_binding value_of(const struct binding *binding, uint32_t set)
{
	return (struct plait_datagram_binding){.created_ns = binding->since_ns,
					       .last_seen_ns = clock_now_ns(),
					       .inner = binding->inside,
					       .set = set,
					       .wan_port = binding->external.port};
}

/* The receiver first: an answer is expected when a packet leaves. */
static int publish(struct datagram_cpe *cpe, const struct binding *binding, uint32_t set)
{
	struct plait_datagram_binding value = value_of(binding, set);
	int err = datagram_order_begin(&cpe->mode.order, &binding->inside);

	if (!err)
		err = dataplane_put(dataplane_of(cpe), "datagram_receivers", &binding->external,
				    &value);
	if (!err)
		err = dataplane_put(dataplane_of(cpe), "datagram_senders", &binding->inside,
				    &value);
	return err;
}

static void unpublish(struct datagram_cpe *cpe, const struct binding *binding)
{
	dataplane_remove(dataplane_of(cpe), "datagram_senders", &binding->inside);
	dataplane_remove(dataplane_of(cpe), "datagram_receivers", &binding->external);
	datagram_order_end(&cpe->mode.order, &binding->inside);
}

static uint64_t lifetime_ns(const struct datagram_cpe *cpe)
{
	return config_of(cpe)->lifetimes.udp_ms * NS_PER_MS;
}

/* NULL: there is no port for it. */
static struct binding *new_binding(struct datagram_cpe *cpe, const struct plait_addr *host)
{
	struct plait_addr port = {};
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return NULL;
	port.port = htons(ports_take(cpe->ports, PARITY_ANY, random));
	if (!port.port)
		return NULL;
	return bindings_add(&cpe->bindings, IPPROTO_UDP, 0, host, &port, clock_now_ns());
}

/* From now on it is the programs'. False: it cannot be. */
static bool begin(struct datagram_cpe *cpe, struct binding *binding, uint32_t hash)
{
	int concentrator =
		concentrators_choose(cpe->concentrators, &binding->inside, hash_mix(hash ^ 1));

	if (concentrator < 0 || publish(cpe, binding, (uint32_t)concentrator))
		return false;
	binding->sessions = 1;
	bindings_keep_until(&cpe->bindings, binding, clock_now_ns() + lifetime_ns(cpe));
	return true;
}

static void forget(struct datagram_cpe *cpe, struct binding *binding)
{
	ports_give_back(cpe->ports, ntohs(binding->external.port));
	bindings_remove(&cpe->bindings, binding);
}

static void rest(struct datagram_cpe *cpe, struct binding *binding)
{
	unpublish(cpe, binding);
	binding->sessions = 0;
	bindings_keep_until(&cpe->bindings, binding,
			    clock_now_ns() + DATAGRAM_REST_SECONDS * NS_PER_S);
}

/* The binding of a host's endpoint, made if there is none; a resting one goes on. */
static struct binding *bind_host(struct datagram_cpe *cpe, const struct plait_addr *host,
				 const struct plait_addr *remote)
{
	struct binding *binding = bindings_of_inside(&cpe->bindings, IPPROTO_UDP, 0, host, 0);

	if (!binding)
		binding = new_binding(cpe, host);
	if (!binding) {
		datagram_mode_count(&cpe->mode, PLAIT_DATAGRAM_NO_PORT);
		return NULL;
	}
	if (binding->sessions ||
	    begin(cpe, binding, hash_mix((uint32_t)host->port << 16 | remote->port)))
		return binding;
	datagram_mode_count(&cpe->mode, PLAIT_DATAGRAM_NO_PATH);
	forget(cpe, binding);
	return NULL;
}

static void held(struct datagram_mode *mode, const struct plait_held_syn *record)
{
	struct datagram_cpe *cpe = container_of(mode, struct datagram_cpe, mode);
	struct formatted packet;

	if (udp_frame_read(record->frame, record->frame_bytes, &packet)) {
		datagram_mode_count(mode, PLAIT_DATAGRAM_MALFORMED);
		return;
	}
	if (!bind_host(cpe, &packet.source, &packet.destination))
		return;
	links_wake(cpe->links);
	datagram_mode_let_go(mode, record, NULL);
}

/* One that rests is in no map. */
static uint64_t last_seen(struct datagram_mode *mode, const struct binding *binding)
{
	return datagram_mode_last_seen(mode, &binding->inside, &binding->external, 1);
}

bool datagram_cpe_flows(struct datagram_cpe *cpe)
{
	return datagram_mode_flows(&cpe->mode, &cpe->bindings, last_seen);
}

static void sweep(struct datagram_cpe *cpe, uint64_t now)
{
	struct binding *binding;

	while ((binding = bindings_expired(&cpe->bindings, now))) {
		uint64_t until = lifetime_ns(cpe) + last_seen(&cpe->mode, binding);

		if (!binding->sessions)
			forget(cpe, binding);
		else if (until > now)
			bindings_keep_until(&cpe->bindings, binding, until);
		else
			rest(cpe, binding);
	}
}

/* Of an earlier run: the concentrator knows the host's endpoint by this port. */
static void adopt(void *context, const void *key, const void *value)
{
	struct datagram_cpe *cpe = context;
	const struct plait_datagram_binding *was = value;
	const struct plait_addr port = {.port = was->wan_port};
	struct binding *binding = NULL;

	if (was->set < config_of(cpe)->concentrator_count &&
	    ports_take_this(cpe->ports, ntohs(was->wan_port)))
		binding = bindings_add(&cpe->bindings, IPPROTO_UDP, 0, key, &port, was->created_ns);
	if (!binding) {
		dataplane_remove(dataplane_of(cpe), "datagram_senders", key);
		return;
	}
	binding->sessions = 1;
	bindings_keep_until(&cpe->bindings, binding, was->last_seen_ns + lifetime_ns(cpe));
	datagram_order_begin(&cpe->mode.order, key);
	dataplane_put(dataplane_of(cpe), "datagram_receivers", &port, value);
}

/* Errors about packets of a binding are about its host's. */
static bool translate(struct datagram_errors *errors, struct icmp_error *error,
		      struct plait_addr *from)
{
	struct datagram_cpe *cpe = container_of(errors, struct datagram_cpe, errors);
	const struct plait_addr port = {.port = error->packet.source.port};
	const struct binding *binding = NULL;

	if (!error->udp && !error->packet.from_concentrator)
		binding = bindings_of_external(&cpe->bindings, IPPROTO_UDP, &port);
	if (!binding || !binding->sessions || binding->inside.family != error->packet.remote.family)
		return false;
	error->udp = true;
	error->packet.source = binding->inside;
	error->packet.destination = error->packet.remote;
	*from = error->packet.remote; /* the host may filter on who tells it */
	return true;
}

void datagram_cpe_refresh(struct datagram_cpe *cpe)
{
	if (!cpe->on)
		return;
	datagram_paths_refresh(&cpe->paths);
	datagram_direct_refresh(&cpe->direct, cpe->mode.instance);
	datagram_fragments_name(cpe->mode.instance, &config_of(cpe)->lan);
}

static void timer_ready(struct loop_watch *watch, uint32_t events)
{
	struct datagram_cpe *cpe = container_of(watch, struct datagram_cpe, timer_watch);
	uint64_t times;

	if (read(cpe->timer_fd, &times, sizeof(times)) != sizeof(times))
		return;
	sweep(cpe, clock_now_ns());
	datagram_fragments_sweep(&cpe->mode.fragments);
	datagram_paths_look(&cpe->paths);
	datagram_cpe_refresh(cpe); /* next hops change without a word */
	datagram_paths_tell(&cpe->paths);
}

/* Setting up */

static int start_sweeping(struct datagram_cpe *cpe, struct loop *loop)
{
	cpe->timer_watch.ready = timer_ready;
	cpe->timer_fd = loop_every(loop, SWEEP_SECONDS * 1000, &cpe->timer_watch);
	return cpe->timer_fd < 0 ? cpe->timer_fd : 0;
}

static int open_tables(struct datagram_cpe *cpe)
{
	const struct config_datagram *config = &config_of(cpe)->datagram;
	unsigned int count = config->port_last - config->port_first + 1U;
	int err = bindings_open(&cpe->bindings, count, clock_now_ns());

	if (err)
		return err;
	cpe->ports = ports_new(config->port_first, (uint16_t)count);
	return cpe->ports ? 0 : -ENOMEM;
}

static int load(struct datagram_cpe *cpe)
{
	const struct config_datagram *config = &config_of(cpe)->datagram;
	size_t elf_bytes;
	const void *elf = plait_datagram_cpe__elf_bytes(&elf_bytes);
	const unsigned int concentrators = config_of(cpe)->concentrator_count;
	const unsigned int bindings = config->port_last - config->port_first + 1U;
	const struct dataplane_size sizes[] = {
		{"datagram_receivers", bindings},
		{"datagram_contacts", 1}, /* whom hosts hear from the concentrator says */
		{"datagram_sets", concentrators},
		{"datagram_paths", concentrators * PLAIT_PATHS_MAX},
		{"datagram_traffic", concentrators * PLAIT_PATHS_MAX},
		{"datagram_order", datagram_order_room(config_of(cpe), bindings)},
		{"datagram_reordered",
		 datagram_order_room(config_of(cpe), PLAIT_REORDERED_RING_BYTES)},
		{},
	};

	return datagram_mode_load(&cpe->mode, elf, elf_bytes, sizes, "datagram_both");
}

static int attach(struct datagram_cpe *cpe)
{
	const struct config *config = config_of(cpe);
	int err = instance_publish_interfaces(cpe->mode.instance, "datagram_interfaces",
					      &config->lan);

	for (unsigned int i = 0; !err && i < config->lan.count; i++)
		err = datagram_mode_attach(&cpe->mode, "datagram_lan", config->lan.name[i]);
	return err;
}

int datagram_cpe_open(struct datagram_cpe *cpe, struct links *links,
		      struct concentrators *concentrators, struct loop *loop)
{
	int err;

	cpe->timer_fd = -1;
	if (links->instance->config->udp != UDP_DATAGRAM)
		return 0;
	cpe->links = links;
	cpe->concentrators = concentrators;
	err = datagram_mode_open(&cpe->mode, links->instance, loop, held);
	if (!err)
		err = instance_reserve_ports(links->instance);
	if (!err)
		err = open_tables(cpe);
	if (!err)
		err = load(cpe);
	if (err)
		return err;
	dataplane_each(dataplane_of(cpe), "datagram_senders", adopt, cpe);
	if (cpe->bindings.count)
		log_notice("%u bindings of datagram mode taken up", cpe->bindings.count);
	err = attach(cpe);
	if (!err)
		err = datagram_errors_open(
			&cpe->errors, loop,
			instance_counter(cpe->mode.instance, PLAIT_DATAGRAM_ERROR), translate);
	if (err)
		return err;
	datagram_paths_open(&cpe->paths, &cpe->mode, links, concentrators);
	cpe->on = true;
	datagram_cpe_refresh(cpe);
	return start_sweeping(cpe, loop);
}

void datagram_cpe_close(struct datagram_cpe *cpe)
{
	if (!cpe->links)
		return;
	datagram_errors_close(&cpe->errors);
	datagram_mode_close(&cpe->mode);
	datagram_paths_close(&cpe->paths);
	if (cpe->timer_fd >= 0)
		close(cpe->timer_fd);
	bindings_close(&cpe->bindings);
	free(cpe->ports);
}

/* Reports */

unsigned int datagram_cpe_count(const struct datagram_cpe *cpe)
{
	return cpe->bindings.count;
}

void datagram_cpe_report(const struct datagram_cpe *cpe, struct binding_report *out)
{
	for (uint32_t i = 0; i < cpe->bindings.touched; i++) {
		const struct binding *binding = &cpe->bindings.slots[i];

		if (!binding->protocol)
			continue;
		*out++ = (struct binding_report){.inside = binding->inside,
						 .external = binding->external,
						 .state = binding->sessions ? "in use" : "resting",
						 .since_ns = binding->since_ns,
						 .sessions = binding->sessions,
						 .protocol = binding->protocol};
	}
}
