// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "verbs.h"

#include "base/addr_text.h"
#include "base/log.h"
#include "instance.h"
#include "reload.h"

void role_drain(struct role *role, bool on)
{
	role->draining = on;
	role->drain(role, on);
}

static unsigned int session_count(const struct role *role)
{
	unsigned int sessions, held;

	engine_totals(&role->instance->engine, &sessions, &held);
	return sessions;
}

static bool drain(void *owner, const struct request *request, struct outcome *outcome)
{
	struct role *role = owner;
	bool off = request_value(request, "off");
	unsigned int sessions = session_count(role);

	if (off && role->ending) {
		outcome_say(outcome, "plaitd is ending");
		return false;
	}
	role_drain(role, !off);
	outcome_flag(outcome, "draining", !off);
	outcome_number(outcome, "sessions", sessions);
	if (off)
		outcome_say(outcome, "new connections are taken");
	else
		outcome_say(outcome, "new connections are not taken; sessions left: %u", sessions);
	log_notice("plaitctl drain: %s", outcome->line);
	return true;
}

static bool reload(void *owner, const struct request *request, struct outcome *outcome)
{
	struct reload reloaded;
	bool taken = role_reload(owner, &reloaded);

	outcome_say(outcome, "%s", reloaded.line);
	outcome_item(outcome, "changed", NULL);
	for (unsigned int i = 0; i < reloaded.changed.count; i++)
		outcome_item(outcome, "changed", reloaded.changed.keys[i]);
	return taken;
}

/* False: it is none. One that is not given stays unset. */
static bool take_address(const struct request *request, const char *name, struct plait_addr *out,
			 struct outcome *outcome)
{
	const char *text = request_value(request, name);

	if (!text || addr_from_text(text, out))
		return true;
	outcome_say(outcome, "%s: no address, or address and port: %s", name, text);
	return false;
}

static bool take_choice(const struct request *request, struct session_choice *out,
			struct outcome *outcome)
{
	bool all = request_value(request, "all");

	if (!take_address(request, "inside", &out->inside, outcome) ||
	    !take_address(request, "remote", &out->remote, outcome))
		return false;
	if (all != (out->inside.family || out->remote.family))
		return true;
	outcome_say(outcome, "close: say either all or which");
	return false;
}

static bool close_sessions(void *owner, const struct request *request, struct outcome *outcome)
{
	struct role *role = owner;
	struct session_choice choice = {};
	unsigned int closed;

	if (!take_choice(request, &choice, outcome))
		return false;
	closed = engine_close(&role->instance->engine, &choice);
	outcome_number(outcome, "closed", closed);
	outcome_say(outcome, closed == 1 ? "1 session closed" : "%u sessions closed", closed);
	if (closed)
		log_notice("plaitctl close: %s", outcome->line);
	else
		outcome_say(outcome, "there is no such session");
	return closed;
}

struct verbs role_verbs(struct role *role)
{
	static const struct verb all[] = {
		{"reload", .run = reload},
		{"drain", {{.name = "off"}}, drain},
		{"close",
		 {{.name = "inside"}, {.name = "remote"}, {.name = "all"}},
		 close_sessions},
	};

	return (struct verbs){.owner = role, .verb = all, .count = sizeof(all) / sizeof(*all)};
}
