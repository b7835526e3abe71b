/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The TAP device through which held SYNs are let go: what is written to it comes
 * in at its ingress, where the let_go program sends it on to where it had arrived.
 * Every worker has a queue of its own.
 */
#ifndef PLAIT_PORT_TAP_H
#define PLAIT_PORT_TAP_H

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>

/* Open queue_count queues of one new device; fds[] are the caller's to close, and the
 * device goes with them. 0 or negative errno. */
int tap_open(const char name[IF_NAMESIZE], int fds[], unsigned int queue_count);

/*
 * Let the SYN in frame[0 .. len) go: its source MAC address is overwritten with
 * struct plait_let_go. Returns 0 or negative errno.
 */
int tap_let_go(int fd, uint8_t *frame, size_t len, unsigned int listener, uint32_t ifindex);

/* The device's MAC address. 0 or negative errno. */
int tap_address(const char *name, uint8_t mac[6]);

/* Let the frame come in at the device itself, whose MAC address becomes its destination. */
int tap_put(int fd, const uint8_t mac[6], uint8_t *frame, size_t len);

#endif
