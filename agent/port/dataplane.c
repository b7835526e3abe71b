// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "dataplane.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/log.h"

#define BPFFS    "/sys/fs/bpf"
#define PIN_ROOT BPFFS "/plait"

/* tcx attach types, newer than Debian 12's headers (enum bpf_attach_type). */
#define ATTACH_TCX_INGRESS ((enum bpf_attach_type)46)
#define ATTACH_TCX_EGRESS  ((enum bpf_attach_type)47)

#define BEFORE_ALL_OTHERS (1U << 3) /* BPF_F_BEFORE */

enum {
	LINKS_MAX = 4 * PLAIT_MAX_INTERFACES + 1,
	CPUS_MAX = 1024,
	KEY_BYTES_MAX = 64,
	VALUE_BYTES_MAX = 128
};

struct dataplane {
	struct bpf_object *object;
	struct bpf_object *more; /* dataplane_add(); NULL: not yet */
	struct bpf_object *in_stack; /* the same programs once more */
	char pin_dir[PATH_MAX / 4];
	int sessions_fd, lapsed_fd, answers_fd, packet_counters_fd;
	unsigned int workers;
	int ring_fd[PLAIT_MAX_WORKERS];
	struct plait_agent_counters *counters;
	size_t counters_bytes;
	unsigned int link_count;
	int link_fd[LINKS_MAX];
};

static int log_libbpf(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char line[400];

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(line, sizeof(line), format, arguments);
	line[strcspn(line, "\n")] = '\0';
	log_debug("%s", line);
	return 0;
}

static int mount_bpffs(void)
{
	struct statfs fs;

	if (!statfs(BPFFS, &fs) && fs.f_type == BPF_FS_MAGIC)
		return 0;
	return mount("bpf", BPFFS, "bpf", 0, "mode=0700") ? -errno : 0;
}

static int make_pin_dir(struct dataplane *dataplane, const char *name)
{
	int err = mount_bpffs();

	if (err)
		return err;
	if (mkdir(PIN_ROOT, 0700) && errno != EEXIST)
		return -errno;
	snprintf(dataplane->pin_dir, sizeof(dataplane->pin_dir), PIN_ROOT "/%s", name);
	if (mkdir(dataplane->pin_dir, 0700) && errno != EEXIST)
		return -errno;
	return 0;
}

/* Programs of one kind, in the driver or in the stack, call each other. */
static bool is_of_its_object(const char *name)
{
	return !strcmp(name, "datagram_asides");
}

static bool is_pinned_map(const struct bpf_map *map)
{
	const char *name = bpf_map__name(map);

	return bpf_map__type(map) != BPF_MAP_TYPE_RINGBUF && !strchr(name, '.') &&
	       !strstr(name, "scratch") && strcmp(name, "held_syns") &&
	       strcmp(name, "udp_sockets") && !is_of_its_object(name);
}

static void pin_path(const struct dataplane *dataplane, const char *map, char path[PATH_MAX / 2])
{
	snprintf(path, PATH_MAX / 2, "%s/%s", dataplane->pin_dir, map);
}

static void unpin_all(const struct dataplane *dataplane, const struct bpf_object *object)
{
	char path[PATH_MAX / 2];
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		if (!is_pinned_map(map))
			continue;
		pin_path(dataplane, bpf_map__name(map), path);
		unlink(path);
	}
}

/* What an earlier run counted is taken up; what it was configured to do is not. */
static bool is_kept(const char *name)
{
	return !strcmp(name, "sessions") || !strcmp(name, "lapsed_sessions") ||
	       !strcmp(name, "bindings") || !strcmp(name, "packet_counters") ||
	       !strcmp(name, "agent_counters") || !strcmp(name, "datagram_senders");
}

static bool fits(const char *path, const struct bpf_map *map)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	int fd = bpf_obj_get(path);
	bool same;

	if (fd < 0)
		return false;
	same = !bpf_obj_get_info_by_fd(fd, &info, &len) && info.type == bpf_map__type(map) &&
	       info.key_size == bpf_map__key_size(map) &&
	       info.value_size == bpf_map__value_size(map) &&
	       info.max_entries == bpf_map__max_entries(map) &&
	       info.map_flags == bpf_map__map_flags(map) &&
	       !strncmp(info.name, bpf_map__name(map), sizeof(info.name) - 1);
	close(fd);
	return same;
}

