// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "probe.h"

#include <string.h>

#include "base/clock.h"
#include "base/container.h"

enum { HEARD_BYTES = 1000 }; /* more than a neighbour's question */

static void answered(struct loop_watch *watch, uint32_t events)
{
	struct probe *probe = container_of(watch, struct probe, watch);
	uint32_t rtt_us;

	if (ping_answered(&probe->ping, clock_now_ns(), &rtt_us))
		probe->on_answer(probe, rtt_us);
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

void probe_measure(struct probe *probe, const struct interface *now, uint64_t now_ns)
{
	uint64_t elapsed_ms = (now_ns - probe->measured_ns) / NS_PER_MS + 1;
	uint64_t received = now->received_bytes - probe->received_bytes;
	uint64_t sent = now->sent_bytes - probe->sent_bytes;

	probe->heard = received > HEARD_BYTES;
	probe->received_rate = received * 1000 / elapsed_ms;
	probe->sent_rate = sent * 1000 / elapsed_ms;
	probe->received_bytes = now->received_bytes;
	probe->sent_bytes = now->sent_bytes;
	probe->measured_ns = now_ns;
}

bool probe_waits(const struct probe *probe)
{
	return probe->ping.fd >= 0 && probe->ping.sent_ns;
}

void probe_ask(struct probe *probe, uint64_t now_ns)
{
	if (probe->ping.fd >= 0)
		ping_send(&probe->ping, now_ns);
}
