// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "stage.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "concentrator.skel.h"
#include "cpe.skel.h"

enum { CPUS_MAX = 1024 };

static const char *const reason_names[] = {
#define X(id, name, text) #name,
	PLAIT_REASONS(X)
#undef X
};

static const char topology[] = "link set lo up\n"
			       "link add host0 type veth peer name lan0\n"
			       "link add isp0 type veth peer name wan0\n"
			       "link add host1 type veth peer name lan1\n"
			       "link set lan0 address 02:00:00:00:00:01\n"
			       "link set wan0 address 02:00:00:00:00:01\n";

/* nodad: addresses must work at once. Neighbours are fixed: nobody would answer for them. */
static const char addresses[] = "link set host0 up\nlink set host1 up\nlink set isp0 up\n"
				"link set lan0 up\nlink set lan1 up\nlink set wan0 up\n"
				"addr add 10.0.0.1/24 dev lan0\n"
				"addr add fd00:1::1/64 dev lan0 nodad\n"
				"addr add 10.1.0.1/24 dev lan1\n"
				"addr add fd00:2::1/64 dev lan1 nodad\n"
				"addr add 192.0.2.2/24 dev wan0\n"
				"addr add 2001:db8:1::2/64 dev wan0 nodad\n"
				"neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev lan0\n"
				"neigh add fd00:1::2 lladdr 02:00:00:00:00:02 dev lan0\n"
				"neigh add 192.0.2.1 lladdr 02:00:00:00:00:02 dev wan0\n"
				"neigh add 2001:db8:1::1 lladdr 02:00:00:00:00:02 dev wan0\n"
				"route add default via 192.0.2.1\n"
				"route add ::/0 via 2001:db8:1::1\n";

static void batch(const char *command, const char *lines)
{
	FILE *ip = popen(command, "w");

	cr_assert_not_null(ip);
	fputs(lines, ip);
	cr_assert_eq(pclose(ip), 0, "%s refused one of:\n%s", command, lines);
}

void stage_ip(const char *commands)
{
	batch("ip -batch -", commands);
}

void stage_ip6(const char *commands)
{
	batch("ip -6 -batch -", commands);
}

void stage_sysctl(const char *path, const char *value)
{
	char full[128];
	int fd;

	snprintf(full, sizeof(full), "/proc/sys/net/%s", path);
	fd = open(full, O_WRONLY);
	cr_assert_geq(fd, 0, "%s", full);
	cr_assert_eq(write(fd, value, strlen(value)), (ssize_t)strlen(value), "%s", full);
	close(fd);
}

uint32_t stage_ifindex(const char *name)
{
	uint32_t ifindex = if_nametoindex(name);

	cr_assert(ifindex, "no interface %s", name);
	return ifindex;
}

void stage_namespace(void)
{
	cr_assert_eq(unshare(CLONE_NEWNET), 0, "not root?");
	stage_ip(topology);
	/* no neighbour discovery among the frames that tests look at */
	stage_sysctl("ipv6/conf/host0/disable_ipv6", "1");
	stage_sysctl("ipv6/conf/host1/disable_ipv6", "1");
	stage_sysctl("ipv6/conf/isp0/disable_ipv6", "1");
	stage_ip(addresses);
	stage_sysctl("ipv4/ip_forward", "1");
	stage_sysctl("ipv6/conf/all/forwarding", "1");
	stage_sysctl("ipv4/conf/all/rp_filter", "0");
}

struct plait_settings stage_settings(void)
{
	struct plait_settings out = {.mark_base = MARK_BASE,
				     .workers = STAGE_WORKERS,
				     .hold = 1,
				     .join_v4 = packet_addr("127.112.0.1", 0),
				     .join_v6 = packet_addr("100::1", 0)};

	for (int worker = 0; worker < STAGE_WORKERS; worker++) {
		for (unsigned int side = 0; side < 2; side++) {
			out.listener_v4[2 * worker + side] = htons((uint16_t)(7100 + worker));
			out.listener_v6[2 * worker + side] = htons((uint16_t)(7200 + worker));
		}
	}
	return out;
}

static struct bpf_object *load(enum stage_role role, const struct plait_settings *settings)
{
	size_t bytes;
	const void *elf =
		role == CPE ? plait_cpe__elf_bytes(&bytes) : plait_concentrator__elf_bytes(&bytes);
	struct bpf_object *object = bpf_object__open_mem(elf, bytes, NULL);
	struct bpf_map *rodata;

