// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "load.h"

#include <errno.h>
#include <string.h>

static int read_file(const char *path, struct config *out, char why[CONFIG_WHY_BYTES])
{
	FILE *file = fopen(path, "re");
	struct config_error error = {};
	int err;

	if (!file) {
		err = -errno;
		snprintf(why, CONFIG_WHY_BYTES, "%s: %s", path, strerror(-err));
		return err;
	}
	err = config_read(file, out, &error);
	fclose(file);
	if (err == -EINVAL && error.line)
		snprintf(why, CONFIG_WHY_BYTES, "%s:%u:%u: %s", path, error.line, error.column,
			 error.text);
	else if (err)
		snprintf(why, CONFIG_WHY_BYTES, "%s: %s", path,
			 error.text[0] ? error.text : strerror(-err));
	return err;
}

/* What configuration may ask for but this version cannot do. */
static const char *missing(const struct config *config)
{
	if (config->mode == MODE_TRANSPARENT)
		return "mode: transparent";
	if (config->role == ROLE_CONCENTRATOR && !config->customer_port)
		return "customer.port: preserve";
	return NULL;
}

int config_load(const char *path, struct config *out, char why[CONFIG_WHY_BYTES])
{
	int err = read_file(path, out, why);

	if (err || !missing(out))
		return err;
	snprintf(why, CONFIG_WHY_BYTES, "%s: %s is not in this version", path, missing(out));
	return -EINVAL;
}
