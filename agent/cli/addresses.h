/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#ifndef PLAIT_CLI_ADDRESSES_H
#define PLAIT_CLI_ADDRESSES_H

#include <jansson.h>

#include "table.h"

/* Append a list of addresses as one cell. */
void table_addresses(struct table *table, const json_t *addresses);

#endif
