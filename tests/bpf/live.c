// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "live.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_RCVMARK
#define SO_RCVMARK 75
#endif

/* enum bpf_attach_type's BPF_TCX_INGRESS and _EGRESS, missing in older headers. */
enum { TCX_INGRESS = 46, TCX_EGRESS = 47 };

static void attach_fd(int program_fd, const char *interface, enum live_hook hook)
{
	int type = hook == LIVE_INGRESS ? TCX_INGRESS : TCX_EGRESS;
	int fd = bpf_link_create(program_fd, (int)stage_ifindex(interface),
				 (enum bpf_attach_type)type, NULL);

	cr_assert_geq(fd, 0, "%s: %s", interface, strerror(errno));
}

void live_attach(const struct stage *stage, const char *program, const char *interface,
		 enum live_hook hook)
{
	struct bpf_program *found = bpf_object__find_program_by_name(stage->object, program);

	cr_assert_not_null(found, "no program %s", program);
	attach_fd(bpf_program__fd(found), interface, hook);
}

void live_paint(const char *interface, uint32_t mark)
{
	const struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = (int)mark},
		{.code = BPF_STX | BPF_MEM | BPF_W,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_REG_2,
		 .off = offsetof(struct __sk_buff, mark)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = -1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "paint", "GPL", program,
			       sizeof(program) / sizeof(program[0]), NULL);

	cr_assert_geq(fd, 0);
	attach_fd(fd, interface, LIVE_INGRESS);
}

int live_open(const char *interface, uint32_t mark)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)stage_ifindex(interface)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
	int on = 1;

	cr_assert_geq(fd, 0);
	cr_assert_eq(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

void live_send(int fd, const struct packet *packet)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET};
	socklen_t len = sizeof(to);
	ssize_t sent;

	/* the protocol must be the frame's own: programs at egress go by it */
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&to, &len), 0);
	memcpy(&to.sll_protocol, packet->frame + 12, 2);
	sent = sendto(fd, packet->frame, packet->bytes, 0, (struct sockaddr *)&to, sizeof(to));
	/* a program at egress that drops a packet makes ENOBUFS of it */
	cr_assert(sent == (ssize_t)packet->bytes || errno == ENOBUFS, "%s", strerror(errno));
}

/* Or a fragment of it. */
static bool is_tcp(const uint8_t *frame, ssize_t bytes)
{
	const uint8_t *next = frame + ETH_HLEN + 6;

	if (bytes < ETH_HLEN + 20)
		return false;
	if (frame[12] == 0x08 && frame[13] == 0x00)
		return frame[ETH_HLEN + 9] == IPPROTO_TCP;
	if (*next == IPPROTO_FRAGMENT)
		next = frame + ETH_HLEN + 40;
	return frame[12] == 0x86 && frame[13] == 0xdd && *next == IPPROTO_TCP;
}

bool live_receive(int fd, struct packet *out, int wait_ms)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};

	while (poll(&readable, 1, wait_ms) == 1) {
		ssize_t bytes = read(fd, out->frame, sizeof(out->frame));

		if (!is_tcp(out->frame, bytes))
			continue;
		out->bytes = (size_t)bytes;
		return true;
	}
	return false;
}

const char *live_counted(struct stage *stage)
{
	const struct timespec millisecond = {.tv_nsec = 1000000};

	for (int i = 0; i < LIVE_WAIT_MS && !*stage_counted(stage); i++)
		nanosleep(&millisecond, NULL);
	return stage->text;
}

const char *live_run(struct stage *stage, int fd, const struct packet *packet)
{
	live_send(fd, packet);
	return live_counted(stage);
}

const char *live_run_recipe(struct stage *stage, int fd, const struct recipe *recipe)
{
	struct packet packet = packet_build(recipe);

	return live_run(stage, fd, &packet);
}

bool live_ready(int fd)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};

	return poll(&readable, 1, LIVE_WAIT_MS) == 1;
}

bool live_reaches(int fd, int state)
{
	const struct timespec millisecond = {.tv_nsec = 1000000};

	for (int i = 0; i < LIVE_WAIT_MS; i++) {
		struct tcp_info tcp;
		socklen_t len = sizeof(tcp);

		cr_assert_eq(getsockopt(fd, SOL_TCP, TCP_INFO, &tcp, &len), 0);
		if (tcp.tcpi_state == state)
			return true;
		nanosleep(&millisecond, NULL);
	}
	return false;
}

