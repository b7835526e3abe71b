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
#include "table/slots.h"

/* after plait_maps.h, whose types it uses */
#include "datagram_cpe.skel.h"

enum { SWEEP_SECONDS = 1 };

_Static_assert((int)PLAIT_PATHS_MAX >= (int)CONFIG_MAX_LINKS, "a set has a path for each link");

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
	int err =
		dataplane_put(dataplane_of(cpe), "datagram_receivers", &binding->external, &value);

	if (!err)
		err = dataplane_put(dataplane_of(cpe), "datagram_senders", &binding->inside,
				    &value);
	return err;
}

static void unpublish(struct datagram_cpe *cpe, const struct binding *binding)
{
	dataplane_remove(dataplane_of(cpe), "datagram_senders", &binding->inside);
	dataplane_remove(dataplane_of(cpe), "datagram_receivers", &binding->external);
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

/* Links */

static uint32_t path_number(unsigned int concentrator, unsigned int link)
{
	return concentrator * PLAIT_PATHS_MAX + link;
}

/* The way over a link, in the family that it is asked in; family 0: there is none. */
static struct plait_path path_over(const struct link *link, unsigned int concentrator)
{
	const struct plait_addr *remote = link->paths.remote[concentrator];
	unsigned int f = remote[0].family ? 0 : 1;

	return (struct plait_path){.local = remote[f].family ? link->paths.local[f]
							     : (struct plait_addr){},
				   .remote = remote[f]};
}

static bool same_ends(const struct plait_path *a, const struct plait_path *b)
{
	return !memcmp(&a->local, &b->local, sizeof(a->local)) &&
	       !memcmp(&a->remote, &b->remote, sizeof(a->remote));
}

static void put_set(struct datagram_cpe *cpe, uint32_t number, const struct plait_path_set *set)
{
	if (!memcmp(&cpe->set[number], set, sizeof(*set)))
		return;
	cpe->set[number] = *set;
	dataplane_put(dataplane_of(cpe), "datagram_sets", &number, set);
}

/* No slot of any set names a path any more. */
static void leave_path(struct datagram_cpe *cpe, uint32_t number)
{
	for (uint32_t i = 0; i < config_of(cpe)->concentrator_count; i++) {
		struct plait_path_set set = cpe->set[i];

		for (unsigned int s = 0; s < PLAIT_PATH_SLOTS; s++)
			if (set.first + set.slot[s] == number)
				set.slot[s] = PLAIT_NO_PATH;
		put_set(cpe, i, &set);
	}
}

static void aim(struct datagram_cpe *cpe, unsigned int concentrator, unsigned int link,
		const struct plait_path *path)
{
	int err = ping_aim(&cpe->ping[concentrator][link], &path->local, &path->remote);

	if (err)
		log_warning("link %s: telling of it: %s", cpe->links->link[link].config->name,
			    strerror(-err));
}

static void refresh_path(struct datagram_cpe *cpe, unsigned int concentrator, unsigned int link)
{
	struct plait_path *known = &cpe->path[concentrator][link];
	struct plait_path now = path_over(&cpe->links->link[link], concentrator);
	uint32_t number = path_number(concentrator, link);
	struct plait_addr here;
	uint8_t flags = PLAIT_ADDRESS_EXISTS;

	if (!same_ends(known, &now)) {
		leave_path(cpe, number);
		here = known->local;
		if (here.family)
			dataplane_remove(dataplane_of(cpe), "datagram_addresses", &here);
		aim(cpe, concentrator, link, &now);
	}
	if (now.local.family)
		datagram_mode_find_hop(&cpe->mode, &now);
	if (!memcmp(known, &now, sizeof(now)))
		return;
	*known = now;
	dataplane_put(dataplane_of(cpe), "datagram_paths", &number, known);
	if (known->local.family)
		dataplane_put(dataplane_of(cpe), "datagram_addresses", &known->local, &flags);
}

static uint32_t weight_of(const struct datagram_cpe *cpe, unsigned int concentrator,
			  unsigned int link, bool backups)
{
	const struct link *at = &cpe->links->link[link];

	if (!at->in_use || cpe->link_fd[link] < 0 || !cpe->path[concentrator][link].local.family ||
	    links_is_backup(cpe->links, link) != backups)
		return 0;
	return at->config->weight;
}

/* Those that are kept for it take part when no other works. */
static void weigh(const struct datagram_cpe *cpe, unsigned int concentrator,
		  uint32_t weights[PLAIT_PATHS_MAX])
{
	uint32_t sum = 0;

	for (unsigned int backups = 0; !sum && backups < 2; backups++)
		for (unsigned int i = 0; i < cpe->links->count; i++) {
			weights[i] = weight_of(cpe, concentrator, i, backups);
			sum += weights[i];
		}
}

/* Over each of the concentrator's paths, whether it is used or not. */
static void tell(struct datagram_cpe *cpe, unsigned int concentrator)
{
	const struct plait_told *told = &cpe->told[concentrator];

	for (unsigned int i = 0; i < cpe->links->count; i++)
		if (cpe->ping[concentrator][i].fd >= 0)
			ping_tell(&cpe->ping[concentrator][i], told, sizeof(*told));
}

/* The same way for what comes back. */
static void take_weights(struct datagram_cpe *cpe, unsigned int concentrator,
			 const uint32_t weights[PLAIT_PATHS_MAX])
{
	struct plait_told told = {.magic = PLAIT_TOLD_MAGIC,
				  .per_packet = config_of(cpe)->datagram.distribution ==
						DISTRIBUTION_PACKET};

	for (unsigned int i = 0; i < cpe->links->count; i++) {
		const struct plait_path *path = &cpe->path[concentrator][i];

		if (path->local.family)
			told.link[told.count++] = (struct plait_told_link){
				.local = path->local, .weight = htons((uint16_t)weights[i])};
	}
	if (!memcmp(&told, &cpe->told[concentrator], sizeof(told)))
		return;
	cpe->told[concentrator] = told;
	tell(cpe, concentrator);
}

/* Where the bindings of a concentrator go: to another one while it does not answer. */
static int stand_in(const struct datagram_cpe *cpe, unsigned int concentrator)
{
	if (concentrators_answer(cpe->concentrators, concentrator))
		return (int)concentrator;
	for (unsigned int i = 0; i < config_of(cpe)->concentrator_count; i++)
		if (concentrators_answer(cpe->concentrators, i))
			return (int)i;
	return config_of(cpe)->when_unreachable == UNREACHABLE_DIRECT ? -1 : (int)concentrator;
}

static void refresh_set(struct datagram_cpe *cpe, unsigned int number)
{
	int to = stand_in(cpe, number);
	uint32_t weights[PLAIT_PATHS_MAX] = {};
	struct plait_path_set set = {
		.first = path_number(to < 0 ? number : (unsigned int)to, 0),
		.count = (uint8_t)cpe->links->count,
		.per_packet = config_of(cpe)->datagram.distribution == DISTRIBUTION_PACKET,
	};

	if (to >= 0)
		weigh(cpe, (unsigned int)to, weights);
	slots_fill(weights, set.count, set.slot);
	put_set(cpe, number, &set);
	if (to == (int)number)
		take_weights(cpe, number, weights);
}

/* What goes direct */

static void add_direct(struct direct_prefixes *direct, const struct plait_prefix *prefix)
{
	struct plait_direct_key key = {.bits = 32u + prefix->bits, .family = prefix->family};

	if (direct->count == sizeof(direct->key) / sizeof(direct->key[0]))
		return;
	memcpy(key.ip, prefix->ip, sizeof(key.ip));
	direct->key[direct->count++] = key;
}

static bool is_lan(const struct config *config, unsigned int ifindex)
{
	for (unsigned int i = 0; i < config->lan.count; i++)
		if (if_nametoindex(config->lan.name[i]) == ifindex)
			return true;
	return false;
}

/* This machine's addresses, and its LANs. */
static void find_direct(const struct datagram_cpe *cpe, struct direct_prefixes *out)
{
	const struct own_addresses *own = &cpe->mode.instance->own;

	memset(out, 0, sizeof(*out));
	for (unsigned int i = 0; i < own->count; i++) {
		const struct plait_addr *addr = &own->entry[i].addr;
		struct plait_prefix prefix = {.family = addr->family,
					      .bits = addr->family == AF_INET ? 32 : 128};

		memcpy(prefix.ip, addr->ip, sizeof(prefix.ip));
		if (is_lan(config_of(cpe), own->entry[i].ifindex))
			prefix.bits = own->entry[i].prefix_bits;
		add_direct(out, &prefix);
	}
}

static bool has_key(const struct direct_prefixes *direct, const struct plait_direct_key *key)
{
	for (unsigned int i = 0; i < direct->count; i++)
		if (!memcmp(&direct->key[i], key, sizeof(*key)))
			return true;
	return false;
}

/* What stays is there at every moment. */
static void refresh_direct(struct datagram_cpe *cpe)
{
	struct direct_prefixes now;
	uint8_t one = 1;

	find_direct(cpe, &now);
	if (!memcmp(&now, &cpe->direct, sizeof(now)))
		return;
	for (unsigned int i = 0; i < now.count; i++)
		dataplane_put(dataplane_of(cpe), "datagram_direct", &now.key[i], &one);
	for (unsigned int i = 0; i < cpe->direct.count; i++)
		if (!has_key(&now, &cpe->direct.key[i]))
			dataplane_remove(dataplane_of(cpe), "datagram_direct", &cpe->direct.key[i]);
	cpe->direct = now;
}

/* An interface that goes takes its program along; one that comes needs it. */
static void refresh_attached(struct datagram_cpe *cpe, unsigned int link)
{
	const struct attachment *at = &cpe->links->link[link].attachment;

	if (at->ifindex == cpe->link_ifindex[link])
		return;
	cpe->link_ifindex[link] = at->ifindex;
	if (cpe->link_fd[link] >= 0)
		close(cpe->link_fd[link]);
	cpe->link_fd[link] = -1;
	if (at->ifindex && at->ethernet)
		cpe->link_fd[link] = datagram_mode_attach_own(&cpe->mode, "datagram_link",
							      at->config->interface, at->ifindex);
}

void datagram_cpe_refresh(struct datagram_cpe *cpe)
{
	if (!cpe->on)
		return;
	for (unsigned int i = 0; i < cpe->links->count; i++)
		refresh_attached(cpe, i);
	for (unsigned int c = 0; c < config_of(cpe)->concentrator_count; c++)
		for (unsigned int i = 0; i < cpe->links->count; i++)
			refresh_path(cpe, c, i);
	for (unsigned int c = 0; c < config_of(cpe)->concentrator_count; c++)
		refresh_set(cpe, c);
	refresh_direct(cpe);
	datagram_fragments_name(cpe->mode.instance, &config_of(cpe)->lan);
}

/* While something moves, links are looked at often. */
static void look_at_traffic(struct datagram_cpe *cpe)
{
	uint64_t moved = 0;

	for (uint32_t c = 0; c < config_of(cpe)->concentrator_count; c++)
		for (uint32_t i = 0; i < cpe->links->count; i++) {
			struct plait_path_traffic *traffic = &cpe->traffic[c][i];
			uint32_t number = path_number(c, i);

			if (dataplane_get(dataplane_of(cpe), "datagram_traffic", &number, traffic))
				continue;
			path_loss_look(&cpe->loss[c][i], traffic);
			moved += traffic->sent + traffic->received;
		}
	links_carry(cpe->links, moved != cpe->moved);
	cpe->moved = moved;
}

static void timer_ready(struct loop_watch *watch, uint32_t events)
{
	struct datagram_cpe *cpe = container_of(watch, struct datagram_cpe, timer_watch);
	uint64_t times;

	if (read(cpe->timer_fd, &times, sizeof(times)) != sizeof(times))
		return;
	sweep(cpe, clock_now_ns());
	datagram_fragments_sweep(&cpe->mode.fragments);
	look_at_traffic(cpe);
	datagram_cpe_refresh(cpe); /* next hops change without a word */
	for (unsigned int i = 0; i < config_of(cpe)->concentrator_count; i++)
		tell(cpe, i);
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
		{"datagram_sets", concentrators},
		{"datagram_paths", concentrators * PLAIT_PATHS_MAX},
		{"datagram_traffic", concentrators * PLAIT_PATHS_MAX},
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

/* None is known yet. */
static void forget_links(struct datagram_cpe *cpe)
{
	for (unsigned int i = 0; i < CONFIG_MAX_LINKS; i++)
		cpe->link_fd[i] = -1;
	for (unsigned int i = 0; i < CONFIG_MAX_CONCENTRATORS * PLAIT_PATHS_MAX; i++)
		cpe->ping[i / PLAIT_PATHS_MAX][i % PLAIT_PATHS_MAX] =
			(struct ping){.fd = -1, .deaf = true};
}

static void close_links(struct datagram_cpe *cpe)
{
	for (unsigned int i = 0; i < CONFIG_MAX_LINKS; i++)
		if (cpe->link_fd[i] >= 0)
			close(cpe->link_fd[i]);
	for (unsigned int i = 0; i < CONFIG_MAX_CONCENTRATORS * PLAIT_PATHS_MAX; i++)
		if (cpe->ping[i / PLAIT_PATHS_MAX][i % PLAIT_PATHS_MAX].fd >= 0)
			close(cpe->ping[i / PLAIT_PATHS_MAX][i % PLAIT_PATHS_MAX].fd);
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
	forget_links(cpe);
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
	if (cpe->on)
		close_links(cpe);
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

void datagram_cpe_report_link(const struct datagram_cpe *cpe, unsigned int link,
			      struct link_report *out)
{
	for (unsigned int i = 0; cpe->on && i < config_of(cpe)->concentrator_count; i++) {
		const struct plait_path_traffic *traffic = &cpe->traffic[i][link];

		out->datagrams_sent += traffic->sent;
		out->datagrams_received += traffic->received;
		out->datagrams_late += traffic->late;
		out->datagrams_lost += path_loss_lost(&cpe->loss[i][link]);
	}
}