/*
 * What cannot be taken up goes: plaitd was upgraded or reconfigured, or it is not even a
 * map. Not a directory, which nobody makes there by mistake.
 */
static int make_room(const char *path, const struct bpf_map *map)
{
	bool kept = is_kept(bpf_map__name(map));
	int err;

	if (kept && fits(path, map))
		return 0;
	if (!unlink(path)) {
		if (kept)
			log_notice("map %s has another layout, replaced", path);
		return 0;
	}
	err = -errno;
	if (err == -ENOENT)
		return 0;
	log_error("%s is in the way of a map: %s", path, strerror(-err));
	return err;
}

static int choose_pin(const struct dataplane *dataplane, struct bpf_map *map)
{
	char path[PATH_MAX / 2];
	int err;

	if (!is_pinned_map(map))
		return 0;
	pin_path(dataplane, bpf_map__name(map), path);
	err = make_room(path, map);
	return err ? err : bpf_map__set_pin_path(map, path);
}

static int choose_pins(struct dataplane *dataplane)
{
	struct bpf_map *map;
	int err = 0;

	bpf_object__for_each_map(map, dataplane->object) {
		err = choose_pin(dataplane, map);
		if (err)
			break;
	}
	return err;
}

static int open_rings(struct dataplane *dataplane)
{
	int outer = bpf_object__find_map_fd_by_name(dataplane->object, "held_syns");

	for (__u32 i = 0; i < dataplane->workers; i++) {
		int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "held_syns_ring", 0, 0,
					PLAIT_RING_BYTES, NULL);

		if (fd < 0)
			return fd;
		dataplane->ring_fd[i] = fd;
		if (bpf_map_update_elem(outer, &i, &fd, BPF_ANY))
			return -errno;
	}
	return 0;
}

static int map_counters(struct dataplane *dataplane)
{
	int fd = bpf_object__find_map_fd_by_name(dataplane->object, "agent_counters");
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = sizeof(struct plait_agent_counters) * PLAIT_COUNTER_ROWS;
	void *memory;

	bytes = (bytes + page - 1) / page * page;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	dataplane->counters = memory;
	dataplane->counters_bytes = bytes;
	return 0;
}

static void clear(int fd, void *key)
{
	while (!bpf_map_get_next_key(fd, NULL, key) && !bpf_map_delete_elem(fd, key))
		;
}

static int set_sizes(const struct bpf_object *object, const struct dataplane_size *sizes)
{
	int err = 0;

	for (; !err && sizes->map; sizes++)
		err = bpf_map__set_max_entries(bpf_object__find_map_by_name(object, sizes->map),
					       sizes->entries);
	return err;
}

static int load(struct dataplane *dataplane, const struct dataplane_size *sizes)
{
	int err = set_sizes(dataplane->object, sizes);

	if (!err)
		err = choose_pins(dataplane);
	if (!err)
		err = bpf_object__load(dataplane->object);
	if (err)
		return err;
	dataplane->sessions_fd = bpf_object__find_map_fd_by_name(dataplane->object, "sessions");
	dataplane->lapsed_fd =
		bpf_object__find_map_fd_by_name(dataplane->object, "lapsed_sessions");
	dataplane->answers_fd = bpf_object__find_map_fd_by_name(dataplane->object, "answers");
	dataplane->packet_counters_fd =
		bpf_object__find_map_fd_by_name(dataplane->object, "packet_counters");
	err = open_rings(dataplane);
	return err ? err : map_counters(dataplane);
}

static int open_object(struct dataplane *dataplane, const void *elf, size_t elf_bytes,
		       const struct plait_settings *settings)
{
	struct bpf_map *rodata;

	dataplane->object = bpf_object__open_mem(elf, elf_bytes, NULL);
	if (!dataplane->object)
		return -errno;
	rodata = bpf_object__find_map_by_name(dataplane->object, ".rodata.settings");
	return rodata ? bpf_map__set_initial_value(rodata, settings, sizeof(*settings)) : -ENOENT;
}

