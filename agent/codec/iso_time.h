/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Times as the binding log writes them and operators give them: ISO 8601. */
#ifndef PLAIT_CODEC_ISO_TIME_H
#define PLAIT_CODEC_ISO_TIME_H

#include <stdint.h>

struct iso_time {
	char text[32];
};

/* "2026-02-03T04:05:06.007Z"; wall_ns: since 1970, UTC. */
struct iso_time iso_time_text(uint64_t wall_ns);

/*
 * "2026-02-03T04:05[:06[.007]]" and "Z" or "+01:00", "T" may be a blank; from 1970 to 2261.
 * Without its zone a time is not known, and refused. 0, or -EINVAL and *wall_ns untouched.
 */
int iso_time_parse(const char *text, uint64_t *wall_ns);

#endif
