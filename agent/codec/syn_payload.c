/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "syn_payload.h"

#include <errno.h>
#include <string.h>

#include "plait_pm.h"

struct cursor {
	const uint8_t *bytes;
	size_t at, end;
};

enum { OPTION_HEAD = 3 }; /* kind, length and sub-type of an MPTCP option */

/* The family and the protocol of a preamble's options are one each. */
static bool fits_with(const struct preamble *preamble, const struct pm_option *option)
{
	if (preamble->has_source || preamble->has_destination) {
		const struct plait_addr *other =
			preamble->has_source ? &preamble->source : &preamble->destination;

		if (other->family != option->addr.family || preamble->protocol != option->protocol)
			return false;
	}
	return option->is_source ? !preamble->has_source : !preamble->has_destination;
}

static int take_pm_option(struct cursor *cursor, struct preamble *preamble)
{
	struct pm_option option;
	int length = pm_option_read(cursor->bytes + cursor->at, cursor->end - cursor->at, &option);

	if (length < 0)
		return length;
	if (!fits_with(preamble, &option))
		return -EBADMSG;

	preamble->protocol = option.protocol;
	if (option.is_source) {
		preamble->has_source = true;
		preamble->source = option.addr;
	} else {
		preamble->has_destination = true;
		preamble->has_destination_port = option.has_port;
		preamble->destination = option.addr;
	}
	cursor->at += length;
	return 0;
}

/* Step over the MPTCP option at the cursor; a PM option leaves its mark in preamble. */
static int take_mptcp_option(struct cursor *cursor, struct preamble *preamble)
{
	const uint8_t *option = cursor->bytes + cursor->at;
	size_t left = cursor->end - cursor->at;

	/* behind it there must be room for EOL, or waiting for more would be in vain */
	if (cursor->at + (left < 2 ? OPTION_HEAD : option[1]) >= PREAMBLE_READ_MAX)
		return -EBADMSG;
	if (left >= 2 && option[1] < OPTION_HEAD)
		return -EBADMSG;
	if (left < OPTION_HEAD)
		return -EAGAIN;
	if (option[2] >> 4 == PLAIT_MPTCP_PM)
		return take_pm_option(cursor, preamble);
	if (left < option[1])
		return -EAGAIN;
	cursor->at += option[1];
	return 0;
}

int preamble_read(const uint8_t *bytes, size_t len, struct preamble *out)
{
	struct cursor cursor = {
		.bytes = bytes,
		.end = len < PREAMBLE_READ_MAX ? len : PREAMBLE_READ_MAX,
	};
	struct preamble preamble = {};
	int err;

	while (cursor.at < cursor.end) {
		switch (bytes[cursor.at]) {
		case PLAIT_TCPOPT_EOL:
			if (!preamble.has_source && !preamble.has_destination)
				return -EBADMSG;
			*out = preamble;
			return cursor.at + 1;
		case PLAIT_TCPOPT_NOP:
			cursor.at++;
			break;
		case PLAIT_TCPOPT_MPTCP:
			err = take_mptcp_option(&cursor, &preamble);
			if (err < 0)
				return err;
			break;
		default:
			return -EBADMSG;
		}
	}
	return cursor.at < PREAMBLE_READ_MAX ? -EAGAIN : -EBADMSG;
}

/* Append one option to the length octets that are there already. */
static int append(const struct pm_option *option, uint8_t *bytes, size_t size, int length)
{
	int more = pm_option_write(option, bytes + length, size - length);

	return more < 0 ? more : length + more;
}

int preamble_write(const struct preamble *preamble, uint8_t *bytes, size_t size)
{
	uint8_t draft[PLAIT_PREAMBLE_MAX];
	int length = 0;

	if (!preamble->has_source && !preamble->has_destination)
		return -EINVAL;
	if (preamble->has_source && preamble->has_destination &&
	    preamble->source.family != preamble->destination.family)
		return -EINVAL;

	if (preamble->has_source) {
		const struct pm_option option = {
			.is_source = true,
			.has_port = preamble->source.port != 0,
			.protocol = preamble->protocol,
			.addr = preamble->source,
		};

		length = append(&option, draft, sizeof(draft), length);
	}
	if (preamble->has_destination && length >= 0) {
		const struct pm_option option = {
			.has_port = preamble->has_destination_port,
			.protocol = preamble->protocol,
			.addr = preamble->destination,
		};

		length = append(&option, draft, sizeof(draft), length);
	}
	if (length < 0)
		return length;

	draft[length++] = PLAIT_TCPOPT_EOL;
	if (size < (size_t)length)
		return -ENOSPC;
	memcpy(bytes, draft, length);
	return length;
}

int syn_payload_write(const struct preamble *preamble, const uint8_t *early, size_t early_len,
		      uint8_t *bytes, size_t size)
{
	int length = preamble_write(preamble, bytes, size);

	if (length < 0)
		return length;
	if (early_len > size - (size_t)length)
		return -ENOSPC;
	memcpy(bytes + length, early, early_len);
	return length + (int)early_len;
}
