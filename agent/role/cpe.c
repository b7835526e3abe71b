// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The CPE: accepts hosts' connections on the LAN and dials MPTCP legs to the
 * concentrator, the first subflow over the first link that works, the others once
 * a connection lasts (plain-mode-08 §4.4.1).
 *
 * Every link has a routing table of its own, looked up by source address, so that
 * what is sent from a link's address leaves by that link (draft: "MUST be
 * associated with that network attachment").
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr_text.h"
#include "base/container.h"
#include "base/hash.h"
#include "base/log.h"
#include "codec/syn_payload.h"
#include "codec/pm_option.h"
#include "concentrators.h"
#include "datagram_cpe.h"
#include "incoming.h"
#include "instance.h"
#include "port/mptcp.h"
#include "port/sockets.h"
#include "links.h"
#include "role.h"
#include "subflows.h"

/* after plait_maps.h, whose types it uses */
#include "cpe.skel.h"

struct cpe {
	struct instance instance;
	struct role_ops ops;
	struct remotes remotes;
	struct links links;
	struct concentrators concentrators;
	struct incoming incoming;
	struct datagram_cpe datagrams;
	bool draining; /* set by the main thread, read by workers */
	uint32_t policy_first; /* where the rules are in the map */
	bool unanswered; /* no concentrator answers; main thread's */
};

/* The engine's questions */

/* plain-mode-08 §4.4.2 (2): the source is in the PM option, the destination in a binding. */
static bool judge_preamble(void *role, struct session *session, const struct preamble *preamble,
			   enum plait_reason *why)
{
	struct cpe *cpe = role;
	struct plait_addr concentrator = session->peer;

	concentrator.port = 0;
	*why = PLAIT_SOURCE_NOT_ALLOWED;
	if (dataplane_get(cpe->instance.dataplane, "concentrators", &concentrator,
			  &session->concentrator))
		return false;
	*why = PLAIT_DRAINING;
	if (__atomic_load_n(&cpe->draining, __ATOMIC_RELAXED))
		return false;
	*why = PLAIT_BINDING_UNKNOWN;
	if (!incoming_find(&cpe->incoming, preamble->protocol, session->local.port,
			   &session->key.inside))
		return false;
	*why = PLAIT_PM_MALFORMED; /* without it, or of another family, the host could not answer */
	if (!preamble->has_source || !preamble->source.port ||
	    preamble->source.family != session->key.inside.family)
		return false;
	*why = PLAIT_PM_FORBIDDEN;
	if (pm_addr_forbidden(&preamble->source))
		return false;
	*why = PLAIT_PM_OWN_ADDRESS;
	if (instance_owns(&cpe->instance, &preamble->source))
		return false;
	session->key.remote = preamble->source;
	session->key.protocol = preamble->protocol;
	session->transparent = true;
	return true;
}

static bool judge_plain(void *role, struct session *session, enum plait_reason *why)
{
	session->key.inside = session->peer;
	session->key.remote = session->local;
	session->transparent = true;
	return true;
}

/* plain-mode-08 §4.2: destination always, source where it is to be preserved. */
static int write_payload(const struct cpe *cpe, const struct session *session, const uint8_t *early,
			 size_t early_len, uint8_t *out, size_t size)
{
	const struct config *config = cpe->instance.config;
	bool v4 = session->key.remote.family == AF_INET;
	struct preamble preamble = {
		.protocol = session->key.protocol,
		.has_source = v4 ? config->preserve_source_v4 : config->preserve_source_v6,
		.has_destination = true,
		.has_destination_port = config->concentrators[session->concentrator].port != 0,
		.source = session->key.inside,
		.destination = session->key.remote,
	};

	if (!preamble.has_destination_port)
		preamble.destination.port = 0; /* the SYN's own says it */
	return syn_payload_write(&preamble, early, early_len, out, size);
}

/* Connections of one host to one server are spread too: their ports differ. */
static uint32_t hash_of_ports(const struct session *session)
{
	return hash_mix((uint32_t)session->key.inside.port << 16 | session->key.remote.port);
}

