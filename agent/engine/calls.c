// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <unistd.h>

struct worker_call {
	void (*run)(struct worker *worker, void *argument);
	void *argument;
	sem_t done;
};

static void calls_ready(struct loop_watch *watch, uint32_t events)
{
	struct worker *worker = container_of(watch, struct worker, calls_watch);
	struct worker_call *call;

	while (read(worker->calls_fd[0], &call, sizeof(call)) == sizeof(call)) {
		call->run(worker, call->argument);
		sem_post(&call->done);
	}
}

int calls_open(struct worker *worker)
{
	if (pipe2(worker->calls_fd, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	worker->calls_watch.ready = calls_ready;
	return loop_add(&worker->loop, worker->calls_fd[0], EPOLLIN, &worker->calls_watch);
}

void calls_close(struct worker *worker)
{
	if (!worker->calls_fd[1])
		return;
	close(worker->calls_fd[0]);
	close(worker->calls_fd[1]);
}

/* False: it is done without having run. */
static bool begin_call(struct worker *worker, struct worker_call *call)
{
	sem_init(&call->done, 0, 0);
	if (write(worker->calls_fd[1], &call, sizeof(call)) == sizeof(call))
		return true;
	sem_post(&call->done);
	return false;
}

static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) && errno == EINTR)
		;
}

static void end_call(struct worker_call *call)
{
	wait_for(&call->done);
	sem_destroy(&call->done);
}

void call_worker(struct worker *worker, void (*run)(struct worker *, void *), void *argument)
{
	struct worker_call call = {.run = run, .argument = argument};

	begin_call(worker, &call);
	end_call(&call);
}

/* A pause of all workers */

struct pause {
	sem_t arrived, over;
};

static void stand(struct worker *worker, void *argument)
{
	struct pause *pause = argument;

	sem_post(&pause->arrived);
	wait_for(&pause->over);
}

void calls_pause(struct worker *workers, unsigned int count, void (*run)(void *argument),
		 void *argument)
{
	struct worker_call calls[PLAIT_MAX_WORKERS];
	struct pause pause;
	unsigned int begun = 0;

	sem_init(&pause.arrived, 0, 0);
	sem_init(&pause.over, 0, 0);
	for (unsigned int i = 0; i < count; i++) {
		calls[i] = (struct worker_call){.run = stand, .argument = &pause};
		begun += begin_call(&workers[i], &calls[i]);
	}
	for (unsigned int i = 0; i < begun; i++)
		wait_for(&pause.arrived);
	run(argument);
	for (unsigned int i = 0; i < begun; i++)
		sem_post(&pause.over);
	for (unsigned int i = 0; i < count; i++)
		end_call(&calls[i]);
	sem_destroy(&pause.arrived);
	sem_destroy(&pause.over);
}
