// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The concentrator: accepts MPTCP legs on its customer-facing addresses and dials
 * the destinations their PM options name (plain-mode-08 §4.4.1 (3)). Nothing is
 * sent to the internet side for a preamble that is not whole and allowed. What a
 * configured binding lets in from there goes to a CPE by a leg (§4.4.2).
 *
 * It listens twice: each worker's private listener gets the SYNs that were held
 * and let go; the shared ones get what needs no holding, which is MP_JOIN, and
 * SYNs whose payload was stripped on the way.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "announcement.h"
#include "base/container.h"
#include "base/log.h"
#include "codec/syn_payload.h"
#include "datagram_concentrator.h"
#include "instance.h"
#include "pools.h"
#include "port/mptcp_pm.h"
#include "port/sockets.h"
#include "port/sysctl.h"
#include "role.h"

/* after plait_maps.h, whose types it uses */
#include "concentrator.skel.h"

struct concentrator {
	struct instance instance;
	struct role_ops ops;
	struct mptcp_pm pm;
	struct pools pools;
	struct datagram_concentrator datagrams;
	struct announcement announcement;
	bool draining; /* set by the main thread, read by workers */
};

/* The engine's questions */

/* SYNs are judged by the BPF side already, where it sees them: not on other interfaces. */
static bool is_allowed(const struct config *config, const struct plait_addr *source)
{
	for (unsigned int i = 0; i < config->allow_count; i++)
		if (addr_in_prefix(source, &config->allow[i]))
			return true;
	return !config->allow_count;
}

static bool may_reach(struct concentrator *concentrator, const struct plait_addr *addr,
		      enum plait_reason *why)
{
	struct plait_addr embedded = *addr;

	pm_addr_embedded_v4(addr, &embedded);
	if (pm_addr_forbidden(addr))
		*why = PLAIT_PM_FORBIDDEN;
	else if (instance_owns(&concentrator->instance, addr) ||
		 instance_owns(&concentrator->instance, &embedded))
		*why = PLAIT_PM_OWN_ADDRESS;
	else
		return true;
	return false;
}

static bool take_destination(struct concentrator *concentrator, struct session *session,
			     const struct preamble *preamble, enum plait_reason *why)
{
	struct plait_addr destination = preamble->destination;

	if (!may_reach(concentrator, &destination, why))
		return false;
	if (!preamble->has_destination_port)
		destination.port = session->local.port; /* §4.4.1: it was left as it was */
	*why = PLAIT_PM_MALFORMED;
	session->key.remote = destination;
	return destination.port != 0;
}

/* §6: the host's own address, where both sides are configured to keep it and no pool is. */
static bool take_source(struct concentrator *concentrator, struct session *session,
			const struct preamble *preamble, enum plait_reason *why)
{
	const struct config *config = concentrator->instance.config;
	bool preserve = preamble->source.family == AF_INET ? config->preserve_source_v4
							   : config->preserve_source_v6;

	if (!preamble->has_source || !preserve ||
	    pools_cover(&concentrator->pools, preamble->source.family))
		return true;
	if (!may_reach(concentrator, &preamble->source, why))
		return false;
	session->key.inside = preamble->source;
	session->transparent = true;
	return true;
}

/* §4.4.1 (3): from a pool. */
static bool take_external(struct concentrator *concentrator, struct session *session,
			  const struct preamble *preamble, enum plait_reason *why)
{
	const struct plait_addr *source = preamble->has_source ? &preamble->source : NULL;

	return session->transparent || pools_bind(&concentrator->pools, session, source, why);
}

static void release(void *role, struct session *session)
{
	struct concentrator *concentrator = role;

	pools_release(&concentrator->pools, session);
}

static bool takes_protocol(const struct config *config, uint8_t protocol)
{
	bool udp = config->udp == UDP_STREAM || config->udp == UDP_BOTH;

	return protocol == IPPROTO_TCP || (protocol == IPPROTO_UDP && udp);
}

static bool judge_preamble(void *role, struct session *session, const struct preamble *preamble,
			   enum plait_reason *why)
{
	struct concentrator *concentrator = role;