static int choose_path(struct cpe *cpe, struct session *session, struct path *out)
{
	uint8_t family = session->key.remote.family;
	uint32_t hash = hash_of_ports(session);
	/* another hash, so that each concentrator is reached over all links */
	int concentrator =
		concentrators_choose(&cpe->concentrators, &session->key.inside, hash_mix(hash ^ 1));
	int link;

	if (concentrator < 0) /* silence: the host tries again, and its SYN goes direct */
		return cpe->instance.config->when_unreachable == UNREACHABLE_DIRECT ? -ETIMEDOUT
										    : -EHOSTUNREACH;
	session->concentrator = (uint8_t)concentrator;
	link = links_choose(&cpe->links, session->concentrator, family, hash);
	if (link < 0 ||
	    !links_path(&cpe->links, (unsigned int)link, session->concentrator, family, out))
		return -ENETUNREACH;
	if (!out->remote.port)
		out->remote.port = session->key.remote.port;
	out->local.port = session->leg_port;
	return 0;
}

static int dial_leg(struct cpe *cpe, struct session *session, const uint8_t *early,
		    size_t early_len)
{
	uint8_t dscp = config_dscp(cpe->instance.config->dscp.leg, session->asked_dscp);
	uint8_t payload[SYN_PAYLOAD_MAX];
	struct path path;
	int len, err = choose_path(cpe, session, &path);

	if (err)
		return err;
	len = write_payload(cpe, session, early, early_len, payload, sizeof(payload));
	return len < 0 ? len
		       : mptcp_dial(&path.local, &path.remote, &cpe->instance.leg, dscp, payload,
				    (size_t)len);
}

static int dial(void *role, struct session *session, const uint8_t *early, size_t early_len)
{
	struct cpe *cpe = role;

	if (dialled_side(session) == SIDE_LEG)
		return dial_leg(cpe, session, early, early_len);
	/* §4.4.2 (2): the host sees who asks for it */
	return instance_dial_plain(&cpe->instance, session, &session->key.remote,
				   &session->key.inside);
}

static unsigned int join(void *role, struct worker *worker, struct session *session)
{
	struct cpe *cpe = role;

	return subflows_join(&cpe->links, worker, session);
}

static bool is_path(void *role, const struct session *session, const struct plait_addr *local)
{
	struct cpe *cpe = role;

	return links_of_path(&cpe->links, local) >= 0 &&
	       concentrators_answer(&cpe->concentrators, session->concentrator);
}

static void tell_link(void *role, const struct session *session, const struct plait_addr *local,
		      const char **name, bool *backup)
{
	struct cpe *cpe = role;
	int link = links_of_address(&cpe->links, local);

	if (link < 0)
		return;
	*name = cpe->links.link[link].config->name;
	*backup = session->backup_links & 1u << link;
}

static const char *concentrator_name(void *role, const struct session *session)
{
	struct cpe *cpe = role;

	return cpe->instance.config->concentrators[session->concentrator].name;
}

/* Setting up */

static int change_sysctls(struct cpe *cpe)
{
	struct former *former = &cpe->instance.former;
	int err;

	/* subflows are chosen connection by connection */
	err = sysctl_change(former, "net/mptcp/pm_type", "1");
	if (err)
		log_error("net.mptcp.pm_type: %s", strerror(-err));
	/* a few lost SYNs must not switch MPTCP off for an hour; absent before 6.12 */
	sysctl_change(former, "net/mptcp/blackhole_timeout", "0");
	return err;
}

static void paths_changed(struct links *links)
{
	struct cpe *cpe = container_of(links, struct cpe, links);

	engine_paths_changed(&cpe->instance.engine);
	datagram_cpe_refresh(&cpe->datagrams);
}

static void network_changed(struct instance *instance, bool routes)
{
	struct cpe *cpe = container_of(instance, struct cpe, instance);

	links_refresh(&cpe->links, routes);
	datagram_cpe_refresh(&cpe->datagrams);
}

