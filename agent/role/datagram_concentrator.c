// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "datagram_concentrator.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr_text.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "codec/formatted.h"
#include "table/slots.h"

/* after plait_maps.h, whose types it uses */
#include "datagram_concentrator.skel.h"

enum {
	LOOK_MS = 100, /* at what CPEs have told */
	LOOKS_A_TURN = 2048, /* at subscribers, for what they have told */
	RETRY_SECONDS = 10, /* to attach what could not be */
	HOPS_A_TURN = 16, /* of subscribers; each takes a few exchanges with the kernel */
};

_Static_assert((int)PLAIT_PATHS_MAX >= (int)CONFIG_MAX_SOURCES, "a set has a path for each source");

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

/* A subscriber's links */

static uint32_t path_number(uint32_t subscriber, unsigned int path)
{
	return subscriber * PLAIT_PATHS_MAX + path;
}

static void put_set(struct datagram_concentrator *concentrator, uint32_t subscriber)
{
	dataplane_put(dataplane_of(concentrator), "datagram_sets", &subscriber,
		      &concentrator->customers[subscriber].set);
}

static void put_path(struct datagram_concentrator *concentrator, uint32_t subscriber,
		     unsigned int path)
{
	uint32_t number = path_number(subscriber, path);

	dataplane_put(dataplane_of(concentrator), "datagram_paths", &number,
		      &concentrator->customers[subscriber].path[path]);
}

/* What a CPE has told last, over whichever link. False: nothing since then. */
static bool read_told(struct datagram_concentrator *concentrator, const struct customer *customer,
		      struct plait_told_value *out)
{
	out->heard_ns = customer->heard_ns;
	for (unsigned int i = 0; i < customer->set.count; i++) {
		struct plait_told_value value;

		if (!dataplane_get(dataplane_of(concentrator), "datagram_told",
				   &customer->path[i].remote, &value) &&
		    value.heard_ns > out->heard_ns)
			*out = value;
	}
	return out->heard_ns > customer->heard_ns;
}

static uint32_t told_weight(const struct plait_told *told, const struct plait_addr *link)
{
	for (unsigned int i = 0; i < told->count && i < PLAIT_PATHS_MAX; i++)
		if (addr_same_ip(&told->link[i].local, link))
			return ntohs(told->link[i].weight);
	return 0;
}

/* As the CPE has it; if that leaves none, as it was: whoever sends knows better than nobody. */
static void take_told(struct datagram_concentrator *concentrator, uint32_t subscriber)
{
	struct customer *customer = &concentrator->customers[subscriber];
	struct plait_path_set before = customer->set;
	uint32_t weights[PLAIT_PATHS_MAX] = {}, sum = 0;
	struct plait_told_value value;

	if (!read_told(concentrator, customer, &value))
		return;
	customer->heard_ns = value.heard_ns;
	for (unsigned int i = 0; i < customer->set.count; i++) {
		weights[i] = told_weight(&value.told, &customer->path[i].remote);
		sum += weights[i];
	}
	if (!sum)
		return;
	customer->set.per_packet = value.told.per_packet != 0;
	slots_fill(weights, customer->set.count, customer->set.slot);
	if (memcmp(&before, &customer->set, sizeof(before)))
		put_set(concentrator, subscriber);
}

/* Until the CPE tells: those of the family that packets come in, alike. */
static void fill(struct customer *customer)
{
	uint32_t weights[PLAIT_PATHS_MAX] = {};

	for (unsigned int i = 0; i < customer->set.count; i++)
		weights[i] = customer->path[i].remote.family == customer->family;
	slots_fill(weights, customer->set.count, customer->set.slot);
	customer->heard_ns = 0;
}

