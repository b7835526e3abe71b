/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Asking over one link whether it carries anything, and counting what it has carried. */
#ifndef PLAIT_ROLE_PROBE_H
#define PLAIT_ROLE_PROBE_H

#include "port/interfaces.h"
#include "port/loop.h"
#include "port/ping.h"

struct probe {
	struct loop *loop;
	struct ping ping;
	struct loop_watch watch;
	void (*on_answer)(struct probe *probe, uint32_t rtt_us);
	uint64_t received_bytes, sent_bytes; /* the interface's counts at the last question */
	uint64_t received_rate, sent_rate; /* octets a second between the last two */
	uint64_t measured_ns;
	bool heard; /* something else than an answer has arrived between them */
};

void probe_open(struct probe *probe, struct loop *loop,
		void (*on_answer)(struct probe *probe, uint32_t rtt_us));
void probe_close(struct probe *probe);

/* Whom to ask from now on, and from where; family 0: nobody. 1 if that is new, 0, or negative errno. */
int probe_aim(struct probe *probe, const struct plait_addr *local, const struct plait_addr *remote);

/* What has moved over the interface since the last time. */
void probe_measure(struct probe *probe, const struct interface *now, uint64_t now_ns);

/* True if the last question is not answered. */
bool probe_waits(const struct probe *probe);
void probe_ask(struct probe *probe, uint64_t now_ns);

#endif
