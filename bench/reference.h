/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What bench/reference.bpf.c and bench/datagram.c share. */
#ifndef PLAIT_BENCH_REFERENCE_H
#define PLAIT_BENCH_REFERENCE_H

#include <linux/types.h>

enum { HEADER_BYTES = 72 }; /* Ethernet, IPv4, TCP with its option, and a few more */

struct header {
	__u64 octets[HEADER_BYTES / 8];
	__u32 frame_bytes;
	__u32 has_sequence; /* TCP: a number is put in */
};

struct progress {
	__u32 next, headers;
	__u32 sequence;
};

#endif