static void add_path(struct datagram_concentrator *concentrator, struct customer *customer,
		     const struct plait_addr *own, const struct plait_addr *link)
{
	static const struct plait_told_value nothing;
	struct plait_path *path = &customer->path[customer->set.count++];

	*path = (struct plait_path){.local = *own, .remote = *link};
	path->remote.port = 0;
	datagram_mode_find_hop(&concentrator->mode, path);
	dataplane_put(dataplane_of(concentrator), "datagram_told", &path->remote, &nothing);
}

/* Ours that has most in common with the CPE's; and its port. Family 0: there is none. */
static struct plait_addr own_for(const struct datagram_concentrator *concentrator,
				 const struct plait_addr *link)
{
	struct plait_addr own = config_nearest_customer_address(config_of(concentrator), link);

	own.port = htons(config_of(concentrator)->customer_port);
	return own;
}

static int find_link(const struct customer *customer, const struct plait_addr *link)
{
	for (unsigned int i = 0; i < customer->set.count; i++)
		if (addr_same_ip(&customer->path[i].remote, link))
			return (int)i;
	return -1;
}

/* All its links are known from the configuration, or this one only. */
static void make_paths(struct datagram_concentrator *concentrator, struct customer *customer,
		       const struct plait_addr *link)
{
	const struct config_subscriber *configured =
		config_subscriber_of(config_of(concentrator), link);

	memset(&customer->set, 0, sizeof(customer->set));
	for (unsigned int i = 0; configured && i < configured->source_count; i++) {
		struct plait_addr own = own_for(concentrator, &configured->sources[i]);

		if (own.family)
			add_path(concentrator, customer, &own, &configured->sources[i]);
	}
}

/* The CPE knows best which of our addresses it reaches over a link. */
static void learn_path(struct datagram_concentrator *concentrator, uint32_t subscriber,
		       const struct formatted *packet)
{
	struct customer *customer = &concentrator->customers[subscriber];
	int at = find_link(customer, &packet->source);

	if (at >= 0 &&
	    !memcmp(&customer->path[at].local, &packet->destination, sizeof(packet->destination)))
		return;
	memset(customer->set.slot, PLAIT_NO_PATH, sizeof(customer->set.slot));
	put_set(concentrator, subscriber);
	if (at < 0 && customer->set.count < PLAIT_PATHS_MAX) {
		at = customer->set.count;
		add_path(concentrator, customer, &packet->destination, &packet->source);
	} else if (at >= 0) {
		customer->path[at].local = packet->destination;
		datagram_mode_find_hop(&concentrator->mode, &customer->path[at]);
	}
	if (at >= 0)
		put_path(concentrator, subscriber, (unsigned int)at);
	fill(customer);
	put_set(concentrator, subscriber);
}

/* Paths before the set, and that before its first binding. */
static void begin_customer(struct datagram_concentrator *concentrator, uint32_t subscriber,
			   const struct formatted *packet)
{
	static const struct plait_path_traffic none;
	struct customer *customer = &concentrator->customers[subscriber];

	make_paths(concentrator, customer, &packet->source);
	for (unsigned int i = 0; i < PLAIT_PATHS_MAX; i++) {
		uint32_t number = path_number(subscriber, i);

		if (i < customer->set.count)
			put_path(concentrator, subscriber, i);
		dataplane_put(dataplane_of(concentrator), "datagram_traffic", &number, &none);
	}
	customer->family = packet->source.family;
	customer->set.first = path_number(subscriber, 0);
	fill(customer);
	put_set(concentrator, subscriber);
	customer->active = concentrator->active_count;
	concentrator->active[concentrator->active_count++] = subscriber;
}

static void end_customer(struct datagram_concentrator *concentrator, uint32_t subscriber)
{
	struct customer *customer = &concentrator->customers[subscriber];
	uint32_t last = concentrator->active[--concentrator->active_count];

	concentrator->active[customer->active] = last;
	concentrator->customers[last].active = customer->active;
	for (unsigned int i = 0; i < customer->set.count; i++)
		dataplane_remove(dataplane_of(concentrator), "datagram_told",
				 &customer->path[i].remote);
}

