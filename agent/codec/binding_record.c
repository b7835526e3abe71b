// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "binding_record.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/addr_text.h"
#include "base/clock.h"

#define NAME_PREFIX "PLAIT_" /* as fields of the journal */

enum { NAME_CHARS_MAX = 24 };

/* A blank, a name, "=" and a value of which each octet may need four. */
_Static_assert(RECORD_FIELDS *(2 + NAME_CHARS_MAX + 4 * RECORD_VALUE_BYTES) < RECORD_LINE_BYTES,
	       "every record fits a line");
_Static_assert((int)ADDR_TEXT_BYTES <= (int)RECORD_VALUE_BYTES &&
		       BINDING_SUBSCRIBER_BYTES <= RECORD_VALUE_BYTES,
	       "every value fits a field");

static const char *const events[] = {
	[BLOCK_LENT] = "block-lent",
	[BLOCK_RETURNED] = "block-returned",
	[BINDING_CREATED] = "binding-created",
	[BINDING_ENDED] = "binding-ended",
};

__attribute__((format(printf, 3, 4))) static struct record_field *
put(struct record_field *field, const char *name, const char *format, ...)
{
	va_list arguments;

	field->name = name;
	va_start(arguments, format);
	vsnprintf(field->value, sizeof(field->value), format, arguments);
	va_end(arguments);
	return field + 1;
}

static struct record_field *put_protocol(struct record_field *field, uint8_t protocol)
{
	static const char name[] = NAME_PREFIX "PROTOCOL";

	if (!protocol)
		return put(field, name, "tcp,udp");
	if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP)
		return put(field, name, "%s", protocol == IPPROTO_TCP ? "tcp" : "udp");
	return put(field, name, "%u", protocol);
}

static struct addr_text host_text(const struct plait_addr *addr)
{
	struct plait_addr host = *addr;

	host.port = 0;
	return addr_text(&host);
}

/* ISO 8601, UTC, with milliseconds. */
static struct record_field *put_time(struct record_field *field, const char *name, uint64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / NS_PER_S);
	char text[32] = "";
	struct tm utc;

	if (gmtime_r(&seconds, &utc))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	return put(field, name, "%s.%03uZ", text, (unsigned int)(wall_ns % NS_PER_S / NS_PER_MS));
}

size_t binding_record_fields(const struct binding_record *record, uint64_t epoch_ns,
			     struct record_field fields[RECORD_FIELDS])
{
	struct record_field *field = fields;
	struct addr_text source = host_text(&record->source);

	field = put(field, NAME_PREFIX "EVENT", "%s", events[record->event]);
	field = put(field, NAME_PREFIX "SUBSCRIBER", "%s",
		    record->subscriber[0] ? record->subscriber : source.text);
	field = put(field, NAME_PREFIX "SOURCE", "%s", source.text);
	field = put_protocol(field, record->protocol);
	field = put(field, NAME_PREFIX "EXTERNAL_ADDRESS", "%s", host_text(&record->external).text);
	field = put(field, NAME_PREFIX "PORT_FIRST", "%u", ntohs(record->external.port));
	field = put(field, NAME_PREFIX "PORT_LAST", "%u", record->last_port);
	if (record->destination.family)
		field = put(field, NAME_PREFIX "DESTINATION", "%s",
			    addr_text(&record->destination).text);
	field = put_time(field, NAME_PREFIX "SINCE", epoch_ns + record->since_ns);
	if (record->until_ns)
		field = put_time(field, NAME_PREFIX "UNTIL", epoch_ns + record->until_ns);
	return (size_t)(field - fields);
}

static char *append_name(char *end, const char *name)
{
	for (name += strlen(NAME_PREFIX); *name; name++)
		*end++ = (char)tolower((unsigned char)*name);
	*end++ = '=';
	return end;
}

static char *append_value(char *end, const char *value)
{
	for (; *value; value++) {
		unsigned char octet = (unsigned char)*value;

		if (octet > ' ' && octet <= '~' && octet != '\\')
			*end++ = *value;
		else
			end += sprintf(end, "\\x%02x", octet);
	}
	return end;
}

void binding_record_line(const struct record_field *fields, size_t count,
			 char line[RECORD_LINE_BYTES])
{
	char *end = line;

	for (size_t i = 0; i < count; i++) {
		if (i)
			*end++ = ' ';
		end = append_name(end, fields[i].name);
		end = append_value(end, fields[i].value);
	}
	*end = '\0';
}
