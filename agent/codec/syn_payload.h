/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The preamble: one or two PM options and EOL at the start of the MPTCP stream,
 * normally the SYN's payload (plain-mode-08 §4.2, §5.1.1). The host's own SYN
 * data follow it. Pure functions.
 */
#ifndef PLAIT_CODEC_SYN_PAYLOAD_H
#define PLAIT_CODEC_SYN_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pm_option.h"

struct preamble {
	uint8_t protocol;
	bool has_source, has_destination;
	bool has_destination_port;
	struct plait_addr source; /* valid if has_source; port 0 if the option had none */
	struct plait_addr destination; /* valid if has_destination; likewise */
};

/*
 * Read a preamble from the first len octets of a stream. Returns its length up
 * to and with EOL; -EAGAIN if more octets are needed; -EBADMSG if it can be
 * none: no option, more than two, twice the same direction, two protocols or
 * two families, something other than a PM option before EOL. MPTCP options
 * (kind 30) of unknown sub-types are skipped by their length, NOP is skipped,
 * but no preamble is longer than 64 octets. Addresses are not judged.
 * *out is untouched on failure.
 */
int preamble_read(const uint8_t *bytes, size_t len, struct preamble *out);

/*
 * Write preamble (source option first, then destination, then EOL). The source
 * option has a port unless it is 0. Returns octets written; -ENOSPC; -EINVAL if
 * it has neither option or two families; -EAFNOSUPPORT for another family.
 */
int preamble_write(const struct preamble *preamble, uint8_t *bytes, size_t size);

/*
 * Write a preamble and the first octets of what follows it: early_len of them. Returns
 * octets written, or what preamble_write() says; -ENOSPC if not all of it fits.
 */
int syn_payload_write(const struct preamble *preamble, const uint8_t *early, size_t early_len,
		      uint8_t *bytes, size_t size);

enum {
	PREAMBLE_READ_MAX = 64,
	SYN_PAYLOAD_MAX = 1460, /* more fits no SYN */
};

#endif