/* Bindings */

static struct plait_addr receiver_key(const struct plait_path *path, __be16 wan_port)
{
	struct plait_addr key = path->remote;

	key.port = wan_port;
	return key;
}

static unsigned int receivers_of(const struct datagram_concentrator *concentrator,
				 const struct binding *binding,
				 struct plait_addr keys[PLAIT_PATHS_MAX])
{
	const struct customer *customer = &concentrator->customers[binding->subscriber];

	for (unsigned int i = 0; i < customer->set.count; i++)
		keys[i] = receiver_key(&customer->path[i], binding->inside.port);
	return customer->set.count;
}

/* Receivers before the sender: it is known who may send before anybody can be answered. */
static int publish(struct datagram_concentrator *concentrator, const struct binding *binding)
{
	struct plait_datagram_binding value = {.created_ns = binding->since_ns,
					       .last_seen_ns = clock_now_ns(),
					       .inner = binding->external,
					       .set = (uint32_t)binding->subscriber,
					       .wan_port = binding->inside.port};
	struct plait_addr keys[PLAIT_PATHS_MAX];
	unsigned int count = receivers_of(concentrator, binding, keys);
	int err = 0;

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
	if (!--concentrator->customers[binding->subscriber].bindings)
		end_customer(concentrator, (uint32_t)binding->subscriber);
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
		learn_path(concentrator, (uint32_t)binding->subscriber, packet);
		return !publish(concentrator, binding);
	}
	*why = PLAIT_DRAINING;
	if (concentrator->draining)
		return false;
	binding = lend(concentrator, packet, why);
	if (!binding)
		return false;
	if (!concentrator->customers[binding->subscriber].bindings++)
		begin_customer(concentrator, (uint32_t)binding->subscriber, packet);
	learn_path(concentrator, (uint32_t)binding->subscriber, packet);
	bindings_keep_until(&concentrator->bindings, binding,
			    clock_now_ns() + lifetime_ns(concentrator));
	if (!publish(concentrator, binding))
		return true;
	*why = PLAIT_BINDINGS_FULL;
	end(concentrator, binding);
	return false;
}

static int attach(struct datagram_concentrator *concentrator);

static void held(struct datagram_mode *mode, const struct plait_held_syn *record)
{
	struct datagram_concentrator *concentrator =
		container_of(mode, struct datagram_concentrator, mode);
	enum plait_reason why = PLAIT_DATAGRAM_OPTION;
	struct formatted packet;

	if (formatted_frame_read(record->frame, record->frame_bytes, &packet) ||
	    packet.from_concentrator || !packet.remote.port)
		datagram_mode_count(mode, why);
	else if (datagram_mode_has_had(mode, record))
		datagram_mode_count(mode, PLAIT_DATAGRAM_NO_NEIGHBOUR);
	else if (!concentrator->may_reach(concentrator->context, &packet.remote, &why) ||
		 (!concentrator->on && attach(concentrator)) ||
		 !bind_endpoint(concentrator, &packet, &why))
		datagram_mode_count(mode, why);
	else
		datagram_mode_let_go(mode, record, &packet.remote);
}

/* The path that the first slot names; NULL: there is none. */
static const struct plait_path *any_path(const struct customer *customer)
{
	return customer->set.slot[0] < customer->set.count ? &customer->path[customer->set.slot[0]]
							   : NULL;
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
		binding ? any_path(&concentrator->customers[binding->subscriber]) : NULL;

	if (!path)
		return false;
	error->udp = false;
	error->packet.from_concentrator = false;
	error->packet.remote = error->packet.destination;
	error->packet.source = receiver_key(path, binding->inside.port);
	error->packet.destination = path->local;
	*from = path->local;
	return true;
}

