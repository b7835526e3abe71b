/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#ifndef PLAIT_CLI_INSTANCE_H
#define PLAIT_CLI_INSTANCE_H

#include <stddef.h>

enum { INSTANCE_CHOICES_BYTES = 512 };

/* Names of the control sockets found, "cpe, concentrator", cut if there are too many. */
struct instances {
	unsigned int count;
	char choices[INSTANCE_CHOICES_BYTES];
};

/* Look for control sockets in directory; 0 or negative errno. */
int instances_find(const char *directory, struct instances *out);

#endif
