// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "iso_time.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"

struct iso_time iso_time_text(uint64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / NS_PER_S);
	struct iso_time out;
	char text[24] = "";
	struct tm utc;

	if (gmtime_r(&seconds, &utc))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(out.text, sizeof(out.text), "%s.%03uZ", text,
		 (unsigned int)(wall_ns % NS_PER_S / NS_PER_MS));
	return out;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool take_char(const char **at, char wanted)
{
	bool there = **at == wanted;

	*at += there;
	return there;
}

/* So many digits and a number from min to max. */
static bool take_number(const char **at, unsigned int digits, int min, int max, int *out)
{
	int number = 0;

	for (; digits--; (*at)++) {
		if (!is_digit(**at))
			return false;
		number = number * 10 + **at - '0';
	}
	*out = number;
	return number >= min && number <= max;
}

static bool take_date(const char **at, struct tm *out)
{
	if (!take_number(at, 4, 1970, 2261, &out->tm_year) || !take_char(at, '-') ||
	    !take_number(at, 2, 1, 12, &out->tm_mon) || !take_char(at, '-') ||
	    !take_number(at, 2, 1, 31, &out->tm_mday))
		return false;
	out->tm_year -= 1900;
	out->tm_mon--;
	return true;
}

/* What follows the ninth digit of a second is too little to count. */
static bool take_fraction(const char **at, uint64_t *ns)
{
	uint64_t unit = NS_PER_S;

	if (!take_char(at, '.'))
		return true;
	if (!is_digit(**at))
		return false;
	for (; is_digit(**at); (*at)++)
		*ns += (unit /= 10) * (uint64_t)(**at - '0');
	return true;
}

static bool take_clock(const char **at, struct tm *out, uint64_t *ns)
{
	if (!take_number(at, 2, 0, 23, &out->tm_hour) || !take_char(at, ':') ||
	    !take_number(at, 2, 0, 59, &out->tm_min))
		return false;
	if (!take_char(at, ':'))
		return true;
	return take_number(at, 2, 0, 59, &out->tm_sec) && take_fraction(at, ns);
}

static bool take_zone(const char **at, int *minutes)
{
	int sign = **at == '-' ? -1 : 1, hours, rest;

	if (take_char(at, 'Z'))
		return true;
	if (!take_char(at, '+') && !take_char(at, '-'))
		return false;
	if (!take_number(at, 2, 0, 23, &hours) || !take_char(at, ':') ||
	    !take_number(at, 2, 0, 59, &rest))
		return false;
	*minutes = sign * (60 * hours + rest);
	return true;
}

int iso_time_parse(const char *text, uint64_t *wall_ns)
{
	struct tm utc = {};
	uint64_t ns = 0;
	int day, minutes = 0;
	time_t seconds;

	if (!take_date(&text, &utc) || (!take_char(&text, 'T') && !take_char(&text, ' ')) ||
	    !take_clock(&text, &utc, &ns) || !take_zone(&text, &minutes) || *text)
		return -EINVAL;
	day = utc.tm_mday;
	seconds = timegm(&utc);
	if (utc.tm_mday != day) /* 30 February */
		return -EINVAL;
	seconds -= 60 * minutes;
	if (seconds < 0)
		return -EINVAL;
	*wall_ns = (uint64_t)seconds * NS_PER_S + ns;
	return 0;
}
