/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Picking one of several by a hash: pure functions. */
#ifndef PLAIT_TABLE_SELECTION_H
#define PLAIT_TABLE_SELECTION_H

#include <stdint.h>

/*
 * In the ratio of weights, 0 for what must not be picked. The index, or -1 if
 * all are 0.
 */
int selection_by_weight(const uint32_t *weights, unsigned int count, uint32_t hash);

/*
 * The same key leads to the same one; if that one must not be picked any more, its
 * keys move to the others and those of the others stay (rendezvous hashing).
 * weights: 0 for what must not be picked, all others are equal. The index, or -1.
 */
int selection_by_key(const uint32_t *weights, unsigned int count, uint32_t key);

#endif