	*why = PLAIT_SOURCE_NOT_ALLOWED;
	if (!is_allowed(concentrator->instance.config, &session->peer))
		return false;
	*why = PLAIT_DRAINING;
	if (__atomic_load_n(&concentrator->draining, __ATOMIC_RELAXED))
		return false;
	*why = PLAIT_PM_MALFORMED;
	if (!preamble->has_destination)
		return false;
	*why = PLAIT_PM_PROTOCOL;
	if (!takes_protocol(concentrator->instance.config, preamble->protocol))
		return false;
	session->key.protocol = preamble->protocol;
	return take_destination(concentrator, session, preamble, why) &&
	       take_source(concentrator, session, preamble, why) &&
	       take_external(concentrator, session, preamble, why);
}

/* plain-mode-08 §4.4.2 (1) */
static bool judge_plain(void *role, struct session *session, enum plait_reason *why)
{
	struct concentrator *concentrator = role;

	*why = PLAIT_DRAINING;
	if (__atomic_load_n(&concentrator->draining, __ATOMIC_RELAXED))
		return false;
	session->key.inside = session->local;
	session->key.remote = session->peer;
	return pools_let_in(&concentrator->pools, session, why);
}

static int dial_server(const struct concentrator *concentrator, const struct session *session)
{
	bool chosen = session->transparent || session->binding;

	return instance_dial_plain(&concentrator->instance, session,
				   chosen ? &session->key.inside : NULL, &session->key.remote);
}

/* An address of the CPE that a binding leads to: the one bound first, then its others. */
static struct plait_addr cpe_address(const struct config *config, const struct plait_addr *inside,
				     unsigned int attempt)
{
	const struct config_subscriber *subscriber = config_subscriber_of(config, inside);
	struct plait_addr addr = *inside;

	if (!subscriber || !subscriber->source_count)
		return addr;
	for (unsigned int i = 0; i < subscriber->source_count; i++)
		if (addr_same_ip(&subscriber->sources[i], inside))
			attempt += i;
	addr = subscriber->sources[attempt % subscriber->source_count];
	addr.port = inside->port;
	return addr;
}

static int dial_cpe(const struct concentrator *concentrator, const struct session *session,
		    const uint8_t *early, size_t early_len)
{
	const struct config *config = concentrator->instance.config;
	const struct binding *binding = session->binding;
	const struct preamble preamble = {.protocol = session->key.protocol,
					  .has_source = true,
					  .source = session->key.remote};
	struct plait_addr to = cpe_address(config, &binding->inside, session->attempts);
	struct plait_addr from = config_nearest_customer_address(config, &to);
	uint8_t payload[SYN_PAYLOAD_MAX];
	int len = syn_payload_write(&preamble, early, early_len, payload, sizeof(payload));

	if (!from.family)
		return -ENETUNREACH;
	from.port =
		session->leg_port; /* of an earlier attempt, so that the CPE sees that it is one */
	return len < 0 ? len
		       : mptcp_dial(&from, &to, &concentrator->instance.leg,
				    config_dscp(config->dscp.leg, session->asked_dscp), payload,
				    (size_t)len);
}

static int dial(void *role, struct session *session, const uint8_t *early, size_t early_len)
{
	if (dialled_side(session) == SIDE_LEG)
		return dial_cpe(role, session, early, early_len);
	return dial_server(role, session);
}

/* Setting up */

static int listen_on(struct concentrator *concentrator, const struct plait_addr *addr)
{
	struct instance *instance = &concentrator->instance;
	int err = 0;

	for (unsigned int worker = 0; !err && worker < instance->worker_count; worker++) {
		int fd = mptcp_listen(addr, &instance->leg, LISTEN_SHARED);

		err = fd < 0 ? fd : instance_add_listener(instance, worker, SIDE_LEG, fd);
	}
	if (err)
		log_error("listening on %s: %s", addr_text(addr).text, strerror(-err));
	return err;
}

static struct plait_addr customer_address(const struct config *config, unsigned int i)
{
	struct plait_addr addr = config->customer_addresses[i];

	addr.port = htons(config->customer_port);
	return addr;
}

