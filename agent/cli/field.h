/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Fields of an answer. An agent of another version may leave one out: that is
 * "" or 0 here, not an error.
 */
#ifndef PLAIT_CLI_FIELD_H
#define PLAIT_CLI_FIELD_H

#include <jansson.h>
#include <stdint.h>

static inline const char *field_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static inline uint64_t field_number(const json_t *object, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(object, key));

	return number > 0 ? (uint64_t)number : 0;
}

static inline double field_real(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

#endif
