// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Nanoseconds a packet of datagram mode's programs, by BPF_PROG_TEST_RUN, beside an empty
 * program and a reference that parses, makes one look-up and stamps what it found; with a
 * thousand and a million bindings, as root.
 *
 * A header that has been moved stays moved while a test repeats, so a driver undoes that
 * before each run, writes the next header and calls the program. What driver and empty
 * program take is subtracted, what the empty program takes alone is added. The least of
 * some rounds counts, programs in turn: others use the machine too.
 *
 * "one" binding is found again and again, or a "thousand" in random order, or "any".
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <err.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datagram_concentrator.skel.h"
#include "datagram_cpe.skel.h"
#include "plait_datagram.h"
#include "plait_maps.h"
#include "reference.h"
#include "reference.skel.h"

enum {
	FEW = 1000,
	MANY = 1000000,
	PORTS = 64000, /* of a CPE's WAN side: it has no more bindings than that */
	SUBSCRIBER_BINDINGS = 100,
	ROUNDS = 5,
	REPEAT = 1000000,
	PAYLOAD_BYTES = 200,
	DATAGRAM_PORT = 6825,
	BATCH = 10000,
	TCP_BYTES = 32, /* with the option */
};

/* The last ones are for TCP that is none of datagram mode's, as MPTCP's on the same links. */
enum subject {
	EMPTY,
	REFERENCE,
	LAN,
	LINK,
	CUSTOMER,
	INTERNET,
	LINK_OTHER,
	CUSTOMER_OTHER,
	SUBJECTS
};

static const char *const names[] = {
	"empty",         "reference",         "datagram_lan",
	"datagram_link", "datagram_customer", "datagram_internet",
	"datagram_link", "datagram_customer",
};

static const char topology[] = "link set lo up\n"
			       "link add isp0 type veth peer name out0\n"
			       "link set isp0 up\nlink set out0 up\n"
			       "addr add 192.0.2.2/24 dev out0\n"
			       "neigh add 192.0.2.1 lladdr 02:00:00:00:00:02 dev out0\n"
			       "route add default via 192.0.2.1\n";

static const uint32_t remote_ip = 0xc6336401; /* 198.51.100.1 */
static const uint32_t concentrator_ip = 0xcb007101; /* 203.0.113.1 */

struct frame {
	struct ethhdr ether;
	struct iphdr ip;
	uint8_t rest[TCP_BYTES + PAYLOAD_BYTES];
} __attribute__((packed));

static struct bpf_object *objects[SUBJECTS];
static int programs[SUBJECTS], driver;
static uint32_t bindings; /* of the present round */
static uint32_t out_ifindex;