static int listen_for_customers(struct concentrator *concentrator)
{
	const struct config *config = concentrator->instance.config;
	int err = instance_add_private_listeners(&concentrator->instance);

	for (unsigned int i = 0; !err && i < config->customer_address_count; i++) {
		struct plait_addr addr = customer_address(config, i);

		err = listen_on(concentrator, &addr);
	}
	return err;
}

#define LIMITS "mptcp_limits" /* "subflows addresses", as kept */

static int change_limits(struct concentrator *concentrator)
{
	unsigned int subflows, addresses;
	char value[FORMER_VALUE_BYTES];
	int err = mptcp_pm_get_limits(&concentrator->pm, &subflows, &addresses);

	if (err)
		return err;
	snprintf(value, sizeof(value), "%u %u", subflows, addresses);
	err = former_keep(&concentrator->instance.former, LIMITS, value);
	subflows = concentrator->instance.config->max_subflows - 1; /* the first is not counted */
	/* CPEs tell where connections from the internet may have further subflows (§4.4.2) */
	return err ? err : mptcp_pm_set_limits(&concentrator->pm, subflows, subflows);
}

static void restore_limits(struct concentrator *concentrator)
{
	struct former *former = &concentrator->instance.former;
	const char *value = former_is_last(former) ? former_value(former, LIMITS) : NULL;
	unsigned int subflows, addresses;

	if (value && sscanf(value, "%u %u", &subflows, &addresses) == 2)
		mptcp_pm_set_limits(&concentrator->pm, subflows, addresses);
}

/* Joins are the CPE's to ask for; the in-kernel path manager answers them. */
static int accept_joins(struct concentrator *concentrator)
{
	char pm_type[SYSCTL_VALUE_BYTES];
	int err;

	if (!sysctl_read("net/mptcp/pm_type", pm_type) && pm_type[0] != '0') {
		log_error("net.mptcp.pm_type is %s: with a userspace path manager, as a CPE has, "
			  "no further subflow would be accepted; set it to 0",
			  pm_type);
		return -EBUSY;
	}
	err = mptcp_pm_open(&concentrator->pm);
	if (!err)
		err = change_limits(concentrator);
	if (err)
		log_error("MPTCP path manager's limits: %s", strerror(-err));
	return err;
}

static int publish_addresses(struct concentrator *concentrator)
{
	const struct config *config = concentrator->instance.config;
	uint8_t one = 1;
	int err = 0;

	for (unsigned int i = 0; !err && i < config->customer_address_count; i++) {
		struct plait_addr addr = customer_address(config, i);

		err = dataplane_put(concentrator->instance.dataplane, "customer_addresses", &addr,
				    &one);
	}
	return err;
}

/* No prefix is anyone: both families, and every address. */
static unsigned int allowed_count(const struct config *config)
{
	return config->allow_count ? config->allow_count : 1;
}

static struct plait_prefix_key allowed_key(const struct config *config, unsigned int i)
{
	return config->allow_count ? instance_prefix_key(&config->allow[i])
				   : (struct plait_prefix_key){};
}

static int allow(struct concentrator *concentrator, const struct config *config)
{
	uint8_t one = 1;
	int err = 0;

	for (unsigned int i = 0; !err && i < allowed_count(config); i++) {
		struct plait_prefix_key key = allowed_key(config, i);

		err = dataplane_put(concentrator->instance.dataplane, "allowed", &key, &one);
	}
	return err;
}

/* Of before, and not of now. */
static void disallow(struct concentrator *concentrator, const struct config *before,
		     const struct config *now)
{
	for (unsigned int i = 0; i < allowed_count(before); i++) {
		struct plait_prefix_key key = allowed_key(before, i);
		bool stays = false;

		for (unsigned int j = 0; j < allowed_count(now); j++) {
			struct plait_prefix_key other = allowed_key(now, j);

			stays |= !memcmp(&key, &other, sizeof(key));
		}
		if (!stays)
			dataplane_remove(concentrator->instance.dataplane, "allowed", &key);
	}
}

