// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "subflows.h"

#include <errno.h>
#include <string.h>

#include "base/addr_text.h"
#include "base/log.h"
#include "port/mptcp.h"

enum {
	TRIES_MAX = 8,
	RETRY_MS = 1000,
	RETRY_SOON_MS = 20, /* the kernel waits for an acknowledgement by MPTCP */
	IDS_A_LINK = 4,
};

/* The subflows of one connection, and the links they lie on. */
struct subflows {
	int count;
	struct mptcp_subflow subflow[REPORT_MAX_SUBFLOWS];
	int link[REPORT_MAX_SUBFLOWS]; /* -1: on none that is in use, or one too many */
};

static void place(struct links *links, struct subflows *subflows)
{
	for (int i = 0; i < subflows->count; i++)
		subflows->link[i] = links_of_path(links, &subflows->subflow[i].local);
}

/* Those on a link that is left are on their way out, and their places are free. */
static unsigned int places_taken(const struct subflows *subflows)
{
	unsigned int taken = 0;

	for (int i = 0; i < subflows->count; i++)
		taken += subflows->link[i] >= 0;
	return taken;
}

/* A link that came back before its subflow was ended: the last ones make room. */
static void give_up_what_exceeds(struct subflows *subflows, unsigned int limit)
{
	for (unsigned int taken = places_taken(subflows); taken > limit; taken--) {
		int last = 0;

		for (int i = 1; i < subflows->count; i++)
			if (subflows->link[i] > subflows->link[last])
				last = i;
		subflows->link[last] = -1;
	}
}

static bool has_link(const struct subflows *subflows, int link)
{
	for (int i = 0; i < subflows->count; i++)
		if (subflows->link[i] == link)
			return true;
	return false;
}

/*
 * Address ids: 0 is the first subflow's, whatever its link. A link whose address has
 * changed takes its next one while the subflow from the old address still has the last.
 */
static uint8_t id_of(unsigned int link, unsigned int turn)
{
	return (uint8_t)(link + 1 + turn * CONFIG_MAX_LINKS);
}

static unsigned int turn_of(const struct session *session, unsigned int link)
{
	return session->id_turns >> 2 * link & (IDS_A_LINK - 1);
}

static void take_next_id(struct session *session, unsigned int link)
{
	unsigned int turn = (turn_of(session, link) + 1) % IDS_A_LINK;

	session->id_turns &= (uint16_t) ~(3u << 2 * link);
	session->id_turns |= (uint16_t)(turn << 2 * link);
}

/* All of a link, but the one that its subflow in use has; the kernel knows which there are. */
static void remove_ids(struct worker *worker, struct session *session,
		       const struct subflows *subflows, unsigned int link)
{
	for (unsigned int turn = 0; turn < IDS_A_LINK; turn++)
		if (!has_link(subflows, (int)link) || turn != turn_of(session, link))
			mptcp_pm_remove_address(&worker->pm, session->token, id_of(link, turn));
}

/* The concentrator learns by REMOVE_ADDR (RFC 8684 §3.4.2), whose address may be gone here. */
static void tell_concentrator(struct links *links, struct worker *worker, struct session *session,
			      const struct subflows *subflows, int i)
{
	int gone = links_of_address(links, &subflows->subflow[i].local);

	if (subflows->subflow[i].first)
		mptcp_pm_remove_address(&worker->pm, session->token, 0);
	for (unsigned int link = 0; !subflows->subflow[i].first && link < links->count; link++)
		if (gone < 0 || gone == (int)link)
			remove_ids(worker, session, subflows, link);
}

static void leave(struct links *links, struct worker *worker, struct session *session,
		  const struct subflows *subflows, int i)
{
	const struct mptcp_subflow *subflow = &subflows->subflow[i];

	tell_concentrator(links, worker, session, subflows, i);
	if (!mptcp_pm_destroy_subflow(&worker->pm, session->token, &subflow->local,
				      &subflow->remote))
		count(worker, PLAIT_SUBFLOW_LEFT);
}

/* Those on links that are not in use go, if there is another to carry on. */
static void leave_what_is_not_in_use(struct links *links, struct worker *worker,
				     struct session *session, const struct subflows *subflows)
{
	bool another = places_taken(subflows) > 0;

	for (int i = 0; another && i < subflows->count; i++)
		if (subflows->link[i] < 0)
			leave(links, worker, session, subflows, i);
}

/*
 * What a poor link still has to deliver holds up all the rest: as its subflow ends, the kernel
 * sends that again over the others. It joins again as a backup.
 */
static bool leave_what_is_spared(struct links *links, struct worker *worker,
				 struct session *session, struct subflows *subflows)
{
	bool spared[REPORT_MAX_SUBFLOWS] = {}, left = false;
	int kept = 0;

	for (int i = 0; session->bulk && i < subflows->count; i++) {
		int link = subflows->link[i];
		bool backup = link >= 0 && session->backup_links & 1u << link;

		spared[i] = link >= 0 && !backup && links_is_spared(links, (unsigned int)link);
		kept += link >= 0 && !spared[i];
	}
	for (int i = 0; kept && i < subflows->count; i++) {
		if (!spared[i])
			continue;
		subflows->link[i] = -1;
		leave(links, worker, session, subflows, i);
		left = true;
	}
	return left;
}