int live_tun(const char *name, short kind)
{
	struct ifreq request = {.ifr_flags = (short)(kind | IFF_NO_PI)};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	char line[96];

	cr_assert_geq(fd, 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	cr_assert_eq(ioctl(fd, TUNSETIFF, &request), 0);
	snprintf(line, sizeof(line), "ipv6/conf/%s/disable_ipv6", name);
	stage_sysctl(line, "1");
	snprintf(line, sizeof(line), "link set %s up arp off\n", name);
	stage_ip(line);
	return fd;
}

bool live_tun_receive(int fd, struct packet *out, int wait_ms)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};

	while (poll(&readable, 1, wait_ms) == 1) {
		ssize_t bytes = read(fd, out->frame, sizeof(out->frame));

		if (bytes < 20 || out->frame[0] >> 4 != 4 || out->frame[9] != IPPROTO_TCP)
			continue;
		out->bytes = (size_t)bytes;
		return true;
	}
	return false;
}

void live_let_go(const struct stage *stage, int tap, unsigned int worker)
{
	struct plait_let_go tag = {.locally_administered = 2,
				   .listener = (__u8)(2 * worker),
				   .ifindex = htonl(stage->held.ifindex)};
	struct packet packet = {.bytes = stage->held.frame_bytes};

	memcpy(packet.frame, stage->held.frame, packet.bytes);
	memcpy(packet.frame + ETH_ALEN, &tag, sizeof(tag));
	cr_assert_eq(write(tap, packet.frame, packet.bytes), (ssize_t)packet.bytes);
}

void live_deliver_marked(void)
{
	static const char delivery[] = "rule add fwmark 0x7000 lookup 100\n"
				       "route add local default dev lo table 100\n";

	stage_ip(delivery);
	stage_ip6(delivery);
}

int live_listener(int family, unsigned int worker)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)(7100 + worker)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
				  .sin6_port = htons((uint16_t)(7200 + worker)),
				  .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1, err;

	cr_assert_eq(setsockopt(fd, SOL_IP, IP_TRANSPARENT, &on, sizeof(on)), 0);
	if (family == AF_INET)
		err = bind(fd, (struct sockaddr *)&v4, sizeof(v4));
	else
		err = bind(fd, (struct sockaddr *)&v6, sizeof(v6));
	cr_assert_eq(err, 0, "%s", strerror(errno));
	cr_assert_eq(listen(fd, 8), 0);
	return fd;
}

int live_raw_socket(int protocol)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, protocol), on = 1;

	cr_assert_geq(fd, 0);
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVMARK, &on, sizeof(on)), 0);
	return fd;
}

uint32_t live_mark_delivered(int raw)
{
	char packet[2048], control[64];
	struct iovec iov = {packet, sizeof(packet)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	uint32_t mark;

	cr_assert(live_ready(raw), "nothing was delivered");
	cr_assert_gt(recvmsg(raw, &message, 0), 0);
	cr_assert_not_null(CMSG_FIRSTHDR(&message));
	memcpy(&mark, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(mark));
	return mark;
}

static struct sockaddr_in here(const char *text, uint16_t port)
{
	struct sockaddr_in out = {.sin_family = AF_INET, .sin_port = htons(port)};
	char line[64];

	cr_assert_eq(inet_pton(AF_INET, text, &out.sin_addr), 1);
	snprintf(line, sizeof(line), "addr add %s/32 dev lo\n", text);
	stage_ip(line);
	return out;
}

/* By TCP_REPAIR: what the receiver expects next; nothing was sent but the SYN. */
static uint32_t syn_seq(int server)
{
	int on = 1, off = -1 /* without a window probe */, queue = 1 /* TCP_RECV_QUEUE */;
	socklen_t len = sizeof(uint32_t);
	uint32_t next = 0;

	cr_assert_eq(setsockopt(server, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)), 0);
	cr_assert_eq(setsockopt(server, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)), 0);
	cr_assert_eq(getsockopt(server, IPPROTO_TCP, TCP_QUEUE_SEQ, &next, &len), 0);
	cr_assert_eq(setsockopt(server, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)), 0);
	return next - 1;
}

static uint32_t next_timestamp(int fd)
{
	socklen_t len = sizeof(uint32_t);
	uint32_t now = 0;

	cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_TIMESTAMP, &now, &len), 0);
	return now + 60000; /* it counts milliseconds */
}

struct pair live_connect_here(const struct recipe *recipe)
{
	struct sockaddr_in from = here(recipe->from, recipe->from_port);
	struct sockaddr_in at = here(recipe->to, recipe->to_port);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	struct pair out = {.client = socket(AF_INET, SOCK_STREAM, 0)};