static uint32_t chance(void)
{
	static uint64_t state = 0x706c616974;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

static struct plait_addr ipv4(uint32_t ip, uint16_t port)
{
	struct plait_addr out = {.port = htons(port), .family = AF_INET};

	ip = htonl(ip);
	memcpy(out.ip, &ip, sizeof(ip));
	return out;
}

/* What binding i has on each side. */
static uint32_t host_ip(uint32_t i)
{
	return 0x0a000000 + i / SUBSCRIBER_BINDINGS;
}
static uint32_t link_ip(uint32_t i)
{
	return 0x64400000 + i / SUBSCRIBER_BINDINGS;
}
static uint32_t external_ip(uint32_t i)
{
	return 0xcb007200 + i / PORTS;
}
static uint16_t host_port(uint32_t i)
{
	return (uint16_t)(5000 + i % SUBSCRIBER_BINDINGS);
}
static uint16_t wan_port(uint32_t i)
{
	return (uint16_t)(1024 + i % PORTS);
}
static uint16_t external_port(uint32_t i)
{
	return (uint16_t)(1024 + i % PORTS);
}

static void run_ip(const char *lines)
{
	FILE *ip = popen("ip -batch -", "w");

	if (!ip)
		err(1, "ip");
	fputs(lines, ip);
	if (pclose(ip))
		errx(1, "ip refused one of:\n%s", lines);
}

static void write_to(const char *path, const char *value)
{
	FILE *file = fopen(path, "we");

	if (!file || fputs(value, file) < 0 || fclose(file))
		err(1, "%s", path);
}

static void build_namespace(void)
{
	if (unshare(CLONE_NEWNET))
		err(1, "not root?");
	run_ip(topology);
	write_to("/proc/sys/net/ipv4/ip_forward", "1");
	out_ifindex = if_nametoindex("out0");
}

static int map_of(const struct bpf_object *object, const char *map)
{
	int fd = bpf_object__find_map_fd_by_name(object, map);

	if (fd < 0)
		errx(1, "no map %s", map);
	return fd;
}

static void put(const struct bpf_object *object, const char *map, const void *key,
		const void *value)
{
	if (bpf_map_update_elem(map_of(object, map), key, value, BPF_ANY))
		err(1, "%s", map);
}

static void resize(struct bpf_object *object, const char *map, uint32_t entries)
{
	if (bpf_map__set_max_entries(bpf_object__find_map_by_name(object, map), entries))
		errx(1, "no map %s", map);
}

static uint32_t subscribers(void)
{
	return (bindings + SUBSCRIBER_BINDINGS - 1) / SUBSCRIBER_BINDINGS;
}

static struct bpf_object *load_datagram(const void *elf, size_t bytes)
{
	struct bpf_object *object = bpf_object__open_mem(elf, bytes, NULL);
	struct bpf_program *program;

	if (!object)
		errx(1, "no object");
	bpf_object__for_each_program(program, object) {
		bpf_program__set_flags(program, BPF_F_XDP_HAS_FRAGS); /* as in drivers */
	}
	resize(object, "datagram_senders", bindings);
	resize(object, "datagram_receivers", bindings);
	resize(object, "datagram_sets", subscribers());
	resize(object, "datagram_paths", subscribers());
	resize(object, "datagram_traffic", subscribers());
	if (bpf_object__load(object))
		errx(1, "not root?");
	put(object, "datagram_interfaces", &out_ifindex, &(uint8_t){1});
	return object;
}

static void load_reference(void)
{
	size_t bytes;
	const void *elf = plait_reference__elf_bytes(&bytes);
	struct bpf_object *object = bpf_object__open_mem(elf, bytes, NULL);

	if (!object)
		errx(1, "no object");
	resize(object, "entries", bindings);
	resize(object, "headers", bindings);
	if (bpf_object__load(object))
		errx(1, "not root?");
	objects[EMPTY] = objects[REFERENCE] = object;
}

static void load_all(void)
{
	const void *elf;
	size_t bytes;

	load_reference();
	elf = plait_datagram_cpe__elf_bytes(&bytes);
	objects[LAN] = objects[LINK] = objects[LINK_OTHER] = load_datagram(elf, bytes);
	elf = plait_datagram_concentrator__elf_bytes(&bytes);
	objects[CUSTOMER] = objects[INTERNET] = objects[CUSTOMER_OTHER] = load_datagram(elf, bytes);
	driver = bpf_program__fd(bpf_object__find_program_by_name(objects[EMPTY], "driver"));
	for (int i = 0; i < SUBJECTS; i++)
		programs[i] =
			bpf_program__fd(bpf_object__find_program_by_name(objects[i], names[i]));
}

static void unload_all(void)
{
	bpf_object__close(objects[REFERENCE]);
	bpf_object__close(objects[LAN]);
	bpf_object__close(objects[CUSTOMER]);
}

/* What is looked up in a map for binding i, and what is found. */
typedef void entry_of(uint32_t i, struct plait_addr *key, struct plait_datagram_binding *value);

static void host_entry(uint32_t i, struct plait_addr *key, struct plait_datagram_binding *value)
{
	*key = value->inner = ipv4(host_ip(i), host_port(i));
	value->wan_port = htons(wan_port(i));
}

static void wan_entry(uint32_t i, struct plait_addr *key, struct plait_datagram_binding *value)
{
	host_entry(i, key, value);
	*key = (struct plait_addr){.port = value->wan_port};
}

static void external_entry(uint32_t i, struct plait_addr *key, struct plait_datagram_binding *value)
{
	*key = value->inner = ipv4(external_ip(i), external_port(i));
	value->wan_port = htons(wan_port(i));
	value->set = i / SUBSCRIBER_BINDINGS;
}

static void link_entry(uint32_t i, struct plait_addr *key, struct plait_datagram_binding *value)
{
	external_entry(i, key, value);
	*key = ipv4(link_ip(i), wan_port(i));
}

static void fill(const struct bpf_object *object, const char *map, uint32_t count, entry_of *entry)
{
	static struct plait_addr keys[BATCH];
	static struct plait_datagram_binding values[BATCH];
	int fd = map_of(object, map);

	for (uint32_t first = 0; first < count; first += BATCH) {
		uint32_t batch = count - first < BATCH ? count - first : BATCH;

		memset(values, 0, sizeof(values));
		for (uint32_t i = 0; i < batch; i++)
			entry(first + i, &keys[i], &values[i]);
		if (bpf_map_update_batch(fd, keys, values, &batch, NULL))
			err(1, "%s", map);
	}
}

static void fill_set(const struct bpf_object *object, uint32_t index, struct plait_addr local,
		     struct plait_addr remote)
{
	const struct plait_path_set set = {.first = index, .count = 1};
	const struct plait_path path = {.local = local,
					.remote = remote,
					.ifindex = out_ifindex,
					.macs = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1},
					.mtu = 1500};

	put(object, "datagram_sets", &index, &set);
	put(object, "datagram_paths", &index, &path);
}

