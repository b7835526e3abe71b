/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "readers.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/addr_text.h"
#include "value.h"

int config_read_name(struct walk *walk, const struct node *node, void *into, const void *with)
{
	if (node->kind != NODE_SCALAR || !name_valid(node->text))
		return walk_expected(walk, node,
				     "a name of up to 31 letters, digits, \"_\", \".\" and \"-\"");
	strcpy(into, node->text);
	return 0;
}

/* with is the root's list of the structs that begin with these names. */
int config_read_unique_name(struct walk *walk, const struct node *node, void *into,
			    const void *with)
{
	const char *config = (const char *)walk->config;
	const struct list *list = with;
	unsigned int count = *(const unsigned int *)(config + list->count);
	int err = config_read_name(walk, node, into, NULL);

	if (err < 0)
		return err;
	for (unsigned int i = 0; i < count; i++)
		if (strcmp(config + list->first + i * list->stride, node->text) == 0)
			return walk_fail(walk, node, "\"%s\" is taken by an earlier one",
					 node->text);
	return 0;
}

static bool path_valid(const char *text)
{
	size_t len = strlen(text);

	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return false;
	return text[0] == '/' && text[len - 1] != '/' && len < CONFIG_PATH_BYTES;
}

int config_read_path(struct walk *walk, const struct node *node, void *into, const void *with)
{
	if (node->kind != NODE_SCALAR || !path_valid(node->text))
		return walk_expected(walk, node, "an absolute path of up to 255 octets");
	strcpy(into, node->text);
	return 0;
}

static bool type_valid(const char *text)
{
	size_t len = strlen(text);

	for (const char *at = text; *at; at++)
		if (*at < ' ' || *at > '~')
			return false;
	return len > 0 && len < CONFIG_NAME_BYTES;
}

int config_read_access_type(struct walk *walk, const struct node *node, void *into,
			    const void *with)
{
	if (node->kind != NODE_SCALAR || !type_valid(node->text))
		return walk_expected(walk, node, "a text of 1 to 31 printable characters");
	strcpy(into, node->text);
	return 0;
}

static bool in_list(const struct config_interfaces *interfaces, const char *name)
{
	for (unsigned int i = 0; i < interfaces->count; i++)
		if (strcmp(interfaces->name[i], name) == 0)
			return true;
	return false;
}

static bool is_part_of(const void *into, const struct config_interfaces *interfaces)
{
	return (uintptr_t)into >= (uintptr_t)interfaces &&
	       (uintptr_t)into < (uintptr_t)(interfaces + 1);
}

/*
 * What an interface is used for already, or NULL. A rented server has just one for
 * customers and internet, so those two may share.
 */
static const char *interface_use(const struct config *config, const char *name, const void *into)
{
	if (in_list(&config->lan, name))
		return "lan.interfaces";
	if (!is_part_of(into, &config->internet) && in_list(&config->customer, name))
		return "customer.interfaces";
	if (!is_part_of(into, &config->customer) && in_list(&config->internet, name))
		return "internet.interfaces";
	for (unsigned int i = 0; i < config->link_count; i++)
		if (strcmp(config->links[i].interface, name) == 0)
			return "links";
	return NULL;
}

int config_read_interface(struct walk *walk, const struct node *node, void *into, const void *with)
{
	const char *use;

	if (node->kind != NODE_SCALAR || !interface_valid(node->text))
		return walk_expected(walk, node, "an interface name of 1 to 15 characters");
	use = interface_use(walk->config, node->text, into);
	if (use)
		return walk_fail(walk, node, "\"%s\" is in %s already", node->text, use);
	strcpy(into, node->text);
	return 0;
}

int config_read_address(struct walk *walk, const struct node *node, void *into, const void *with)
{
	struct plait_addr addr;
	const char *why;

	if (node->kind != NODE_SCALAR || value_address(node->text, &addr) < 0)
		return walk_expected(walk, node, "an IPv4 or IPv6 address");
	why = address_unusable(&addr);
	if (why)
		return walk_fail(walk, node, "%s is %s", node->text, why);
	*(struct plait_addr *)into = addr;
	return 0;
}

static bool has_address(const struct plait_addr *addresses, unsigned int count,
			const struct plait_addr *addr)
{
	for (unsigned int i = 0; i < count; i++)
		if (memcmp(&addresses[i], addr, sizeof(*addr)) == 0)
			return true;
	return false;
}