/* Who may send connections from the internet. */
static void publish_concentrators(struct cpe *cpe)
{
	struct plait_addr addresses[CONFIG_MAX_ADDRESSES * REMOTE_ADDRESSES_MAX];

	dataplane_clear(cpe->instance.dataplane, "concentrators", sizeof(struct plait_addr));
	for (unsigned int i = 0; i < cpe->instance.config->concentrator_count; i++) {
		uint8_t which = (uint8_t)i;
		unsigned int count = remotes_of(&cpe->remotes, i, addresses,
						sizeof(addresses) / sizeof(*addresses));

		for (unsigned int a = 0; a < count; a++)
			dataplane_put(cpe->instance.dataplane, "concentrators", &addresses[a],
				      &which);
	}
}

static void remotes_changed(struct remotes *remotes)
{
	struct cpe *cpe = container_of(remotes, struct cpe, remotes);

	publish_concentrators(cpe);
	links_refresh(&cpe->links, false);
}

/* The rule as it is now: what would be bonded may have to go direct. */
static struct plait_policy_rule rule_now(const struct plait_policy_rule *rule, bool direct)
{
	struct plait_policy_rule now = *rule;

	if (direct && now.action == PLAIT_BOND) {
		now.action = PLAIT_DIRECT;
		now.new_only = 1;
	}
	return now;
}

/* Nothing new is bonded, as things are; design P3. */
static bool all_goes_direct(const struct cpe *cpe)
{
	return cpe->draining ||
	       (cpe->unanswered && cpe->instance.config->when_unreachable == UNREACHABLE_DIRECT);
}

/* All at once: between two policies nothing is decided by parts of both. */
static int publish_policy(struct cpe *cpe)
{
	static const struct plait_policy_rule end;
	static const struct plait_policy_rule rest = {.in_use = 1,
						      .new_only = 1,
						      .action = PLAIT_DIRECT,
						      .source_port_last = 65535,
						      .destination_port_last = 65535};
	const struct config *config = cpe->instance.config;
	uint32_t zero = 0, first = cpe->policy_first ? 0 : PLAIT_POLICY_SLOTS;
	bool direct = all_goes_direct(cpe);
	int err = 0;

	for (uint32_t i = 0; !err && i < PLAIT_POLICY_SLOTS; i++) {
		struct plait_policy_rule rule = end;
		uint32_t index = first + i;

		if (i < config->policy_count)
			rule = rule_now(&config->policy[i], direct);
		else if (i == config->policy_count && direct)
			rule = rest;
		err = dataplane_put(cpe->instance.dataplane, "policy", &index, &rule);
	}
	if (!err)
		err = dataplane_put(cpe->instance.dataplane, "policy_first", &zero, &first);
	if (!err)
		cpe->policy_first = first;
	return err;
}

static void answers_changed(struct concentrators *concentrators)
{
	struct cpe *cpe = container_of(concentrators, struct cpe, concentrators);

	cpe->unanswered = !concentrators_any_answers(concentrators);
	publish_policy(cpe);
}

static int attach(struct cpe *cpe)
{
	const struct config *config = cpe->instance.config;
	struct instance *instance = &cpe->instance;
	int err = 0;

	for (unsigned int i = 0; !err && i < config->lan.count; i++) {
		err = instance_attach(instance, "lan_egress", config->lan.name[i], HOOK_EGRESS);
		if (!err)
			err = instance_attach(instance, "lan_ingress", config->lan.name[i],
					      HOOK_INGRESS);
	}
	return err;
}

static enum plait_udp udp_of(const struct config *config)
{
	if (config->udp == UDP_OFF)
		return PLAIT_UDP_LEFT;
	return config->udp == UDP_STREAM ? PLAIT_UDP_STREAM : PLAIT_UDP_DATAGRAM;
}

static void warn_of_what_is_missing(const struct config *config)
{
	char value[SYSCTL_VALUE_BYTES];

	if (!sysctl_read("net/ipv4/ip_forward", value) && value[0] == '0')
		log_warning("net.ipv4.ip_forward is 0: what is not bonded is not forwarded");
}

static unsigned int datagram_bindings(const struct config *config)
{
	return config->udp == UDP_DATAGRAM
		       ? config->datagram.port_last - config->datagram.port_first + 1U
		       : 1;
}

