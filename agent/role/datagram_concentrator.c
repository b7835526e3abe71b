// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "datagram_concentrator.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "codec/formatted.h"

/* after plait_maps.h, whose types it uses */
#include "datagram_concentrator.skel.h"

enum {
	LOOK_MS = 100, /* at what CPEs have told */
	RETRY_SECONDS = 10, /* to attach what could not be */
	CONTACTS_A_BINDING = 4, /* for which there is room */
};

static struct dataplane *dataplane_of(const struct datagram_concentrator *concentrator)
{
	return concentrator->mode.instance->dataplane;
}

static const struct config *config_of(const struct datagram_concentrator *concentrator)
{
	return concentrator->mode.instance->config;
}

static uint64_t lifetime_ns(const struct datagram_concentrator *concentrator)
{
	return config_of(concentrator)->lifetimes.udp_ms * NS_PER_MS;
}

/* Programs */

static int publish_addresses(struct datagram_concentrator *concentrator)
{
	const struct config *config = config_of(concentrator);
	/* MPTCP has the same port */
	uint8_t flags = PLAIT_ADDRESS_EXISTS | PLAIT_ADDRESS_SHARED;
	int err = instance_publish_interfaces(concentrator->mode.instance, "datagram_interfaces",
					      &config->internet);

	for (unsigned int i = 0; !err && i < config->customer_address_count; i++) {
		struct plait_addr addr = config->customer_addresses[i];

		addr.port = htons(config->customer_port);
		err = dataplane_put(dataplane_of(concentrator), "datagram_addresses", &addr,
				    &flags);
		addr.port = 0; /* later fragments have none */
		if (!err)
			err = dataplane_put(dataplane_of(concentrator), "datagram_addresses", &addr,
					    &flags);
	}
	return err;
}

/* Few endpoints have many remotes at a time. */
static unsigned int contacts_of(const struct config *config)
{
	return config->datagram.filtering == PLAIT_FILTERING_ENDPOINT_INDEPENDENT
		       ? 1
		       : CONTACTS_A_BINDING * config->max_bindings;
}

static int load(struct datagram_concentrator *concentrator)
{
	const struct config *config = config_of(concentrator);
	const struct dataplane_size sizes[] = {
		{"datagram_senders", config->max_bindings},
		/* most subscribers have two links */
		{"datagram_receivers", 2 * config->max_bindings},
		{"datagram_contacts", contacts_of(config)},
		{"datagram_sets", config->max_subscribers},
		{"datagram_paths", config->max_subscribers * PLAIT_PATHS_MAX},
		{"datagram_traffic", config->max_subscribers * PLAIT_PATHS_MAX},
		{"datagram_order", datagram_order_room(config, config->max_bindings)},
		{"datagram_reordered", datagram_order_room(config, PLAIT_REORDERED_RING_BYTES)},
		{},
	};
	size_t elf_bytes;
	const void *elf = plait_datagram_concentrator__elf_bytes(&elf_bytes);
	int err = datagram_mode_load(&concentrator->mode, elf, elf_bytes, sizes, "datagram_both");

	if (err)
		return err;
	dataplane_clear(dataplane_of(concentrator), "datagram_senders", sizeof(struct plait_addr));
	dataplane_clear(dataplane_of(concentrator), "datagram_contacts",
			sizeof(struct plait_contact));
	err = publish_addresses(concentrator);
	if (err)
		return err;
	/* what XDP has let through there is not the kernel's to answer */
	return instance_attach(concentrator->mode.instance, "customer_ingress",
			       concentrator->mode.tap, HOOK_INGRESS);
}

static bool is_among(const struct config_interfaces *interfaces, const char *name)
{
	for (unsigned int i = 0; i < interfaces->count; i++)
		if (!strcmp(interfaces->name[i], name))
			return true;
	return false;
}

/* An interface has room for one program. */
static int attach_all(struct datagram_concentrator *concentrator)
{
	const struct config_interfaces *customer = &config_of(concentrator)->customer;
	const struct config_interfaces *internet = &config_of(concentrator)->internet;
	int err = 0;

	for (unsigned int i = 0; !err && i < customer->count; i++)
		err = datagram_mode_attach(&concentrator->mode,
					   is_among(internet, customer->name[i])
						   ? "datagram_both"
						   : "datagram_customer",
					   customer->name[i]);
	for (unsigned int i = 0; !err && i < internet->count; i++)
		if (!is_among(customer, internet->name[i]))
			err = datagram_mode_attach(&concentrator->mode, "datagram_internet",
						   internet->name[i]);
	return err;
}

