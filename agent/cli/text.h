/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Text for a person's terminal. */
#ifndef PLAIT_CLI_TEXT_H
#define PLAIT_CLI_TEXT_H

#include <stdint.h>

struct human_text {
	char text[32];
};

/* Powers of 1000: "999 B", "1.5 kB", "2.0 MB". */
struct human_text human_bytes(uint64_t bytes);

/* Of a rate in octets a second: "999 bit/s", "1.5 kbit/s". */
struct human_text human_rate(uint64_t bytes_per_s);

/* "0.3 s", "4 min 05 s", "2 h 04 min", "3 d 04 h". */
struct human_text human_seconds(double seconds);

/* "12.3 ms" */
struct human_text human_milliseconds(uint64_t us);

/*
 * A malloc()ed copy in which every octet that is not printable ASCII stands as
 * \xNN: names come from files and interfaces, and must not steer a terminal.
 * NULL if memory ran out.
 */
char *clean_text(const char *text);

/* One line on stderr, "plaitctl: ...", cleaned. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
