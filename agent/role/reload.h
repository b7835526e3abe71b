/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The configuration read again while plaitd runs: all of what has changed is taken, or
 * nothing is (design §6). Sessions stay whatever comes of it.
 */
#ifndef PLAIT_ROLE_RELOAD_H
#define PLAIT_ROLE_RELOAD_H

#include "config/difference.h"
#include "config/load.h"
#include "role.h"

struct reload {
	struct config_difference changed; /* if it was taken */
	char line[CONFIG_WHY_BYTES]; /* what has changed, or why nothing has */
};

/* From role->file. Logged. False: nothing has changed, since the new one cannot be taken. */
bool role_reload(struct role *role, struct reload *out);

#endif
