/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What BPF_PROG_TEST_RUN cannot do: programs attached to the stage's interfaces,
 * frames put in at the far end of a veth pair, and the sockets they lead to.
 */
#ifndef PLAIT_TESTS_BPF_LIVE_H
#define PLAIT_TESTS_BPF_LIVE_H

#include <stdbool.h>

#include "stage.h"

enum live_hook { LIVE_INGRESS, LIVE_EGRESS };

enum { LIVE_WAIT_MS = 2000, LIVE_SOON_MS = 100 };

/* Attach by tcx, behind what is attached there already, until the test ends. */
void live_attach(const struct stage *stage, const char *program, const char *interface,
		 enum live_hook hook);
/* A program of our own that gives every packet arriving at interface a mark. */
void live_paint(const char *interface, uint32_t mark);

/* A packet socket at interface. mark: of what is sent there. */
int live_open(const char *interface, uint32_t mark);
void live_send(int fd, const struct packet *packet);
/* The next frame with TCP or a fragment of it that arrives there; false after wait_ms. */
bool live_receive(int fd, struct packet *out, int wait_ms);
/* Send, and wait for programs to count something. */
const char *live_run(struct stage *stage, int fd, const struct packet *packet);
const char *live_run_recipe(struct stage *stage, int fd, const struct recipe *recipe);
/* Wait for a count, at most a second. */
const char *live_counted(struct stage *stage);

/*
 * A count is seen a moment before the stack has done its part, so tests wait:
 * for something to read, accept or fail with; for a TCP state (TCP_ESTABLISHED ...).
 */
bool live_ready(int fd);
bool live_reaches(int fd, int state);

/* A TUN (IFF_TUN) or TAP (IFF_TAP) device that is up; its file descriptor. */
int live_tun(const char *name, short kind);
/* Read what the device sends, skipping what is no TCP over IPv4; false after wait_ms. */
bool live_tun_receive(int fd, struct packet *out, int wait_ms);
/* Put stage->held back on a TAP device as the agent does. */
void live_let_go(const struct stage *stage, int tap, unsigned int worker);

/* The routing rule that delivers marked packets here, as plaitd sets it. */
void live_deliver_marked(void);
/* Worker's listener for SYNs let go. */
int live_listener(int family, unsigned int worker);
/* Sees every IPv4 packet of a protocol that is delivered here, with its mark. */
int live_raw_socket(int protocol);
uint32_t live_mark_delivered(int raw);

/* An IPv4 connection between the recipe's own addresses, both ends here. */
struct pair {
	int client, server;
	uint32_t seq; /* of the client's SYN */
	uint32_t timestamp; /* TSval that the client has not reached yet */
};
struct pair live_connect_here(const struct recipe *recipe);

/*
 * A connection from an address that is not this machine's, on its way to a server
 * behind wan0: its SYN is sent, and at isp0 nobody has answered yet.
 */
struct foreign {
	struct stage *stage;
	int isp, socket;
	struct recipe down; /* the server's SYN+ACK */
	struct recipe up; /* the SYN that was sent */
};
/* A concentrator with ingress attached to wan0. */
struct foreign foreign_open(const struct recipe *up, const char *ingress);
/* Start to connect; and see the SYN. */
void foreign_start(struct foreign *foreign);
void foreign_connect(struct foreign *foreign);

/* A bonded connection in the making and made: the CPE's side, with a host played at host0. */
struct bonded {
	struct stage *stage;
	int host, tap, listener, accepted;
	struct recipe up; /* the host's next segment, ACK */
};

/* up: family, addresses and ports. lan_ingress is attached, nothing has been sent. */
struct bonded bonded_stage(struct stage *stage, const struct recipe *up);
/* From the host's SYN to accept(); the session entry stays. */
void bonded_establish(struct bonded *bonded);
/* The next segment of the host. */
const char *bonded_send(struct bonded *bonded, uint8_t flags, struct octets payload);

#endif
