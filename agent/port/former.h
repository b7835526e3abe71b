/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a network namespace had before plaitd changed it. All instances in it share
 * one file of values and a lock on it: the first to change something notes what was
 * there, the last to end puts it back; a run that was killed has no lock any more,
 * and what it noted is put back by a later one.
 */
#ifndef PLAIT_PORT_FORMER_H
#define PLAIT_PORT_FORMER_H

#include <stdbool.h>

enum { FORMER_KEY_BYTES = 96, FORMER_VALUE_BYTES = 64, FORMER_MAX = 16 };

struct former {
	char file[128];
	int fd; /* -1: not open */
	bool last;
	unsigned int count;
	struct {
		char key[FORMER_KEY_BYTES]; /* without blanks */
		char value[FORMER_VALUE_BYTES];
	} entry[FORMER_MAX];
};

/* Share the file of this network namespace in directory. 0 or negative errno. */
int former_open(struct former *former, const char *directory);

/* Note value, unless key has one already. 0 or negative errno. */
int former_keep(struct former *former, const char *key, const char *value);

/*
 * Whether nobody else in this namespace needs what was changed: from then on nobody
 * can come before former_close(), and the noted values are all there are.
 */
bool former_is_last(struct former *former);

/* The value noted, or NULL. */
const char *former_value(const struct former *former, const char *key);

/* The last one removes the file. One that is not open is fine. */
void former_close(struct former *former);

#endif
