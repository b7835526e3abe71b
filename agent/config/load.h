/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A configuration by the name of its file, as plaitd starts or reloads with it. */
#ifndef PLAIT_CONFIG_LOAD_H
#define PLAIT_CONFIG_LOAD_H

#include "config.h"

enum { CONFIG_WHY_BYTES = 512 };

/*
 * Read it, and refuse what this version cannot do. 0, or negative errno and why in a
 * line, "FILE:LINE:COLUMN: KEY: what is wrong"; *out is not to be used then.
 */
int config_load(const char *path, struct config *out, char why[CONFIG_WHY_BYTES]);

#endif
