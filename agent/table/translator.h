/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The customers' translator: subscribers, pools and bindings together decide which
 * external address and port a connection has (plain-mode-08 §4.4.1 (3), RFC 6888).
 * Time and chance are arguments.
 */
#ifndef PLAIT_TABLE_TRANSLATOR_H
#define PLAIT_TABLE_TRANSLATOR_H

#include <sys/socket.h>

#include "bindings.h"
#include "pool.h"
#include "subscribers.h"

enum translated {
	TRANSLATED,
	TRANSLATED_NO_ROOM, /* for another subscriber or binding */
	TRANSLATED_SESSION_LIMIT,
	TRANSLATED_RATE_LIMIT,
	TRANSLATED_PORT_LIMIT, /* ports or blocks, and those it has are in use */
	TRANSLATED_EXHAUSTED, /* the pool, or the subscriber's address in it */
	TRANSLATED_TAKEN, /* what is asked for is bound or lent already, or its address is not this
			     subscriber's */
	TRANSLATED_NOT_BOUND, /* nothing lets connections in there */
	TRANSLATED_NO_POOL, /* for it: all of that family are deterministic, for others */
};

/*
 * A block changed hands: what RFC 6888 §4 wants logged. Of deterministic pools nobody is
 * told, since it could be no other block (RFC 7422).
 */
struct translator_event {
	bool lent; /* else taken back */
	const struct subscriber *subscriber;
	struct plait_addr external; /* with the first port */
	uint16_t last_port; /* host byte order */
	uint64_t since_ns;
};

enum {
	TRANSLATOR_DETERMINISTIC = 4, /* the first deterministic pool's number */
	TRANSLATOR_DETERMINISTIC_MAX = 64, /* how many there may be */
	TRANSLATOR_POOLS = TRANSLATOR_DETERMINISTIC + TRANSLATOR_DETERMINISTIC_MAX,
};

/*
 * Of the other pools: IPv4 and IPv6 for everyone, and the same set aside for those that
 * configuration names.
 */
static inline unsigned int translator_pool_number(uint8_t family, bool set_aside)
{
	return (family == AF_INET ? 0 : 1) + (set_aside ? 2 : 0);
}

/* Where a subscriber has what it holds of a pool: of deterministic ones it has a block each family. */
static inline unsigned int translator_holding_number(unsigned int pool_number, uint8_t family)
{
	return pool_number < TRANSLATOR_DETERMINISTIC
		       ? pool_number
		       : TRANSLATOR_DETERMINISTIC + subscriber_family(family);
}

struct translator {
	struct subscribers subscribers;
	/*
	 * By translator_pool_number(), and from TRANSLATOR_DETERMINISTIC on as in
	 * subscribers.deterministic; may be empty.
	 */
	struct pool pools[TRANSLATOR_POOLS];
	struct bindings bindings;
	bool keep_parity;
	void (*on_block)(void *context,
			 const struct translator_event *event); /* NULL: nobody asks */
	void (*on_end)(void *context, const struct binding *binding); /* NULL: likewise */
	void *context;
};

/* What a session asks for. */
struct translator_request {
	struct plait_addr source; /* who asks, port not looked at */
	struct plait_addr inside; /* what is bound */
	uint8_t family; /* of the external address */
	uint8_t protocol; /* IANA number */
	uint32_t random[3];
	uint64_t now_ns;
};

/* Whether there is anything to lend for that family, to anyone. */
bool translator_has_pool(const struct translator *translator, uint8_t family);

/*
 * A session begins: *out is its binding, an older one of the same inside, or a new
 * one. Ended by translator_end(). *out is untouched unless TRANSLATED.
 */
enum translated translator_begin(struct translator *translator,
				 const struct translator_request *request, struct binding **out);

/* A session of the binding ends; the binding goes with its last one (§4.3.2). */
void translator_end(struct translator *translator, struct binding *binding);

/* The same, but the binding stays until then for the same inside only (§4.4.4). */
void translator_rest(struct translator *translator, struct binding *binding, uint64_t until_ns);

/* Let bindings go that have rested. */
void translator_sweep(struct translator *translator, uint64_t now_ns);

/*
 * A binding of an earlier life rests, with the block it was of. False: it fits no pool
 * of today, or there is no room.
 */
bool translator_adopt(struct translator *translator, const struct translator_request *request,
		      const struct plait_addr *external, uint64_t until_ns);

/*
 * A binding that is there without sessions, and lets connections in (§4.4.2): exactly this
 * external address and port, also below 1024. random is not looked at. *out is untouched
 * unless TRANSLATED.
 */
enum translated translator_configure(struct translator *translator,
				     const struct translator_request *request,
				     const struct plait_addr *external, struct binding **out);

/* It goes, once it has no more sessions. False: there is none. */
bool translator_unconfigure(struct translator *translator, uint8_t protocol,
			    const struct plait_addr *external);

/* A session begins from the internet, to be ended like the others. */
enum translated translator_let_in(struct translator *translator, uint8_t protocol,
				  const struct plait_addr *external, uint64_t now_ns,
				  struct binding **out);

#endif