static bool has_host(const struct config_concentrator *concentrator, const struct config_host *host)
{
	for (unsigned int i = 0; i < concentrator->address_count; i++)
		if (memcmp(&concentrator->addresses[i], host, sizeof(*host)) == 0)
			return true;
	return false;
}

static bool host_taken(const struct config *config, const struct config_host *host)
{
	for (unsigned int i = 0; i < CONFIG_MAX_CONCENTRATORS; i++)
		if (has_host(&config->concentrators[i], host))
			return true;
	return false;
}

/* Is addr given already, by the subscriber that is being read or one before? */
static bool address_taken(const struct config *config, const struct plait_addr *addr)
{
	if (has_address(config->customer_addresses, config->customer_address_count, addr))
		return true;
	for (unsigned int i = 0; i < CONFIG_MAX_SUBSCRIBERS; i++) {
		const struct config_subscriber *subscriber = &config->subscribers[i];

		if (has_address(subscriber->sources, subscriber->source_count, addr))
			return true;
	}
	return false;
}

int config_read_unique_address(struct walk *walk, const struct node *node, void *into,
			       const void *with)
{
	struct plait_addr addr;
	int err = config_read_address(walk, node, &addr, NULL);

	if (err < 0)
		return err;
	if (address_taken(walk->config, &addr))
		return walk_fail(walk, node, "%s is given before", node->text);
	*(struct plait_addr *)into = addr;
	return 0;
}

int config_read_unique_host(struct walk *walk, const struct node *node, void *into,
			    const void *with)
{
	struct config_host host = {};
	int err = 0;

	if (node->kind == NODE_SCALAR && host_name_valid(node->text))
		strcpy(host.name, node->text);
	else if (node->kind != NODE_SCALAR || value_address(node->text, &host.addr) < 0)
		err = walk_expected(walk, node, "an IPv4 or IPv6 address or a host name");
	else
		err = config_read_address(walk, node, &host.addr, NULL);
	if (err < 0)
		return err;
	if (host_taken(walk->config, &host))
		return walk_fail(walk, node, "%s is given before", node->text);
	*(struct config_host *)into = host;
	return 0;
}

int config_read_prefix(struct walk *walk, const struct node *node, void *into, const void *with)
{
	struct plait_prefix prefix, network;

	if (node->kind != NODE_SCALAR || value_prefix(node->text, &prefix) < 0)
		return walk_expected(walk, node, "an address or a prefix such as 10.1.0.0/24");
	network = prefix_network(&prefix);
	if (memcmp(&network, &prefix, sizeof(prefix)) != 0)
		return walk_fail(walk, node, "%s has host bits set, the prefix is %s", node->text,
				 prefix_text(&network).text);
	*(struct plait_prefix *)into = prefix;
	return 0;
}

int config_read_pool_prefix(struct walk *walk, const struct node *node, void *into,
			    const void *with)
{
	struct plait_addr addr = {};
	struct plait_prefix prefix;
	const char *why;
	int err = config_read_prefix(walk, node, &prefix, NULL);

	if (err < 0)
		return err;
	addr.family = prefix.family;
	memcpy(addr.ip, prefix.ip, sizeof(addr.ip));
	why = address_unusable(&addr);
	if (why)
		return walk_fail(walk, node, "%s begins with %s", node->text, why);
	for (unsigned int i = 0; i < walk->config->pool_count; i++)
		if (prefix_overlaps(&walk->config->pools[i].prefix, &prefix))
			return walk_fail(walk, node, "%s overlaps with pools[%u]", node->text, i);
	*(struct plait_prefix *)into = prefix;
	return 0;
}

/* Sources are subscribers address by address; a home's prefix is not known for one. */
int config_read_inside(struct walk *walk, const struct node *node, void *into, const void *with)
{
	struct plait_prefix prefix;
	int err = config_read_prefix(walk, node, &prefix, NULL);

	if (err < 0)
		return err;
	if (prefix.family == AF_INET6 && prefix.bits < 128 - 32)
		return walk_fail(walk, node,
				 "%s is too large: each address counts, whoever has several",
				 node->text);
	*(struct plait_prefix *)into = prefix;
	return 0;
}

int config_read_port(struct walk *walk, const struct node *node, void *into, const void *with)
{
	unsigned int port = 0;

	if (node->kind != NODE_SCALAR ||
	    (strcmp(node->text, "preserve") != 0 && value_number(node->text, 1, 65535, &port) < 0))
		return walk_expected(walk, node, "a port from 1 to 65535 or preserve");
	*(uint16_t *)into = port;
	return 0;
}

