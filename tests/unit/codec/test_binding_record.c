// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "codec/binding_record.h"

#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

/* 2026-02-03 04:05:06 UTC, when the machine had been up for 100 s */
static const uint64_t epoch_ns = (1770091506ULL - 100) * 1000000000;

static struct plait_addr address(const char *text, uint16_t port)
{
	struct plait_addr addr = {.family = strchr(text, ':') ? AF_INET6 : AF_INET,
				  .port = htons(port)};

	cr_assert_eq(inet_pton(addr.family, text, addr.ip), 1);
	return addr;
}

static struct binding_record block(void)
{
	return (struct binding_record){.event = BLOCK_LENT,
				       .subscriber = "home-1",
				       .source = address("10.1.0.2", 4711),
				       .external = address("203.0.113.64", 1024),
				       .last_port = 1535,
				       .since_ns = 100007999999};
}

static const char *line_of(const struct binding_record *record)
{
	static char line[RECORD_LINE_BYTES];
	struct record_field fields[RECORD_FIELDS];

	binding_record_line(fields, binding_record_fields(record, epoch_ns, fields), line);
	return line;
}

Test(binding_record, a_block_is_lent)
{
	struct binding_record record = block();

	cr_assert_str_eq(line_of(&record),
			 "event=block-lent subscriber=home-1 source=10.1.0.2 protocol=tcp,udp "
			 "external_address=203.0.113.64 port_first=1024 port_last=1535 "
			 "since=2026-02-03T04:05:06.007Z");
}

Test(binding_record, a_block_is_returned)
{
	struct binding_record record = block();

	record.event = BLOCK_RETURNED;
	record.until_ns = record.since_ns + 3600 * 1000000000ULL;
	cr_assert_str_eq(strstr(line_of(&record), "since="),
			 "since=2026-02-03T04:05:06.007Z until=2026-02-03T05:05:06.007Z");
	cr_assert(strstr(line_of(&record), "event=block-returned "));
}

Test(binding_record, a_binding_has_its_protocol_and_destination)
{
	struct binding_record record = block();

	record.event = BINDING_CREATED;
	record.protocol = IPPROTO_TCP;
	record.subscriber[0] = '\0';
	record.source = address("fd10:1::2", 4711);
	record.external = address("2001:db8:77::5", 40000);
	record.last_port = 40000;
	record.destination = address("2001:db8:f::2", 443);
	cr_assert_str_eq(line_of(&record),
			 "event=binding-created subscriber=fd10:1::2 source=fd10:1::2 protocol=tcp "
			 "external_address=2001:db8:77::5 port_first=40000 port_last=40000 "
			 "destination=[2001:db8:f::2]:443 since=2026-02-03T04:05:06.007Z");
	record.event = BINDING_ENDED;
	record.protocol = 132;
	cr_assert(strstr(line_of(&record), "event=binding-ended "));
	cr_assert(strstr(line_of(&record), " protocol=132 "));
}

Test(binding_record, a_line_is_one_line_whatever_a_name_holds)
{
	struct binding_record record = block();

	strcpy(record.subscriber, "a\nb\x1b[1m c\\=\xc3\x9f\x7f");
	cr_assert(strstr(line_of(&record),
			 " subscriber=a\\x0ab\\x1b[1m\\x20c\\x5c=\\xc3\\x9f\\x7f source="));
}

Test(binding_record, fields_hold_a_name_as_it_is)
{
	struct binding_record record = block();
	struct record_field fields[RECORD_FIELDS];

	strcpy(record.subscriber, "a\nb");
	cr_assert_eq(binding_record_fields(&record, epoch_ns, fields), 8);
	cr_expect_str_eq(fields[0].name, "PLAIT_EVENT");
	cr_expect_str_eq(fields[1].name, "PLAIT_SUBSCRIBER");
	cr_expect_str_eq(fields[1].value, "a\nb");
	cr_expect_str_eq(fields[7].name, "PLAIT_SINCE");
}

Test(binding_record, the_longest_record_fits)
{
	struct binding_record record = block();
	struct record_field fields[RECORD_FIELDS];

	record.event = BINDING_ENDED;
	memset(record.subscriber, '\n', sizeof(record.subscriber) - 1);
	record.source = record.external = record.destination =
		address("1111:2222:3333:4444:5555:6666:7777:8888", 65535);
	record.until_ns = record.since_ns = UINT64_MAX - epoch_ns;
	cr_assert_eq(binding_record_fields(&record, epoch_ns, fields), RECORD_FIELDS);
	cr_assert_lt(strlen(line_of(&record)), RECORD_LINE_BYTES);
}

