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
#include "base/log.h"
#include "codec/syn_payload.h"
#include "health.h"
#include "instance.h"
#include "plait_pm.h"
#include "port/mptcp.h"
#include "port/sockets.h"
#include "links.h"
#include "role.h"
#include "subflows.h"

/* after plait_maps.h, whose types it uses */
#include "cpe.skel.h"

enum { EARLY_BYTES_MAX = 1400 };

struct cpe {
	struct instance instance;
	struct role_ops ops;
	struct links links;
	struct health health;
	bool draining; /* main thread's */
	bool unreachable; /* no concentrator answers; written by the main thread, read by workers */
};

/* The engine's questions */

static enum judged judge_syn(void *role, struct session *session, const struct held_syn *held,
			     enum plait_reason *why)
{
	session->key.inside = held->syn.source;
	session->key.remote = held->syn.destination;
	return JUDGED_DIAL;
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
		.has_destination_port = config->concentrators[0].port != 0,
		.source = session->key.inside,
		.destination = session->key.remote,
	};
	int len;

	if (!preamble.has_destination_port)
		preamble.destination.port = 0; /* the SYN's own says it */
	len = preamble_write(&preamble, out, size);
	if (len < 0 || (size_t)len + early_len > size)
		return len < 0 ? len : -ENOSPC;
	memcpy(out + len, early, early_len);
	return len + (int)early_len;
}

static int dial_path(const struct cpe *cpe, struct path *path, const uint8_t *payload, size_t len)
{
	const struct leg_options *leg = &cpe->instance.leg;
	int fd = mptcp_dial(&path->local, &path->remote, leg, payload, len);

	if (fd != -EADDRINUSE || !path->local.port)
		return fd;
	path->local.port = 0; /* taken meanwhile: any other will do */
	return mptcp_dial(&path->local, &path->remote, leg, payload, len);
}

/*
 * Connections of one host to one server are spread too: their ports differ, though by
 * little. (The last step of MurmurHash3.)
 */
static uint32_t hash_of_ports(const struct session *session)
{
	uint32_t hash = (uint32_t)session->key.inside.port << 16 | session->key.remote.port;

	hash = (hash ^ hash >> 16) * 0x85ebca6b;
	hash = (hash ^ hash >> 13) * 0xc2b2ae35;
	return hash ^ hash >> 16;
}

static int dial(void *role, struct session *session, const uint8_t *early, size_t early_len)
{
	struct cpe *cpe = role;
	uint8_t family = session->key.remote.family;
	uint8_t payload[PLAIT_PREAMBLE_MAX + EARLY_BYTES_MAX];
	int len = write_payload(cpe, session, early, early_len, payload, sizeof(payload));
	int link = links_choose(&cpe->links, family, hash_of_ports(session));
	struct path path;

	if (len < 0)
		return len;
	if (__atomic_load_n(&cpe->unreachable, __ATOMIC_RELAXED))
		return -EHOSTUNREACH;
	if (link < 0 || !links_path(&cpe->links, (unsigned int)link, family, &path))
		return -ENETUNREACH;
	if (!path.remote.port)
		path.remote.port = session->key.remote.port;
	path.local.port = session->leg_port;
	return dial_path(cpe, &path, payload, (size_t)len);
}

static unsigned int join(void *role, struct worker *worker, struct session *session)
{
	struct cpe *cpe = role;

	return subflows_join(&cpe->links, worker, session);
}