int dataplane_open(struct dataplane **out, const void *elf, size_t elf_bytes,
		   const struct plait_settings *settings, const char *name,
		   const struct dataplane_size *sizes)
{
	struct dataplane *dataplane = calloc(1, sizeof(*dataplane));
	int err;

	if (!dataplane)
		return -ENOMEM;
	libbpf_set_print(log_libbpf);
	dataplane->workers = settings->workers;
	err = open_object(dataplane, elf, elf_bytes, settings);
	if (!err)
		err = make_pin_dir(dataplane, name);
	if (!err)
		err = load(dataplane, sizes);
	if (err) {
		dataplane_close(dataplane);
		return err;
	}
	*out = dataplane;
	return 0;
}

/* One that the object of an instance has, too, is that one. */
int dataplane_map_fd(const struct dataplane *dataplane, const char *map)
{
	int fd = bpf_object__find_map_fd_by_name(dataplane->object, map);

	return fd < 0 && dataplane->more ? bpf_object__find_map_fd_by_name(dataplane->more, map)
					 : fd;
}

static int share_maps(const struct dataplane *dataplane, struct bpf_object *more)
{
	struct bpf_map *map;
	int err = 0;

	bpf_object__for_each_map(map, more) {
		const char *name = bpf_map__name(map);
		int fd = is_of_its_object(name) ? -1 : dataplane_map_fd(dataplane, name);

		err = fd >= 0 ? bpf_map__reuse_fd(map, fd) : choose_pin(dataplane, map);
		if (err)
			break;
	}
	return err;
}

/*
 * In the driver a packet may come in pieces. In the stack it need not, and better does not:
 * for programs that can have it so, the stack makes packets with too little headroom anew,
 * and forgets the length of their MAC header, on which TC programs behind it rely (Linux
 * 6.18).
 */
static void take_packets_in_pieces(struct bpf_object *object)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, object) {
		bpf_program__set_flags(program, BPF_F_XDP_HAS_FRAGS);
	}
}

static int load_more(const struct dataplane *dataplane, struct bpf_object *more,
		     const struct dataplane_size *sizes)
{
	int err = set_sizes(more, sizes);

	if (!err)
		err = share_maps(dataplane, more);
	return err ? err : bpf_object__load(more);
}

int dataplane_add(struct dataplane *dataplane, const void *elf, size_t elf_bytes,
		  const struct dataplane_size *sizes)
{
	static const struct dataplane_size as_they_are;
	int err;

	dataplane->more = bpf_object__open_mem(elf, elf_bytes, NULL);
	if (!dataplane->more)
		return -errno;
	take_packets_in_pieces(dataplane->more);
	err = load_more(dataplane, dataplane->more, sizes);
	if (err)
		return err;
	dataplane->in_stack = bpf_object__open_mem(elf, elf_bytes, NULL);
	if (!dataplane->in_stack)
		return -errno;
	return load_more(dataplane, dataplane->in_stack, &as_they_are);
}

void dataplane_detach(struct dataplane *dataplane)
{
	while (dataplane && dataplane->link_count)
		close(dataplane->link_fd[--dataplane->link_count]);
}

void dataplane_close(struct dataplane *dataplane)
{
	if (!dataplane)
		return;
	dataplane_detach(dataplane);
	if (dataplane->counters)
		munmap(dataplane->counters, dataplane->counters_bytes);
	for (unsigned int i = 0; i < dataplane->workers; i++)
		if (dataplane->ring_fd[i] > 0)
			close(dataplane->ring_fd[i]);
	if (dataplane->pin_dir[0]) {
		unpin_all(dataplane, dataplane->object);
		if (dataplane->more)
			unpin_all(dataplane, dataplane->more);
		rmdir(dataplane->pin_dir);
		rmdir(PIN_ROOT); /* fails while another instance runs */
	}
	bpf_object__close(dataplane->in_stack);
	bpf_object__close(dataplane->more);
	bpf_object__close(dataplane->object);
	free(dataplane);
}

