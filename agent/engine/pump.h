/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Bytes from one socket of a session to the other. */
#ifndef PLAIT_ENGINE_PUMP_H
#define PLAIT_ENGINE_PUMP_H

#include "worker.h"

enum pumped { PUMP_WAITS, PUMP_MORE, PUMP_READ_FAILED, PUMP_WRITE_FAILED };

/*
 * Move bytes one way until something blocks, or the turn's share is used up (PUMP_MORE).
 * What was moved is counted in half->moved; half->ended is set by a FIN.
 */
enum pumped pump(struct worker *worker, struct half *half, struct side *from, struct side *to);

/* Give the direction's pipe back; bytes in it are lost. */
void pump_release(struct worker *worker, struct half *half);

#endif
