// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "datagram_stage.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <string.h>

#include "datagram_concentrator.skel.h"
#include "datagram_cpe.skel.h"

struct world_link {
	const char *cpe, *concentrator;
	uint8_t macs[12];
};

static const struct world_link links[] = {
	{"192.0.2.2", "203.0.113.1", {2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 1, 2}},
	{"2001:db8:1::2", "2001:db8:c::1", {2, 0, 0, 0, 2, 1, 2, 0, 0, 0, 2, 2}},
};

const struct datagram_inner datagram_inners[2] = {
	{"10.0.0.2", "198.51.100.1", "198.51.100.77", 5000, 40001, 7001, 53},
	{"fd00:1::2", "2001:db8:e::1", "2001:db8:f::7", 5000, 40102, 7002, 53},
};

const char *const datagram_senders[2] = {"datagram_lan", "datagram_internet"};
const char *const datagram_receivers[2] = {"datagram_link", "datagram_customer"};
const uint8_t datagram_macs[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};

static struct stage stages[2];

static enum plait_filtering put_filtering; /* of bindings from here on */

static enum stage_role role_of(const struct stage *stage)
{
	return stage == &stages[CONCENTRATOR] ? CONCENTRATOR : CPE;
}

void datagram_put_set(const struct stage *stage, uint32_t index, const struct plait_path_set *set)
{
	stage_put(stage, "datagram_sets", &index, set);
}

void datagram_use_link(const struct stage *stage, uint8_t link)
{
	struct plait_path_set set = {.first = 0, .count = 2};

	memset(set.slot, link, sizeof(set.slot));
	datagram_put_set(stage, 0, &set);
}

struct plait_path datagram_path(const struct stage *stage, uint32_t index)
{
	struct plait_path out;

	cr_assert_eq(bpf_map_lookup_elem(stage_map(stage, "datagram_paths"), &index, &out), 0);
	return out;
}

void datagram_put_path(const struct stage *stage, uint32_t index, const struct plait_path *path)
{
	stage_put(stage, "datagram_paths", &index, path);
}

void datagram_put_mtu(const struct stage *stage, uint8_t link, uint16_t mtu)
{
	struct plait_path path = datagram_path(stage, link);

	path.mtu = mtu;
	datagram_put_path(stage, link, &path);
}

void datagram_put_fragmentation(const struct stage *stage, bool on)
{
	struct plait_datagram_settings settings = {.fragmentation = on};

	stage_put(stage, "datagram_settings", &(uint32_t){0}, &settings);
}

void datagram_put_filtering(const struct stage *stage, enum plait_filtering filtering,
			    uint64_t life_ns)
{
	struct plait_datagram_settings settings = {.contact_life_ns = life_ns};

	stage_put(stage, "datagram_settings", &(uint32_t){0}, &settings);
	put_filtering = filtering;
	for (int i = 0; i < 2; i++)
		datagram_put_binding(stage, &datagram_inners[i]);
}

void datagram_expect_packet(const struct packet *got, const struct packet *expected)
{
	cr_assert_eq(got->bytes, expected->bytes, "%zu octets, not %zu", got->bytes,
		     expected->bytes);
	for (size_t i = 0; i < got->bytes; i++)
		cr_assert_eq(got->frame[i], expected->frame[i], "octet %zu is %02x, not %02x", i,
			     got->frame[i], expected->frame[i]);
}

/* All places at once: there are many, and fuzz tests come here often. */
void datagram_make_fragments_old(const struct stage *stage)
{
	enum { AT_UNTIL = 8, BYTES_MAX = 512 };
	static uint8_t places[PLAIT_FRAGMENT_PLACES * BYTES_MAX];
	static uint32_t keys[PLAIT_FRAGMENT_PLACES];
	const uint64_t free = 0, long_ago = 1;
	const struct bpf_map *map =
		bpf_object__find_map_by_name(stage->object, "datagram_fragments");
	uint32_t end, count = PLAIT_FRAGMENT_PLACES, bytes = bpf_map__value_size(map);
	int fd = bpf_map__fd(map), err;

	cr_assert_leq(bytes, BYTES_MAX);
	err = bpf_map_lookup_batch(fd, NULL, &end, keys, places, &count, NULL);
	cr_assert(!err || err == -ENOENT);
	cr_assert_eq(count, PLAIT_FRAGMENT_PLACES);
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *until = places + (size_t)i * bytes + AT_UNTIL;

		if (!memcmp(until, &free, 8) || !memcmp(until, &long_ago, 8))
			continue;
		memcpy(until, &long_ago, 8);
		cr_assert_eq(bpf_map_update_elem(fd, &keys[i], until - AT_UNTIL, 0), 0);
	}
}