/* Its own addresses and its LAN's prefixes. */
static void fill_direct(const struct bpf_object *cpe)
{
	struct plait_direct_key lan = {.bits = 32 + 24, .family = AF_INET, .ip = {192, 168, 1}},
				lan_v6 = {.bits = 32 + 64, .family = AF_INET6, .ip = {0xfd, 1}},
				own = {.bits = 32 + 32, .family = AF_INET, .ip = {100, 64, 0, 1}},
				own_v6 = {.bits = 32 + 128, .family = AF_INET6, .ip = {0x20, 1}};

	put(cpe, "datagram_direct", &lan, &(uint8_t){1});
	put(cpe, "datagram_direct", &lan_v6, &(uint8_t){1});
	put(cpe, "datagram_direct", &own, &(uint8_t){1});
	put(cpe, "datagram_direct", &own_v6, &(uint8_t){1});
}

static uint32_t cpe_receivers(void)
{
	return bindings < PORTS ? bindings : PORTS;
}

static void fill_all(void)
{
	struct plait_addr concentrator = ipv4(concentrator_ip, DATAGRAM_PORT);

	fill(objects[REFERENCE], "entries", bindings, host_entry);
	fill(objects[LAN], "datagram_senders", bindings, host_entry);
	fill(objects[LINK], "datagram_receivers", cpe_receivers(), wan_entry);
	fill(objects[CUSTOMER], "datagram_receivers", bindings, link_entry);
	fill(objects[INTERNET], "datagram_senders", bindings, external_entry);
	fill_direct(objects[LAN]);
	fill_set(objects[LAN], 0, ipv4(link_ip(0), 0), concentrator);
	for (uint32_t i = 0; i < subscribers(); i++)
		fill_set(objects[INTERNET], i, concentrator,
			 ipv4(link_ip(i * SUBSCRIBER_BINDINGS), 0));
}

