/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Whether this kernel, and this process on it, can run plait. */
#ifndef PLAIT_PORT_KERNEL_H
#define PLAIT_PORT_KERNEL_H

#include <stddef.h>

/*
 * Check every feature plait needs before anything is touched. Returns 0, or
 * -ENOTSUP with one line in why that names what is missing.
 */
int kernel_check(char *why, size_t size);

/* Allow as many file descriptors as the hard limit does; returns how many. */
unsigned long kernel_raise_file_limit(void);

#endif
