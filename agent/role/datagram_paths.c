// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "datagram_paths.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "table/slots.h"

_Static_assert((int)PLAIT_PATHS_MAX >= (int)CONFIG_MAX_LINKS, "a set has a path for each link");

static struct dataplane *dataplane_of(const struct datagram_paths *paths)
{
	return paths->mode->instance->dataplane;
}

static const struct config *config_of(const struct datagram_paths *paths)
{
	return paths->mode->instance->config;
}

/* The way over a link, in the family that it is asked in; family 0: there is none. */
static struct plait_path path_over(const struct link *link, unsigned int concentrator)
{
	const struct plait_addr *remote = link->paths.remote[concentrator];
	unsigned int f = remote[0].family ? 0 : 1;

	return (struct plait_path){.local = remote[f].family ? link->paths.local[f]
							     : (struct plait_addr){},
				   .remote = remote[f]};
}

static bool same_ends(const struct plait_path *a, const struct plait_path *b)
{
	return !memcmp(&a->local, &b->local, sizeof(a->local)) &&
	       !memcmp(&a->remote, &b->remote, sizeof(a->remote));
}

static void put_set(struct datagram_paths *paths, uint32_t number, const struct plait_path_set *set)
{
	if (!memcmp(&paths->set[number], set, sizeof(*set)))
		return;
	paths->set[number] = *set;
	dataplane_put(dataplane_of(paths), "datagram_sets", &number, set);
}

/* No slot of any set names a path any more. */
static void leave_path(struct datagram_paths *paths, uint32_t number)
{
	for (uint32_t i = 0; i < config_of(paths)->concentrator_count; i++) {
		struct plait_path_set set = paths->set[i];

		for (unsigned int s = 0; s < PLAIT_PATH_SLOTS; s++)
			if (set.first + set.slot[s] == number)
				set.slot[s] = PLAIT_NO_PATH;
		put_set(paths, i, &set);
	}
}

static void aim(struct datagram_paths *paths, unsigned int concentrator, unsigned int link,
		const struct plait_path *path)
{
	int err = ping_aim(&paths->ping[concentrator][link], &path->local, &path->remote);

	if (err)
		log_warning("link %s: telling of it: %s", paths->links->link[link].config->name,
			    strerror(-err));
}

static void refresh_path(struct datagram_paths *paths, unsigned int concentrator, unsigned int link)
{
	struct plait_path *known = &paths->path[concentrator][link];
	struct plait_path now = path_over(&paths->links->link[link], concentrator);
	uint32_t number = datagram_mode_path_number(concentrator, link);
	struct plait_addr here;
	uint8_t flags = PLAIT_ADDRESS_EXISTS;

	if (!same_ends(known, &now)) {
		leave_path(paths, number);
		here = known->local;
		if (here.family)
			dataplane_remove(dataplane_of(paths), "datagram_addresses", &here);
		aim(paths, concentrator, link, &now);
	}
	if (now.local.family)
		datagram_mode_find_hop(paths->mode, &now);
	if (!memcmp(known, &now, sizeof(now)))
		return;
	*known = now;
	dataplane_put(dataplane_of(paths), "datagram_paths", &number, known);
	if (known->local.family)
		dataplane_put(dataplane_of(paths), "datagram_addresses", &known->local, &flags);
}

static uint32_t weight_of(const struct datagram_paths *paths, unsigned int concentrator,
			  unsigned int link, bool backups)
{
	const struct link *at = &paths->links->link[link];

	if (!at->in_use || paths->link_fd[link] < 0 ||
	    !paths->path[concentrator][link].local.family ||
	    links_is_backup(paths->links, link) != backups)
		return 0;
	return at->config->weight;
}

/* Those that are kept for it take part when no other works. */
static void weigh(const struct datagram_paths *paths, unsigned int concentrator,
		  uint32_t weights[PLAIT_PATHS_MAX])
{
	uint32_t sum = 0;

	for (unsigned int backups = 0; !sum && backups < 2; backups++)
		for (unsigned int i = 0; i < paths->links->count; i++) {
			weights[i] = weight_of(paths, concentrator, i, backups);
			sum += weights[i];
		}
}

/* Over each of the concentrator's paths, whether it is used or not. */
static void tell(struct datagram_paths *paths, unsigned int concentrator)
{
	const struct plait_told *told = &paths->told[concentrator];

	for (unsigned int i = 0; i < paths->links->count; i++)
		if (paths->ping[concentrator][i].fd >= 0)
			ping_tell(&paths->ping[concentrator][i], told, sizeof(*told));
}

/* The same way for what comes back. */
static void take_weights(struct datagram_paths *paths, unsigned int concentrator,
			 const uint32_t weights[PLAIT_PATHS_MAX])
{
	struct plait_told told = {.magic = PLAIT_TOLD_MAGIC,
				  .per_packet = config_of(paths)->datagram.distribution ==
						DISTRIBUTION_PACKET};

	for (unsigned int i = 0; i < paths->links->count; i++) {
		const struct plait_path *path = &paths->path[concentrator][i];

		if (path->local.family)
			told.link[told.count++] = (struct plait_told_link){
				.local = path->local, .weight = htons((uint16_t)weights[i])};
	}
	if (!memcmp(&told, &paths->told[concentrator], sizeof(told)))
		return;
	paths->told[concentrator] = told;
	tell(paths, concentrator);
}

