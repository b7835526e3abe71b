/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ICMP errors about datagrams of a binding: a concentrator turns those of the internet into
 * errors about the TCP-formatted packet, to the CPE's link; a CPE turns such, whoever they
 * are from, into errors about the host's UDP. Main thread's.
 */
#ifndef PLAIT_ROLE_DATAGRAM_ERRORS_H
#define PLAIT_ROLE_DATAGRAM_ERRORS_H

#include "codec/icmp_error.h"
#include "port/answer.h"
#include "port/loop.h"

struct datagram_errors;

struct datagram_error_socket {
	struct datagram_errors *errors;
	int fd; /* -1: not open */
	uint8_t family;
	struct loop_watch watch;
};

struct datagram_errors {
	/* What becomes of an error, in place, and who says so. False: it is none of ours. */
	bool (*translate)(struct datagram_errors *errors, struct icmp_error *error,
			  struct plait_addr *from);
	struct answer answer; /* fd_v6 0: not open */
	struct datagram_error_socket socket[2];
	uint64_t second, in_second; /* how many were sent in it */
	unsigned long long *count; /* of those passed on */
};

/* 0 or negative errno. */
int datagram_errors_open(struct datagram_errors *errors, struct loop *loop,
			 unsigned long long *count,
			 bool (*translate)(struct datagram_errors *errors, struct icmp_error *error,
					   struct plait_addr *from));
/* One that was not opened is fine. */
void datagram_errors_close(struct datagram_errors *errors);

#endif
