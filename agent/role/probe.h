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
	uint64_t asked_ns, heard_bytes; /* the last question, and what has arrived since */
	uint64_t measured_ns; /* 0: not yet */
	uint64_t received_bytes, sent_bytes; /* the interface's counts then */
	uint64_t received, sent; /* octets between the last two */
	uint64_t span_ns, span_received, span_sent; /* what rates are taken from */
	uint64_t received_rate, sent_rate; /* octets a second, over 0.2 s or more */
};

void probe_open(struct probe *probe, struct loop *loop,
		void (*on_answer)(struct probe *probe, uint32_t rtt_us));
void probe_close(struct probe *probe);

/* Whom to ask from now on, and from where; family 0: nobody. 1 if that is new, 0, or negative errno. */
int probe_aim(struct probe *probe, const struct plait_addr *local, const struct plait_addr *remote);

/* What has moved over the interface since the last time. */
void probe_measure(struct probe *probe, const struct interface *now, uint64_t now_ns);

/* Take the answers that are there: the loop may not have come to it. */
void probe_listen(struct probe *probe);

/* For how long the last question has waited for its answer, in ns; 0: it does not. */
uint64_t probe_waited_ns(const struct probe *probe, uint64_t now_ns);
void probe_ask(struct probe *probe, uint64_t now_ns);

/* Whether more has arrived since the last question than neighbours' questions. */
bool probe_heard(const struct probe *probe, uint64_t now_ns);
/* Something was sent between the last two measurements, and nothing has come. */
bool probe_is_deaf(const struct probe *probe);

#endif