	cr_assert_not_null(object);
	rodata = bpf_object__find_map_by_name(object, ".rodata.settings");
	cr_assert_not_null(rodata);
	cr_assert_eq(bpf_map__set_initial_value(rodata, settings, sizeof(*settings)), 0);
	cr_assert_eq(bpf_object__load(object), 0, "not root?");
	return object;
}

static void open_rings(struct stage *stage)
{
	for (uint32_t worker = 0; worker < STAGE_WORKERS; worker++) {
		int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, PLAIT_RING_BYTES, NULL);

		cr_assert_geq(fd, 0);
		stage->ring_fd[worker] = fd;
		stage_put(stage, "held_syns", &worker, &fd);
	}
}

struct stage *stage_open_with(enum stage_role role, const struct plait_settings *settings)
{
	static struct stage stage;

	stage = (struct stage){};
	stage_namespace();
	stage.object = load(role, settings);
	open_rings(&stage);
	if (role == CPE) {
		uint32_t lan[] = {stage_ifindex("lan0"), stage_ifindex("lan1")};

		stage_put(&stage, "lan_interfaces", &lan[0], &(uint8_t){1});
		stage_put(&stage, "lan_interfaces", &lan[1], &(uint8_t){1});
	} else {
		stage_allow(&stage, NULL, 0);
	}
	return &stage;
}

struct stage *stage_open(enum stage_role role)
{
	struct plait_settings settings = stage_settings();

	return stage_open_with(role, &settings);
}

int stage_map(const struct stage *stage, const char *map)
{
	int fd = bpf_object__find_map_fd_by_name(stage->object, map);

	cr_assert_geq(fd, 0, "no map %s", map);
	return fd;
}

void stage_put(const struct stage *stage, const char *map, const void *key, const void *value)
{
	cr_assert_eq(bpf_map_update_elem(stage_map(stage, map), key, value, BPF_ANY), 0, "%s", map);
}

void stage_put_addr(const struct stage *stage, const char *map, const char *text, uint16_t port)
{
	struct plait_addr key = packet_addr(text, port);

	stage_put(stage, map, &key, &(uint8_t){1});
}

void stage_put_binding(const struct stage *stage, const char *external, uint16_t port)
{
	struct plait_binding_key key = {.protocol = IPPROTO_TCP};
	struct plait_binding_value value = {.flags = PLAIT_BINDING_CONFIGURED};

	key.external.port = htons(port);
	if (external)
		key.external = packet_addr(external, port);
	stage_put(stage, "bindings", &key, &value);
}

static struct plait_prefix_key prefix_key(const char *text, unsigned int bits)
{
	struct plait_prefix_key key = {};
	struct plait_addr addr;

	if (!text)
		return key;
	addr = packet_addr(text, 0);
	key.bits = 8 + bits;
	key.family = addr.family;
	memcpy(key.ip, addr.ip, sizeof(key.ip));
	return key;
}

void stage_allow(const struct stage *stage, const char *text, unsigned int bits)
{
	struct plait_prefix_key key = prefix_key(text, bits);

	stage_put(stage, "allowed", &key, &(uint8_t){1});
}

void stage_disallow(const struct stage *stage, const char *text, unsigned int bits)
{
	struct plait_prefix_key key = prefix_key(text, bits);

	cr_assert_eq(bpf_map_delete_elem(stage_map(stage, "allowed"), &key), 0);
}

void stage_put_policy(const struct stage *stage, uint32_t index,
		      const struct plait_policy_rule *rule)
{
	stage_put(stage, "policy", &index, rule);
}

static struct plait_session_key session_key(const struct recipe *up)
{
	return (struct plait_session_key){.inside = packet_addr(up->from, up->from_port),
					  .remote = packet_addr(up->to, up->to_port),
					  .protocol = up->protocol ? up->protocol : IPPROTO_TCP};
}

void stage_add_session(const struct stage *stage, const struct recipe *up)
{
	struct plait_session_key key = session_key(up);

	stage_put(stage, "sessions", &key, &(struct plait_session_value){.created_ns = 1});
}

void stage_remove_session(const struct stage *stage, const struct recipe *up)
{
	struct plait_session_key key = session_key(up);

	cr_assert_eq(bpf_map_delete_elem(stage_map(stage, "sessions"), &key), 0);
}

struct plait_session_value stage_session(const struct stage *stage, const struct recipe *up)
{
	struct plait_session_key key = session_key(up);
	struct plait_session_value out;

	cr_assert_eq(bpf_map_lookup_elem(stage_map(stage, "sessions"), &key, &out), 0);
	return out;
}

