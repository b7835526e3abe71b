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
#include "instance.h"
#include "plait_pm.h"
#include "port/mptcp.h"
#include "port/sockets.h"
#include "role.h"

/* after plait_maps.h, whose types it uses */
#include "cpe.skel.h"

enum {
	FAMILIES = 2,
	EARLY_BYTES_MAX = 1400,
	JOIN_TRIES_MAX = 5,
	JOIN_RETRY_MS = 1000,
	FIRST_LINK_TABLE = 1, /* from the instance's base */
};

/* How to reach a concentrator over a link in one family. */
struct path {
	struct plait_addr local; /* family 0: there is no way */
	struct plait_addr remote; /* port 0: the flow's own */
};

struct cpe {
	struct instance instance;
	struct role_ops ops;
	pthread_rwlock_t paths_lock;
	struct path paths[CONFIG_MAX_LINKS][FAMILIES];
};

static const uint8_t families[FAMILIES] = {AF_INET, AF_INET6};

/* Paths */

static uint32_t link_table(const struct cpe *cpe, unsigned int link)
{
	return cpe->instance.mark_base + FIRST_LINK_TABLE + link;
}

static bool link_address(struct cpe *cpe, unsigned int ifindex, uint8_t family,
			 struct plait_addr *out)
{
	struct own_addresses *own = &cpe->instance.own;
	bool found = false;

	pthread_rwlock_rdlock(&own->lock);
	for (unsigned int i = 0; i < own->count && !found; i++) {
		const struct plait_addr *addr = &own->entry[i].addr;
		bool link_local = addr->family == AF_INET6 && addr->ip[0] == 0xfe &&
				  (addr->ip[1] & 0xc0) == 0x80;

		if (own->entry[i].ifindex != ifindex || own->entry[i].broadcast || link_local ||
		    addr->family != family)
			continue;
		*out = *addr;
		found = true;
	}
	pthread_rwlock_unlock(&own->lock);
	return found;
}

/* The concentrator's address closest by the link's own routes; the first of equals. */
static bool choose_remote(struct cpe *cpe, unsigned int link, uint8_t family,
			  struct plait_addr *out)
{
	const struct config_concentrator *concentrator = cpe->instance.config->concentrators;
	int best = -1;

	for (unsigned int i = 0; i < concentrator->address_count; i++) {
		const struct plait_addr *addr = &concentrator->addresses[i];
		int bits;

		if (addr->family != family)
			continue;
		bits = routes_prefix_to(&cpe->instance.rtnetlink, addr, link_table(cpe, link));
		if (bits <= best)
			continue;
		best = bits;
		*out = *addr;
		out->port = htons(concentrator->port);
	}
	return best >= 0;
}

/* The table of a link is the main table without the other links. */
static int copy_routes(struct cpe *cpe, unsigned int link, unsigned int ifindex, uint8_t family)
{
	const struct config_interfaces *lan = &cpe->instance.config->lan;
	uint32_t table = link_table(cpe, link);
	int err = routes_copy(&cpe->instance.rtnetlink, family, ifindex, table);

	for (unsigned int i = 0; !err && i < lan->count; i++)
		err = routes_copy(&cpe->instance.rtnetlink, family, if_nametoindex(lan->name[i]),
				  table);
	return err;
}

static int route_link(struct cpe *cpe, unsigned int link, unsigned int ifindex, uint8_t family,
		      const struct plait_addr *local)
{
	const struct config_link *config = &cpe->instance.config->links[link];
	const struct plait_addr *gateway =
		family == AF_INET ? &config->gateway4 : &config->gateway6;
	struct netlink *rtnetlink = &cpe->instance.rtnetlink;
	uint32_t table = link_table(cpe, link);
	int err = copy_routes(cpe, link, ifindex, family);

	if (!err && gateway->family)
		err = routes_add_default(rtnetlink, family, table, ifindex, gateway);
	return err ? err : routes_add_source_rule(rtnetlink, local, table, RULE_PRIORITY_LINK);
}

static void find_path(struct cpe *cpe, unsigned int link, unsigned int ifindex, uint8_t family,
		      struct path *out)
{
	struct path path = {};
	int err;

