/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Any octets as a configuration: it is taken and holds together, or refused with a place. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/difference.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* One line that any terminal and any log can show. */
static void check_error(const struct config_error *error)
{
	size_t chars = strnlen(error->text, sizeof(error->text));

	require(chars > 0 && chars < sizeof(error->text));
	for (size_t i = 0; i < chars; i++)
		require(error->text[i] >= ' ' && error->text[i] <= '~');
	require((error->line == 0) == (error->column == 0));
}

static void check_name(const char *name, size_t size)
{
	size_t chars = strnlen(name, size);

	require(chars > 0 && chars < size && !strchr(name, '/') && name[0] != '.');
}

static void check_cpe(const struct config *config)
{
	require(config->lan.count >= 1 && config->lan.count <= CONFIG_MAX_INTERFACES);
	require(config->link_count >= 1 && config->link_count <= CONFIG_MAX_LINKS);
	for (unsigned int i = 0; i < config->link_count; i++) {
		require(config->links[i].weight >= 1 && config->links[i].weight <= 1000);
		check_name(config->links[i].name, CONFIG_NAME_BYTES);
		require(config->links[i].interface[0]);
	}
	require(config->concentrator_count >= 1);
	require(config->concentrator_count <= CONFIG_MAX_CONCENTRATORS);
	for (unsigned int i = 0; i < config->concentrator_count; i++)
		require(config->concentrators[i].address_count >= 1);
	require(config->policy_count <= PLAIT_MAX_POLICY_RULES);
	for (unsigned int i = 0; i < PLAIT_MAX_POLICY_RULES; i++)
		require(config->policy[i].in_use == (i < config->policy_count));
	require(config->udp != UDP_BOTH);
	require(config->customer.count == 0 && config->internet.count == 0);
}

static void check_concentrator(const struct config *config)
{
	require(config->customer.count >= 1 && config->internet.count >= 1);
	require(config->customer_address_count >= 1);
	require(config->allow_count <= CONFIG_MAX_PREFIXES);
	require(config->pool_count <= CONFIG_MAX_PREFIXES);
	require(config->subscriber_count <= CONFIG_MAX_SUBSCRIBERS);
	require(config->lan.count == 0 && config->link_count == 0);
}

static void check_config(const struct config *config)
{
	check_name(config->name, CONFIG_NAME_BYTES);
	require(config->lifetimes.udp_ms >= 120000);
	require(config->lifetimes.tcp_established_ms > 0 && config->lifetimes.reset_ms > 0);
	require(config->workers <= PLAIT_MAX_WORKERS);
	require(config->max_sessions > 0 && config->max_held_syns > 0);
	if (config->role == ROLE_CPE)
		check_cpe(config);
	else
		check_concentrator(config);
}

/* Read again, it is the same. */
static void check_same(FILE *file, const struct config *config)
{
	static struct config again;
	struct config_difference difference;
	struct config_error error = {};

	rewind(file);
	require(config_read(file, &again, &error) == 0);
	require(config_difference(config, &again, &difference) == 0);
	require(difference.count == 0 && !difference.fixed[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct config config, untouched;
	struct config_error error = {};
	FILE *file = len ? fmemopen((void *)bytes, len, "r") : NULL;
	int err;

	if (!file)
		return 0;
	memset(&config, 0xa5, sizeof(config));
	memset(&untouched, 0xa5, sizeof(untouched));
	err = config_read(file, &config, &error);
	if (err == 0) {
		check_config(&config);
		check_same(file, &config);
	}
	fclose(file);
	if (err == 0)
		return 0;
	require(err == -EINVAL);
	check_error(&error);
	require(memcmp(&config, &untouched, sizeof(config)) == 0);
	return 0;
}
