/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A worker's thread: it waits for events, hands each to opening or relay, and so on. */
#ifndef PLAIT_ENGINE_THREAD_H
#define PLAIT_ENGINE_THREAD_H

#include "worker.h"

/*
 * Make its tables, open and watch its ports, start the thread. What the engine and start
 * gave it is in the worker already. 0 or negative errno; thread_free() then too.
 */
int thread_start(struct worker *worker, unsigned int sessions, unsigned int held_syns);

/* End every session (RST, MP_FASTCLOSE) and the thread, if it has started. */
void thread_stop(struct worker *worker);

/* Close and free all that the worker has; its thread has ended. */
void thread_free(struct worker *worker);

#endif
