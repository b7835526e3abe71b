// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "congestion.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "congestion.skel.h"

/* Newer than Debian 12's headers: a registration that ends with its link, 6.4. */
#define MAP_FLAG_LINK     (1U << 13)
#define ATTACH_STRUCT_OPS ((enum bpf_attach_type)44)

/* As it stands in the object; libbpf 1.1 cannot set a field of a struct_ops map. */
static const char placeholder[CONGESTION_NAME_BYTES] = "plait_congestio";

#define NAME_BEGINS "plait_"

enum {
	RANDOM_CHARS = 8, /* five bits each */
	NAMES_TRIED = 4,
};

_Static_assert(sizeof(NAME_BEGINS) + RANDOM_CHARS <= CONGESTION_NAME_BYTES,
	       "the kernel would cut it");

struct congestion {
	struct bpf_object *object;
	int link_fd;
	char elf[];
};

static int invent_name(char name[CONGESTION_NAME_BYTES])
{
	static const char letters[33] = "abcdefghijklmnopqrstuvwxyz234567";
	uint8_t random[RANDOM_CHARS];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -errno;
	memset(name, 0, CONGESTION_NAME_BYTES);
	strcpy(name, NAME_BEGINS);
	for (unsigned int i = 0; i < RANDOM_CHARS; i++)
		name[strlen(NAME_BEGINS) + i] = letters[random[i] % 32];
	return 0;
}

static int put_name(char *elf, size_t elf_bytes, const char name[CONGESTION_NAME_BYTES])
{
	char *at = memmem(elf, elf_bytes, placeholder, sizeof(placeholder));

	if (!at)
		return -ENOENT;
	memcpy(at, name, CONGESTION_NAME_BYTES);
	return 0;
}

/* libbpf 1.1 fills the map; registering it by a link it does not know. */
static int attach(struct congestion *congestion, struct bpf_map *map)
{
	struct bpf_link *filled = bpf_map__attach_struct_ops(map);
	int fd;

	if (!filled)
		return -errno;
	bpf_link__disconnect(filled);
	bpf_link__destroy(filled);
	fd = bpf_link_create(bpf_map__fd(map), 0, ATTACH_STRUCT_OPS, NULL);
	if (fd < 0)
		return -errno;
	congestion->link_fd = fd;
	return 0;
}

static int load(struct congestion *congestion, size_t elf_bytes)
{
	struct bpf_map *map;
	int err;

	congestion->object = bpf_object__open_mem(congestion->elf, elf_bytes, NULL);
	if (!congestion->object)
		return -errno;
	map = bpf_object__find_map_by_name(congestion->object, "congestion");
	err = map ? bpf_map__set_map_flags(map, MAP_FLAG_LINK) : -ENOENT;
	if (!err)
		err = bpf_object__load(congestion->object);
	return err ? err : attach(congestion, map);
}

static int open_as(struct congestion **out, const char name[CONGESTION_NAME_BYTES])
{
	size_t elf_bytes;
	const void *elf = plait_congestion__elf_bytes(&elf_bytes);
	struct congestion *congestion = calloc(1, sizeof(*congestion) + elf_bytes);
	int err;

	if (!congestion)
		return -ENOMEM;
	memcpy(congestion->elf, elf, elf_bytes);
	congestion->link_fd = -1;
	err = put_name(congestion->elf, elf_bytes, name);
	if (!err)
		err = load(congestion, elf_bytes);
	if (err) {
		congestion_close(congestion);
		return err;
	}
	*out = congestion;
	return 0;
}

int congestion_open(struct congestion **out, char name[CONGESTION_NAME_BYTES])
{
	char invented[CONGESTION_NAME_BYTES];
	int err = -EEXIST;

	for (unsigned int i = 0; err == -EEXIST && i < NAMES_TRIED; i++) {
		err = invent_name(invented);
		if (!err)
			err = open_as(out, invented);
	}
	if (!err)
		memcpy(name, invented, sizeof(invented));
	return err;
}

void congestion_close(struct congestion *congestion)
{
	if (!congestion)
		return;
	if (congestion->link_fd >= 0)
		close(congestion->link_fd);
	bpf_object__close(congestion->object);
	free(congestion);
}
