// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "probe.h"

#include <string.h>

#include "base/clock.h"
#include "base/container.h"

enum {
	HEARD_RATE = 3000, /* octets a second: more than neighbours' questions, less than ACKs */
	SPAN_MS = 200,
};

void probe_listen(struct probe *probe)
{
	uint32_t rtt_us;

	if (probe->ping.fd >= 0 && ping_answered(&probe->ping, clock_now_ns(), &rtt_us))
		probe->on_answer(probe, rtt_us);
}

static void answered(struct loop_watch *watch, uint32_t events)
{
	probe_listen(container_of(watch, struct probe, watch));
}

void probe_open(struct probe *probe, struct loop *loop,
		void (*on_answer)(struct probe *probe, uint32_t rtt_us))
{
	probe->loop = loop;
	probe->ping.fd = -1;
	probe->watch.ready = answered;
	probe->on_answer = on_answer;
}

void probe_close(struct probe *probe)
{
	static const struct plait_addr nobody;

	ping_aim(&probe->ping, &nobody, &nobody);
}

int probe_aim(struct probe *probe, const struct plait_addr *local, const struct plait_addr *remote)
{
	int err;

	if (!memcmp(&probe->ping.local, local, sizeof(*local)) &&
	    !memcmp(&probe->ping.remote, remote, sizeof(*remote)))
		return 0;
	err = ping_aim(&probe->ping, local, remote);
	if (!err && probe->ping.fd >= 0)
		err = loop_add(probe->loop, probe->ping.fd, EPOLLIN, &probe->watch);
	return err ? err : 1;
}

/* An interface that was made anew counts from 0. */
static uint64_t grown(uint64_t before, uint64_t now)
{
	return now > before ? now - before : 0;
}

static void take_rates(struct probe *probe, uint64_t now_ns)
{
	uint64_t ms = (now_ns - probe->span_ns) / NS_PER_MS;

	if (ms < SPAN_MS)
		return;
	probe->received_rate = probe->span_received * 1000 / ms;
	probe->sent_rate = probe->span_sent * 1000 / ms;
	probe->span_received = probe->span_sent = 0;
	probe->span_ns = now_ns;
}

void probe_measure(struct probe *probe, const struct interface *now, uint64_t now_ns)
{
	bool first = !probe->measured_ns;

	probe->received = first ? 0 : grown(probe->received_bytes, now->received_bytes);
	probe->sent = first ? 0 : grown(probe->sent_bytes, now->sent_bytes);
	probe->received_bytes = now->received_bytes;
	probe->sent_bytes = now->sent_bytes;
	probe->measured_ns = now_ns;
	probe->heard_bytes += probe->received;
	probe->span_received += probe->received;
	probe->span_sent += probe->sent;
	take_rates(probe, now_ns);
}

uint64_t probe_waited_ns(const struct probe *probe, uint64_t now_ns)
{
	return probe->ping.fd >= 0 && probe->ping.sent_ns ? now_ns - probe->ping.sent_ns : 0;
}

void probe_ask(struct probe *probe, uint64_t now_ns)
{
	probe->asked_ns = now_ns;
	probe->heard_bytes = 0;
	if (probe->ping.fd >= 0)
		ping_send(&probe->ping, now_ns);
}

bool probe_heard(const struct probe *probe, uint64_t now_ns)
{
	return probe->heard_bytes * 1000 > (now_ns - probe->asked_ns) / NS_PER_MS * HEARD_RATE;
}

bool probe_is_deaf(const struct probe *probe)
{
	return probe->sent && !probe->received;
}
