/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What another configuration changes of a running one. A key may change while plaitd
 * runs if the table in difference.c says so: all that reads it takes it as it is at the
 * moment, or is told (the roles' reload()). Every other key must stay, also one that the
 * table has never heard of.
 */
#ifndef PLAIT_CONFIG_DIFFERENCE_H
#define PLAIT_CONFIG_DIFFERENCE_H

#include "config.h"

enum { DIFFERENCE_KEY_BYTES = 64, DIFFERENCE_KEYS_MAX = 96 };

struct config_difference {
	unsigned int count;
	char keys[DIFFERENCE_KEYS_MAX][DIFFERENCE_KEY_BYTES]; /* that change, and may */
	char fixed[DIFFERENCE_KEY_BYTES]; /* the first that may not; empty: none */
};

/* Both as config_read() gives them. 0 or -ENOMEM. */
int config_difference(const struct config *running, const struct config *next,
		      struct config_difference *out);

/* Copy what may change from next. */
void config_take_changes(struct config *running, const struct config *next);

#endif
