// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "binding_record.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/addr_text.h"
#include "iso_time.h"

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
	field = put(field, NAME_PREFIX "SINCE", "%s",
		    iso_time_text(epoch_ns + record->since_ns).text);
	if (record->until_ns)
		field = put(field, NAME_PREFIX "UNTIL", "%s",
			    iso_time_text(epoch_ns + record->until_ns).text);
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

/* Reading */

static bool read_event(const char *value, struct binding_record *out)
{
	for (unsigned int i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (strcmp(value, events[i]) != 0)
			continue;
		out->event = (enum binding_event)i;
		return true;
	}
	return false;
}

/* Of one without a name it is the source's address, which may be longer than a name. */
static bool read_subscriber(const char *value, struct binding_record *out)
{
	struct plait_addr addr;

	if (strlen(value) >= sizeof(out->subscriber))
		return addr_from_text(value, &addr);
	strcpy(out->subscriber, value);
	return value[0];
}

static bool read_number(const char *value, unsigned int max, unsigned int *out)
{
	unsigned int number = 0;

	for (const char *at = value; *at; at++) {
		if (*at < '0' || *at > '9')
			return false;
		number = number * 10 + (unsigned int)(*at - '0');
		if (number > max)
			return false;
	}
	*out = number;
	return value[0];
}

static bool read_protocol(const char *value, struct binding_record *out)
{
	unsigned int protocol = 0;

	if (strcmp(value, "tcp,udp") == 0)
		protocol = 0;
	else if (strcmp(value, "tcp") == 0)
		protocol = IPPROTO_TCP;
	else if (strcmp(value, "udp") == 0)
		protocol = IPPROTO_UDP;
	else if (!read_number(value, UINT8_MAX, &protocol) || !protocol)
		return false;
	out->protocol = (uint8_t)protocol;
	return true;
}

static bool read_host(const char *value, struct plait_addr *out)
{
	return addr_from_text(value, out) && !out->port;
}

static bool read_source(const char *value, struct binding_record *out)
{
	return read_host(value, &out->source);
}

/* Its port may have been read before. */
static bool read_external(const char *value, struct binding_record *out)
{
	__be16 port = out->external.port;
	bool valid = read_host(value, &out->external);

	out->external.port = port;
	return valid;
}

static bool read_port(const char *value, uint16_t *out)
{
	unsigned int port;

	if (!read_number(value, UINT16_MAX, &port) || !port)
		return false;
	*out = (uint16_t)port;
	return true;
}

static bool read_first_port(const char *value, struct binding_record *out)
{
	uint16_t port = 0;
	bool valid = read_port(value, &port);

	out->external.port = htons(port);
	return valid;
}

static bool read_last_port(const char *value, struct binding_record *out)
{
	return read_port(value, &out->last_port);
}

static bool read_destination(const char *value, struct binding_record *out)
{
	return addr_from_text(value, &out->destination);
}

static bool read_since(const char *value, struct binding_record *out)
{
	return !iso_time_parse(value, &out->since_ns);
}

static bool read_until(const char *value, struct binding_record *out)
{
	return !iso_time_parse(value, &out->until_ns);
}

static const struct reader {
	const char *name;
	bool (*read)(const char *value, struct binding_record *out);
	bool required;
} readers[RECORD_FIELDS] = {
	{"event", read_event, true},
	{"subscriber", read_subscriber, true},
	{"source", read_source, true},
	{"protocol", read_protocol, true},
	{"external_address", read_external, true},
	{"port_first", read_first_port, true},
	{"port_last", read_last_port, true},
	{"destination", read_destination, false},
	{"since", read_since, true},
	{"until", read_until, false},
};

/* Undo append_value() up to a blank or the end. False: it is too long, or not escaped so. */
static bool take_value(const char **at, char value[RECORD_VALUE_BYTES])
{
	size_t length = 0;

	for (; **at && **at != ' '; (*at)++) {
		unsigned int octet = (unsigned char)**at;
		int chars = 0;

		if (octet == '\\' && (sscanf(*at, "\\x%2x%n", &octet, &chars) != 1 || chars != 4))
			return false;
		*at += chars ? chars - 1 : 0;
		if (!octet || length + 1 == RECORD_VALUE_BYTES)
			return false;
		value[length++] = (char)octet;
	}
	value[length] = '\0';
	return true;
}

/* One "name=value"; a bit of *seen for each that is known, once. */
static bool take_field(const char **at, struct binding_record *out, unsigned int *seen)
{
	size_t name_chars = strcspn(*at, "= ");
	char value[RECORD_VALUE_BYTES];
	const char *name = *at;

	*at += name_chars;
	if (**at != '=')
		return false;
	(*at)++;
	if (!take_value(at, value))
		return false;
	for (unsigned int i = 0; i < RECORD_FIELDS; i++) {
		if (strlen(readers[i].name) != name_chars ||
		    strncmp(readers[i].name, name, name_chars) != 0)
			continue;
		if (*seen & 1u << i || !readers[i].read(value, out))
			return false;
		*seen |= 1u << i;
	}
	return true;
}

static bool is_whole(const struct binding_record *record, unsigned int seen)
{
	bool ends = record->event == BLOCK_RETURNED || record->event == BINDING_ENDED;

	for (unsigned int i = 0; i < RECORD_FIELDS; i++)
		if (readers[i].required && !(seen & 1u << i))
			return false;
	return ends == !!record->until_ns && ntohs(record->external.port) <= record->last_port;
}

int binding_record_parse(const char *line, struct binding_record *out)
{
	struct binding_record record = {};
	unsigned int seen = 0;

	if (strncmp(line, "<6>", 3) == 0)
		line += 3;
	do {
		if (!take_field(&line, &record, &seen))
			return -EINVAL;
	} while (*line++ == ' ');
	if (!is_whole(&record, seen))
		return -EINVAL;
	if (strcmp(record.subscriber, host_text(&record.source).text) == 0)
		memset(record.subscriber, 0, sizeof(record.subscriber));
	*out = record;
	return 0;
}