void datagram_forget_fragments(const struct stage *stage)
{
	enum { SHARES_MAX = 1024, BYTES = 16 };
	static const uint8_t zeros[SHARES_MAX * BYTES];
	static uint32_t keys[SHARES_MAX];
	const struct bpf_map *map =
		bpf_object__find_map_by_name(stage->object, "datagram_fragment_shares");
	uint32_t count = bpf_map__max_entries(map);

	datagram_make_fragments_old(stage);
	cr_assert_leq(count, SHARES_MAX);
	cr_assert_eq(bpf_map__value_size(map), BYTES);
	for (uint32_t i = 0; i < count; i++)
		keys[i] = i;
	cr_assert_eq(bpf_map_update_batch(bpf_map__fd(map), keys, zeros, &count, NULL), 0);
}

struct plait_path_traffic datagram_traffic(const struct stage *stage, uint32_t index)
{
	struct plait_path_traffic out;

	cr_assert_eq(bpf_map_lookup_elem(stage_map(stage, "datagram_traffic"), &index, &out), 0);
	return out;
}

struct plait_datagram_binding datagram_binding(const struct stage *stage, const char *map,
					       const char *address, uint16_t port)
{
	struct plait_addr key = {.port = htons(port)};
	struct plait_datagram_binding out;

	if (address)
		key = packet_addr(address, port);
	cr_assert_eq(bpf_map_lookup_elem(stage_map(stage, map), &key, &out), 0);
	return out;
}

void datagram_put_direct(const struct stage *stage, const char *text, unsigned int bits)
{
	struct plait_addr addr = packet_addr(text, 0);
	struct plait_direct_key key = {.bits = 32 + bits, .family = addr.family};

	memcpy(key.ip, addr.ip, sizeof(key.ip));
	stage_put(stage, "datagram_direct", &key, &(uint8_t){1});
}

static void allow(const struct stage *stage, const char *text, unsigned int bits)
{
	struct plait_addr addr = packet_addr(text, 0);
	struct plait_prefix_key key = {.bits = 8 + bits, .family = addr.family};

	memcpy(key.ip, addr.ip, sizeof(key.ip));
	stage_put(stage, "allowed", &key, &(uint8_t){1});
}

static void put_links(const struct stage *stage)
{
	bool cpe = role_of(stage) == CPE;

	for (uint32_t i = 0; i < 2; i++) {
		const struct world_link *link = &links[i];
		struct plait_path path = {.ifindex = stage_ifindex("wan0"), .mtu = PATH_MTU};
		struct plait_addr here = packet_addr(link->cpe, 0),
				  there = packet_addr(link->concentrator, DATAGRAM_PORT);

		path.local = cpe ? here : there;
		path.remote = cpe ? there : here;
		memcpy(path.macs, link->macs, sizeof(path.macs));
		datagram_put_path(stage, i, &path);
		stage_put(stage, "datagram_addresses", &path.local,
			  &(uint8_t){PLAIT_ADDRESS_EXISTS});
		path.local.port = 0; /* fragments have none */
		stage_put(stage, "datagram_addresses", &path.local,
			  &(uint8_t){PLAIT_ADDRESS_EXISTS});
	}
}

struct plait_addr datagram_inner_end(const struct stage *stage, const struct datagram_inner *inner)
{
	return role_of(stage) == CPE ? packet_addr(inner->host, inner->host_port)
				     : packet_addr(inner->external, inner->external_port);
}

void datagram_put_in_order(const struct stage *stage, uint32_t next)
{
	const struct plait_path_set set = {.count = 2, .per_packet = 1, .in_order = 1};
	const struct plait_datagram_settings settings = {.tap_ifindex = stage_ifindex("wan0")};
	const struct plait_datagram_order order = {.next = next, .kept_to = next};
	const struct plait_addr inner = datagram_inner_end(stage, &datagram_inners[0]);

	datagram_put_set(stage, 0, &set);
	stage_put(stage, "datagram_settings", &(uint32_t){0}, &settings);
	stage_put(stage, "datagram_order", &inner, &order);
}

