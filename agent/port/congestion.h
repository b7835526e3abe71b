/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* plait's own congestion control (bpf/congestion.bpf.c), known to the kernel by a name. */
#ifndef PLAIT_PORT_CONGESTION_H
#define PLAIT_PORT_CONGESTION_H

enum { CONGESTION_NAME_BYTES = 16 }; /* of the kernel's TCP_CA_NAME_MAX, with its end */

struct congestion;

/*
 * Load and register it. The name, which TCP_CONGESTION takes, is the kernel's and not
 * the network namespace's: so it is another, by chance, at each start, and all of the
 * array is written. 0 or negative errno.
 */
int congestion_open(struct congestion **out, char name[CONGESTION_NAME_BYTES]);

/* Sockets that have it keep it to their end; NULL is fine. */
void congestion_close(struct congestion *congestion);

#endif
