// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The delay of one access network of the lab.
 *
 *   delay_line SETTINGS     (the pinned map; see weather.h)
 *
 * A direction's frames come in by the TAP delay-up or delay-down of the network namespace and
 * go out by the same TAP once they are due; weather.bpf.c sends them here and takes them on.
 * The settings are looked at in mapped memory for each frame, so a change counts at once.
 *
 * Frames of a direction wait in two queues, each in the order of its due times: those that
 * keep their order, and those held back so that later ones overtake them. Jitter moves
 * smoothly between random values rather than being drawn for each frame: in-order frames
 * drawn for one by one would all wait for the slowest, and a busy link would have no jitter.
 *
 * Frames lie in a pool. When it is used up nothing more is read, and the TAP drops.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "weather.h"

#define FRAME_BYTES   1536
#define POOL_FRAMES   65536 /* 1 Gbit/s of full frames for 0.7 s */
#define READ_AT_ONCE  64
#define REST_NS       200000 /* waking for each frame of 200 Mbit/s takes most of a processor */
#define NS_PER_US     1000ULL
#define NS_PER_SECOND 1000000000ULL
#define HOLD_BACK_NS  (5000 * NS_PER_US)
/* How long jitter takes from one random value to the next: at 4 times its range it falls
 * slower than time passes, so no frame overtakes another. */
#define JITTER_STEPS    4
#define JITTER_LEAST_NS (10000 * NS_PER_US)

struct frame {
	STAILQ_ENTRY(frame) next;
	uint64_t due_ns;
	size_t len;
	uint8_t bytes[FRAME_BYTES];
};

STAILQ_HEAD(queue, frame);

/* Shares of the range: `from` at `start_ns`, `to` at `end_ns`. */
struct jitter {
	double from, to;
	uint64_t start_ns, end_ns;
};

struct line {
	int tap;
	const volatile struct weather_settings *settings;
	struct queue in_order, held_back;
	uint64_t last_due_ns;
	struct jitter jitter;
};

static struct frame pool[POOL_FRAMES];
static size_t pool_touched;
static struct queue pool_returned = STAILQ_HEAD_INITIALIZER(pool_returned);

static bool pool_has_frame(void)
{
	return !STAILQ_EMPTY(&pool_returned) || pool_touched < POOL_FRAMES;
}

/* The one returned last first: memory in use stays as small and warm as can be. */
static struct frame *pool_take(void)
{
	struct frame *frame = STAILQ_FIRST(&pool_returned);

	if (!frame)
		return &pool[pool_touched++];
	STAILQ_REMOVE_HEAD(&pool_returned, next);
	return frame;
}

