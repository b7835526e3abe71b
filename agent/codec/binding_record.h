/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Records of the binding log: who had which external address and ports, from when to
 * when (RFC 6888 §4, plain-mode-08 §7.3), as fields and as a line of text.
 */
#ifndef PLAIT_CODEC_BINDING_RECORD_H
#define PLAIT_CODEC_BINDING_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "plait_addr.h"

enum binding_event { BLOCK_LENT, BLOCK_RETURNED, BINDING_CREATED, BINDING_ENDED };

enum {
	BINDING_SUBSCRIBER_BYTES = 32,
	RECORD_FIELDS = 10,
	RECORD_VALUE_BYTES = 64,
	RECORD_LINE_BYTES = 3072, /* whatever the values are */
};

struct binding_record {
	enum binding_event event;
	uint8_t protocol; /* IANA number; 0: of TCP and UDP alike */
	char subscriber[BINDING_SUBSCRIBER_BYTES]; /* empty: the source names it */
	struct plait_addr source; /* its port is not told */
	struct plait_addr external; /* with the first port */
	uint16_t last_port; /* host byte order */
	struct plait_addr destination; /* family 0: not told */
	uint64_t since_ns, until_ns; /* CLOCK_MONOTONIC; until_ns 0: it goes on */
};

struct record_field {
	const char *name; /* as in the journal: "PLAIT_PORT_FIRST" */
	char value[RECORD_VALUE_BYTES];
};

/*
 * Fill fields, in the order of the line, as they are: a name may hold any octet.
 * epoch_ns is what CLOCK_REALTIME was when CLOCK_MONOTONIC was 0. Returns their number.
 */
size_t binding_record_fields(const struct binding_record *record, uint64_t epoch_ns,
			     struct record_field fields[RECORD_FIELDS]);

/*
 * "event=block-lent subscriber=home-1 ...", without an end of line. Octets that are not
 * printable ASCII, blanks and backslashes stand as \xNN.
 */
void binding_record_line(const struct record_field *fields, size_t count,
			 char line[RECORD_LINE_BYTES]);

/*
 * Read such a line, without its end; what journald's prefix "<6>" it may have is left out.
 * The times of *out are CLOCK_REALTIME; until_ns is 0 in an event that begins something.
 * Names that are not known are passed over. 0, or -EINVAL and *out untouched.
 */
int binding_record_parse(const char *line, struct binding_record *out);

#endif