int config_read_endpoint(struct walk *walk, const struct node *node, void *into, const void *with)
{
	if (node->kind != NODE_SCALAR || value_endpoint(node->text, into) < 0)
		return walk_expected(walk, node, "an address and a port such as 192.0.2.1:80");
	return 0;
}

int config_read_own_port(struct walk *walk, const struct node *node, void *into, const void *with)
{
	unsigned int port;

	if (node->kind != NODE_SCALAR || value_number(node->text, 1, 65535, &port) < 0)
		return walk_expected(walk, node, "a port from 1 to 65535");
	*(struct plait_addr *)into = (struct plait_addr){.port = htons((uint16_t)port)};
	return 0;
}

int config_read_dscp(struct walk *walk, const struct node *node, void *into, const void *with)
{
	unsigned int dscp = CONFIG_DSCP_PRESERVE;

	if (node->kind != NODE_SCALAR ||
	    (strcmp(node->text, "preserve") != 0 && value_number(node->text, 0, 63, &dscp) < 0))
		return walk_expected(walk, node, "a number from 0 to 63 or preserve");
	*(unsigned int *)into = dscp;
	return 0;
}

int config_read_gateway(struct walk *walk, const struct node *node, void *into, const void *with)
{
	struct config_link *link = into;
	struct plait_addr addr, *gateway;
	int err;

	if (node->kind == NODE_LIST) {
		unsigned int i = 0;

		for (const struct node *at = node->first; at; at = at->next) {
			size_t path_chars = walk_enter_index(walk, i++);

			if (at->kind != NODE_SCALAR)
				return walk_expected(walk, at, "an IPv4 or IPv6 address");
			err = config_read_gateway(walk, at, into, NULL);
			if (err < 0)
				return err;
			walk_leave(walk, path_chars);
		}
		return i > 0 ? 0 : walk_fail(walk, node, "expected at least 1 in the list");
	}
	err = config_read_address(walk, node, &addr, NULL);
	if (err < 0)
		return err;
	gateway = addr.family == AF_INET ? &link->gateway4 : &link->gateway6;
	if (gateway->family)
		return walk_fail(walk, node, "a second gateway of one family");
	*gateway = addr;
	return 0;
}

int config_read_port_block(struct walk *walk, const struct node *node, void *into, const void *with)
{
	unsigned int ports = 1;

	if (node->kind != NODE_SCALAR || value_number(node->text, 2, 65536 - 1024, &ports) < 0 ||
	    ports % 2)
		return walk_expected(walk, node, "an even number from 2 to 64512");
	*(unsigned int *)into = ports;
	return 0;
}

int config_read_udp(struct walk *walk, const struct node *node, void *into, const void *with)
{
	static const char *const of_cpe[] = {"stream", "datagram", "off", NULL};
	static const char *const words[] = {"stream", "datagram", "both", "off", NULL};
	unsigned int unused;

	if (walk->config->role == ROLE_CPE && walk_word(walk, node, &unused, of_cpe) < 0)
		return -EINVAL;
	return walk_word(walk, node, into, words);
}

int config_read_reorder(struct walk *walk, const struct node *node, void *into, const void *with)
{
	uint32_t ms;
	int err = walk_duration(walk, node, &ms, NULL);

	if (err)
		return err;
	if (ms > 1000)
		return walk_expected(walk, node, "a time of up to 1s");
	*(uint32_t *)into = ms;
	return 0;
}

int config_read_protocol(struct walk *walk, const struct node *node, void *into, const void *with)
{
	unsigned int protocol;

	if (node->kind != NODE_SCALAR)
		protocol = 0;
	else if (strcmp(node->text, "tcp") == 0)
		protocol = IPPROTO_TCP;
	else if (strcmp(node->text, "udp") == 0)
		protocol = IPPROTO_UDP;
	else if (value_number(node->text, 1, 255, &protocol) < 0)
		protocol = 0;

	if (protocol == 0)
		return walk_expected(walk, node, "tcp, udp or a number from 1 to 255");
	*(uint8_t *)into = protocol;
	return 0;
}

int config_read_port_range(struct walk *walk, const struct node *node, void *into, const void *with)
{
	__u16 *ports = into;

	if (node->kind != NODE_SCALAR || value_port_range(node->text, &ports[0], &ports[1]) < 0)
		return walk_expected(walk, node, "a port or a range such as 5000-5999");
	return 0;
}
