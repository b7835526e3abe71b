/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* plait's own congestion control (bpf/congestion.bpf.c), known to the kernel by a name. */
#ifndef PLAIT_PORT_CONGESTION_H
#define PLAIT_PORT_CONGESTION_H

#include <netinet/tcp.h>

struct congestion;

/*
 * Load and register it; name, at most 15 letters, digits or underscores, is what TCP_CONGESTION takes, and is
 * the kernel's, not the network namespace's. 0 or negative errno; -EEXIST if taken.
 */
int congestion_open(struct congestion **out, const char *name);

/* Sockets that have it keep it to their end; NULL is fine. */
void congestion_close(struct congestion *congestion);

#endif
