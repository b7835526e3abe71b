/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Every reason a packet, a SYN or a connection is treated as it is, once.
 * BPF programs count in the per-CPU map "packet_counters", the agent's workers
 * in "agent_counters"; `plaitctl counters` adds the two up under these names.
 */
#ifndef PLAIT_REASONS_H
#define PLAIT_REASONS_H

/* clang-format off */
#define PLAIT_REASONS(X) \
	/* packets that are none of plait's business */ \
	X(DIRECT_OTHER, direct_other, "packets that are not TCP, or fragments: left to the kernel") \
	X(DIRECT_LOCAL, direct_local, "new connections to this machine itself, multicast or broadcast") \
	X(DIRECT_LAN, direct_lan, "new connections between LAN interfaces") \
	X(DIRECT_POLICY, direct_policy, "new connections a policy rule sends direct") \
	X(DIRECT_STATELESS, direct_stateless, "segments of connections that are not bonded") \
	X(DROP_POLICY, drop_policy, "new connections a policy rule drops") \
	X(DROP_MALFORMED, drop_malformed, "TCP segments whose headers do not fit the packet") \
	/* packets of bonded connections */ \
	X(STEERED, steered, "segments handed to the agent's sockets") \
	X(STEERED_CLOSING, steered_closing, "segments of connections whose session has ended") \
	X(STEERED_ERROR, steered_error, "ICMP errors handed to the agent's sockets") \
	X(STEER_FAILED, steer_failed, "segments of a session that has no socket, dropped") \
	X(STATELESS_RESET, stateless_reset, "segments of connections that are gone, handed to a listener for a RST") \
	X(STATELESS_LIMITED, stateless_limited, "the same, dropped: 100 RSTs a second are enough") \
	X(STATELESS_DROPPED, stateless_dropped, "the same, dropped: RSTs, no ACK, or a source that must not be answered") \
	X(SYN_UNSOLICITED, syn_unsolicited, "SYNs from the internet to an address of a pool, dropped") \
	X(JOIN_STEERED, join_steered, "further subflows of connections from the internet, handed to their listener") \
	X(SYN_HELD, syn_held, "SYNs held and handed to the agent") \
	X(SYN_HOLD_FAILED, syn_hold_failed, "SYNs dropped: ring buffer full or frame too long") \
	X(SYN_LET_GO, syn_let_go, "held SYNs let go") \
	X(TIME_WAIT_ENDED, time_wait_ended, "held SYNs whose addresses were taken over from TIME_WAIT") \
	X(LET_GO_FAILED, let_go_failed, "held SYNs that could not be let go; their sender tries again") \
	X(SYN_DUPLICATE, syn_duplicate, "copies of a SYN already held or answered") \
	X(SYN_MET_CONNECTION, syn_met_connection, "SYNs for addresses another connection still uses: its socket answers") \
	X(SYN_SENT_TWICE, syn_sent_twice, "SYNs and SYN+ACKs of MPTCP legs sent twice against loss") \
	X(SYN_BARE_DROPPED, syn_bare_dropped, "retransmitted SYNs without their payload, replaced by a new attempt") \
	X(SYN_WITHOUT_PAYLOAD, syn_without_payload, "SYNs with MP_CAPABLE but no payload: preamble expected on the stream") \
	/* refused at the door */ \
	X(PLAIN_TCP_REFUSED, plain_tcp_refused, "connections without MPTCP on the concentrator's port") \
	X(JOIN_WITH_PAYLOAD, join_with_payload, "SYNs with MP_JOIN and a payload, dropped (plain-mode-08 §4.2)") \
	X(UDP_STEERED, udp_steered, "datagrams of UDP sessions, or their fragments, given to the agent") \
	X(UDP_UNSOLICITED, udp_unsolicited, "datagrams to a pool that no session expects, dropped (plain-mode-08 §5.1.1)") \
	X(FRAGMENT_EARLY, fragment_early, "fragments kept until the first one of their datagram comes (plain-mode-08 §5.3.2)") \
	X(FRAGMENT_LET_GO, fragment_let_go, "the same, let go when it came; the others are dropped") \
	X(FRAGMENT_DROPPED, fragment_dropped, "fragments dropped: as their first one, too long to be kept, or more than are kept") \
	X(UDP_QUEUE_FULL, udp_queue_full, "datagrams dropped: those before them have waited for udp_queue") \
	X(UDP_SEND_FAILED, udp_send_failed, "datagrams the kernel would not send, such as too long ones") \
	X(UDP_RECORD_CUT, udp_record_cut, "UDP sessions whose leg ended within a datagram") \
	X(JOIN_NOT_ALLOWED, join_not_allowed, "own SYNs with MP_JOIN to an address a CPE announced that is outside customer.allow, dropped") \
	X(SOURCE_NOT_ALLOWED, source_not_allowed, "connections from outside customer.allow; CPE: to a binding, and not from a concentrator") \
	X(DRAINING, draining, "connections refused, and health checks dropped, because plaitd drains") \
	X(SYN_CHECKSUM, syn_checksum, "held SYNs with a wrong TCP checksum") \
	X(SYN_MALFORMED, syn_malformed, "held SYNs whose headers could not be read") \
	X(HOLD_FULL, hold_full, "SYNs dropped: as many are held as may be") \
	X(HOLD_EXPIRED, hold_expired, "held SYNs dropped after 0.8 s without an answer") \
	X(SESSIONS_FULL, sessions_full, "connections refused: session table full") \
	X(PM_MALFORMED, pm_malformed, "preambles that are no valid PM options and EOL") \
	X(PM_FORBIDDEN, pm_forbidden, "PM options with an address that must not be reached") \
	X(PM_OWN_ADDRESS, pm_own_address, "PM options with an address of this machine") \
	X(PM_PROTOCOL, pm_protocol, "PM options with a protocol that is not accepted") \
	X(SUBSCRIBER_SESSIONS, subscriber_sessions, "connections refused: the subscriber has as many as it may") \
	X(SUBSCRIBER_RATE, subscriber_rate, "connections refused: too many new ones of a subscriber in a second") \
	X(SUBSCRIBER_PORTS, subscriber_ports, "connections refused: the subscriber's external ports are in use") \
	X(POOL_EXHAUSTED, pool_exhausted, "connections refused: no external port is left in the pool, or on the subscriber's address") \
	X(SUBSCRIBER_OUTSIDE, subscriber_outside, "connections refused: all pools are deterministic, and the subscriber is inside of none") \
	X(NO_SOURCE, no_source, "connections refused: a prefix is translated, and the CPE does not say of whom") \
	X(BINDING_UNKNOWN, binding_unknown, "connections from the internet that no configured binding lets in") \
	X(BINDINGS_FULL, bindings_full, "connections refused: no room for another binding or subscriber") \
	X(PREAMBLE_TIMEOUT, preamble_timeout, "connections that did not finish their preamble in time") \
	X(HEALTH_CHECKS, health_checks, "connections closed before their first octet: CPEs that ask whether we answer") \
	X(PREAMBLE_CUT, preamble_cut, "connections that ended within their preamble") \
	X(ACCEPT_UNKNOWN, accept_unknown, "accepted connections nobody was waiting for") \
	/* datagram mode */ \
	X(DATAGRAM_SENT, datagram_sent, "UDP packets sent as TCP-formatted ones") \
	X(DATAGRAM_SENT_SUMMED, datagram_sent_summed, "the same, whose checksum had to be made from all octets") \
	X(DATAGRAM_RECEIVED, datagram_received, "TCP-formatted packets that became UDP again") \
	X(DATAGRAM_OUT_OF_TURN, datagram_out_of_turn, "the same, come before others of their binding: given to the agent, until their turn has come") \
	X(DATAGRAM_LATE, datagram_late, "the same, come when they were waited for no longer; they go on all the same") \
	X(DATAGRAM_UNORDERED, datagram_unordered, "the same, which could not be given to the agent: they go on before their turn") \
	X(DATAGRAM_DIRECT, datagram_direct, "UDP packets of hosts to where nothing is bonded") \
	X(DATAGRAM_NEW, datagram_new, "packets without a binding, left to the agent") \
	X(DATAGRAM_HELD, datagram_held, "first packets of bindings held and handed to the agent") \
	X(DATAGRAM_HOLD_FAILED, datagram_hold_failed, "the same, dropped: ring buffer full") \
	X(DATAGRAM_NO_PORT, datagram_no_port, "first packets dropped: no port of the links is left for a binding") \
	X(DATAGRAM_ERROR, datagram_error, "ICMP errors about datagrams, passed on to their sender") \
	X(DATAGRAM_NO_NEIGHBOUR, datagram_no_neighbour, "held packets dropped: no neighbour answered, or too many wait for one") \
	X(DATAGRAM_NO_PATH, datagram_no_path, "UDP packets left to the kernel or the agent: no link to send them over") \
	X(DATAGRAM_NO_NEXT_HOP, datagram_no_next_hop, "packets left to the agent: no next hop is known") \
	X(DATAGRAM_TOO_BIG, datagram_too_big, "packets left to the kernel or the agent: longer than the path's MTU") \
	X(DATAGRAM_MTU_TOLD, datagram_mtu_told, "packets longer than the path's MTU that may not be fragmented: dropped, their sender told by ICMP") \
	X(DATAGRAM_MTU_LIMITED, datagram_mtu_limited, "the same, dropped untold: 1,000 a second of a processor are enough") \
	X(DATAGRAM_CUT, datagram_cut, "UDP packets, or fragments, that are sent in two fragments of a TCP-formatted one") \
	X(DATAGRAM_FRAGMENT, datagram_fragment, "fragments left to the kernel: their datagrams are not bonded") \
	X(DATAGRAM_FRAGMENT_SENT, datagram_fragment_sent, "fragments behind the first of UDP datagrams, sent over a link") \
	X(DATAGRAM_FRAGMENT_RECEIVED, datagram_fragment_received, "the same from a link, become UDP again") \
	X(DATAGRAM_FRAGMENT_KEPT, datagram_fragment_kept, "fragments of TCP-formatted packets kept until all are there") \
	X(DATAGRAM_FRAGMENT_EARLY, datagram_fragment_early, "fragments that came before the first of their datagram, given to the agent to hold; last ones for which the driver has no room") \
	X(DATAGRAM_EARLY_DROPPED, datagram_early_dropped, "the same, dropped: the first did not come in time, or too many were held") \
	X(DATAGRAM_FRAGMENT_LIMIT, datagram_fragment_limit, "fragments dropped: cache, queue or a sender's share of them is full") \
	X(DATAGRAM_FRAGMENT_TINY, datagram_fragment_tiny, "first fragments without their whole header, dropped (RFC 1858, RFC 3128)") \
	X(DATAGRAM_FRAGMENT_OVERLAP, datagram_fragment_overlap, "fragments that overlap others, or go beyond the end, dropped (RFC 5722)") \
	X(DATAGRAM_FRAGMENT_REFUSED, datagram_fragment_refused, "fragments of datagrams of which one was refused, dropped") \
	X(DATAGRAM_FRAGMENT_EXPIRED, datagram_fragment_expired, "datagrams whose fragments did not all come within two seconds, when their place is taken again") \
	X(DATAGRAM_TTL_LEFT, datagram_ttl_left, "hosts' packets whose TTL ends here, left to the kernel for an ICMP error") \
	X(DATAGRAM_TTL, datagram_ttl, "other packets whose TTL ends here, dropped") \
	X(DATAGRAM_MALFORMED, datagram_malformed, "packets whose lengths or headers do not fit, dropped") \
	X(DATAGRAM_IP_OPTIONS, datagram_ip_options, "packets with IP options or extension headers, dropped") \
	X(DATAGRAM_IP_CHECKSUM, datagram_ip_checksum, "packets with a wrong IPv4 header checksum, dropped") \
	X(DATAGRAM_NO_CHECKSUM, datagram_no_checksum, "UDP packets over IPv6 without a checksum, dropped") \
	X(DATAGRAM_NO_OPTION, datagram_no_option, "TCP packets without a PM option to a binding or datagram port, dropped") \
	X(DATAGRAM_NOT_UDP, datagram_not_udp, "TCP packets with a PM option without U to a binding or datagram port, dropped") \
	X(DATAGRAM_OPTION, datagram_option, "TCP-formatted packets with a wrong PM option or wrong flags, dropped") \
	X(DATAGRAM_FORBIDDEN, datagram_forbidden, "packets from or to an address that must not be reached, dropped") \
	X(DATAGRAM_FILTERED, datagram_filtered, "UDP packets from remotes that the binding has not sent to, dropped (RFC 4787 §5)") \
	X(DATAGRAM_SOURCE, datagram_source, "TCP-formatted packets from no subscriber, or no concentrator, dropped") \
	X(DATAGRAM_UNKNOWN, datagram_unknown, "TCP-formatted packets to a port of a link that has no binding, dropped") \
	X(DATAGRAM_FAILED, datagram_failed, "packets that could not be made longer or shorter, dropped") \
	/* what became of connections */ \
	X(DIAL_REFUSED, dial_refused, "connections refused by the far side") \
	X(DIAL_UNREACHABLE, dial_unreachable, "destinations that were unreachable") \
	X(DIAL_TIMEOUT, dial_timeout, "destinations that never answered") \
	X(DIAL_FAILED, dial_failed, "connections that could not be opened for a local reason") \
	X(DIAL_AGAIN, dial_again, "MPTCP connections tried once more after a lost SYN") \
	X(ADOPTED, adopted, "new attempts that took over a destination already dialled") \
	X(ESTABLISHED, established, "connections relayed") \
	X(FALLBACK_TCP, fallback_tcp, "connections whose MPTCP leg fell back to plain TCP") \
	X(JOINED, joined, "further subflows asked for") \
	X(SUBFLOW_LEFT, subflow_left, "subflows ended because their link is not to be used") \
	X(JOIN_FAILED, join_failed, "further subflows the kernel refused") \
	X(CLOSED, closed, "connections closed by both sides") \
	X(RESET_BY_INSIDE, reset_by_inside, "connections reset from the plain TCP side, passed on as MP_FASTCLOSE") \
	X(RESET_BY_LEG, reset_by_leg, "connections reset on the MPTCP leg, passed on as RST") \
	X(EXPIRED, expired, "connections ended because they were idle too long") \
	X(CLOSED_BY_OPERATOR, closed_by_operator, "connections ended by plaitctl close: RST and MP_FASTCLOSE") \
	X(PIPES_EXHAUSTED, pipes_exhausted, "times a relay had to wait for a pipe") \
	X(BINDING_LOG_DROPPED, binding_log_dropped, "records of the binding log that could not be written")
/* clang-format on */

enum plait_reason {
#define X(id, name, text) PLAIT_##id,
	PLAIT_REASONS(X)
#undef X
		PLAIT_REASON_COUNT
};

/* One worker's counts, indexed by enum plait_reason. */
struct plait_agent_counters {
	unsigned long long count[PLAIT_REASON_COUNT];
};

#endif