	memset(out, 0, sizeof(*out));
	if (!ifindex || !link_address(cpe, ifindex, family, &path.local))
		return;
	err = route_link(cpe, link, ifindex, family, &path.local);
	if (err)
		log_warning("link %s: routes: %s", cpe->instance.config->links[link].name,
			    strerror(-err));
	if (choose_remote(cpe, link, family, &path.remote))
		*out = path;
}

static void log_paths(const struct cpe *cpe, unsigned int link, const struct path found[FAMILIES])
{
	const char *name = cpe->instance.config->links[link].name;

	for (unsigned int f = 0; f < FAMILIES; f++)
		if (found[f].local.family)
			log_notice("link %s: %s to %s", name, addr_text(&found[f].local).text,
				   addr_text(&found[f].remote).text);
	if (!found[0].local.family && !found[1].local.family)
		log_warning("link %s has no address with a route to a concentrator", name);
}

/* Rules and tables anew, then the paths that follow from them. */
static void find_paths(struct cpe *cpe)
{
	const struct config *config = cpe->instance.config;
	struct path found[CONFIG_MAX_LINKS][FAMILIES];

	routes_remove(&cpe->instance.rtnetlink, link_table(cpe, 0),
		      link_table(cpe, CONFIG_MAX_LINKS));
	for (unsigned int link = 0; link < config->link_count; link++) {
		unsigned int ifindex = if_nametoindex(config->links[link].interface);

		for (unsigned int f = 0; f < FAMILIES; f++)
			find_path(cpe, link, ifindex, families[f], &found[link][f]);
		if (memcmp(found[link], cpe->paths[link], sizeof(found[link])))
			log_paths(cpe, link, found[link]);
	}
	pthread_rwlock_wrlock(&cpe->paths_lock);
	memcpy(cpe->paths, found, sizeof(found[0]) * config->link_count);
	pthread_rwlock_unlock(&cpe->paths_lock);
}

/* In the flow's own family if there is one, else in the other. */
static bool path_of(struct cpe *cpe, unsigned int link, uint8_t family, struct path *out)
{
	unsigned int first = family == AF_INET ? 0 : 1;

	pthread_rwlock_rdlock(&cpe->paths_lock);
	*out = cpe->paths[link][first];
	if (!out->local.family)
		*out = cpe->paths[link][!first];
	pthread_rwlock_unlock(&cpe->paths_lock);
	return out->local.family != 0;
}

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

static int dial(void *role, struct session *session, const uint8_t *early, size_t early_len)
{
	struct cpe *cpe = role;
	uint8_t payload[PLAIT_PREAMBLE_MAX + EARLY_BYTES_MAX];
	int len = write_payload(cpe, session, early, early_len, payload, sizeof(payload));

	if (len < 0)
		return len;
	for (unsigned int link = 0; link < cpe->instance.config->link_count; link++) {
		struct path path;

		if (!path_of(cpe, link, session->key.remote.family, &path))
			continue;
		if (!path.remote.port)
			path.remote.port = session->key.remote.port;
		session->link = (uint8_t)link;
		path.local.port = session->leg_port;
		return dial_path(cpe, &path, payload, (size_t)len);
	}
	return -ENETUNREACH;
}

static bool has_subflow_from(const struct mptcp_subflow *subflows, int count,
			     const struct plait_addr *local)
{
	for (int i = 0; i < count; i++)
		if (addr_same_ip(&subflows[i].local, local))
			return true;
	return false;
}

static void join_link(struct cpe *cpe, struct worker *worker, struct session *session,
		      unsigned int link, const struct path *path)
{
	bool backup = cpe->instance.config->links[link].use == USE_BACKUP;
	struct plait_addr remote = path->remote;
	int err;

	if (!remote.port)
		remote.port = session->key.remote.port;
	err = mptcp_pm_create_subflow(&worker->pm, session->token, &path->local,
				      (uint8_t)(link + 1), &remote, backup);
	count(worker, err ? PLAIT_JOIN_FAILED : PLAIT_JOINED);
	session->join_refused |= err != 0;
	if (err)
		log_debug("subflow over link %s: %s", cpe->instance.config->links[link].name,
			  strerror(-err));
}

