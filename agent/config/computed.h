/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What follows from a configuration alone: who has which block of deterministic pools (RFC 7422). */
#ifndef PLAIT_CONFIG_COMPUTED_H
#define PLAIT_CONFIG_COMPUTED_H

#include "config.h"

struct computed_block {
	struct plait_addr external; /* with its first port */
	uint16_t last_port; /* host byte order */
	struct plait_addr inside; /* by which it is computed, port 0 */
};

/* The one that has a source, or NULL: the source is one of its own. */
const struct config_subscriber *computed_subscriber(const struct config *config,
						    const struct plait_addr *source);

/* The pool with that address, or NULL. */
const struct config_pool *computed_pool(const struct config *config, const struct plait_addr *addr);

/*
 * The block that whoever has this source has, of the pools with external addresses of that
 * family. False: none.
 */
bool computed_block_of(const struct config *config, const struct plait_addr *source, uint8_t family,
		       struct computed_block *out);

/* The inside address that an external one and its port stand for. False: none. */
bool computed_inside_of(const struct config *config, const struct plait_addr *external,
			struct plait_addr *inside);

/* The external address and port is in the block. */
bool computed_block_has(const struct computed_block *block, const struct plait_addr *external);

#endif
