/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Shares of links as slots, of which each flow or packet takes one (plait_datagram.h). */
#ifndef PLAIT_TABLE_SLOTS_H
#define PLAIT_TABLE_SLOTS_H

#include <stdint.h>

#include "plait_datagram.h"

/*
 * Give each path its share of the slots by weight (0: none), one at least, spread evenly;
 * PLAIT_NO_PATH in all of them if no path has a weight. count: at most PLAIT_PATHS_MAX. The
 * same weights give the same slots.
 */
void slots_fill(const uint32_t *weights, unsigned int count, uint8_t slot[PLAIT_PATH_SLOTS]);

#endif