static uint16_t header_checksum(const struct frame *frame)
{
	uint16_t words[sizeof(frame->ip) / 2];
	uint32_t sum = 0;

	memcpy(words, &frame->ip, sizeof(words));
	for (size_t i = 0; i < sizeof(frame->ip) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

static struct frame ip_frame(uint8_t protocol, struct plait_addr from, struct plait_addr to,
			     uint16_t l4_bytes)
{
	struct frame out = {.ether.h_proto = htons(ETH_P_IP),
			    .ip = {.version = 4,
				   .ihl = 5,
				   .ttl = 64,
				   .protocol = protocol,
				   .tot_len = htons((uint16_t)(sizeof(out.ip) + l4_bytes))}};

	memcpy(&out.ip.saddr, from.ip, sizeof(out.ip.saddr));
	memcpy(&out.ip.daddr, to.ip, sizeof(out.ip.daddr));
	out.ip.check = header_checksum(&out);
	memcpy(out.rest, &from.port, sizeof(from.port));
	memcpy(out.rest + 2, &to.port, sizeof(to.port));
	return out;
}

/* Nobody looks whether the transport's checksum is right, but it must be one. */
static struct frame udp_frame(struct plait_addr from, struct plait_addr to)
{
	struct frame out = ip_frame(IPPROTO_UDP, from, to, sizeof(struct udphdr) + PAYLOAD_BYTES);

	out.rest[5] = sizeof(struct udphdr) + PAYLOAD_BYTES;
	out.rest[6] = 0x5a;
	return out;
}

static struct frame tcp_frame(struct plait_addr from, struct plait_addr to, uint8_t subtype)
{
	const uint8_t option[] = {0x1e, 10, subtype, 0, 198, 51, 100, 1, 0, 53, 1, 1};
	struct frame out = ip_frame(IPPROTO_TCP, from, to, TCP_BYTES + PAYLOAD_BYTES);
	out.rest[12] = TCP_BYTES / 4 << 4;
	out.rest[13] = 0x18;
	memcpy(out.rest + 20, option, sizeof(option));
	return out;
}

static struct frame frame_for(enum subject subject, uint32_t i)
{
	struct plait_addr remote = ipv4(remote_ip, 53);
	struct plait_addr concentrator = ipv4(concentrator_ip, DATAGRAM_PORT);

	switch (subject) {
	case LINK:
		return tcp_frame(concentrator, ipv4(link_ip(0), wan_port(i % cpe_receivers())),
				 0xec);
	case CUSTOMER:
		return tcp_frame(ipv4(link_ip(i), wan_port(i)), concentrator, 0xe4);
	case LINK_OTHER:
		return tcp_frame(concentrator, ipv4(link_ip(0), 1), 0);
	case CUSTOMER_OTHER:
		return tcp_frame(ipv4(link_ip(i), wan_port(i)), ipv4(concentrator_ip, 6824), 0);
	case INTERNET:
		return udp_frame(remote, ipv4(external_ip(i), external_port(i)));
	default:
		return udp_frame(ipv4(host_ip(i), host_port(i)), remote);
	}
}

static uint32_t frame_bytes(const struct frame *frame)
{
	return sizeof(frame->ether) + ntohs(frame->ip.tot_len);
}

/* All bindings, in random order. */
static void fill_headers(enum subject subject)
{
	static struct header batch[BATCH];
	static uint32_t keys[BATCH];
	int fd = map_of(objects[EMPTY], "headers");

	for (uint32_t first = 0; first < bindings; first += BATCH) {
		uint32_t count = bindings - first < BATCH ? bindings - first : BATCH;

		for (uint32_t i = 0; i < count; i++) {
			struct frame frame = frame_for(subject, chance() % bindings);

			keys[i] = first + i;
			memcpy(batch[i].octets, &frame, HEADER_BYTES);
			batch[i].frame_bytes = frame_bytes(&frame);
			batch[i].has_sequence = subject == LINK || subject == CUSTOMER;
		}
		if (bpf_map_update_batch(fd, keys, batch, &count, NULL))
			err(1, "headers");
	}
}

static double run(int program, enum subject subject)
{
	struct frame frame = frame_for(subject, 0);
	struct xdp_md context = {.data_end = frame_bytes(&frame), .ingress_ifindex = out_ifindex};
	uint32_t expected = subject < LAN || subject > INTERNET ? XDP_PASS : XDP_REDIRECT;

	struct bpf_test_run_opts options = {.sz = sizeof(options),
					    .data_in = &frame,
					    .data_size_in = context.data_end,
					    .ctx_in = &context,
					    .ctx_size_in = sizeof(context),
					    .repeat = REPEAT};

	if (bpf_prog_test_run_opts(program, &options))
		err(1, "%s", names[subject]);
	if (options.retval != expected)
		errx(1, "%s returned %u", names[subject], options.retval);
	return options.duration;
}

/* So many headers by the driver, which goes on to that program. */
static double drive(enum subject subject, uint32_t headers)
{
	const struct progress progress = {.headers = headers};
	uint32_t zero = 0;

	put(objects[EMPTY], "subject", &zero, &programs[subject]);
	put(objects[EMPTY], "progress", &zero, &progress);
	return run(driver, subject);
}

static double less(double a, double b)
{
	return a < b ? a : b;
}

enum { ONE, THOUSAND, ANY, SPREADS };
static const char *const spread_names[] = {"one", "thousand", "any"};

struct figures {
	double ns[SPREADS][SUBJECTS]; /* with the driver, at first */
	double empty_ns, reference_ns; /* without, by repetition */
};

static void measure(struct figures *out)
{
	const uint32_t headers[SPREADS] = {1, FEW, bindings};

	for (int spread = 0; spread < SPREADS; spread++)
		for (enum subject subject = 0; subject < SUBJECTS; subject++)
			out->ns[spread][subject] = 1e9;
	out->empty_ns = out->reference_ns = 1e9;
	for (int round = 0; round < ROUNDS; round++) {
		out->empty_ns = less(out->empty_ns, run(programs[EMPTY], EMPTY));
		out->reference_ns = less(out->reference_ns, run(programs[REFERENCE], REFERENCE));
		for (enum subject subject = 0; subject < SUBJECTS; subject++) {
			fill_headers(subject);
			for (int spread = 0; spread < SPREADS; spread++)
				out->ns[spread][subject] = less(out->ns[spread][subject],
								drive(subject, headers[spread]));
		}
	}
}

/* As if there had been no driver. */
static void correct(struct figures *out)
{
	for (int spread = 0; spread < SPREADS; spread++) {
		double driver_ns = out->ns[spread][EMPTY] - out->empty_ns;

		for (enum subject subject = 0; subject < SUBJECTS; subject++)
			out->ns[spread][subject] -= driver_ns;
	}
}

static void report(const struct figures *figures)
{
	for (int spread = 0; spread < SPREADS; spread++) {
		const double *ns = figures->ns[spread];

		for (enum subject subject = 0; subject < SUBJECTS; subject++)
			printf("%8u bindings, %-8s  %-18s %5.0f ns  %5.2f x reference%s\n",
			       subject == LINK ? cpe_receivers() : bindings, spread_names[spread],
			       names[subject], ns[subject], ns[subject] / ns[REFERENCE],
			       subject > INTERNET ? ", not ours" : "");
	}
	printf("%8u bindings, without driver: empty %.0f ns, reference %.0f ns\n", bindings,
	       figures->empty_ns, figures->reference_ns);
}

static struct figures round_of(uint32_t count)
{
	struct figures out;

	bindings = count;
	load_all();
	fill_all();
	measure(&out);
	correct(&out);
	report(&out);
	unload_all();
	return out;
}

static void compare(const struct figures *few, const struct figures *many)
{
	for (enum subject subject = REFERENCE; subject <= INTERNET; subject++) {
		printf("a million, of that with a thousand:  %-18s", names[subject]);
		for (int spread = 0; spread < SPREADS; spread++)
			printf("  %s %.2f x", spread_names[spread],
			       many->ns[spread][subject] / few->ns[spread][subject]);
		printf("\n");
	}
}

int main(void)
{
	struct figures few, many;

	setvbuf(stdout, NULL, _IOLBF, 0);
	build_namespace();
	few = round_of(FEW);
	many = round_of(MANY);
	compare(&few, &many);
	return 0;
}
