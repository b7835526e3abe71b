// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In powers of 1000, "none" where there are fewer. */
static struct human_text human(uint64_t amount, const char *none, const char *const units[])
{
	struct human_text out;
	double value = (double)amount / 1000;
	size_t unit = 0;

	if (amount < 1000) {
		snprintf(out.text, sizeof(out.text), "%u %s", (unsigned int)amount, none);
		return out;
	}
	/* from 999.95 on, one decimal would round to 1000.0 */
	while (value >= 999.95) {
		value /= 1000;
		unit++;
	}
	snprintf(out.text, sizeof(out.text), "%.1f %s", value, units[unit]);
	return out;
}

struct human_text human_bytes(uint64_t bytes)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};

	return human(bytes, "B", units);
}

struct human_text human_rate(uint64_t bytes_per_s)
{
	static const char *const units[] = {"kbit/s", "Mbit/s", "Gbit/s",
					    "Tbit/s", "Pbit/s", "Ebit/s"};

	return human(bytes_per_s < UINT64_MAX / 8 ? bytes_per_s * 8 : UINT64_MAX, "bit/s", units);
}

struct human_text human_seconds(double seconds)
{
	struct human_text out;
	uint64_t whole = seconds > 0 && seconds < 1e15 ? (uint64_t)seconds : 0;

	if (seconds < 59.95)
		snprintf(out.text, sizeof(out.text), "%.1f s", seconds > 0 ? seconds : 0);
	else if (whole < 3600)
		snprintf(out.text, sizeof(out.text), "%u min %02u s", (unsigned int)(whole / 60),
			 (unsigned int)(whole % 60));
	else if (whole < 86400)
		snprintf(out.text, sizeof(out.text), "%u h %02u min", (unsigned int)(whole / 3600),
			 (unsigned int)(whole / 60 % 60));
	else
		snprintf(out.text, sizeof(out.text), "%llu d %02u h",
			 (unsigned long long)(whole / 86400), (unsigned int)(whole / 3600 % 24));
	return out;
}

struct human_text human_milliseconds(uint64_t us)
{
	struct human_text out;

	snprintf(out.text, sizeof(out.text), "%.1f ms", (double)us / 1000);
	return out;
}

char *clean_text(const char *text)
{
	char *clean = malloc(4 * strlen(text) + 1), *end = clean;

	if (!clean)
		return NULL;
	for (; *text; text++) {
		unsigned char octet = (unsigned char)*text;

		if (octet >= 0x20 && octet <= 0x7e)
			*end++ = *text;
		else
			end += sprintf(end, "\\x%02x", octet);
	}
	*end = '\0';
	return clean;
}

void complain(const char *format, ...)
{
	char *text = NULL, *clean = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if (text)
		clean = clean_text(text);
	fprintf(stderr, "plaitctl: %s\n", clean ? clean : "out of memory");
	free(clean);
	free(text);
}
