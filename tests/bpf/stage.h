/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A network namespace of the test's own with one role's programs loaded as
 * plaitd loads them. A test is a process: what it holds ends with it, so
 * nothing here is closed.
 *
 *	host0 ── lan0  10.0.0.1/24  fd00:1::1/64         10.0.0.2 is the host
 *	host1 ── lan1  10.1.0.1/24  fd00:2::1/64         a second LAN
 *	isp0  ── wan0  192.0.2.2/24 2001:db8:1::2/64     default route
 *
 * lan0 and wan0 are ours; at host0 and isp0 tests put frames in and take them out.
 *
 * BPF_PROG_TEST_RUN neither takes an IP frame shorter than its IP header nor lets
 * a program assign a socket: live.h attaches programs for these cases.
 */
#ifndef PLAIT_TESTS_BPF_STAGE_H
#define PLAIT_TESTS_BPF_STAGE_H

#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <stdint.h>

#include "packet.h"
#include "plait_maps.h"
#include "plait_reasons.h"

enum stage_role { CPE, CONCENTRATOR };

enum { STAGE_WORKERS = 2, MARK_BASE = 0x7000 };

struct stage {
	struct bpf_object *object;
	int ring_fd[STAGE_WORKERS];
	uint64_t seen[PLAIT_REASON_COUNT]; /* counts at the last look */
	struct plait_held_syn held; /* last record of stage_take_held() */
	unsigned int held_worker;
	char text[256];
};

/* Listener ports of worker w: 7100 + w (IPv4), 7200 + w (IPv6); of joins: 127.112.0.1, 100::1. */
struct plait_settings stage_settings(void);
struct stage *stage_open(enum stage_role role);

/* The network alone, without programs. */
void stage_namespace(void);
struct stage *stage_open_with(enum stage_role role, const struct plait_settings *settings);

/* `ip` and `ip -6` commands, a line each, in this namespace. */
void stage_ip(const char *commands);
void stage_ip6(const char *commands);
void stage_sysctl(const char *path, const char *value);
uint32_t stage_ifindex(const char *name);

int stage_map(const struct stage *stage, const char *map);
void stage_put(const struct stage *stage, const char *map, const void *key, const void *value);
void stage_put_addr(const struct stage *stage, const char *map, const char *text, uint16_t port);
/* Customers' prefixes; text NULL: anyone, which a stage starts with. */
void stage_allow(const struct stage *stage, const char *text, unsigned int bits);
void stage_disallow(const struct stage *stage, const char *text, unsigned int bits);
void stage_put_policy(const struct stage *stage, uint32_t index,
		      const struct plait_policy_rule *rule);

/* A binding that lets connections in; on a CPE only the port counts. */
void stage_put_binding(const struct stage *stage, const char *external, uint16_t port);

/* A session whose inside and remote are from and to of the recipe (up), or the reverse. */
void stage_add_session(const struct stage *stage, const struct recipe *up);
void stage_remove_session(const struct stage *stage, const struct recipe *up);
struct plait_session_value stage_session(const struct stage *stage, const struct recipe *up);

/*
 * Run a program on a frame that arrived at (or leaves by) ifindex. The answer is
 * the verdict, the mark if it changed, and every reason that was counted, for
 * example "drop syn_held" or "redirect mark 0x7003". Valid until the next call.
 */
struct stage_context {
	const char *interface; /* NULL: lan0 */
	uint32_t mark;
	uint32_t gso_segs;
};
const char *stage_run(struct stage *stage, const char *program, const struct packet *packet,
		      struct stage_context context);

/* Shorter: build, run at lan0 without mark. */
const char *stage_run_recipe(struct stage *stage, const char *program, const struct recipe *recipe);

/* Reasons counted since the last look, "" if none: "steered", "steered*2 syn_held". */
const char *stage_counted(struct stage *stage);

/* Hand take() what is in a ring, until it returns other than 0; what it has had is gone. */
void stage_read_ring(int ring_fd, int (*take)(void *context, void *record, size_t bytes),
		     void *context);

/* Take one record off the rings into stage->held; false if there is none. */
bool stage_take_held(struct stage *stage);

#endif
