// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "attachment.h"

#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/addr_text.h"
#include "base/log.h"

enum {
	FIRST_LINK_TABLE = 1, /* from the instance's base */
	KNOWN_MAX = CONFIG_MAX_ADDRESSES * 2, /* addresses of a concentrator that are looked at */
};

static const uint8_t families[LINK_FAMILIES] = {AF_INET, AF_INET6};

/* The concentrator's address closest by the link's own routes; the first of equals. */
static void choose_remote(struct attachment *attachment, unsigned int concentrator, uint8_t family,
			  struct plait_addr *out)
{
	const struct config *config = attachment->instance->config;
	struct plait_addr known[KNOWN_MAX];
	unsigned int count = remotes_of(attachment->remotes, concentrator, known, KNOWN_MAX);
	int best = -1;

	for (unsigned int i = 0; i < count; i++) {
		int bits;

		if (known[i].family != family)
			continue;
		bits = routes_prefix_to(&attachment->instance->rtnetlink, &known[i],
					attachment->table);
		if (bits <= best)
			continue;
		best = bits;
		*out = known[i];
		out->port = htons(config->concentrators[concentrator].port);
	}
}

/* The table of a link is the main table without the other links. */
static int copy_routes(struct attachment *attachment, uint8_t family)
{
	const struct config_interfaces *lan = &attachment->instance->config->lan;
	struct netlink *rtnetlink = &attachment->instance->rtnetlink;
	int err = routes_copy(rtnetlink, family, attachment->ifindex, attachment->table);

	for (unsigned int i = 0; !err && i < lan->count; i++)
		err = routes_copy(rtnetlink, family, if_nametoindex(lan->name[i]),
				  attachment->table);
	return err;
}

static int route_family(struct attachment *attachment, uint8_t family,
			const struct plait_addr *local)
{
	const struct config_link *config = attachment->config;
	const struct plait_addr *gateway =
		family == AF_INET ? &config->gateway4 : &config->gateway6;
	struct netlink *rtnetlink = &attachment->instance->rtnetlink;
	/* first of all: without it the address would leave by another link */
	int err = routes_add_source_rule(rtnetlink, local, attachment->table, RULE_PRIORITY_LINK);

	if (!err)
		err = copy_routes(attachment, family);
	if (!err && gateway->family)
		err = routes_add_default(rtnetlink, family, attachment->table, attachment->ifindex,
					 gateway);
	return err;
}

static void route_anew(struct attachment *attachment, const struct plait_addr local[LINK_FAMILIES])
{
	routes_remove(&attachment->instance->rtnetlink, attachment->table, attachment->table);
	for (unsigned int f = 0; f < LINK_FAMILIES; f++) {
		int err = 0;

		if (local[f].family)
			err = route_family(attachment, families[f], &local[f]);
		if (err)
			log_warning("link %s: routes: %s", attachment->config->name,
				    strerror(-err));
	}
	memcpy(attachment->routed, local, sizeof(attachment->routed));
}

static void attach(struct attachment *attachment, int *fd, const char *program,
		   enum dataplane_hook hook)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	if (!attachment->ifindex)
		return;
	*fd = dataplane_attach_own(attachment->instance->dataplane, program, attachment->ifindex,
				   hook);
	if (*fd < 0)
		log_warning("attaching %s to %s: %s", program, attachment->config->interface,
			    strerror(-*fd));
}

/* An interface that goes takes its programs along; one that comes needs them. */
static void attach_programs(struct attachment *attachment, bool ethernet)
{
	attach(attachment, &attachment->egress_fd, ethernet ? "leg_egress_ether" : "leg_egress_raw",
	       HOOK_EGRESS);
	/* what it notes is for the LAN */
	if (attachment->instance->config->dscp.plain == CONFIG_DSCP_PRESERVE)
		attach(attachment, &attachment->ingress_fd,
		       ethernet ? "leg_ingress_ether" : "leg_ingress_raw", HOOK_INGRESS);
}

void attachment_open(struct attachment *attachment, struct instance *instance,
		     const struct remotes *remotes, unsigned int link)
{
	attachment->instance = instance;
	attachment->remotes = remotes;
	attachment->config = &instance->config->links[link];
	attachment->table = instance->mark_base + FIRST_LINK_TABLE + link;
	attachment->egress_fd = attachment->ingress_fd = -1;
}

void attachment_close(struct attachment *attachment)
{
	if (attachment->egress_fd >= 0)
		close(attachment->egress_fd);
	if (attachment->ingress_fd >= 0)
		close(attachment->ingress_fd);
}

bool attachment_find(struct attachment *attachment)
{
	struct interface found = {};

	if (interface_read(&attachment->instance->rtnetlink, attachment->config->interface, &found))
		found.ifindex = 0;
	if (found.ifindex != attachment->ifindex) {
		attachment->ifindex = found.ifindex;
		attachment->ethernet = found.ethernet;
		attach_programs(attachment, found.ethernet);
	}
	return found.up && found.carrier;
}

/* While a table is filled again, its link's packets may leave by another link. */
static bool routes_changed(struct attachment *attachment)
{
	const struct config_interfaces *lan = &attachment->instance->config->lan;
	struct netlink *rtnetlink = &attachment->instance->rtnetlink;
	uint64_t digest = 0;
	int err = 0;
	bool changed;

	for (unsigned int f = 0; !err && f < LINK_FAMILIES; f++) {
		err = routes_digest(rtnetlink, families[f], attachment->ifindex, &digest);
		for (unsigned int i = 0; !err && i < lan->count; i++)
			err = routes_digest(rtnetlink, families[f], if_nametoindex(lan->name[i]),
					    &digest);
	}
	changed = err || digest != attachment->routes_digest;
	attachment->routes_digest = digest;
	return changed;
}

void attachment_paths(struct attachment *attachment, bool anew, struct paths *out)
{
	const struct config *config = attachment->instance->config;

	memset(out, 0, sizeof(*out));
	for (unsigned int f = 0; attachment->ifindex && f < LINK_FAMILIES; f++)
		instance_address_of(attachment->instance, attachment->ifindex, families[f],
				    &out->local[f]);
	if ((anew && routes_changed(attachment)) ||
	    memcmp(out->local, attachment->routed, sizeof(out->local)))
		route_anew(attachment, out->local);
	for (unsigned int f = 0; f < LINK_FAMILIES; f++)
		for (unsigned int i = 0; out->local[f].family && i < config->concentrator_count;
		     i++)
			choose_remote(attachment, i, families[f], &out->remote[i][f]);
}

bool paths_lead_to(const struct paths *paths, unsigned int concentrator)
{
	return paths->remote[concentrator][0].family || paths->remote[concentrator][1].family;
}
