/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A session: one TCP connection or UDP flow of a host, and the MPTCP connection that
 * carries it between CPE and concentrator. One of the two is accepted and the other dialled:
 * from inside the CPE accepts the plain one, the concentrator the leg; from the
 * internet (plain-mode-08 §4.4.2) it is the other way round.
 *
 * Stages and what may happen in each:
 *
 *   DIALLING    the dialled side connects. A SYN is held, unless the accepted
 *               side is there already (eager handshake, preamble on the stream).
 *   LATE        the SYN was held as long as may be and is dropped; the dialled
 *               side goes on, for the next attempt of the same CPE to take over.
 *   ACCEPTING   the held SYN was let go; accept() will return its connection.
 *   PREAMBLE    the accepted leg must first say where it leads.
 *   FIRST_DATA  the accepted host may have a request for the SYN (CPE, eager).
 *   RELAYING    both sides are open; bytes, FINs and RSTs are carried over.
 */
#ifndef PLAIT_ENGINE_SESSION_H
#define PLAIT_ENGINE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/timers.h"
#include "codec/segment.h"
#include "codec/syn_payload.h"
#include "plait_maps.h"
#include "port/loop.h"

enum session_stage {
	STAGE_FREE = 0,
	STAGE_DIALLING,
	STAGE_LATE,
	STAGE_ACCEPTING,
	STAGE_PREAMBLE,
	STAGE_FIRST_DATA,
	STAGE_RELAYING,
};

enum which_side { SIDE_PLAIN = PLAIT_SIDE_PLAIN, SIDE_LEG = PLAIT_SIDE_LEG };

struct side {
	struct loop_watch watch;
	int fd; /* -1: not open */
	bool readable, writable; /* as epoll said last; reading or writing finds out */
	bool hung_up; /* FIN, RST or an error is there to be read */
};

/* One direction of the relay. */
struct half {
	int pipe; /* index in the worker's pool, -1 while it holds nothing */
	uint32_t in_pipe; /* bytes read and not yet written */
	uint32_t moved; /* bytes read since it was last asked whether the session is bulk */
	uint32_t run; /* and since the other direction has moved */
	bool bulk; /* reads have been large: splice */
	bool ended; /* FIN read */
	bool shut; /* and passed on */
};

/* A SYN on its way, as it arrived. */
struct held_syn {
	struct held_syn *next_free;
	uint32_t ifindex;
	uint16_t frame_bytes;
	bool in_time_wait; /* its addresses were, when it arrived */
	uint8_t side; /* enum which_side: what it begins */
	struct syn_segment syn;
	uint8_t frame[PLAIT_FRAME_MAX];
};

struct session {
	struct side side[2]; /* by enum which_side */
	struct half half[2]; /* [s]: from side s to the other */
	struct timer timer;
	struct hash_node by_tuple; /* the accepted connection's addresses */
	struct plait_addr peer, local; /* of the accepted connection */
	struct plait_session_key key; /* in the sessions map, if published */
	struct held_syn *held; /* NULL once let go and accepted */
	struct datagrams *datagrams; /* UDP; NULL: TCP */
	struct session *next; /* in the free list, the graveyard or the ready list */
	uint64_t last_active_ns;
	uint64_t window_ns; /* since when window_bytes are counted */
	uint32_t window_bytes; /* both directions */
	uint32_t token; /* of the leg; 0: none, or fell back */
	__be16 leg_port; /* CPE: of an earlier attempt; 0: any */
	uint16_t early_bytes; /* host's first bytes that went with the SYN */
	uint8_t stage; /* enum session_stage */
	uint8_t accepts; /* enum which_side */
	uint8_t attempts; /* of dialling */
	uint8_t join_tries;
	uint8_t asked_dscp; /* of the held SYN */
	uint8_t answered_dscp; /* of the dialled side's SYN+ACK */
	bool dialled; /* the dialled side is connected */
	bool published; /* key is in the sessions map */
	bool transparent; /* the plain side has an address that is not this machine's */
	bool preamble_done;
	uint8_t preamble_bytes; /* read so far */
	uint8_t preamble[PREAMBLE_READ_MAX]; /* of a stream that begins in pieces */
	bool joins_pending;
	bool bulk; /* CPE: much has moved: links share it; else one link answers quickest */
	uint8_t backup_links; /* CPE: a bit for each whose subflow was made a backup */
	uint8_t concentrator; /* CPE: which one the leg leads to, by the role's index */
	uint16_t id_turns; /* CPE: two bits for each link: which of its address ids is the latest */
	bool join_refused; /* too early, or too late: try again when something has moved */
	bool leg_unheard; /* accepted with its SYN: the third ACK may still be on its way */
	bool was_reset; /* by either side, not closed */
	bool lapses; /* ended without both having agreed: one may not know it */
	uint64_t bound_ns; /* since when it has a binding */
	void *binding; /* concentrator: the role's, until it is told to release it; NULL: none */
	bool ready; /* on the worker's ready list */
};

#endif
