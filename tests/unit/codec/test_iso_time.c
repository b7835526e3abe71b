// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "codec/iso_time.h"

#include <criterion/criterion.h>
#include <errno.h>

/* 2026-02-03 04:05:06 UTC */
static const uint64_t then_ns = 1770091506ULL * 1000000000;

static void expect_time(const char *text, uint64_t wall_ns)
{
	uint64_t got = 0;

	cr_expect_eq(iso_time_parse(text, &got), 0, "%s", text);
	cr_expect_eq(got, wall_ns, "%s: %llu", text, (unsigned long long)got);
}

static void expect_none(const char *text)
{
	uint64_t untouched = 7;

	cr_expect_eq(iso_time_parse(text, &untouched), -EINVAL, "%s", text);
	cr_expect_eq(untouched, 7);
}

Test(iso_time, is_read_in_any_zone)
{
	expect_time("2026-02-03T04:05:06Z", then_ns);
	expect_time("2026-02-03 04:05:06Z", then_ns);
	expect_time("2026-02-03T04:05Z", then_ns - 6000000000);
	expect_time("2026-02-03T05:05:06+01:00", then_ns);
	expect_time("2026-02-02T22:35:06-05:30", then_ns);
	expect_time("2026-02-03T04:05:06.007Z", then_ns + 7000000);
	expect_time("2026-02-03T04:05:06.1234567899Z", then_ns + 123456789);
	expect_time("1970-01-01T00:00:00Z", 0);
	expect_time("1970-01-01T01:00:00+01:00", 0);
	expect_time("2024-02-29T00:00Z", 1709164800ULL * 1000000000);
	expect_time("2261-12-31T23:59:59Z", 9214646399ULL * 1000000000);
}

Test(iso_time, is_nothing_else)
{
	static const char *const texts[] = {
		"",
		"now",
		"1770091506",
		"2026-02-03",
		"2026-02-03T04:05:06", /* where? */
		"2026-02-03T04:05:06.Z",
		"2026-02-03T04Z",
		"2026-02-03T04:05:06Z ",
		" 2026-02-03T04:05:06Z",
		"2026-2-3T04:05:06Z",
		"2026-13-03T04:05:06Z",
		"2026-00-03T04:05:06Z",
		"2026-02-30T04:05:06Z",
		"2025-02-29T04:05:06Z",
		"2026-02-00T04:05:06Z",
		"2026-02-03T24:05:06Z",
		"2026-02-03T04:60:06Z",
		"2026-02-03T04:05:60Z",
		"2026-02-03T04:05:06+1:00",
		"2026-02-03T04:05:06+0100",
		"2026-02-03T04:05:06+24:00",
		"1969-12-31T23:59:59Z",
		"1970-01-01T00:00:00+00:01",
		"2262-01-01T00:00:00Z",
	};

	for (unsigned int i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		expect_none(texts[i]);
}

Test(iso_time, is_written_as_it_is_read)
{
	cr_expect_str_eq(iso_time_text(then_ns + 7999999).text, "2026-02-03T04:05:06.007Z");
	cr_expect_str_eq(iso_time_text(0).text, "1970-01-01T00:00:00.000Z");
	for (uint64_t ms = 1; ms < 9214646399000; ms = ms * 3 + 1)
		expect_time(iso_time_text(ms * 1000000).text, ms * 1000000);
}
