// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "datagram_customers.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr_text.h"
#include "table/slots.h"

enum {
	LOOKS_A_TURN = 2048, /* at subscribers, for what they have told */
	LINKS_A_TURN = 16, /* of subscribers; each takes a few exchanges with the kernel */
};

_Static_assert((int)PLAIT_PATHS_MAX >= (int)CONFIG_MAX_SOURCES, "a set has a path for each source");

static struct dataplane *dataplane_of(const struct datagram_customers *customers)
{
	return customers->mode->instance->dataplane;
}

static const struct config *config_of(const struct datagram_customers *customers)
{
	return customers->mode->instance->config;
}

static void put_set(struct datagram_customers *customers, uint32_t subscriber)
{
	dataplane_put(dataplane_of(customers), "datagram_sets", &subscriber,
		      &customers->all[subscriber].set);
}

static void put_path(struct datagram_customers *customers, uint32_t subscriber, unsigned int path)
{
	uint32_t number = datagram_mode_path_number(subscriber, path);

	dataplane_put(dataplane_of(customers), "datagram_paths", &number,
		      &customers->all[subscriber].path[path]);
}

/* What a CPE has told last, over whichever link. False: nothing since then. */
static bool read_told(struct datagram_customers *customers, const struct customer *customer,
		      struct plait_told_value *out)
{
	out->heard_ns = customer->heard_ns;
	for (unsigned int i = 0; i < customer->set.count; i++) {
		struct plait_told_value value;

		if (!dataplane_get(dataplane_of(customers), "datagram_told",
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

static bool reorders(const struct datagram_customers *customers)
{
	return customers->mode->instance->config->reorder_ms != 0;
}

/* As the CPE has it; if that leaves none, as it was: whoever sends knows better than nobody. */
static void take_told(struct datagram_customers *customers, uint32_t subscriber)
{
	struct customer *customer = &customers->all[subscriber];
	struct plait_path_set before = customer->set;
	uint32_t weights[PLAIT_PATHS_MAX] = {}, sum = 0;
	struct plait_told_value value;

	if (!read_told(customers, customer, &value))
		return;
	customer->heard_ns = value.heard_ns;
	for (unsigned int i = 0; i < customer->set.count; i++) {
		weights[i] = told_weight(&value.told, &customer->path[i].remote);
		sum += weights[i];
	}
	if (!sum)
		return;
	customer->set.per_packet = value.told.per_packet != 0;
	customer->set.in_order = customer->set.per_packet && reorders(customers);
	slots_fill(weights, customer->set.count, customer->set.slot);
	if (memcmp(&before, &customer->set, sizeof(before)))
		put_set(customers, subscriber);
}

/* Until the CPE tells: those of the family that packets come in, alike. */
static void fill(const struct datagram_customers *customers, struct customer *customer)
{
	uint32_t weights[PLAIT_PATHS_MAX] = {};

	for (unsigned int i = 0; i < customer->set.count; i++)
		weights[i] = customer->path[i].remote.family == customer->family;
	slots_fill(weights, customer->set.count, customer->set.slot);
	customer->set.in_order = reorders(customers); /* its packets may take any */
	customer->heard_ns = 0;
}

static void add_path(struct datagram_customers *customers, struct customer *customer,
		     const struct plait_addr *own, const struct plait_addr *link)
{
	static const struct plait_told_value nothing;
	struct plait_path *path = &customer->path[customer->set.count++];

	*path = (struct plait_path){.local = *own, .remote = *link};
	path->remote.port = 0;
	datagram_mode_find_hop(customers->mode, path);
	dataplane_put(dataplane_of(customers), "datagram_told", &path->remote, &nothing);
}

/* Ours that has most in common with the CPE's; and its port. Family 0: there is none. */
static struct plait_addr own_for(const struct datagram_customers *customers,
				 const struct plait_addr *link)
{
	struct plait_addr own = config_nearest_customer_address(config_of(customers), link);

	own.port = htons(config_of(customers)->customer_port);
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
static void make_paths(struct datagram_customers *customers, struct customer *customer,
		       const struct plait_addr *link)
{
	const struct config_subscriber *configured =
		config_subscriber_of(config_of(customers), link);

	memset(&customer->set, 0, sizeof(customer->set));
	for (unsigned int i = 0; configured && i < configured->source_count; i++) {
		struct plait_addr own = own_for(customers, &configured->sources[i]);

		if (own.family)
			add_path(customers, customer, &own, &configured->sources[i]);
	}
}

void datagram_customers_learn(struct datagram_customers *customers, uint32_t subscriber,
			      const struct formatted *packet)
{
	struct customer *customer = &customers->all[subscriber];
	int at = find_link(customer, &packet->source);

	if (at >= 0 &&
	    !memcmp(&customer->path[at].local, &packet->destination, sizeof(packet->destination)))
		return;
	memset(customer->set.slot, PLAIT_NO_PATH, sizeof(customer->set.slot));
	put_set(customers, subscriber);
	if (at < 0 && customer->set.count < PLAIT_PATHS_MAX) {
		at = customer->set.count;
		add_path(customers, customer, &packet->destination, &packet->source);
	} else if (at >= 0) {
		customer->path[at].local = packet->destination;
		datagram_mode_find_hop(customers->mode, &customer->path[at]);
	}
	if (at >= 0)
		put_path(customers, subscriber, (unsigned int)at);
	fill(customers, customer);
	put_set(customers, subscriber);
}

/* Paths before the set, and that before its first binding. */
static void begin_customer(struct datagram_customers *customers, uint32_t subscriber,
			   const struct formatted *packet)
{
	static const struct plait_path_traffic none;
	struct customer *customer = &customers->all[subscriber];

	memset(customer->loss, 0, sizeof(customer->loss));
	make_paths(customers, customer, &packet->source);
	for (unsigned int i = 0; i < PLAIT_PATHS_MAX; i++) {
		uint32_t number = datagram_mode_path_number(subscriber, i);

		if (i < customer->set.count)
			put_path(customers, subscriber, i);
		dataplane_put(dataplane_of(customers), "datagram_traffic", &number, &none);
	}
	customer->family = packet->source.family;
	customer->set.first = datagram_mode_path_number(subscriber, 0);
	fill(customers, customer);
	put_set(customers, subscriber);
	customer->active = customers->active_count;
	customers->active[customers->active_count++] = subscriber;
}

void datagram_customers_use(struct datagram_customers *customers, uint32_t subscriber,
			    const struct formatted *packet)
{
	if (!customers->all[subscriber].bindings++)
		begin_customer(customers, subscriber, packet);
	datagram_customers_learn(customers, subscriber, packet);
}

static void end_customer(struct datagram_customers *customers, uint32_t subscriber)
{
	struct customer *customer = &customers->all[subscriber];
	uint32_t last = customers->active[--customers->active_count];

	customers->active[customer->active] = last;
	customers->all[last].active = customer->active;
	for (unsigned int i = 0; i < customer->set.count; i++)
		dataplane_remove(dataplane_of(customers), "datagram_told",
				 &customer->path[i].remote);
}

void datagram_customers_leave(struct datagram_customers *customers, uint32_t subscriber)
{
	if (!--customers->all[subscriber].bindings)
		end_customer(customers, subscriber);
}

unsigned int datagram_customers_receivers(const struct datagram_customers *customers,
					  uint32_t subscriber, __be16 wan_port,
					  struct plait_addr keys[PLAIT_PATHS_MAX])
{
	const struct customer *customer = &customers->all[subscriber];

	for (unsigned int i = 0; i < customer->set.count; i++) {
		keys[i] = customer->path[i].remote;
		keys[i].port = wan_port;
	}
	return customer->set.count;
}

const struct plait_path *datagram_customers_path(const struct datagram_customers *customers,
						 uint32_t subscriber)
{
	const struct customer *customer = &customers->all[subscriber];
	unsigned int first = customer->set.slot[0];

	return first < customer->set.count ? &customer->path[first] : NULL;
}

/* The CPE's counter is known from its first packet on: what was before is not lost. */
static void look_at_traffic(struct datagram_customers *customers, uint32_t subscriber,
			    unsigned int path, struct plait_path_traffic *traffic)
{
	uint32_t number = datagram_mode_path_number(subscriber, path);

	if (!dataplane_get(dataplane_of(customers), "datagram_traffic", &number, traffic) &&
	    traffic->received)
		path_loss_look(&customers->all[subscriber].loss[path], traffic);
}

/* Next hops change without a word. */
static void look_at_links(struct datagram_customers *customers, uint32_t subscriber)
{
	struct customer *customer = &customers->all[subscriber];
	struct plait_path_traffic traffic;

	for (unsigned int i = 0; i < customer->set.count; i++) {
		if (datagram_mode_find_hop(customers->mode, &customer->path[i]))
			put_path(customers, subscriber, i);
		look_at_traffic(customers, subscriber, i, &traffic);
	}
}

/* Some subscribers in each turn; it goes on with the others in the next. */
static void look_at(struct datagram_customers *customers, uint32_t *next, uint32_t most,
		    void (*look)(struct datagram_customers *customers, uint32_t subscriber))
{
	uint32_t count = customers->active_count < most ? customers->active_count : most;

	while (count--) {
		*next = (*next + 1) % customers->active_count;
		look(customers, customers->active[*next]);
	}
}

void datagram_customers_look(struct datagram_customers *customers)
{
	look_at(customers, &customers->look_next, LOOKS_A_TURN, take_told);
	look_at(customers, &customers->link_next, LINKS_A_TURN, look_at_links);
}

void datagram_customers_report(struct datagram_customers *customers, struct subscriber_report *out)
{
	const struct customer *customer = customers->all ? &customers->all[out->number] : NULL;

	if (!customer || !customer->bindings)
		return;
	out->link_count = customer->set.count;
	for (unsigned int i = 0; i < customer->set.count; i++) {
		struct plait_path_traffic traffic = {};

		look_at_traffic(customers, out->number, i, &traffic);
		out->links[i] =
			(struct datagram_link_report){.address = customer->path[i].remote,
						      .sent = traffic.sent,
						      .received = traffic.received,
						      .lost = path_loss_lost(&customer->loss[i]),
						      .late = traffic.late};
	}
}

int datagram_customers_open(struct datagram_customers *customers, struct datagram_mode *mode)
{
	uint32_t most = mode->instance->config->max_subscribers;

	customers->mode = mode;
	customers->all = calloc(most, sizeof(*customers->all));
	customers->active = calloc(most, sizeof(*customers->active));
	return customers->all && customers->active ? 0 : -ENOMEM;
}

void datagram_customers_close(struct datagram_customers *customers)
{
	free(customers->all);
	free(customers->active);
}
