// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "datagrams.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/addr_text.h"
#include "codec/udp_record.h"
#include "socket.h"

#ifndef SOL_UDP
#define SOL_UDP 17
#endif

enum {
	RECEIVE_BYTES = 4 * 1024 * 1024,
	CONTROL_BYTES = 128,
	LONGEST = 65535 - UDP_HEADER_BYTES, /* RFC 768 */
};

/* What is longer than the path takes. */
static int leave_in_fragments(int fd, int family)
{
	return family == AF_INET
		       ? socket_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
		       : socket_set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
}

/* Sockets that listen */

static int ask_for_addresses(int fd, int family)
{
	int err = family == AF_INET ? socket_set(fd, IPPROTO_IP, IP_RECVORIGDSTADDR, 1)
				    : socket_set(fd, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 1);

	if (err)
		return err;
	return family == AF_INET ? socket_set(fd, IPPROTO_IP, IP_RECVTOS, 1)
				 : socket_set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
}

/* Room for a burst; datagrams of one flow and length that came together are read together. */
static int take_bursts(int fd)
{
	int err = socket_set(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES);

	return err ? err : socket_set(fd, SOL_UDP, UDP_GRO, 1);
}

int datagram_listen(const struct plait_addr *loopback)
{
	int err, fd = socket_new(loopback->family, SOCK_DGRAM, 0);

	if (fd < 0)
		return fd;
	err = socket_be_transparent(fd, loopback->family);
	if (!err)
		err = ask_for_addresses(fd, loopback->family);
	if (!err)
		err = take_bursts(fd);
	if (!err)
		err = socket_bind(fd, loopback);
	return err ? socket_close_with(fd, err) : fd;
}

/* Sockets of one flow */

static int connect_to(int fd, const struct plait_addr *to)
{
	struct sockaddr_storage address;
	socklen_t len = addr_to_sockaddr(to, &address);

	return connect(fd, (struct sockaddr *)&address, len) ? -errno : 0;
}

/* What came between bind() and connect() may be from anybody. */
static void drain(int fd)
{
	uint8_t octet;

	for (unsigned int i = 0; i < DATAGRAMS_A_BATCH && recv(fd, &octet, 1, 0) >= 0; i++)
		;
}

static int bind_transparent(int fd, const struct plait_addr *from)
{
	int err = socket_be_transparent(fd, from->family);

	if (!err)
		err = socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	return err ? err : socket_bind(fd, from);
}

int datagram_dial(const struct plait_addr *from, const struct plait_addr *to, uint8_t dscp)
{
	int err, fd = socket_new(to->family, SOCK_DGRAM, 0);

	if (fd < 0)
		return fd;
	err = leave_in_fragments(fd, to->family);
	if (!err)
		err = take_bursts(fd);
	if (!err && dscp)
		err = socket_set_dscp(fd, dscp);
	if (!err && from)
		err = bind_transparent(fd, from);
	if (!err)
		err = connect_to(fd, to);
	if (err)
		return socket_close_with(fd, err);
	drain(fd);
	return fd;
}

static bool send_at_once(int fd, struct iovec *payloads, unsigned int count)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = {};
	struct msghdr message = {.msg_iov = payloads,
				 .msg_iovlen = count,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	uint16_t len = (uint16_t)payloads[0].iov_len;

	if (count < 2 || count * payloads[0].iov_len > LONGEST)
		return false;
	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(len));
	memcpy(CMSG_DATA(c), &len, sizeof(len));
	return sendmsg(fd, &message, MSG_NOSIGNAL) >= 0;
}

/* That a port is unreachable is told of what was sent before. */
static bool send_one(int fd, const struct iovec *payload)
{
	ssize_t n = send(fd, payload->iov_base, payload->iov_len, MSG_NOSIGNAL);

	if (n < 0 && errno == ECONNREFUSED)
		n = send(fd, payload->iov_base, payload->iov_len, MSG_NOSIGNAL);
	return n >= 0;
}

unsigned int datagrams_send_run(int fd, struct iovec *payloads, unsigned int count)
{
	unsigned int sent = 0;

	if (send_at_once(fd, payloads, count))
		return count;
	for (unsigned int i = 0; i < count; i++)
		sent += send_one(fd, &payloads[i]);
	return sent;
}

/* Receiving */

struct datagram_batch {
	struct datagram datagram[DATAGRAMS_A_BATCH];
	struct mmsghdr message[DATAGRAMS_A_BATCH];
	struct iovec vector[DATAGRAMS_A_BATCH];
	struct sockaddr_storage from[DATAGRAMS_A_BATCH];
	_Alignas(struct cmsghdr) uint8_t control[DATAGRAMS_A_BATCH][CONTROL_BYTES];
	uint8_t bytes[DATAGRAMS_A_BATCH][DATAGRAM_ROOM];
};

