/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Where records go: a file, systemd's journal if it is what reads our standard error
 * (the fields as its own, so that journalctl finds them), or lines on standard error.
 */
#ifndef PLAIT_PORT_JOURNAL_H
#define PLAIT_PORT_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "codec/binding_record.h"

struct journal {
	int fd; /* of the file, else -1 */
	bool native; /* the journal's own protocol */
	bool cut; /* what was written last is not a whole line */
};

/*
 * file: opened for appending once, made if it is not there, and may be a FIFO that
 * somebody reads; empty: none. 0 or negative errno.
 */
int journal_open(struct journal *journal, const char *file);
void journal_close(struct journal *journal);

/*
 * Write one record. 0, -EAGAIN if there was no room for it within wait_ms, or another
 * negative errno. A disk, or a journal that is busy, may take longer.
 */
int journal_write(struct journal *journal, const struct record_field *fields, size_t count,
		  unsigned int wait_ms);

#endif