static const struct bpf_program *find_program(const struct dataplane *dataplane, const char *name)
{
	const struct bpf_program *found = bpf_object__find_program_by_name(dataplane->object, name);

	return found || !dataplane->more ? found
					 : bpf_object__find_program_by_name(dataplane->more, name);
}

int dataplane_attach_own(struct dataplane *dataplane, const char *program, unsigned int ifindex,
			 enum dataplane_hook hook)
{
	const struct bpf_link_create_opts options = {
		.sz = sizeof(options), .flags = hook == HOOK_INGRESS_FIRST ? BEFORE_ALL_OTHERS : 0};
	const struct bpf_program *found = find_program(dataplane, program);
	int fd;

	if (!found)
		return -ENOENT;
	fd = bpf_link_create(bpf_program__fd(found), (int)ifindex,
			     hook == HOOK_EGRESS ? ATTACH_TCX_EGRESS : ATTACH_TCX_INGRESS,
			     &options);
	return fd < 0 ? -errno : fd;
}

int dataplane_attach(struct dataplane *dataplane, const char *program, unsigned int ifindex,
		     enum dataplane_hook hook)
{
	int fd;

	if (dataplane->link_count == LINKS_MAX)
		return -ENOSPC;
	fd = dataplane_attach_own(dataplane, program, ifindex, hook);
	if (fd < 0)
		return fd;
	dataplane->link_fd[dataplane->link_count++] = fd;
	return 0;
}

int dataplane_attach_lookup(struct dataplane *dataplane, const char *program)
{
	struct bpf_program *found = bpf_object__find_program_by_name(dataplane->object, program);
	int fd, namespace = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (namespace < 0)
		return -errno;
	fd = bpf_link_create(bpf_program__fd(found), namespace, BPF_SK_LOOKUP, NULL);
	if (fd < 0)
		fd = -errno;
	else
		dataplane->link_fd[dataplane->link_count++] = fd;
	close(namespace);
	return fd < 0 ? fd : 0;
}

static int attach_xdp(const struct bpf_object *object, const char *program, unsigned int ifindex,
		      uint32_t mode)
{
	const struct bpf_program *found = bpf_object__find_program_by_name(object, program);
	const struct bpf_link_create_opts options = {.sz = sizeof(options), .flags = mode};
	int fd = -ENOENT;

	if (!found)
		return fd;
	fd = bpf_link_create(bpf_program__fd(found), (int)ifindex, BPF_XDP, &options);
	return fd < 0 ? -errno : fd;
}

int dataplane_attach_xdp(struct dataplane *dataplane, const char *program, unsigned int ifindex,
			 enum dataplane_xdp *mode)
{
	int fd = -EOPNOTSUPP;

	if (*mode != XDP_GENERIC)
		fd = attach_xdp(dataplane->more, program, ifindex, XDP_FLAGS_DRV_MODE);
	if (fd >= 0 || *mode == XDP_NATIVE || fd == -EBUSY) {
		*mode = XDP_NATIVE;
		return fd;
	}
	*mode = XDP_GENERIC;
	return attach_xdp(dataplane->in_stack, program, ifindex, XDP_FLAGS_SKB_MODE);
}

int dataplane_put(struct dataplane *dataplane, const char *map, const void *key, const void *value)
{
	int fd = dataplane_map_fd(dataplane, map);

	return bpf_map_update_elem(fd, key, value, BPF_ANY) ? -errno : 0;
}

void dataplane_remove(struct dataplane *dataplane, const char *map, const void *key)
{
	bpf_map_delete_elem(dataplane_map_fd(dataplane, map), key);
}

int dataplane_get(struct dataplane *dataplane, const char *map, const void *key, void *value)
{
	int fd = dataplane_map_fd(dataplane, map);

	return bpf_map_lookup_elem(fd, key, value) ? -errno : 0;
}