struct datagram_batch *datagram_batch_new(void)
{
	/* untouched pages cost nothing, and few datagrams are long */
	void *memory = mmap(NULL, sizeof(struct datagram_batch), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void datagram_batch_free(struct datagram_batch *batch)
{
	if (batch)
		munmap(batch, sizeof(*batch));
}

static void make_ready(struct datagram_batch *batch)
{
	for (unsigned int i = 0; i < DATAGRAMS_A_BATCH; i++) {
		batch->vector[i] = (struct iovec){batch->bytes[i], DATAGRAM_ROOM};
		batch->message[i].msg_hdr = (struct msghdr){.msg_name = &batch->from[i],
							    .msg_namelen = sizeof(batch->from[i]),
							    .msg_iov = &batch->vector[i],
							    .msg_iovlen = 1,
							    .msg_control = batch->control[i],
							    .msg_controllen = CONTROL_BYTES};
	}
}

static void read_control(struct msghdr *message, struct datagram *out)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_ORIGDSTADDR) ||
		    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_ORIGDSTADDR)) {
			struct sockaddr_storage to = {};

			memcpy(&to, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
			addr_from_sockaddr(&to, &out->to);
		} else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) ||
			   (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)) {
			out->dscp = *CMSG_DATA(c) >> 2; /* little-endian int, or an octet */
		} else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			int each;

			memcpy(&each, CMSG_DATA(c), sizeof(each));
			out->each = (size_t)each;
		}
	}
}

int datagrams_receive(int fd, struct datagram_batch *batch)
{
	int count;

	make_ready(batch);
	count = recvmmsg(fd, batch->message, DATAGRAMS_A_BATCH, 0, NULL);
	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		struct datagram *out = &batch->datagram[i];

		*out = (struct datagram){.bytes = batch->bytes[i],
					 .len = batch->message[i].msg_len,
					 .each = batch->message[i].msg_len};
		addr_from_sockaddr(&batch->from[i], &out->from);
		read_control(&batch->message[i].msg_hdr, out);
	}
	return count;
}

const struct datagram *datagram_of(const struct datagram_batch *batch, unsigned int index)
{
	return &batch->datagram[index];
}

/* Sending to hosts */

/* A raw socket would get a copy of every datagram of this machine's. */
static int be_deaf(int fd)
{
	struct sock_filter nothing = {.code = BPF_RET | BPF_K};
	struct sock_fprog filter = {.len = 1, .filter = &nothing};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) ? -errno : 0;
}

/* Bound where hardly anything is sent to, so that the filter has nothing to do. */
static int open_sender(const struct plait_addr *nowhere)
{
	int err, fd = socket_new(nowhere->family, SOCK_RAW, IPPROTO_UDP);

	if (fd < 0)
		return fd;
	err = be_deaf(fd);
	if (!err)
		err = socket_be_transparent(fd, nowhere->family);
	if (!err)
		err = leave_in_fragments(fd, nowhere->family);
	if (!err)
		err = socket_bind(fd, nowhere);
	return err ? socket_close_with(fd, err) : fd;
}

int datagram_sender_open(struct datagram_sender *sender)
{
	static const struct plait_addr v4 = {.ip = {127, 112, 255, 254}, .family = AF_INET};
	static const struct plait_addr v6 = {.ip = {[15] = 1}, .family = AF_INET6};

	sender->fd_v4 = open_sender(&v4);
	if (sender->fd_v4 < 0)
		return sender->fd_v4;
	sender->fd_v6 = open_sender(&v6);
	return sender->fd_v6 < 0 ? socket_close_with(sender->fd_v4, sender->fd_v6) : 0;
}

void datagram_sender_close(struct datagram_sender *sender)
{
	close(sender->fd_v4);
	close(sender->fd_v6);
}

static struct cmsghdr *add_control(struct msghdr *message, int level, int type, const void *value,
				   size_t len)
{
	struct cmsghdr *c =
		(struct cmsghdr *)((uint8_t *)message->msg_control + message->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), value, len);
	message->msg_controllen += CMSG_SPACE(len);
	return c;
}

static void add_source(struct msghdr *message, const struct plait_addr *from)
{
	struct in_pktinfo v4 = {};
	struct in6_pktinfo v6 = {};

	memcpy(&v4.ipi_spec_dst, from->ip, sizeof(v4.ipi_spec_dst));
	memcpy(&v6.ipi6_addr, from->ip, sizeof(v6.ipi6_addr));
	if (from->family == AF_INET)
		add_control(message, IPPROTO_IP, IP_PKTINFO, &v4, sizeof(v4));
	else
		add_control(message, IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof(v6));
}

static void add_dscp(struct msghdr *message, uint8_t family, uint8_t dscp)
{
	int value = dscp << 2;

	if (dscp && family == AF_INET)
		add_control(message, IPPROTO_IP, IP_TOS, &value, sizeof(value));
	else if (dscp)
		add_control(message, IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof(value));
}

int datagram_send(const struct datagram_sender *sender, const struct plait_addr *from,
		  const struct plait_addr *to, uint8_t dscp, const uint8_t *bytes, size_t len)
{
	_Alignas(struct cmsghdr) uint8_t control[CONTROL_BYTES] = {};
	uint8_t header[UDP_HEADER_BYTES];
	struct iovec vector[] = {{header, sizeof(header)}, {(void *)bytes, len}};
	struct plait_addr host = *to;
	struct sockaddr_storage address;
	struct msghdr message = {
		.msg_name = &address, .msg_iov = vector, .msg_iovlen = 2, .msg_control = control};

	if (len > LONGEST)
		return -EMSGSIZE;
	host.port = 0; /* a raw IPv6 socket takes the port for a protocol */
	message.msg_namelen = addr_to_sockaddr(&host, &address);
	udp_header_write(from, to, bytes, len, header);
	add_source(&message, from);
	add_dscp(&message, to->family, dscp);
	if (sendmsg(to->family == AF_INET ? sender->fd_v4 : sender->fd_v6, &message, 0) < 0)
		return -errno;
	return 0;
}
