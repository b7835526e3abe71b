/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What plaitctl asks for: {"noun": "sessions"}. Other keys are ignored. */
#ifndef PLAIT_CONTROL_REQUEST_H
#define PLAIT_CONTROL_REQUEST_H

#include <stddef.h>

enum { REQUEST_NOUN_BYTES = 32 };

struct request {
	char noun[REQUEST_NOUN_BYTES];
};

/* The JSON text, malloc()ed; NULL if memory ran out or noun is not UTF-8. */
char *request_encode(const char *noun);

/* 0, or -EINVAL for anything but an object with a noun of fitting length. */
int request_decode(const char *body, size_t body_bytes, struct request *out);

#endif