/* Ask for what is missing, and look again later whether it came to be. */
static unsigned int join(void *role, struct worker *worker, struct session *session)
{
	struct mptcp_subflow subflows[REPORT_MAX_SUBFLOWS];
	struct cpe *cpe = role;
	unsigned int missing = 0;
	int count = mptcp_subflows(session->side[SIDE_LEG].fd, subflows, REPORT_MAX_SUBFLOWS);

	if (count < 0 || session->join_tries == JOIN_TRIES_MAX)
		return 0;
	for (unsigned int link = 0; link < cpe->instance.config->link_count; link++) {
		struct path path;

		if (link == session->link ||
		    !path_of(cpe, link, session->key.remote.family, &path) ||
		    has_subflow_from(subflows, count, &path.local))
			continue;
		join_link(cpe, worker, session, link, &path);
		missing++;
	}
	return missing ? (unsigned int)JOIN_RETRY_MS << session->join_tries++ : 0;
}

static void tell_link(void *role, const struct plait_addr *local, const char **name, bool *backup)
{
	struct cpe *cpe = role;

	pthread_rwlock_rdlock(&cpe->paths_lock);
	for (unsigned int i = 0; i < cpe->instance.config->link_count; i++) {
		const struct config_link *link = &cpe->instance.config->links[i];

		for (unsigned int f = 0; f < FAMILIES; f++) {
			if (!addr_same_ip(&cpe->paths[i][f].local, local))
				continue;
			*name = link->name;
			*backup = link->use == USE_BACKUP;
		}
	}
	pthread_rwlock_unlock(&cpe->paths_lock);
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

static void addresses_changed(struct instance *instance)
{
	find_paths(container_of(instance, struct cpe, instance));
}

static int publish_policy(struct cpe *cpe)
{
	const struct config *config = cpe->instance.config;
	struct plait_policy_rule end = {};
	int err = 0;

	for (uint32_t i = 0; !err && i < PLAIT_MAX_POLICY_RULES; i++)
		err = dataplane_put(cpe->instance.dataplane, "policy", &i,
				    i < config->policy_count ? &config->policy[i] : &end);
	return err;
}

static int publish_lan(struct cpe *cpe)
{
	const struct config_interfaces *lan = &cpe->instance.config->lan;
	uint8_t one = 1;
	int err = 0;

	for (unsigned int i = 0; !err && i < lan->count; i++) {
		uint32_t ifindex = if_nametoindex(lan->name[i]);

		err = dataplane_put(cpe->instance.dataplane, "lan_interfaces", &ifindex, &one);
	}
	return err;
}

static int attach(struct cpe *cpe)
{
	const struct config *config = cpe->instance.config;
	struct instance *instance = &cpe->instance;
	int err = 0;

	for (unsigned int i = 0; !err && i < config->link_count; i++)
		err = instance_attach_twin(instance, config->links[i].interface);
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
				     .tell_link = tell_link};
	pthread_rwlock_init(&cpe->paths_lock, NULL);
	warn_of_what_is_missing(config);
	err = instance_prepare(&cpe->instance, config);
	if (!err)
		err = change_sysctls(cpe);
	if (!err)
		err = instance_add_private_listeners(&cpe->instance, listen_for_hosts);
	if (!err)
		err = instance_load(&cpe->instance, elf, elf_bytes);
	if (!err)
		err = publish_policy(cpe);
	if (!err)
		err = publish_lan(cpe);
	if (err)
		return err;
	cpe->instance.on_addresses = addresses_changed;
	addresses_changed(&cpe->instance);
	err = instance_start(&cpe->instance, &cpe->ops, loop);
	return err ? err : attach(cpe);
}

static void close_cpe(struct role *role)
{
	struct cpe *cpe = role->own;

	if (!cpe)
		return;
	instance_close(&cpe->instance);
	pthread_rwlock_destroy(&cpe->paths_lock);
	free(cpe);
	role->own = NULL;
}

/* From now on everything new goes direct. */
static void drain(struct role *role)
{
	struct cpe *cpe = role->own;
	struct plait_policy_rule direct = {.in_use = 1,
					   .action = PLAIT_DIRECT,
					   .source_port_last = 65535,
					   .destination_port_last = 65535};
	uint32_t first = 0;

	dataplane_put(cpe->instance.dataplane, "policy", &first, &direct);
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
	}
	return count;
}

const struct role role_cpe = {.open = open_cpe, .close = close_cpe, .drain = drain, .links = links};