void datagram_put_binding(const struct stage *stage, const struct datagram_inner *from)
{
	bool cpe = role_of(stage) == CPE;
	struct plait_datagram_binding binding = {.created_ns = 1,
						 .wan_port = htons(from->wan_port),
						 .filtering = (uint8_t)put_filtering};
	struct plait_addr receiver = {.port = binding.wan_port};

	binding.inner = datagram_inner_end(stage, from);
	stage_put(stage, "datagram_senders", &binding.inner, &binding);
	if (cpe) {
		stage_put(stage, "datagram_receivers", &receiver, &binding);
		return;
	}
	for (int i = 0; i < 2; i++) {
		receiver = packet_addr(links[i].cpe, from->wan_port);
		stage_put(stage, "datagram_receivers", &receiver, &binding);
	}
}

static struct bpf_object *load(enum stage_role role)
{
	size_t bytes;
	const void *elf = role == CPE ? plait_datagram_cpe__elf_bytes(&bytes)
				      : plait_datagram_concentrator__elf_bytes(&bytes);
	struct bpf_object *object = bpf_object__open_mem(elf, bytes, NULL);
	struct bpf_program *program;

	cr_assert_not_null(object);
	bpf_object__for_each_program(program, object)
		bpf_program__set_flags(program,
				       BPF_F_XDP_HAS_FRAGS); /* as the agent's in drivers */
	cr_assert_eq(bpf_object__load(object), 0, "not root?");
	return object;
}

/* Test runs arrive at wan0. */
static void put_router(const struct stage *stage)
{
	const struct plait_router router = {packet_addr(ROUTER_V4, 0), packet_addr(ROUTER_V6, 0)};
	uint32_t at = stage_ifindex("wan0");

	stage_put(stage, "datagram_routers", &at, &router);
}

struct stage *datagram_open(enum stage_role role)
{
	struct stage *stage = &stages[role];
	uint32_t out;

	if (!stages[CPE].object && !stages[CONCENTRATOR].object)
		stage_namespace();
	*stage = (struct stage){.object = load(role)};
	put_links(stage);
	put_router(stage);
	for (int i = 0; i < 2; i++)
		datagram_put_binding(stage, &datagram_inners[i]);
	datagram_use_link(stage, LINK_V4);
	out = stage_ifindex(role == CPE ? "lan0" : "wan0");
	stage_put(stage, "datagram_interfaces", &out, &(uint8_t){1});
	if (role == CONCENTRATOR) {
		allow(stage, "192.0.2.0", 24);
		allow(stage, "2001:db8:1::", 48);
	}
	return stage;
}

static const char *verdict_name(uint32_t verdict)
{
	static const char *const names[] = {"aborted", "drop", "pass", "tx", "redirect"};

	return verdict < sizeof(names) / sizeof(names[0]) ? names[verdict] : "?";
}

/* Before the frame, so many octets of metadata. */
static uint32_t run(const struct stage *stage, const char *program, const struct packet *packet,
		    uint32_t metadata, struct packet *out)
{
	static uint8_t whole[sizeof(packet->frame) + 256];
	static uint32_t ingress;
	struct bpf_program *found = bpf_object__find_program_by_name(stage->object, program);
	struct xdp_md in = {.data = metadata, .data_end = metadata + (uint32_t)packet->bytes};

	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = whole,
		    .data_size_in = metadata + (uint32_t)packet->bytes, .data_out = out->frame,
		    .data_size_out = sizeof(out->frame), .ctx_in = &in, .ctx_size_in = sizeof(in));
	if (!ingress)
		ingress = stage_ifindex("wan0");
	in.ingress_ifindex = ingress;
	memcpy(whole + metadata, packet->frame, packet->bytes);
	cr_assert_not_null(found, "no program %s", program);
	cr_assert_eq(bpf_prog_test_run_opts(bpf_program__fd(found), &options), 0, "%s: %s", program,
		     strerror(errno));
	out->bytes = options.data_size_out;
	return options.retval;
}

static struct conversion convert(struct stage *stage, const char *program,
				 const struct packet *packet, uint32_t metadata)
{
	static char outcome[sizeof(stage->text) + 16];
	struct conversion out = {.outcome = outcome};
	uint32_t verdict = run(stage, program, packet, metadata, &out.packet);

	stage_counted(stage);
	snprintf(outcome, sizeof(outcome), "%s%s%s", verdict_name(verdict),
		 stage->text[0] ? " " : "", stage->text);
	return out;
}

uint32_t datagram_verdict_of(const struct stage *stage, const char *program,
			     const struct packet *packet, struct packet *out)
{
	return run(stage, program, packet, 0, out);
}

