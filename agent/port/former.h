/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the machine had before plaitd changed it. The values also stand in a file,
 * so that a later run puts back what a killed one had found.
 */
#ifndef PLAIT_PORT_FORMER_H
#define PLAIT_PORT_FORMER_H

enum { FORMER_KEY_BYTES = 96, FORMER_VALUE_BYTES = 64, FORMER_MAX = 8 };

struct former {
	char file[128];
	unsigned int count;
	struct {
		char key[FORMER_KEY_BYTES]; /* without blanks */
		char value[FORMER_VALUE_BYTES];
	} entry[FORMER_MAX];
};

/* file is where values are kept; one left by a killed run is taken up. */
void former_open(struct former *former, const char *file);

/* Remember value, unless key is known already. 0 or negative errno. */
int former_keep(struct former *former, const char *key, const char *value);

/* The value remembered, or NULL. */
const char *former_value(const struct former *former, const char *key);

/* Everything is put back: forget, and remove the file. */
void former_forget(struct former *former);

#endif
