// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "verbs.h"

#include "base/log.h"
#include "instance.h"

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
		outcome_say(outcome, "new connections are not taken; there are %u sessions",
			    sessions);
	log_notice("plaitctl drain: %s", outcome->line);
	return true;
}

struct verbs role_verbs(struct role *role)
{
	static const struct verb all[] = {
		{"drain", {{.name = "off"}}, drain},
	};

	return (struct verbs){.owner = role, .verb = all, .count = sizeof(all) / sizeof(*all)};
}