struct conversion datagram_run(struct stage *stage, const char *program,
			       const struct packet *packet)
{
	return convert(stage, program, packet, 0);
}

void datagram_expect_no_room(struct stage *cpe)
{
	enum { ALL_HEADROOM = 216 }; /* of 256, with 40 for the kernel */
	struct recipe udp = datagram_from_host(&datagram_inners[0]);
	struct packet packet = packet_build_udp(&udp);

	cr_expect_str_eq(convert(cpe, "datagram_lan", &packet, ALL_HEADROOM).outcome,
			 "drop datagram_failed");
}

void datagram_expect(struct stage *stage, const char *program, const struct packet *packet,
		     const char *outcome)
{
	struct conversion got = datagram_run(stage, program, packet);

	cr_expect_str_eq(got.outcome, outcome, "%s: %s, not %s", program, got.outcome, outcome);
	if (strncmp(outcome, "pass", 4))
		return;
	cr_expect_eq(got.packet.bytes, packet->bytes);
	cr_expect_arr_eq(got.packet.frame, packet->frame, packet->bytes);
}

struct packet packet_with(struct packet packet, size_t at, uint8_t octet)
{
	packet.frame[at] = octet;
	return packet;
}

struct packet packet_with_ipv4(struct packet packet, size_t at, uint8_t octet)
{
	uint8_t *ip = packet.frame + ETH_HLEN;
	uint32_t sum = 0;

	packet.frame[at] = octet;
	ip[10] = ip[11] = 0;
	for (size_t i = 0; i < (ip[0] & 15U) * 4; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
	return packet;
}

static size_t put_address(uint8_t *at, const char *text, uint16_t port)
{
	struct plait_addr addr = packet_addr(text, port);
	size_t bytes = addr.family == AF_INET ? 4 : 16;

	memcpy(at, addr.ip, bytes);
	memcpy(at + bytes, &addr.port, 2);
	memset(at + bytes + 2, 1, 2);
	return bytes + 4;
}

struct recipe datagram_formatted(enum stage_role to, uint8_t link,
				 const struct datagram_inner *inner)
{
	static uint8_t options[8][24];
	static unsigned int next;
	uint8_t *option = options[next++ % 8];
	const struct world_link *by = &links[link];
	bool up = to == CONCENTRATOR;

	option[0] = 0x1e;
	option[2] = up ? 0xe4 : 0xec;
	option[3] = 0;
	size_t bytes = 4 + put_address(option + 4, inner->remote, inner->remote_port);

	option[1] = (uint8_t)(bytes - 2);
	return (struct recipe){.from = up ? by->cpe : by->concentrator,
			       .to = up ? by->concentrator : by->cpe,
			       .from_port = up ? inner->wan_port : DATAGRAM_PORT,
			       .to_port = up ? DATAGRAM_PORT : inner->wan_port,
			       .flags = ACK | PSH,
			       .seq = 1,
			       .macs = by->macs,
			       .options = {option, bytes}};
}

struct recipe datagram_from_host(const struct datagram_inner *inner)
{
	return (struct recipe){.from = inner->host,
			       .from_port = inner->host_port,
			       .to = inner->remote,
			       .to_port = inner->remote_port,
			       .payload = TEXT("a datagram")};
}

struct recipe datagram_from_remote(const struct datagram_inner *inner)
{
	return (struct recipe){.from = inner->remote,
			       .from_port = inner->remote_port,
			       .to = inner->external,
			       .to_port = inner->external_port,
			       .payload = TEXT("a datagram")};
}

struct recipe datagram_to_send(enum stage_role role, const struct datagram_inner *inner)
{
	return role == CPE ? datagram_from_host(inner) : datagram_from_remote(inner);
}

struct recipe datagram_received(enum stage_role role, const struct datagram_inner *inner)
{
	struct recipe out = role == CPE ? datagram_from_remote(inner) : datagram_from_host(inner);

	if (role == CPE) {
		out.to = inner->host;
		out.to_port = inner->host_port;
	} else {
		out.from = inner->external;
		out.from_port = inner->external_port;
	}
	out.macs = datagram_macs;
	return out;
}

struct octets datagram_payload(size_t count)
{
	static uint8_t filling[4096];

	cr_assert_leq(count, sizeof(filling));
	for (size_t i = 0; i < sizeof(filling); i++)
		filling[i] = (uint8_t)(i * 7 + i / 256);
	return (struct octets){filling, count};
}
