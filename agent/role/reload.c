// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "instance.h"

static void list_changes(struct reload *out)
{
	size_t chars = 0;

	if (!out->changed.count)
		snprintf(out->line, sizeof(out->line), "nothing has changed");
	for (unsigned int i = 0; i < out->changed.count && chars < sizeof(out->line); i++)
		chars += (size_t)snprintf(out->line + chars, sizeof(out->line) - chars, "%s%s",
					  i ? ", " : "changed: ", out->changed.keys[i]);
}

static bool compare(struct role *role, const struct config *next, struct reload *out)
{
	int err = config_difference(role->instance->config, next, &out->changed);

	if (err)
		snprintf(out->line, sizeof(out->line), "%s: %s", role->file, strerror(-err));
	else if (out->changed.fixed[0])
		snprintf(out->line, sizeof(out->line),
			 "%s: %s cannot change while plaitd runs; restart it", role->file,
			 out->changed.fixed);
	return !err && !out->changed.fixed[0];
}

static bool take(struct role *role, const struct config *next, struct reload *out)
{
	int err = out->changed.count ? role->reload(role, next) : 0;

	if (err)
		snprintf(out->line, sizeof(out->line), "%s: %s", role->file, strerror(-err));
	else
		list_changes(out);
	return !err;
}

static bool reload(struct role *role, struct config *next, struct reload *out)
{
	if (config_load(role->file, next, out->line))
		return false;
	instance_cut_limits_again(role->instance, next);
	return compare(role, next, out) && take(role, next, out);
}

bool role_reload(struct role *role, struct reload *out)
{
	struct config *next = calloc(1, sizeof(*next));
	bool taken = false;

	memset(out, 0, sizeof(*out));
	if (next)
		taken = reload(role, next, out);
	else
		snprintf(out->line, sizeof(out->line), "%s", strerror(ENOMEM));
	free(next);
	if (taken)
		log_notice("configuration reloaded: %s", out->line);
	else
		log_error("configuration not reloaded, nothing has changed: %s", out->line);
	return taken;
}