static void pool_return(struct frame *frame)
{
	STAILQ_INSERT_HEAD(&pool_returned, frame, next);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

static uint64_t jitter_ns(struct jitter *jitter, uint64_t range_ns, uint64_t now)
{
	uint64_t step_ns = JITTER_STEPS * range_ns;
	double passed;

	if (now >= jitter->end_ns) {
		jitter->from = jitter->to;
		jitter->to = drand48();
		jitter->start_ns = now;
		jitter->end_ns = now + (step_ns > JITTER_LEAST_NS ? step_ns : JITTER_LEAST_NS);
	}
	passed = (double)(now - jitter->start_ns) / (jitter->end_ns - jitter->start_ns);
	return range_ns * (jitter->from + passed * (jitter->to - jitter->from));
}

static void enqueue(struct line *line, struct frame *frame, uint64_t now)
{
	const volatile struct weather_settings *settings = line->settings;
	uint64_t due_ns = now + settings->delay_us * NS_PER_US +
			  jitter_ns(&line->jitter, settings->jitter_us * NS_PER_US, now);

	/* After a change to a shorter delay the frames from before still go first. */
	if (due_ns < line->last_due_ns)
		due_ns = line->last_due_ns;
	line->last_due_ns = due_ns;
	if (drand48() * 1e6 < settings->reorder_per_million) {
		frame->due_ns = due_ns + HOLD_BACK_NS;
		STAILQ_INSERT_TAIL(&line->held_back, frame, next);
	} else {
		frame->due_ns = due_ns;
		STAILQ_INSERT_TAIL(&line->in_order, frame, next);
	}
}

static void take_in(struct line *line)
{
	uint64_t now = now_ns();
	struct frame *frame;
	ssize_t len;
	int i;

	for (i = 0; i < READ_AT_ONCE && pool_has_frame(); i++) {
		frame = pool_take();
		len = read(line->tap, frame->bytes, sizeof(frame->bytes));
		if (len < 0) {
			pool_return(frame);
			if (errno != EAGAIN)
				err(1, "reading from a TAP");
			return;
		}
		frame->len = len;
		enqueue(line, frame, now);
	}
}

/* Sends what is due and returns when the next one will be. */
static uint64_t deliver(int tap, struct queue *queue, uint64_t now)
{
	struct frame *frame;

	while ((frame = STAILQ_FIRST(queue)) && frame->due_ns <= now) {
		/* One that cannot be sent is lost, as on any link. */
		(void)!write(tap, frame->bytes, frame->len);
		STAILQ_REMOVE_HEAD(queue, next);
		pool_return(frame);
	}
	return frame ? frame->due_ns : UINT64_MAX;
}

static uint64_t deliver_all(struct line *lines)
{
	uint64_t next_ns = UINT64_MAX, now = now_ns();
	int i;

	for (i = 0; i < WEATHER_DIRECTIONS; i++) {
		uint64_t in_order = deliver(lines[i].tap, &lines[i].in_order, now);
		uint64_t held_back = deliver(lines[i].tap, &lines[i].held_back, now);

		next_ns = in_order < next_ns ? in_order : next_ns;
		next_ns = held_back < next_ns ? held_back : next_ns;
	}
	return next_ns;
}

/* Rests, then waits until a frame is due or, as long as there is room for it, one comes in. */
static void wait_for_work(const struct line *lines, uint64_t next_ns)
{
	const struct timespec rest = {.tv_nsec = REST_NS};
	struct pollfd taps[WEATHER_DIRECTIONS];
	uint64_t now, left_ns;
	struct timespec left;
	int i;

	nanosleep(&rest, NULL);
	now = now_ns();
	left_ns = next_ns > now ? next_ns - now : 0;
	left = (struct timespec){.tv_sec = left_ns / NS_PER_SECOND,
				 .tv_nsec = left_ns % NS_PER_SECOND};
	for (i = 0; i < WEATHER_DIRECTIONS; i++)
		taps[i] = (struct pollfd){.fd = lines[i].tap, .events = POLLIN};
	ppoll(taps, pool_has_frame() ? WEATHER_DIRECTIONS : 0, next_ns == UINT64_MAX ? NULL : &left,
	      NULL);
}

static int open_tap(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	if (tap < 0 || ioctl(tap, TUNSETIFF, &request))
		err(1, "%s", name);
	return tap;
}

static const volatile struct weather_settings *map_settings(const char *path)
{
	union bpf_attr attr = {.pathname = (uintptr_t)path};
	int fd = syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr));
	void *settings = mmap(NULL, WEATHER_DIRECTIONS * sizeof(struct weather_settings), PROT_READ,
			      MAP_SHARED, fd, 0);

	if (settings == MAP_FAILED)
		err(1, "%s", path);
	return settings;
}

int main(int argc, char **argv)
{
	static const char *const names[WEATHER_DIRECTIONS] = {"delay-up", "delay-down"};
	const volatile struct weather_settings *settings;
	struct line lines[WEATHER_DIRECTIONS] = {};
	const struct sched_param lowest_realtime = {.sched_priority = 1};
	long seed = 0;
	int i;

	if (argc != 2)
		errx(2, "usage: delay_line SETTINGS");
	settings = map_settings(argv[1]);
	for (i = 0; i < WEATHER_DIRECTIONS; i++) {
		lines[i].settings = &settings[i];
		STAILQ_INIT(&lines[i].in_order);
		STAILQ_INIT(&lines[i].held_back);
		lines[i].tap = open_tap(names[i]);
	}
	(void)!getrandom(&seed, sizeof(seed), 0);
	srand48(seed);
	prctl(PR_SET_TIMERSLACK, 1);
	/* A link is not slower on a busy machine. */
	if (sched_setscheduler(0, SCHED_FIFO, &lowest_realtime))
		warn("no realtime priority, delays will be less exact");
	for (;;) {
		wait_for_work(lines, deliver_all(lines));
		for (i = 0; i < WEATHER_DIRECTIONS; i++)
			take_in(&lines[i]);
	}
}
