// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "mptcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <string.h>
#include <linux/mptcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr_text.h"

#ifndef SOL_MPTCP
#define SOL_MPTCP 284
#endif

/* struct mptcp_full_info of Linux 6.5, which Debian 12's headers lack. */
enum { SOCKOPT_FULL_INFO = 4, SUBFLOWS_MAX = 9, FIRST_SUBFLOW = 1 };

/* tcpi_state; later ones are on their way out, and the kernel keeps the first subflow. */
enum { STATE_ESTABLISHED = 1, STATE_SYN_SENT, STATE_SYN_RECV };

/* A join has four segments: SYN, SYN+ACK, ACK, ACK (RFC 8684 §3.2); the last one counts here. */
enum { SYNACK = 1 };

struct full_subflow {
	uint32_t id;
	struct mptcp_subflow_addrs addrs;
};

struct full_info {
	uint32_t size_tcpinfo_kernel, size_tcpinfo_user;
	uint32_t size_sfinfo_kernel, size_sfinfo_user;
	uint32_t num_subflows;
	uint32_t size_arrays_user;
	uint64_t __attribute__((aligned(8))) subflow_info;
	uint64_t __attribute__((aligned(8))) tcp_info;
	struct mptcp_info mptcp_info;
};

uint32_t mptcp_token(int fd)
{
	struct mptcp_info info = {};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_MPTCP, MPTCP_INFO, &info, &len))
		return 0;
	return info.mptcpi_token;
}

bool mptcp_is_confirmed(int fd)
{
	struct mptcp_info info = {};
	socklen_t len = sizeof(info);

	return getsockopt(fd, SOL_MPTCP, MPTCP_INFO, &info, &len) ||
	       info.mptcpi_flags & MPTCP_INFO_FLAG_REMOTE_KEY_RECEIVED;
}

static void fill(struct mptcp_subflow *out, const struct full_subflow *subflow,
		 const struct tcp_info *tcp)
{
	memset(out, 0, sizeof(*out));
	addr_from_sockaddr((const void *)&subflow->addrs.ss_local, &out->local);
	addr_from_sockaddr((const void *)&subflow->addrs.ss_remote, &out->remote);
	out->first = subflow->id == FIRST_SUBFLOW;
	out->established = tcp->tcpi_state == STATE_ESTABLISHED && tcp->tcpi_segs_in > SYNACK;
	out->rtt_us = tcp->tcpi_rtt;
	out->rtt_min_us = tcp->tcpi_min_rtt;
	out->sent_bytes = tcp->tcpi_bytes_acked;
	out->received_bytes = tcp->tcpi_bytes_received;
	out->retransmits = tcp->tcpi_total_retrans;
}

int mptcp_subflows(int fd, struct mptcp_subflow *out, unsigned int max)
{
	struct full_subflow subflows[SUBFLOWS_MAX] = {};
	struct tcp_info tcp[SUBFLOWS_MAX] = {};
	struct full_info info = {
		.size_tcpinfo_user = sizeof(tcp[0]),
		.size_sfinfo_user = sizeof(subflows[0]),
		.size_arrays_user = SUBFLOWS_MAX,
		.subflow_info = (uintptr_t)subflows,
		.tcp_info = (uintptr_t)tcp,
	};
	socklen_t len = sizeof(info);
	unsigned int count, open = 0;

	if (getsockopt(fd, SOL_MPTCP, SOCKOPT_FULL_INFO, &info, &len))
		return -errno;
	count = info.num_subflows < SUBFLOWS_MAX ? info.num_subflows : SUBFLOWS_MAX;
	for (unsigned int i = 0; i < count && open < max; i++)
		if (tcp[i].tcpi_state <= STATE_SYN_RECV)
			fill(&out[open++], &subflows[i], &tcp[i]);
	return (int)open;
}

void mptcp_push(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* it is on; setting it pushes */
}

void mptcp_fastclose(int fd)
{
	struct sockaddr unspecified = {.sa_family = AF_UNSPEC};

	(void)connect(fd, &unspecified, sizeof(unspecified)); /* works on every version */
	close(fd);
}