void datagram_concentrator_name(struct datagram_concentrator *concentrator)
{
	if (concentrator->on)
		datagram_fragments_name(concentrator->mode.instance,
					&config_of(concentrator)->internet);
}

void datagram_concentrator_reconfigured(struct datagram_concentrator *concentrator)
{
	if (concentrator->mode.loaded)
		datagram_mode_configure(&concentrator->mode);
}

/* In "datagram_told": who has no binding. */
static const struct plait_addr anybody;

/* Once; then nobody need be waited for. */
static int load_now(struct datagram_concentrator *concentrator)
{
	int err = load(concentrator);

	dataplane_remove(dataplane_of(concentrator), "datagram_told", &anybody);
	concentrator->retry_ns = err ? UINT64_MAX : 0;
	return err;
}

static int expect_anybody(struct datagram_concentrator *concentrator)
{
	static const struct plait_told_value nothing;

	return dataplane_put(dataplane_of(concentrator), "datagram_told", &anybody, &nothing);
}

/* A CPE has told of its links: when its first packet comes, it need not wait for the verifier. */
static void load_ahead(struct datagram_concentrator *concentrator)
{
	struct plait_told_value value;

	if (concentrator->mode.loaded ||
	    dataplane_get(dataplane_of(concentrator), "datagram_told", &anybody, &value) ||
	    !value.heard_ns)
		return;
	if (!load_now(concentrator))
		log_notice("datagram mode: a CPE has it, programs are loaded");
}

/* With the first packet, since XDP costs TCP throughput where nobody needs it. */
static int attach(struct datagram_concentrator *concentrator)
{
	uint64_t now = clock_now_ns();
	int err = 0;

	if (now < concentrator->retry_ns)
		return -EAGAIN;
	if (!concentrator->mode.loaded)
		err = load_now(concentrator);
	if (!err) {
		err = attach_all(concentrator);
		concentrator->retry_ns = err ? now + RETRY_SECONDS * NS_PER_S : 0;
	}
	if (err) {
		datagram_mode_detach(&concentrator->mode);
		return err;
	}
	log_notice("datagram mode: a CPE uses it, programs are attached");
	concentrator->on = true;
	datagram_concentrator_name(concentrator);
	return 0;
}

/* Bindings */

static uint32_t customer_of(const struct binding *binding)
{
	return (uint32_t)binding->subscriber;
}

static unsigned int receivers_of(const struct datagram_concentrator *concentrator,
				 const struct binding *binding,
				 struct plait_addr keys[PLAIT_PATHS_MAX])
{
	return datagram_customers_receivers(&concentrator->customers, customer_of(binding),
					    binding->inside.port, keys);
}

/* Receivers before the sender: it is known who may send before anybody can be answered. */
static int publish(struct datagram_concentrator *concentrator, const struct binding *binding)
{
	struct plait_datagram_binding value = {
		.created_ns = binding->since_ns,
		.last_seen_ns = clock_now_ns(),
		.inner = binding->external,
		.set = customer_of(binding),
		.filtering = (__u8)config_of(concentrator)->datagram.filtering,
		.wan_port = binding->inside.port};
	struct plait_addr keys[PLAIT_PATHS_MAX];
	unsigned int count = receivers_of(concentrator, binding, keys);
	int err = datagram_order_begin(&concentrator->mode.order, &binding->external);

	for (unsigned int i = 0; !err && i < count; i++)
		err = dataplane_put(dataplane_of(concentrator), "datagram_receivers", &keys[i],
				    &value);
	return err ? err
		   : dataplane_put(dataplane_of(concentrator), "datagram_senders",
				   &binding->external, &value);
}

static void unpublish(struct datagram_concentrator *concentrator, const struct binding *binding)
{
	struct plait_addr keys[PLAIT_PATHS_MAX];
	unsigned int count = receivers_of(concentrator, binding, keys);

	dataplane_remove(dataplane_of(concentrator), "datagram_senders", &binding->external);
	for (unsigned int i = 0; i < count; i++)
		dataplane_remove(dataplane_of(concentrator), "datagram_receivers", &keys[i]);
	datagram_order_end(&concentrator->mode.order, &binding->external);
}