static int load(struct cpe *cpe)
{
	const struct dataplane_size sizes[] = {
		{"bindings", CONFIG_MAX_BINDINGS},
		{"datagram_senders", datagram_bindings(cpe->instance.config)},
		{}};
	size_t elf_bytes;
	const void *elf = plait_cpe__elf_bytes(&elf_bytes);

	return instance_load(&cpe->instance, elf, elf_bytes, sizes);
}

static int open_cpe(struct role *role, struct config *config, struct loop *loop)
{
	struct cpe *cpe = calloc(1, sizeof(*cpe));
	int err;

	if (!cpe)
		return -ENOMEM;
	role->own = cpe;
	role->instance = &cpe->instance;
	cpe->ops = (struct role_ops){.role = cpe,
				     .eager = config->handshake == HANDSHAKE_EAGER,
				     .judge_plain = judge_plain,
				     .judge_preamble = judge_preamble,
				     .dial = dial,
				     .join = join,
				     .is_path = is_path,
				     .tell_link = tell_link,
				     .concentrator_name = concentrator_name};
	cpe->links.timer_fd = -1;
	cpe->instance.settings.udp = udp_of(config);
	warn_of_what_is_missing(config);
	err = instance_prepare(&cpe->instance, config);
	if (!err)
		err = change_sysctls(cpe);
	if (!err)
		err = instance_add_private_listeners(&cpe->instance);
	if (!err)
		err = instance_add_udp_sockets(&cpe->instance);
	if (!err)
		incoming_prepare(&cpe->instance);
	if (!err)
		err = load(cpe);
	if (!err)
		err = instance_attach_datagrams(&cpe->instance);
	if (!err)
		err = publish_policy(cpe);
	if (!err)
		err = instance_publish_interfaces(&cpe->instance, "lan_interfaces", &config->lan);
	if (!err)
		err = incoming_open(&cpe->incoming, &cpe->instance);
	if (err)
		return err;
	err = remotes_open(&cpe->remotes, config, loop, remotes_changed);
	if (!err)
		publish_concentrators(cpe);
	if (!err)
		err = links_open(&cpe->links, &cpe->instance, &cpe->remotes, loop, paths_changed);
	if (err)
		return err;
	cpe->instance.on_change = network_changed;
	err = instance_start(&cpe->instance, &cpe->ops, loop);
	if (!err)
		err = concentrators_open(&cpe->concentrators, &cpe->links, loop, answers_changed);
	if (!err)
		err = datagram_cpe_open(&cpe->datagrams, &cpe->links, &cpe->concentrators, loop);
	return err ? err : attach(cpe);
}

static void close_cpe(struct role *role)
{
	struct cpe *cpe = role->own;

	if (!cpe)
		return;
	datagram_cpe_close(&cpe->datagrams);
	concentrators_close(&cpe->concentrators);
	links_close(&cpe->links);
	remotes_close(&cpe->remotes);
	instance_close(&cpe->instance);
	incoming_close(&cpe->incoming);
	free(cpe);
	role->own = NULL;
}

/* Meanwhile everything new goes direct. */
static void drain(struct role *role, bool on)
{
	struct cpe *cpe = role->own;

	__atomic_store_n(&cpe->draining, on, __ATOMIC_RELAXED);
	publish_policy(cpe);
}

static bool datagrams_flow(struct role *role)
{
	struct cpe *cpe = role->own;

	return datagram_cpe_flows(&cpe->datagrams);
}

/* Probes, sessions and programs are told; who only reads it needs no telling. */
static int reload(struct role *role, const struct config *next)
{
	struct cpe *cpe = role->own;

	instance_take_changes(&cpe->instance, next);
	links_reconfigured(&cpe->links);
	publish_policy(cpe);
	datagram_cpe_refresh(&cpe->datagrams);
	return 0;
}

/* Reports */

static bool goes_over(const struct session_report *session, const char *link)
{
	for (unsigned int i = 0; i < session->subflow_count; i++)
		if (!strcmp(session->subflows[i].link, link))
			return true;
	return false;
}

