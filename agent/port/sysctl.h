/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Sysctls by their path below /proc/sys, and putting them back. */
#ifndef PLAIT_PORT_SYSCTL_H
#define PLAIT_PORT_SYSCTL_H

enum { SYSCTL_VALUE_BYTES = 64, SYSCTL_SAVED_MAX = 8 };

/* Read without the final newline; 0 or negative errno. */
int sysctl_read(const char *path, char value[SYSCTL_VALUE_BYTES]);
int sysctl_write(const char *path, const char *value);

/*
 * Sysctls changed for a while. Their former values also stand in a file, so that
 * a later run puts back what a killed one had found.
 */
struct sysctl_saved {
	char file[128];
	unsigned int count;
	struct {
		char path[96];
		char value[SYSCTL_VALUE_BYTES];
	} entry[SYSCTL_SAVED_MAX];
};

/* file is where former values are kept; one left by a killed run is taken up. */
void sysctl_saved_open(struct sysctl_saved *saved, const char *file);
/* Write value, remembering what was there. 0 or negative errno. */
int sysctl_change(struct sysctl_saved *saved, const char *path, const char *value);
/* Put everything back and remove the file. */
void sysctl_restore(struct sysctl_saved *saved);

#endif
