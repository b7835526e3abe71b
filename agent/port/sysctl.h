/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Sysctls by their path below /proc/sys, and putting them back. */
#ifndef PLAIT_PORT_SYSCTL_H
#define PLAIT_PORT_SYSCTL_H

#include "former.h"

enum { SYSCTL_VALUE_BYTES = FORMER_VALUE_BYTES };

/* Read without the final newline; 0 or negative errno. */
int sysctl_read(const char *path, char value[SYSCTL_VALUE_BYTES]);
int sysctl_write(const char *path, const char *value);

/* Write value, remembering what was there. 0 or negative errno. */
int sysctl_change(struct former *former, const char *path, const char *value);
/* Put every remembered sysctl back. */
void sysctl_restore(const struct former *former);

#endif
