/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What plaitctl asks for: {"noun": "sessions"}, of which other keys are ignored, or
 * what is to be done: {"verb": "close", "remote": "192.0.2.1:80"}, whose other keys are
 * its arguments, text or true.
 */
#ifndef PLAIT_CONTROL_REQUEST_H
#define PLAIT_CONTROL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

enum { REQUEST_WORD_BYTES = 32, REQUEST_VALUE_BYTES = 128, REQUEST_ARGUMENTS_MAX = 8 };

struct request_argument {
	char name[REQUEST_WORD_BYTES];
	char value[REQUEST_VALUE_BYTES]; /* empty: true */
};

struct request {
	bool is_verb;
	char word[REQUEST_WORD_BYTES]; /* the noun or verb */
	unsigned int argument_count;
	struct request_argument arguments[REQUEST_ARGUMENTS_MAX];
};

/*
 * Add an argument; value NULL is true. 0, or -EINVAL if it is there already, its name or
 * value is empty, too long or has other than printable ASCII, or there are too many.
 */
int request_add(struct request *request, const char *name, const char *value);

/* The value of an argument, "" if it is true; NULL: it was not given. */
const char *request_value(const struct request *request, const char *name);

/* The JSON text, malloc()ed; NULL if memory ran out or the word is not UTF-8. */
char *request_encode(const struct request *request);

/* 0, or -EINVAL for anything but an object with either a noun or a verb, as above. */
int request_decode(const char *body, size_t body_bytes, struct request *out);

#endif