static bool goes_to(const struct session_report *session, const char *concentrator)
{
	return !strcmp(session->concentrator, concentrator);
}

static unsigned int
count_sessions(const struct session_report *sessions, long count,
	       bool (*is)(const struct session_report *session, const char *name), const char *name)
{
	unsigned int found = 0;

	for (long i = 0; i < count; i++)
		found += is(&sessions[i], name);
	return found;
}

static void report_link(const struct link *link, struct link_report *out)
{
	static const char *const uses[] = {"always", "overflow", "backup"};
	const struct link_state *state = &link->state;

	memcpy(out->name, link->config->name, sizeof(out->name));
	memcpy(out->type, link->config->type, sizeof(out->type));
	out->use = uses[link->config->use];
	out->weight = link->config->weight;
	out->condition =
		link_state_in_use(state) && link->spared ? "poor" : link_why_text(state->why);
	out->rtt_us = state->rtt_us;
	out->rtt_min_us = state->rtt_min_us;
	out->loss_permille = state->loss_permille;
	out->sent_rate = link->probe.sent_rate;
	out->received_rate = link->probe.received_rate;
}

static size_t links(struct role *role, struct link_report *out, size_t max)
{
	struct cpe *cpe = role->own;
	struct session_report *sessions = NULL;
	long session_count = engine_sessions(&cpe->instance.engine, &sessions);
	size_t count;

	for (count = 0; count < cpe->links.count && count < max; count++) {
		const struct link *link = &cpe->links.link[count];

		role_report_interface(role, link->config->interface, &out[count]);
		report_link(link, &out[count]);
		datagram_paths_report_link(&cpe->datagrams.paths, (unsigned int)count, &out[count]);
		out[count].sessions =
			count_sessions(sessions, session_count, goes_over, link->config->name);
	}
	free(sessions);
	return count;
}

static size_t concentrators(struct role *role, struct concentrator_report *out, size_t max)
{
	struct cpe *cpe = role->own;
	const struct config *config = cpe->instance.config;
	struct session_report *sessions = NULL;
	long session_count = engine_sessions(&cpe->instance.engine, &sessions);
	size_t count;

	for (count = 0; count < config->concentrator_count && count < max; count++) {
		const struct config_concentrator *from = &config->concentrators[count];
		struct concentrator_report *to = &out[count];

		*to = (struct concentrator_report){
			.answers = concentrators_answer(&cpe->concentrators, (unsigned int)count),
			.port = from->port,
			.weight = from->weight,
			.sessions = count_sessions(sessions, session_count, goes_to, from->name),
		};
		memcpy(to->name, from->name, sizeof(to->name));
		to->address_count = remotes_of(&cpe->remotes, (unsigned int)count, to->addresses,
					       sizeof(to->addresses) / sizeof(*to->addresses));
	}
	free(sessions);
	return count;
}

static long bindings(struct role *role, struct binding_report **out)
{
	struct cpe *cpe = role->own;

	unsigned int configured = cpe->incoming.count, more = datagram_cpe_count(&cpe->datagrams);

	*out = calloc(configured + more + 1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	incoming_report(&cpe->incoming, *out);
	datagram_cpe_report(&cpe->datagrams, *out + configured);
	return (long)configured + more;
}

static int add_binding(struct role *role, const struct config_binding *binding)
{
	struct cpe *cpe = role->own;

	return incoming_add(&cpe->incoming, binding);
}

static bool remove_binding(struct role *role, const struct config_binding *binding)
{
	struct cpe *cpe = role->own;

	return incoming_remove(&cpe->incoming, binding);
}

static unsigned int count_datagram_bindings(const struct role *role)
{
	const struct cpe *cpe = role->own;

	return datagram_cpe_count(&cpe->datagrams);
}

const struct role role_cpe = {.open = open_cpe,
			      .close = close_cpe,
			      .drain = drain,
			      .datagrams_flow = datagrams_flow,
			      .datagram_bindings = count_datagram_bindings,
			      .reload = reload,
			      .links = links,
			      .concentrators = concentrators,
			      .bind = add_binding,
			      .unbind = remove_binding,
			      .bindings = bindings};
