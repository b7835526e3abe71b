/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What a binding that lets connections in may be, from a file or at run time. */
#ifndef PLAIT_CONFIG_BINDING_H
#define PLAIT_CONFIG_BINDING_H

#include "config.h"

enum { BINDING_WHY_BYTES = 96 };

/*
 * Whether a binding fits the role and the pools, and none of the first count of
 * config->bindings has its port or what is inside. 0, or -EINVAL and why[BINDING_WHY_BYTES]
 * says so.
 */
int binding_check(const struct config *config, const struct config_binding *binding,
		  unsigned int count, char *why);

#endif