static int publish(struct concentrator *concentrator)
{
	int err = publish_addresses(concentrator);

	if (!err)
		err = instance_publish_interfaces(&concentrator->instance, "customer_interfaces",
						  &concentrator->instance.config->customer);
	return err ? err : allow(concentrator, concentrator->instance.config);
}

static int attach_internet(struct instance *instance, const char *name)
{
	int err = instance_attach(instance, "internet_egress", name, HOOK_EGRESS);

	return err ? err : instance_attach(instance, "internet_ingress", name, HOOK_INGRESS);
}

/*
 * Hairpinning (RFC 4787 REQ-9, RFC 5382 REQ-8): what one customer sends to another's
 * external address comes back by the loopback interface, from an address of this machine.
 */
static int attach_loopback(struct instance *instance)
{
	int err = sysctl_change(&instance->former, "net/ipv4/conf/lo/accept_local", "1");

	return err ? err : attach_internet(instance, "lo");
}

static int attach(struct concentrator *concentrator)
{
	const struct config *config = concentrator->instance.config;
	struct instance *instance = &concentrator->instance;
	int err = attach_loopback(instance);

	for (unsigned int i = 0; !err && i < config->internet.count; i++)
		err = attach_internet(instance, config->internet.name[i]);
	for (unsigned int i = 0; !err && i < config->customer.count; i++) {
		const char *name = config->customer.name[i];

		err = instance_attach(instance, "customer_egress", name, HOOK_EGRESS);
		if (!err)
			err = instance_attach(instance, "customer_ingress", name, HOOK_INGRESS);
	}
	return err;
}

static void addresses_changed(struct instance *instance, bool routes)
{
	struct concentrator *concentrator = container_of(instance, struct concentrator, instance);

	datagram_concentrator_name(&concentrator->datagrams);
}

static bool may_reach_remote(void *context, const struct plait_addr *addr, enum plait_reason *why)
{
	return may_reach(context, addr, why);
}

static int open_datagrams(struct concentrator *concentrator, struct loop *loop)
{
	concentrator->datagrams.may_reach = may_reach_remote;
	concentrator->datagrams.context = concentrator;
	return datagram_concentrator_open(&concentrator->datagrams, &concentrator->pools, loop);
}

/* Most subscribers have two links. */
static unsigned int told_links(const struct config *config)
{
	return config->udp == UDP_DATAGRAM || config->udp == UDP_BOTH ? 2 * config->max_subscribers
								      : 1;
}

static void take_settings(struct concentrator *concentrator, const struct config *config)
{
	struct plait_settings *settings = &concentrator->instance.settings;

	settings->hold = config->handshake == HANDSHAKE_FAITHFUL;
	if (config->udp == UDP_DATAGRAM || config->udp == UDP_BOTH)
		settings->udp = PLAIT_UDP_DATAGRAM;
	settings->datagram_port_first = config->datagram.port_first;
	settings->datagram_port_last = config->datagram.port_last;
}

static int open_concentrator(struct role *role, struct config *config, struct loop *loop)
{
	struct concentrator *concentrator = calloc(1, sizeof(*concentrator));
	size_t elf_bytes;
	const void *elf = plait_concentrator__elf_bytes(&elf_bytes);
	int err;

	if (!concentrator)
		return -ENOMEM;
	role->own = concentrator;
	role->instance = &concentrator->instance;
	concentrator->ops = (struct role_ops){.role = concentrator,
					      .judge_plain = judge_plain,
					      .judge_preamble = judge_preamble,
					      .dial = dial,
					      .release = release};
	concentrator->instance.on_change = addresses_changed;
	take_settings(concentrator, config);
	err = instance_prepare(&concentrator->instance, config);
	if (!err)
		err = accept_joins(concentrator);
	if (!err)
		err = listen_for_customers(concentrator);
	if (!err)
		err = instance_add_udp_sockets(&concentrator->instance);
	if (!err)
		err = instance_load(&concentrator->instance, elf, elf_bytes,
				    (struct dataplane_size[]){{"bindings", config->max_bindings},
							      {"datagram_told", told_links(config)},
							      {}});
	if (!err)
		err = instance_attach_datagrams(&concentrator->instance);
	if (!err)
		err = pools_open(&concentrator->pools, &concentrator->instance, loop);
	if (!err)
		err = open_datagrams(concentrator, loop);
	if (!err)
		err = publish(concentrator);
	if (!err)
		err = instance_start(&concentrator->instance, &concentrator->ops, loop);
	if (!err)
		err = attach(concentrator);
	return err ? err : announcement_open(&concentrator->announcement, &concentrator->instance);
}