static void sweep(struct datagram_concentrator *concentrator, uint64_t now)
{
	struct binding *binding;

	while ((binding = bindings_expired(&concentrator->bindings, now))) {
		struct plait_addr keys[PLAIT_PATHS_MAX];
		unsigned int count = receivers_of(concentrator, binding, keys);
		uint64_t until = lifetime_ns(concentrator) +
				 datagram_mode_last_seen(&concentrator->mode, &binding->external,
							 keys, count);

		if (until > now)
			bindings_keep_until(&concentrator->bindings, binding, until);
		else
			end(concentrator, binding);
	}
}

/* Next hops change without a word. */
static void find_hops(struct datagram_concentrator *concentrator, uint32_t subscriber)
{
	struct customer *customer = &concentrator->customers[subscriber];

	for (unsigned int i = 0; i < customer->set.count; i++)
		if (datagram_mode_find_hop(&concentrator->mode, &customer->path[i]))
			put_path(concentrator, subscriber, i);
}

/* Some subscribers in each turn; it goes on with the others in the next. */
static void look_at(struct datagram_concentrator *concentrator, uint32_t *next, uint32_t most,
		    void (*look)(struct datagram_concentrator *concentrator, uint32_t subscriber))
{
	uint32_t count = concentrator->active_count < most ? concentrator->active_count : most;

	while (count--) {
		*next = (*next + 1) % concentrator->active_count;
		look(concentrator, concentrator->active[*next]);
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
	look_at(concentrator, &concentrator->look_next, LOOKS_A_TURN, take_told);
	look_at(concentrator, &concentrator->hop_next, HOPS_A_TURN, find_hops);
}

/* Setting up */

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

static int load(struct datagram_concentrator *concentrator)
{
	const struct config *config = config_of(concentrator);
	const struct dataplane_size sizes[] = {
		{"datagram_senders", config->max_bindings},
		/* most subscribers have two links */
		{"datagram_receivers", 2 * config->max_bindings},
		{"datagram_sets", config->max_subscribers},
		{"datagram_paths", config->max_subscribers * PLAIT_PATHS_MAX},
		{"datagram_traffic", config->max_subscribers * PLAIT_PATHS_MAX},
		{},
	};
	size_t elf_bytes;
	const void *elf = plait_datagram_concentrator__elf_bytes(&elf_bytes);
	int err = datagram_mode_load(&concentrator->mode, elf, elf_bytes, sizes, "datagram_both");

	if (err)
		return err;
	dataplane_clear(dataplane_of(concentrator), "datagram_senders", sizeof(struct plait_addr));
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

/* With the first packet, since XDP costs TCP throughput where nobody needs it. */
static int attach(struct datagram_concentrator *concentrator)
{
	uint64_t now = clock_now_ns();
	int err = 0;

	if (now < concentrator->retry_ns)
		return -EAGAIN;
	if (!concentrator->mode.loaded) {
		err = load(concentrator);
		concentrator->retry_ns = err ? UINT64_MAX : 0;
	}
	if (!err) {
		datagram_fragments_name(concentrator->mode.instance,
					&config_of(concentrator)->internet);
		err = attach_all(concentrator);
		concentrator->retry_ns = err ? now + RETRY_SECONDS * NS_PER_S : 0;
	}
	if (err) {
		datagram_mode_detach(&concentrator->mode);
		return err;
	}
	log_notice("datagram mode: a CPE uses it, programs are attached");
	concentrator->on = true;
	return 0;
}

static int open_tables(struct datagram_concentrator *concentrator)
{
	const struct config *config = config_of(concentrator);
	int err = bindings_open(&concentrator->bindings, config->max_bindings, clock_now_ns());

	if (err)
		return err;
	concentrator->lent = calloc(config->max_bindings, sizeof(struct binding *));
	concentrator->customers = calloc(config->max_subscribers, sizeof(struct customer));
	concentrator->active = calloc(config->max_subscribers, sizeof(*concentrator->active));
	return concentrator->lent && concentrator->customers && concentrator->active ? 0 : -ENOMEM;
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
	free(concentrator->customers);
	free(concentrator->active);
}
