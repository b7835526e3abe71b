/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The Plain Mode (PM) option on the wire: plain-mode-08 §4.1, §4.2, §8. */
#ifndef PLAIT_PM_H
#define PLAIT_PM_H

enum {
	PLAIT_TCPOPT_EOL = 0,
	PLAIT_TCPOPT_NOP = 1,
	PLAIT_TCPOPT_TIMESTAMP = 8,
	PLAIT_TCPOPT_MPTCP = 30,

	PLAIT_MPTCP_MP_CAPABLE = 0x0,
	PLAIT_MPTCP_MP_JOIN = 0x1,
	PLAIT_MPTCP_PM = 0xe, /* early deployment value, §8 */

	PLAIT_PM_D = 0x08, /* in the low half of octet 2: original source */
	PLAIT_PM_U = 0x04, /* plain-mode-03 only: UDP as TCP-formatted packets */

	PLAIT_PM_LEN_V4 = 8,
	PLAIT_PM_LEN_V4_PORT = 10,
	PLAIT_PM_LEN_V6 = 20,
	PLAIT_PM_LEN_V6_PORT = 22,

	/* two IPv6 options with ports, and EOL */
	PLAIT_PREAMBLE_MAX = 2 * PLAIT_PM_LEN_V6_PORT + 1,
};

#endif