static void detach(struct datagram_concentrator *concentrator)
{
	datagram_mode_detach(&concentrator->mode);
	concentrator->on = false;
	log_notice("datagram mode: nobody uses it, programs are detached");
}

static void end(struct datagram_concentrator *concentrator, struct binding *binding)
{
	unpublish(concentrator, binding);
	pools_return(concentrator->pools,
		     concentrator->lent[binding - concentrator->bindings.slots]);
	datagram_customers_leave(&concentrator->customers, customer_of(binding));
	bindings_remove(&concentrator->bindings, binding);
	if (!concentrator->bindings.count)
		detach(concentrator);
}

/* NULL: *why. */
static struct binding *lend(struct datagram_concentrator *concentrator,
			    const struct formatted *packet, enum plait_reason *why)
{
	struct binding *lent, *binding;

	if (!pools_lend(concentrator->pools, &packet->source, packet->remote.family, &lent, why))
		return NULL;
	binding = bindings_add(&concentrator->bindings, IPPROTO_UDP, lent->subscriber,
			       &lent->inside, &lent->external, clock_now_ns());
	*why = PLAIT_BINDINGS_FULL;
	if (!binding) {
		pools_return(concentrator->pools, lent);
		return NULL;
	}
	concentrator->lent[binding - concentrator->bindings.slots] = lent;
	return binding;
}

static struct binding *find(struct datagram_concentrator *concentrator,
			    const struct formatted *packet)
{
	struct plait_addr inside;
	int32_t subscriber = pools_endpoint(concentrator->pools, &packet->source, &inside);

	return bindings_of_inside(&concentrator->bindings, IPPROTO_UDP, subscriber, &inside,
				  packet->remote.family);
}

/* False: *why. */
static bool bind_endpoint(struct datagram_concentrator *concentrator,
			  const struct formatted *packet, enum plait_reason *why)
{
	struct binding *binding = find(concentrator, packet);

	if (binding) { /* by another link, or to another of our addresses */
		datagram_customers_learn(&concentrator->customers, customer_of(binding), packet);
		return !publish(concentrator, binding);
	}
	*why = PLAIT_DRAINING;
	if (concentrator->draining)
		return false;
	binding = lend(concentrator, packet, why);
	if (!binding)
		return false;
	datagram_customers_use(&concentrator->customers, customer_of(binding), packet);
	bindings_keep_until(&concentrator->bindings, binding,
			    clock_now_ns() + lifetime_ns(concentrator));
	if (!publish(concentrator, binding))
		return true;
	*why = PLAIT_BINDINGS_FULL;
	end(concentrator, binding);
	return false;
}

/* Of our own addresses, an endpoint's may be sent to: it is another subscriber (RFC 4787 REQ-9). */
static bool is_lent(const struct datagram_concentrator *concentrator, const struct plait_addr *addr)
{
	return bindings_of_external(&concentrator->bindings, IPPROTO_UDP, addr);
}

static void held(struct datagram_mode *mode, const struct plait_held_syn *record)
{
	struct datagram_concentrator *concentrator =
		container_of(mode, struct datagram_concentrator, mode);
	enum plait_reason why = PLAIT_DATAGRAM_OPTION;
	struct formatted packet;
	bool inward;

	if (formatted_frame_read(record->frame, record->frame_bytes, &packet) ||
	    packet.from_concentrator || !packet.remote.port) {
		datagram_mode_count(mode, why);
		return;
	}
	inward = is_lent(concentrator, &packet.remote);
	if (datagram_mode_has_had(mode, record))
		datagram_mode_count(mode, PLAIT_DATAGRAM_NO_NEIGHBOUR);
	else if ((!inward &&
		  !concentrator->may_reach(concentrator->context, &packet.remote, &why)) ||
		 (!concentrator->on && attach(concentrator)) ||
		 !bind_endpoint(concentrator, &packet, &why))
		datagram_mode_count(mode, why);
	else
		datagram_mode_let_go(mode, record, inward ? NULL : &packet.remote);
}

/* Errors about UDP of a binding are about the packet that it came in. */
static bool translate(struct datagram_errors *errors, struct icmp_error *error,
		      struct plait_addr *from)
{
	struct datagram_concentrator *concentrator =
		container_of(errors, struct datagram_concentrator, errors);
	const struct binding *binding =
		error->udp ? bindings_of_external(&concentrator->bindings, IPPROTO_UDP,
						  &error->packet.source)
			   : NULL;
	const struct plait_path *path =
		binding ? datagram_customers_path(&concentrator->customers, customer_of(binding))
			: NULL;