static void read_counts(int fd, uint64_t out[PLAIT_REASON_COUNT])
{
	static uint64_t per_cpu[PLAIT_REASON_COUNT * CPUS_MAX];
	uint32_t keys[PLAIT_REASON_COUNT], end, count = PLAIT_REASON_COUNT;
	int cpus = libbpf_num_possible_cpus();
	int err = bpf_map_lookup_batch(fd, NULL, &end, keys, per_cpu, &count, NULL);

	cr_assert(!err || err == -ENOENT);
	cr_assert_eq(count, PLAIT_REASON_COUNT);
	for (int i = 0; i < (int)count; i++) {
		out[keys[i]] = 0;
		for (int cpu = 0; cpu < cpus; cpu++)
			out[keys[i]] += per_cpu[i * cpus + cpu];
	}
}

const char *stage_counted(struct stage *stage)
{
	uint64_t counts[PLAIT_REASON_COUNT];
	size_t used = 0;

	read_counts(stage_map(stage, "packet_counters"), counts);
	stage->text[0] = '\0';
	for (uint32_t reason = 0; reason < PLAIT_REASON_COUNT; reason++) {
		uint64_t more = counts[reason] - stage->seen[reason];
		char times[24] = "";

		stage->seen[reason] = counts[reason];
		if (more > 1)
			snprintf(times, sizeof(times), "*%llu", (unsigned long long)more);
		if (more && used < sizeof(stage->text))
			used += (size_t)snprintf(stage->text + used, sizeof(stage->text) - used,
						 "%s%s%s", used ? " " : "", reason_names[reason],
						 times);
	}
	return stage->text;
}

static const char *verdict_name(int verdict)
{
	switch (verdict) {
	case -1:
		return "next";
	case TC_ACT_OK:
		return "pass";
	case TC_ACT_SHOT:
		return "drop";
	case TC_ACT_REDIRECT:
		return "redirect";
	default:
		return "?";
	}
}

const char *stage_run(struct stage *stage, const char *program, const struct packet *packet,
		      struct stage_context context)
{
	const char *interface = context.interface ? context.interface : "lan0";
	struct __sk_buff in = {.ifindex = stage_ifindex(interface),
			       .mark = context.mark,
			       .gso_segs = context.gso_segs},
			 out = {};
	struct bpf_program *found = bpf_object__find_program_by_name(stage->object, program);
	static char answer[320];
	char mark[24] = "";

	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet->frame,
		    .data_size_in = (uint32_t)packet->bytes, .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .ctx_out = &out, .ctx_size_out = sizeof(out));
	cr_assert_not_null(found, "no program %s", program);
	cr_assert_eq(bpf_prog_test_run_opts(bpf_program__fd(found), &options), 0, "%s: %s", program,
		     strerror(errno));
	if (out.mark != in.mark)
		snprintf(mark, sizeof(mark), " mark %#x", out.mark);
	stage_counted(stage);
	snprintf(answer, sizeof(answer), "%s%s%s%s", verdict_name((int)options.retval), mark,
		 stage->text[0] ? " " : "", stage->text);
	return answer;
}

const char *stage_run_recipe(struct stage *stage, const char *program, const struct recipe *recipe)
{
	struct packet packet = packet_build(recipe);

	return stage_run(stage, program, &packet, (struct stage_context){});
}

struct taking {
	struct stage *stage;
	bool taken;
};

void stage_read_ring(int ring_fd, int (*take)(void *context, void *record, size_t bytes),
		     void *context)
{
	struct ring_buffer *ring = ring_buffer__new(ring_fd, take, context, NULL);

	cr_assert_not_null(ring);
	ring_buffer__consume(ring);
	ring_buffer__free(ring);
}

/* Not 0, so that the ring stops after one record. */
static int take(void *context, void *record, size_t bytes)
{
	struct taking *taking = context;

	cr_assert_leq(bytes, sizeof(taking->stage->held));
	memset(&taking->stage->held, 0xee, sizeof(taking->stage->held));
	memcpy(&taking->stage->held, record, bytes);
	cr_assert_eq(bytes,
		     offsetof(struct plait_held_syn, frame) + taking->stage->held.frame_bytes);
	taking->taken = true;
	return -EINTR;
}

bool stage_take_held(struct stage *stage)
{
	struct taking taking = {.stage = stage};

	for (unsigned int worker = 0; worker < STAGE_WORKERS && !taking.taken; worker++) {
		stage->held_worker = worker;
		stage_read_ring(stage->ring_fd[worker], take, &taking);
	}
	return taking.taken;
}