static void close_concentrator(struct role *role)
{
	struct concentrator *concentrator = role->own;

	if (!concentrator)
		return;
	announcement_close(&concentrator->announcement);
	datagram_concentrator_close(&concentrator->datagrams);
	restore_limits(concentrator);
	instance_close(&concentrator->instance);
	pools_close(&concentrator->pools);
	mptcp_pm_close(&concentrator->pm);
	free(concentrator);
	role->own = NULL;
}

static void drain(struct role *role, bool on)
{
	struct concentrator *concentrator = role->own;
	uint32_t zero = 0, value = on;

	__atomic_store_n(&concentrator->draining, on, __ATOMIC_RELAXED);
	concentrator->datagrams.draining = on;
	dataplane_put(concentrator->instance.dataplane, "draining", &zero, &value);
}

static bool datagrams_flow(struct role *role)
{
	struct concentrator *concentrator = role->own;

	return datagram_concentrator_flows(&concentrator->datagrams);
}

/* Who may connect under both is refused at no moment. */
static int reload(struct role *role, const struct config *next)
{
	struct concentrator *concentrator = role->own;
	const struct config *running = concentrator->instance.config;
	int err = allow(concentrator, next);

	if (err) {
		disallow(concentrator, next, running);
		return err;
	}
	disallow(concentrator, running, next);
	instance_take_changes(&concentrator->instance, next);
	pools_reconfigured(&concentrator->pools);
	datagram_concentrator_reconfigured(&concentrator->datagrams);
	return 0;
}

static void report_interfaces(struct role *role, const struct config_interfaces *interfaces,
			      const char *use, struct link_report *out, size_t max, size_t *count)
{
	for (unsigned int i = 0; i < interfaces->count && *count < max; i++) {
		role_report_interface(role, interfaces->name[i], &out[*count]);
		out[(*count)++].use = use;
	}
}

static size_t links(struct role *role, struct link_report *out, size_t max)
{
	const struct config *config = role->instance->config;
	size_t count = 0;

	report_interfaces(role, &config->customer, "customer", out, max, &count);
	report_interfaces(role, &config->internet, "internet", out, max, &count);
	return count;
}

static long bindings(struct role *role, struct binding_report **out)
{
	struct concentrator *concentrator = role->own;

	return pools_report_bindings(&concentrator->pools, out);
}

static long subscribers(struct role *role, struct subscriber_report **out)
{
	struct concentrator *concentrator = role->own;
	long count = pools_report_subscribers(&concentrator->pools, out);

	for (long i = 0; i < count; i++)
		datagram_customers_report(&concentrator->datagrams.customers, &(*out)[i]);
	return count;
}

static unsigned int count_datagram_bindings(const struct role *role)
{
	const struct concentrator *concentrator = role->own;

	return concentrator->datagrams.bindings.count;
}

static size_t pools(struct role *role, struct pool_report *out, size_t max)
{
	struct concentrator *concentrator = role->own;

	return pools_report(&concentrator->pools, out, max);
}

static int add_binding(struct role *role, const struct config_binding *binding)
{
	struct concentrator *concentrator = role->own;

	return pools_configure(&concentrator->pools, binding);
}

static bool remove_binding(struct role *role, const struct config_binding *binding)
{
	struct concentrator *concentrator = role->own;

	return pools_unconfigure(&concentrator->pools, binding);
}

const struct role role_concentrator = {.open = open_concentrator,
				       .close = close_concentrator,
				       .drain = drain,
				       .datagrams_flow = datagrams_flow,
				       .reload = reload,
				       .links = links,
				       .bind = add_binding,
				       .unbind = remove_binding,
				       .bindings = bindings,
				       .datagram_bindings = count_datagram_bindings,
				       .subscribers = subscribers,
				       .pools = pools};