	if (!path)
		return false;
	error->udp = false;
	error->packet.from_concentrator = false;
	error->packet.remote = error->packet.destination;
	error->packet.source = path->remote;
	error->packet.source.port = binding->inside.port;
	error->packet.destination = path->local;
	*from = path->local;
	return true;
}

static uint64_t last_seen(struct datagram_mode *mode, const struct binding *binding)
{
	const struct datagram_concentrator *concentrator =
		container_of(mode, struct datagram_concentrator, mode);
	struct plait_addr keys[PLAIT_PATHS_MAX];
	unsigned int count = receivers_of(concentrator, binding, keys);

	return datagram_mode_last_seen(mode, &binding->external, keys, count);
}

bool datagram_concentrator_flows(struct datagram_concentrator *concentrator)
{
	return datagram_mode_flows(&concentrator->mode, &concentrator->bindings, last_seen);
}

static void sweep(struct datagram_concentrator *concentrator, uint64_t now)
{
	struct binding *binding;

	while ((binding = bindings_expired(&concentrator->bindings, now))) {
		uint64_t until =
			lifetime_ns(concentrator) + last_seen(&concentrator->mode, binding);

		if (until > now)
			bindings_keep_until(&concentrator->bindings, binding, until);
		else
			end(concentrator, binding);
	}
}

static void timer_ready(struct loop_watch *watch, uint32_t events)
{
	struct datagram_concentrator *concentrator =
		container_of(watch, struct datagram_concentrator, timer_watch);
	uint64_t times;

	if (read(concentrator->timer_fd, &times, sizeof(times)) != sizeof(times))
		return;
	sweep(concentrator, clock_now_ns());
	datagram_fragments_sweep(&concentrator->mode.fragments);
	datagram_customers_look(&concentrator->customers);
	load_ahead(concentrator);
}

/* Setting up */

static int open_tables(struct datagram_concentrator *concentrator)
{
	const struct config *config = config_of(concentrator);
	int err = bindings_open(&concentrator->bindings, config->max_bindings, clock_now_ns());

	if (err)
		return err;
	concentrator->lent = calloc(config->max_bindings, sizeof(struct binding *));
	if (!concentrator->lent)
		return -ENOMEM;
	return datagram_customers_open(&concentrator->customers, &concentrator->mode);
}

static int start_looking(struct datagram_concentrator *concentrator, struct loop *loop)
{
	concentrator->timer_watch.ready = timer_ready;
	concentrator->timer_fd = loop_every(loop, LOOK_MS, &concentrator->timer_watch);
	return concentrator->timer_fd < 0 ? concentrator->timer_fd : 0;
}

int datagram_concentrator_open(struct datagram_concentrator *concentrator, struct pools *pools,
			       struct loop *loop)
{
	const struct config *config = pools->instance->config;
	int err;

	concentrator->timer_fd = -1;
	if (config->udp != UDP_DATAGRAM && config->udp != UDP_BOTH)
		return 0;
	concentrator->pools = pools;
	err = datagram_mode_open(&concentrator->mode, pools->instance, loop, held);
	if (!err)
		err = instance_reserve_ports(pools->instance);
	if (!err)
		err = open_tables(concentrator);
	if (!err)
		err = expect_anybody(concentrator);
	if (!err)
		err = datagram_errors_open(
			&concentrator->errors, loop,
			instance_counter(concentrator->mode.instance, PLAIT_DATAGRAM_ERROR),
			translate);
	return err ? err : start_looking(concentrator, loop);
}

/* So that the binding log says so. */
static void return_all(struct datagram_concentrator *concentrator)
{
	for (uint32_t i = 0; i < concentrator->bindings.touched; i++)
		if (concentrator->bindings.slots[i].protocol)
			pools_return(concentrator->pools, concentrator->lent[i]);
}

void datagram_concentrator_close(struct datagram_concentrator *concentrator)
{
	if (!concentrator->pools)
		return;
	datagram_errors_close(&concentrator->errors);
	datagram_mode_close(&concentrator->mode);
	return_all(concentrator);
	if (concentrator->timer_fd >= 0)
		close(concentrator->timer_fd);
	bindings_close(&concentrator->bindings);
	free(concentrator->lent);
	datagram_customers_close(&concentrator->customers);
}