static bool is_backup(struct links *links, const struct session *session, unsigned int link)
{
	return !session->bulk || links_is_backup(links, link);
}

static void note_backup(struct session *session, unsigned int link, bool backup)
{
	uint8_t bit = (uint8_t)(1u << link);

	session->backup_links =
		backup ? session->backup_links | bit : session->backup_links & (uint8_t)~bit;
}

/*
 * The connection has become bulk, or overflow has begun or ended, since the subflow was
 * asked for. MP_PRIO during the handshake would be lost: true if it has to wait.
 */
static bool set_backup(struct links *links, struct worker *worker, struct session *session,
		       const struct subflows *subflows, int i)
{
	unsigned int link = (unsigned int)subflows->link[i];
	bool backup = is_backup(links, session, link);

	if (subflows->subflow[i].first || backup == !!(session->backup_links & 1u << link))
		return false;
	if (!subflows->subflow[i].established)
		return true;
	note_backup(session, link, backup);
	mptcp_pm_set_backup(&worker->pm, session->token, &subflows->subflow[i].local,
			    &subflows->subflow[i].remote, backup);
	return false;
}

static bool set_backups(struct links *links, struct worker *worker, struct session *session,
			const struct subflows *subflows)
{
	bool waits = false;

	for (int i = 0; i < subflows->count; i++)
		if (subflows->link[i] >= 0)
			waits |= set_backup(links, worker, session, subflows, i);
	return waits;
}

/* A connection from the internet: who has begun it is who joins, and is told where to. */
static bool announce_over(struct worker *worker, struct session *session, unsigned int link,
			  const struct path *path)
{
	int err = -EINVAL;

	note_backup(session, link, false); /* it will be a regular one, to begin with */
	for (unsigned int i = 0; err == -EINVAL && i < 2; i++) {
		if (i)
			take_next_id(session, link);
		err = mptcp_pm_announce(&worker->pm, session->token, &path->local,
					id_of(link, turn_of(session, link)));
	}
	count(worker, err ? PLAIT_JOIN_FAILED : PLAIT_JOINED);
	return !err;
}

/* False if the kernel refuses at once. */
static bool join_over(struct links *links, struct worker *worker, struct session *session,
		      unsigned int link, const struct path *path)
{
	const struct config_link *config = links->link[link].config;
	struct plait_addr remote = path->remote;
	bool backup = is_backup(links, session, link);
	int err = -EINVAL;

	if (!remote.port)
		remote.port = session->key.remote.port;
	note_backup(session, link, backup);
	for (unsigned int i = 0; err == -EINVAL && i < 2; i++) {
		if (i)
			take_next_id(session, link); /* the address of the last is another */
		err = mptcp_pm_create_subflow(&worker->pm, session->token, &path->local,
					      id_of(link, turn_of(session, link)), &remote, backup);
	}
	count(worker, err ? PLAIT_JOIN_FAILED : PLAIT_JOINED);
	session->join_refused |= err == -ENOTCONN;
	if (err)
		log_debug("subflow over link %s: %s", config->name, strerror(-err));
	return !err;
}

/* In the order of the configuration, as far as the limit allows. Returns how many were missing. */
static unsigned int join_over_missing(struct links *links, struct worker *worker,
				      struct session *session, const struct subflows *subflows)
{
	unsigned int taken = places_taken(subflows), missing = 0;

	for (unsigned int link = 0; link < links->count && taken < worker->config->max_subflows;
	     link++) {
		struct path path;

		if (has_link(subflows, (int)link) || !links_path(links, link, session->concentrator,
								 session->key.remote.family, &path))
			continue;
		taken += accepted_side(session) == SIDE_LEG
				 ? announce_over(worker, session, link, &path)
				 : join_over(links, worker, session, link, &path);
		missing++;
	}
	return missing;
}

static unsigned int next_look_ms(struct session *session, bool soon)
{
	return (unsigned int)(soon ? RETRY_SOON_MS : RETRY_MS) << session->join_tries++;
}

/* Ask for what is missing, and look again later whether it came to be. */
unsigned int subflows_join(struct links *links, struct worker *worker, struct session *session)
{
	struct subflows subflows;
	unsigned int missing;
	bool waits;

	subflows.count =
		mptcp_subflows(session->side[SIDE_LEG].fd, subflows.subflow, REPORT_MAX_SUBFLOWS);
	if (subflows.count < 0 || session->join_tries == TRIES_MAX)
		return 0;
	place(links, &subflows);
	give_up_what_exceeds(&subflows, worker->config->max_subflows);
	leave_what_is_not_in_use(links, worker, session, &subflows);
	if (leave_what_is_spared(links, worker, session, &subflows))
		return next_look_ms(session, false);
	session->join_refused = false;
	waits = set_backups(links, worker, session, &subflows);
	missing = join_over_missing(links, worker, session, &subflows);
	waits |= missing && accepted_side(session) == SIDE_LEG; /* it may have to be a backup */
	if (!missing && !waits)
		return 0;
	return next_look_ms(session, waits || session->join_refused);
}