/* Where the bindings of a concentrator go: to another one while it does not answer. */
static int stand_in(const struct datagram_paths *paths, unsigned int concentrator)
{
	if (concentrators_answer(paths->concentrators, concentrator))
		return (int)concentrator;
	for (unsigned int i = 0; i < config_of(paths)->concentrator_count; i++)
		if (concentrators_answer(paths->concentrators, i))
			return (int)i;
	return config_of(paths)->when_unreachable == UNREACHABLE_DIRECT ? -1 : (int)concentrator;
}

static void refresh_set(struct datagram_paths *paths, unsigned int number)
{
	int to = stand_in(paths, number);
	uint32_t weights[PLAIT_PATHS_MAX] = {};
	struct plait_path_set set = {
		.first = datagram_mode_path_number(to < 0 ? number : (unsigned int)to, 0),
		.count = (uint8_t)paths->links->count,
		.per_packet = config_of(paths)->datagram.distribution == DISTRIBUTION_PACKET,
		.in_order = config_of(paths)->datagram.distribution == DISTRIBUTION_PACKET &&
			    config_of(paths)->reorder_ms,
	};

	if (to >= 0)
		weigh(paths, (unsigned int)to, weights);
	slots_fill(weights, set.count, set.slot);
	put_set(paths, number, &set);
	if (to == (int)number)
		take_weights(paths, number, weights);
}

/* An interface that goes takes its program along; one that comes needs it. */
static void refresh_attached(struct datagram_paths *paths, unsigned int link)
{
	const struct attachment *at = &paths->links->link[link].attachment;

	if (at->ifindex == paths->link_ifindex[link])
		return;
	paths->link_ifindex[link] = at->ifindex;
	if (paths->link_fd[link] >= 0)
		close(paths->link_fd[link]);
	paths->link_fd[link] = -1;
	if (at->ifindex && at->ethernet)
		paths->link_fd[link] = datagram_mode_attach_own(paths->mode, "datagram_link",
								at->config->interface, at->ifindex);
}

void datagram_paths_refresh(struct datagram_paths *paths)
{
	for (unsigned int i = 0; i < paths->links->count; i++)
		refresh_attached(paths, i);
	for (unsigned int c = 0; c < config_of(paths)->concentrator_count; c++)
		for (unsigned int i = 0; i < paths->links->count; i++)
			refresh_path(paths, c, i);
	for (unsigned int c = 0; c < config_of(paths)->concentrator_count; c++)
		refresh_set(paths, c);
}

void datagram_paths_tell(struct datagram_paths *paths)
{
	for (unsigned int i = 0; i < config_of(paths)->concentrator_count; i++)
		tell(paths, i);
}

void datagram_paths_look(struct datagram_paths *paths)
{
	uint64_t moved = 0;

	for (uint32_t c = 0; c < config_of(paths)->concentrator_count; c++)
		for (uint32_t i = 0; i < paths->links->count; i++) {
			struct plait_path_traffic *traffic = &paths->traffic[c][i];
			uint32_t number = datagram_mode_path_number(c, i);

			if (dataplane_get(dataplane_of(paths), "datagram_traffic", &number,
					  traffic))
				continue;
			path_loss_look(&paths->loss[c][i], traffic);
			moved += traffic->sent + traffic->received;
		}
	links_carry(paths->links, moved != paths->moved);
	paths->moved = moved;
}

void datagram_paths_open(struct datagram_paths *paths, struct datagram_mode *mode,
			 struct links *links, struct concentrators *concentrators)
{
	*paths = (struct datagram_paths){
		.mode = mode, .links = links, .concentrators = concentrators};
	for (unsigned int i = 0; i < CONFIG_MAX_LINKS; i++)
		paths->link_fd[i] = -1;
	for (unsigned int i = 0; i < CONFIG_MAX_CONCENTRATORS * PLAIT_PATHS_MAX; i++)
		paths->ping[i / PLAIT_PATHS_MAX][i % PLAIT_PATHS_MAX] =
			(struct ping){.fd = -1, .deaf = true};
}

void datagram_paths_close(struct datagram_paths *paths)
{
	if (!paths->mode)
		return;
	for (unsigned int i = 0; i < CONFIG_MAX_LINKS; i++)
		if (paths->link_fd[i] >= 0)
			close(paths->link_fd[i]);
	for (unsigned int i = 0; i < CONFIG_MAX_CONCENTRATORS * PLAIT_PATHS_MAX; i++)
		if (paths->ping[i / PLAIT_PATHS_MAX][i % PLAIT_PATHS_MAX].fd >= 0)
			close(paths->ping[i / PLAIT_PATHS_MAX][i % PLAIT_PATHS_MAX].fd);
}

void datagram_paths_report_link(const struct datagram_paths *paths, unsigned int link,
				struct link_report *out)
{
	for (unsigned int i = 0; paths->mode && i < config_of(paths)->concentrator_count; i++) {
		const struct plait_path_traffic *traffic = &paths->traffic[i][link];

		out->datagrams_sent += traffic->sent;
		out->datagrams_received += traffic->received;
		out->datagrams_late += traffic->late;
		out->datagrams_lost += path_loss_lost(&paths->loss[i][link]);
	}
}