/* Reading. What is not written: ports of a source, times below a millisecond. */

static void expect_read_as_written(struct binding_record record)
{
	struct binding_record got;

	cr_assert_eq(binding_record_parse(line_of(&record), &got), 0, "%s", line_of(&record));
	record.source.port = 0;
	record.since_ns = (record.since_ns + epoch_ns) / 1000000 * 1000000;
	if (record.until_ns)
		record.until_ns = (record.until_ns + epoch_ns) / 1000000 * 1000000;
	cr_expect_arr_eq(&got, &record, sizeof(got), "%s", line_of(&record));
}

Test(binding_record, is_read_as_it_is_written)
{
	struct binding_record record = block();

	expect_read_as_written(record);
	record.event = BLOCK_RETURNED;
	record.until_ns = record.since_ns + 5000000000;
	expect_read_as_written(record);
	record.event = BINDING_ENDED;
	record.protocol = IPPROTO_UDP;
	record.destination = address("2001:db8:f::2", 443);
	expect_read_as_written(record);
	record.protocol = 132;
	record.source = address("1111:2222:3333:4444:5555:6666:7777:8888", 0);
	memset(record.subscriber, 0, sizeof(record.subscriber));
	expect_read_as_written(record);
	strcpy(record.subscriber, "a\nb\x1b[1m c\\=\xc3\x9f\x7f");
	expect_read_as_written(record);
	memset(record.subscriber, 0, sizeof(record.subscriber));
	strcpy(record.subscriber, "10.1.0.2"); /* a name, if it is not the source */
	expect_read_as_written(record);
}

#define BEFORE "event=block-lent subscriber=home-1 source=10.1.0.2 protocol=tcp,udp "
#define LENT   BEFORE "external_address=203.0.113.64 port_first=1024 port_last=1535 "
#define SINCE  "since=2026-02-03T04:05:06.007Z"

Test(binding_record, names_of_later_versions_and_journalds_prefix_are_passed_over)
{
	struct binding_record expected, got;

	cr_assert_eq(binding_record_parse(LENT SINCE, &expected), 0);
	cr_assert_eq(binding_record_parse("<6>" LENT "colour= reason=a=b " SINCE, &got), 0);
	cr_expect_arr_eq(&got, &expected, sizeof(got));
}

Test(binding_record, what_is_no_record_is_refused)
{
	static const char *const lines[] = {
		"",
		"plaitd: ready",
		"event",
		BEFORE,
		LENT,
		SINCE,
		LENT SINCE " ",
		LENT SINCE " event=block-lent",
		LENT SINCE " until=2026-02-03T04:05:07.007Z", /* it goes on */
		LENT "since=2026-02-03T04:05:06.007",
		LENT SINCE " colour",
		LENT SINCE " colour=\\x4",
		LENT SINCE " colour=\\y41",
		LENT SINCE " colour=\\x00",
		LENT SINCE
		" colour=0123456789012345678901234567890123456789012345678901234567890123",
		"event=block-lost subscriber=home-1 source=10.1.0.2 protocol=tcp,udp "
		"external_address=203.0.113.64 port_first=1024 port_last=1535 " SINCE,
		"event=block-returned subscriber=home-1 source=10.1.0.2 protocol=tcp,udp "
		"external_address=203.0.113.64 port_first=1024 port_last=1535 " SINCE,
		BEFORE "external_address=203.0.113.64:80 port_first=1024 port_last=1535 " SINCE,
		BEFORE "external_address=203.0.113.64 port_first=1536 port_last=1535 " SINCE,
		BEFORE "external_address=203.0.113.64 port_first=0 port_last=1535 " SINCE,
		BEFORE "external_address=203.0.113.64 port_first=1024 port_last=65536 " SINCE,
		BEFORE "external_address= port_first=1024 port_last=1535 " SINCE,
		"event=block-lent subscriber= source=10.1.0.2 protocol=tcp,udp "
		"external_address=203.0.113.64 port_first=1024 port_last=1535 " SINCE,
		"event=block-lent subscriber=a-name-that-is-too-long-to-be-one source=10.1.0.2 "
		"protocol=tcp external_address=203.0.113.64 port_first=1024 port_last=1535 " SINCE,
		"event=block-lent subscriber=home-1 source=10.1.0.2 protocol=0 "
		"external_address=203.0.113.64 port_first=1024 port_last=1535 " SINCE,
	};
	struct binding_record untouched = {.last_port = 7}, got = untouched;

	for (unsigned int i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_expect_eq(binding_record_parse(lines[i], &got), -EINVAL, "%s", lines[i]);
	cr_expect_arr_eq(&got, &untouched, sizeof(got));
}