static bool is_path(void *role, const struct plait_addr *local)
{
	struct cpe *cpe = role;

	return links_of_path(&cpe->links, local) >= 0;
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

static int listen_for_hosts(struct instance *instance, const struct plait_addr *addr)
{
	return tcp_listen_transparent(addr);
}

static void network_changed(struct instance *instance, bool routes)
{
	links_refresh(&container_of(instance, struct cpe, instance)->links, routes);
}

/* The rule as it is now: what would be bonded may have to go direct. */
static struct plait_policy_rule rule_now(const struct plait_policy_rule *rule, bool direct)
{
	struct plait_policy_rule now = *rule;

	if (direct && now.action == PLAIT_BOND)
		now.action = PLAIT_DIRECT;
	return now;
}

static int publish_policy(struct cpe *cpe, bool direct)
{
	static const struct plait_policy_rule end;
	static const struct plait_policy_rule rest = {.in_use = 1,
						      .action = PLAIT_DIRECT,
						      .source_port_last = 65535,
						      .destination_port_last = 65535};
	const struct config *config = cpe->instance.config;
	int err = 0;

	/* from behind, so that nothing that is to go direct is bonded on the way */
	for (uint32_t i = PLAIT_MAX_POLICY_RULES; !err && i-- > 0;) {
		struct plait_policy_rule rule = end;

		if (i < config->policy_count)
			rule = rule_now(&config->policy[i], direct);
		else if (i == config->policy_count && direct)
			rule = rest;
		err = dataplane_put(cpe->instance.dataplane, "policy", &i, &rule);
	}
	return err;
}

/* design P3 */
static void health_changed(struct health *health)
{
	struct cpe *cpe = container_of(health, struct cpe, health);

	__atomic_store_n(&cpe->unreachable, !health->answers, __ATOMIC_RELAXED);
	if (cpe->instance.config->when_unreachable == UNREACHABLE_DIRECT)
		publish_policy(cpe, cpe->draining || !health->answers);
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

static void warn_of_what_is_missing(const struct config *config)
{
	char value[SYSCTL_VALUE_BYTES];

	if (config->udp != UDP_OFF)
		log_notice("UDP is not bonded in this version: it is forwarded directly");
	if (!sysctl_read("net/ipv4/ip_forward", value) && value[0] == '0')
		log_warning("net.ipv4.ip_forward is 0: what is not bonded is not forwarded");
}

static int open_cpe(struct role *role, struct config *config, struct loop *loop)
{
	struct cpe *cpe = calloc(1, sizeof(*cpe));
	size_t elf_bytes;
	const void *elf = plait_cpe__elf_bytes(&elf_bytes);
	int err;

	if (!cpe)
		return -ENOMEM;
	role->own = cpe;
	role->instance = &cpe->instance;
	cpe->ops = (struct role_ops){.role = cpe,
				     .accepts = SIDE_PLAIN,
				     .eager = config->handshake == HANDSHAKE_EAGER,
				     .judge_syn = judge_syn,
				     .dial = dial,
				     .join = join,
				     .is_path = is_path,
				     .tell_link = tell_link};
	cpe->links.timer_fd = -1;
	warn_of_what_is_missing(config);
	err = instance_prepare(&cpe->instance, config);
	if (!err)
		err = change_sysctls(cpe);
	if (!err)
		err = instance_add_private_listeners(&cpe->instance, listen_for_hosts);
	if (!err)
		err = instance_load(&cpe->instance, elf, elf_bytes);
	if (!err)
		err = publish_policy(cpe, false);
	if (!err)
		err = instance_publish_interfaces(&cpe->instance, "lan_interfaces", &config->lan);
	if (err)
		return err;
	err = links_open(&cpe->links, &cpe->instance, loop);
	if (err)
		return err;
	cpe->instance.on_change = network_changed;
	err = instance_start(&cpe->instance, &cpe->ops, loop);
	if (!err)
		err = health_open(&cpe->health, &cpe->links, loop, health_changed);
	return err ? err : attach(cpe);
}

static void close_cpe(struct role *role)
{
	struct cpe *cpe = role->own;

	if (!cpe)
		return;
	health_close(&cpe->health);
	links_close(&cpe->links);
	instance_close(&cpe->instance);
	free(cpe);
	role->own = NULL;
}

/* From now on everything new goes direct. */
static void drain(struct role *role)
{
	struct cpe *cpe = role->own;

	cpe->draining = true;
	publish_policy(cpe, true);
}

static void report_state(const struct link_state *state, struct link_report *out)
{
	out->condition = link_why_text(state->why);
	out->rtt_us = state->rtt_us;
	out->rtt_min_us = state->rtt_min_us;
	out->loss_permille = state->loss_permille;
}

static size_t links(struct role *role, struct link_report *out, size_t max)
{
	static const char *const uses[] = {"always", "overflow", "backup"};
	struct cpe *cpe = role->own;
	const struct config *config = cpe->instance.config;
	size_t count;

	for (count = 0; count < config->link_count && count < max; count++) {
		const struct config_link *link = &config->links[count];

		role_report_interface(role, link->interface, &out[count]);
		memcpy(out[count].name, link->name, sizeof(out[count].name));
		memcpy(out[count].type, link->type, sizeof(out[count].type));
		out[count].use = uses[link->use];
		out[count].weight = link->weight;
		report_state(&cpe->links.link[count].state, &out[count]);
	}
	return count;
}

const struct role role_cpe = {.open = open_cpe, .close = close_cpe, .drain = drain, .links = links};
