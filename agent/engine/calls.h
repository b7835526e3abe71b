/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The main thread talks to a worker by a call: a function for the worker to run between
 * two turns of its loop, while the caller waits. Nothing else is shared.
 */
#ifndef PLAIT_ENGINE_CALLS_H
#define PLAIT_ENGINE_CALLS_H

#include "worker.h"

/* Open the worker's pipe of calls and watch it. 0 or negative errno. */
int calls_open(struct worker *worker);
void calls_close(struct worker *worker);

/* From the main thread: returns when the worker has run it. */
void call_worker(struct worker *worker, void (*run)(struct worker *worker, void *argument),
		 void *argument);

/* Call back while each of the workers stands between two turns. */
void calls_pause(struct worker *workers, unsigned int count, void (*run)(void *argument),
		 void *argument);

#endif