void dataplane_each(struct dataplane *dataplane, const char *map,
		    void (*each)(void *context, const void *key, const void *value), void *context)
{
	int fd = dataplane_map_fd(dataplane, map);
	char key[KEY_BYTES_MAX], next[KEY_BYTES_MAX] = {}, value[VALUE_BYTES_MAX];
	int end = bpf_map_get_next_key(fd, NULL, next);

	while (!end) {
		memcpy(key, next, sizeof(key));
		end = bpf_map_get_next_key(fd, key, next);
		if (!bpf_map_lookup_elem(fd, key, value))
			each(context, key, value);
	}
}

void dataplane_clear(struct dataplane *dataplane, const char *map, size_t key_bytes)
{
	char key[KEY_BYTES_MAX];

	if (key_bytes <= sizeof(key))
		clear(dataplane_map_fd(dataplane, map), key);
}

int dataplane_session_add(struct dataplane *dataplane, const struct plait_session_key *key,
			  uint32_t flags, uint32_t worker, uint64_t now_ns)
{
	struct plait_session_value value = {
		.created_ns = now_ns, .last_seen_ns = now_ns, .flags = flags, .worker = worker};

	return bpf_map_update_elem(dataplane->sessions_fd, key, &value, BPF_ANY) ? -errno : 0;
}

void dataplane_session_remove(struct dataplane *dataplane, const struct plait_session_key *key)
{
	bpf_map_delete_elem(dataplane->sessions_fd, key);
}

static bool lapse(struct dataplane *dataplane, const struct plait_session_key *key,
		  uint64_t until_ns)
{
	const struct plait_lapsed_value value = {.until_ns = until_ns};

	/* in this order: there is no moment without either */
	bpf_map_update_elem(dataplane->lapsed_fd, key, &value, BPF_ANY);
	return !bpf_map_delete_elem(dataplane->sessions_fd, key);
}

void dataplane_session_lapse(struct dataplane *dataplane, const struct plait_session_key *key,
			     uint64_t until_ns)
{
	lapse(dataplane, key, until_ns);
}

void dataplane_sessions_lapse(struct dataplane *dataplane, uint64_t until_ns)
{
	struct plait_session_key key;
	unsigned int lapsed = 0;

	while (!bpf_map_get_next_key(dataplane->sessions_fd, NULL, &key) &&
	       lapse(dataplane, &key, until_ns))
		lapsed++;
	if (lapsed)
		log_notice("%u sessions of an earlier run dropped", lapsed);
}

int dataplane_session_read(struct dataplane *dataplane, const struct plait_session_key *key,
			   struct plait_session_value *out)
{
	return bpf_map_lookup_elem(dataplane->sessions_fd, key, out) ? -errno : 0;
}

uint8_t dataplane_take_answer(struct dataplane *dataplane, const struct plait_session_key *key)
{
	uint8_t dscp = 0;

	if (!bpf_map_lookup_elem(dataplane->answers_fd, key, &dscp))
		bpf_map_delete_elem(dataplane->answers_fd, key);
	return dscp;
}

int dataplane_ring_fd(struct dataplane *dataplane, unsigned int worker)
{
	return dataplane->ring_fd[worker];
}

unsigned long long *dataplane_counters(struct dataplane *dataplane, unsigned int row)
{
	return dataplane->counters[row].count;
}

void dataplane_read_counters(struct dataplane *dataplane, uint64_t out[PLAIT_REASON_COUNT])
{
	uint64_t a_cpu[CPUS_MAX];
	int cpus = libbpf_num_possible_cpus();

	if (cpus < 0 || cpus > CPUS_MAX)
		cpus = 0;
	for (__u32 reason = 0; reason < PLAIT_REASON_COUNT; reason++) {
		out[reason] = 0;
		if (!bpf_map_lookup_elem(dataplane->packet_counters_fd, &reason, a_cpu))
			for (int cpu = 0; cpu < cpus; cpu++)
				out[reason] += a_cpu[cpu];
		for (unsigned int row = 0; row < PLAIT_COUNTER_ROWS; row++)
			out[reason] += dataplane->counters[row].count[reason];
	}
}
