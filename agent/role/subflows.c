// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "subflows.h"

#include <string.h>

#include "base/addr_text.h"
#include "base/log.h"
#include "port/mptcp.h"

enum { TRIES_MAX = 5, RETRY_MS = 1000 };

/* The subflows of one connection, and the links they lie on. */
struct subflows {
	int count;
	struct mptcp_subflow subflow[REPORT_MAX_SUBFLOWS];
	int link[REPORT_MAX_SUBFLOWS]; /* -1: on none that is in use */
};

static void place(struct links *links, struct subflows *subflows)
{
	for (int i = 0; i < subflows->count; i++)
		subflows->link[i] = links_of_path(links, &subflows->subflow[i].local);
}

static bool has_link(const struct subflows *subflows, int link)
{
	for (int i = 0; i < subflows->count; i++)
		if (subflows->link[i] == link)
			return true;
	return false;
}

/* The address id of a link: 0 is the first subflow's, whatever its link. */
static uint8_t id_of(unsigned int link)
{
	return (uint8_t)(link + 1);
}

/* The concentrator learns by REMOVE_ADDR (RFC 8684 §3.4.2), whose address may be gone here. */
static void tell_concentrator(struct links *links, struct worker *worker, struct session *session,
			      const struct subflows *subflows, int i)
{
	int gone = links_of_address(links, &subflows->subflow[i].local);

	if (subflows->subflow[i].first)
		mptcp_pm_remove_address(&worker->pm, session->token, 0);
	for (unsigned int link = 0; !subflows->subflow[i].first && link < links->count; link++)
		if (gone < 0 ? !has_link(subflows, (int)link) : gone == (int)link)
			mptcp_pm_remove_address(&worker->pm, session->token, id_of(link));
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
	int kept = 0;

	for (int i = 0; i < subflows->count; i++)
		kept += subflows->link[i] >= 0;
	for (int i = 0; kept && i < subflows->count; i++)
		if (subflows->link[i] < 0)
			leave(links, worker, session, subflows, i);
}

/*
 * What a poor link still has to deliver holds up all the rest: as its subflow ends, the kernel
 * sends that again over the others. It joins again as a backup.
 */
static bool leave_what_is_spared(struct links *links, struct worker *worker,
				 struct session *session, const struct subflows *subflows)
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
		if (spared[i])
			leave(links, worker, session, subflows, i);
		left |= spared[i];
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

/* Overflow has begun or ended since the subflow was made. */
static void set_backup(struct links *links, struct worker *worker, struct session *session,
		       const struct subflows *subflows, int i)
{
	unsigned int link = (unsigned int)subflows->link[i];
	bool backup = is_backup(links, session, link);

	if (subflows->subflow[i].first || backup == !!(session->backup_links & 1u << link))
		return;
	note_backup(session, link, backup);
	mptcp_pm_set_backup(&worker->pm, session->token, &subflows->subflow[i].local,
			    &subflows->subflow[i].remote, backup);
}

static void join_over(struct links *links, struct worker *worker, struct session *session,
		      unsigned int link, const struct path *path)
{
	const struct config_link *config = links->link[link].config;
	struct plait_addr remote = path->remote;
	bool backup = is_backup(links, session, link);
	int err;

	if (!remote.port)
		remote.port = session->key.remote.port;
	note_backup(session, link, backup);
	err = mptcp_pm_create_subflow(&worker->pm, session->token, &path->local, id_of(link),
				      &remote, backup);
	count(worker, err ? PLAIT_JOIN_FAILED : PLAIT_JOINED);
	session->join_refused |= err != 0;
	if (err)
		log_debug("subflow over link %s: %s", config->name, strerror(-err));
}

static unsigned int again(struct session *session)
{
	return (unsigned int)RETRY_MS << session->join_tries++;
}

/* Ask for what is missing, and look again later whether it came to be. */
unsigned int subflows_join(struct links *links, struct worker *worker, struct session *session)
{
	struct subflows subflows;
	unsigned int missing = 0;

	subflows.count =
		mptcp_subflows(session->side[SIDE_LEG].fd, subflows.subflow, REPORT_MAX_SUBFLOWS);
	if (subflows.count < 0 || session->join_tries == TRIES_MAX)
		return 0;
	place(links, &subflows);
	leave_what_is_not_in_use(links, worker, session, &subflows);
	if (leave_what_is_spared(links, worker, session, &subflows))
		return again(session);
	for (int i = 0; i < subflows.count; i++)
		if (subflows.link[i] >= 0)
			set_backup(links, worker, session, &subflows, i);
	for (unsigned int link = 0; link < links->count; link++) {
		struct path path;

		if (has_link(&subflows, (int)link) ||
		    !links_path(links, link, session->key.remote.family, &path))
			continue;
		join_over(links, worker, session, link, &path);
		missing++;
	}
	return missing ? again(session) : 0;
}