	cr_assert_eq(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(bind(out.client, (struct sockaddr *)&from, sizeof(from)), 0);
	cr_assert_eq(connect(out.client, (struct sockaddr *)&at, sizeof(at)), 0);
	out.server = accept(listener, NULL, NULL);
	cr_assert_geq(out.server, 0);
	out.seq = syn_seq(out.server);
	out.timestamp = next_timestamp(out.client);
	return out;
}

static socklen_t sockaddr_of(const char *text, uint16_t port, struct sockaddr_storage *out)
{
	struct plait_addr addr = packet_addr(text, port);
	struct sockaddr_in *v4 = (void *)out;
	struct sockaddr_in6 *v6 = (void *)out;

	memset(out, 0, sizeof(*out));
	out->ss_family = addr.family;
	v4->sin_port = addr.port;
	if (addr.family == AF_INET6) {
		memcpy(&v6->sin6_addr, addr.ip, 16);
		return sizeof(*v6);
	}
	memcpy(&v4->sin_addr, addr.ip, 4);
	return sizeof(*v4);
}

struct foreign foreign_open(const struct recipe *up, const char *ingress)
{
	struct foreign out = {.stage = stage_open(CONCENTRATOR), .up = *up};

	live_deliver_marked();
	live_attach(out.stage, ingress, "wan0", LIVE_INGRESS);
	out.isp = live_open("isp0", 0);
	out.down = (struct recipe){.from = up->to,
				   .from_port = up->to_port,
				   .to = up->from,
				   .to_port = up->from_port,
				   .flags = SYN | ACK,
				   .seq = 9000};
	return out;
}

void foreign_start(struct foreign *foreign)
{
	const struct recipe *up = &foreign->up;
	struct sockaddr_storage addr;
	socklen_t len;
	int on = 1;

	len = sockaddr_of(up->from, up->from_port, &addr);
	foreign->socket = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	cr_assert_eq(setsockopt(foreign->socket, SOL_IP, IP_TRANSPARENT, &on, sizeof(on)), 0);
	cr_assert_eq(bind(foreign->socket, (struct sockaddr *)&addr, len), 0);
	len = sockaddr_of(up->to, up->to_port, &addr);
	cr_assert_eq(connect(foreign->socket, (struct sockaddr *)&addr, len), -1);
	cr_assert_eq(errno, EINPROGRESS);
}

void foreign_connect(struct foreign *foreign)
{
	struct packet syn;

	foreign_start(foreign);
	cr_assert(live_receive(foreign->isp, &syn, LIVE_WAIT_MS));
	memcpy(&foreign->up.seq, syn.frame + packet_l4_offset(&foreign->up) + 4, 4);
	foreign->up.seq = ntohl(foreign->up.seq);
	foreign->up.flags = SYN;
	foreign->down.ack = foreign->up.seq + 1;
}

struct bonded bonded_stage(struct stage *stage, const struct recipe *up)
{
	struct bonded out = {.stage = stage, .up = *up, .accepted = -1};

	out.tap = live_tun("tap0", IFF_TAP);
	live_deliver_marked();
	live_attach(stage, "let_go", "tap0", LIVE_INGRESS);
	live_attach(stage, "lan_ingress", "lan0", LIVE_INGRESS);
	out.listener = live_listener(strchr(up->from, ':') ? AF_INET6 : AF_INET, 0);
	out.host = live_open("host0", 0);
	return out;
}

/* What the host knows from the other side's SYN+ACK. */
static void take_syn_ack(struct bonded *bonded)
{
	size_t l4 = packet_l4_offset(&bonded->up);
	struct packet answer;
	uint32_t seq;

	cr_assert(live_receive(bonded->host, &answer, LIVE_WAIT_MS), "no SYN+ACK");
	cr_assert_eq(answer.frame[l4 + 13], SYN | ACK);
	memcpy(&seq, answer.frame + l4 + 4, sizeof(seq));
	bonded->up.ack = ntohl(seq) + 1;
	bonded->up.seq++;
}

void bonded_establish(struct bonded *bonded)
{
	bonded->up.flags = SYN;
	cr_assert_str_eq(live_run_recipe(bonded->stage, bonded->host, &bonded->up), "syn_held");
	cr_assert(stage_take_held(bonded->stage));
	stage_add_session(bonded->stage, &bonded->up);
	live_let_go(bonded->stage, bonded->tap, 0);
	cr_assert_str_eq(live_counted(bonded->stage), "syn_let_go");
	take_syn_ack(bonded);
	cr_assert_str_eq(bonded_send(bonded, ACK, (struct octets){}), "steered");
	cr_assert(live_ready(bonded->listener), "nothing to accept");
	bonded->accepted = accept4(bonded->listener, NULL, NULL, SOCK_NONBLOCK);
	cr_assert_geq(bonded->accepted, 0);
}

const char *bonded_send(struct bonded *bonded, uint8_t flags, struct octets payload)
{
	const char *counted;

	bonded->up.flags = flags;
	bonded->up.payload = payload;
	counted = live_run_recipe(bonded->stage, bonded->host, &bonded->up);
	bonded->up.seq += (uint32_t)payload.count + !!(flags & FIN);
	bonded->up.payload = (struct octets){};
	return counted;
}
