/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Copies of the ICMP errors that this machine gets: unreachable and time exceeded. */
#ifndef PLAIT_PORT_ICMP_WATCH_H
#define PLAIT_PORT_ICMP_WATCH_H

#include <stddef.h>
#include <stdint.h>

/* A socket for one family, non-blocking and close-on-exec; the caller's. Negative errno. */
int icmp_watch_open(uint8_t family);

/*
 * Read one, from its type on; *at points into buffer. Returns how many octets of it there
 * are, -EAGAIN or another negative errno.
 */
int icmp_watch_read(int fd, uint8_t family, uint8_t *buffer, size_t size, const uint8_t **at);

#endif
