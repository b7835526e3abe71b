// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "verbs.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/addr_text.h"
#include "base/log.h"
#include "config/binding.h"
#include "config/value.h"
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

/* On a CPE a port of any address of its links. */
static bool take_external(const struct role *role, const char *text, struct plait_addr *out)
{
	unsigned int port;

	if (role->instance->config->role == ROLE_CONCENTRATOR)
		return !value_endpoint(text, out);
	if (value_number(text, 1, 65535, &port))
		return false;
	*out = (struct plait_addr){.port = htons((uint16_t)port)};
	return true;
}

static bool take_protocol(const char *text, uint8_t *out)
{
	*out = strcmp(text, "udp") == 0 ? IPPROTO_UDP : IPPROTO_TCP;
	return *out == IPPROTO_UDP || strcmp(text, "tcp") == 0;
}

static bool take_binding(const struct role *role, const struct request *request,
			 struct config_binding *out, struct outcome *outcome)
{
	const char *external = request_value(request, "external");
	const char *inside = request_value(request, "inside");
	const char *protocol = request_value(request, "protocol");

	*out = (struct config_binding){.protocol = IPPROTO_TCP};
	if (protocol && !take_protocol(protocol, &out->protocol))
		outcome_say(outcome, "protocol: neither tcp nor udp: %s", protocol);
	else if (!external || !take_external(role, external, &out->external))
		outcome_say(outcome, "external: %s: %s",
			    role->instance->config->role == ROLE_CPE ? "no port"
								     : "no address with a port",
			    external ? external : "missing");
	else if (inside && value_endpoint(inside, &out->inside))
		outcome_say(outcome, "inside: no address with a port: %s", inside);
	else
		return true;
	return false;
}

static bool bind_port(void *owner, const struct request *request, struct outcome *outcome)
{
	struct role *role = owner;
	struct config_binding binding;
	char why[BINDING_WHY_BYTES];
	int err;

	if (!take_binding(role, request, &binding, outcome))
		return false;
	if (binding_check(role->instance->config, &binding, 0, why)) {
		outcome_say(outcome, "%s", why);
		return false;
	}
	err = role->bind(role, &binding);
	if (err == -EEXIST)
		outcome_say(outcome, "%s, or a block of ports around it, is not free for %s",
			    addr_text(&binding.external).text, addr_text(&binding.inside).text);
	else if (err)
		outcome_say(outcome, "%s: %s", addr_text(&binding.external).text, strerror(-err));
	else
		outcome_say(outcome, "%s leads to %s", addr_text(&binding.external).text,
			    addr_text(&binding.inside).text);
	if (!err)
		log_notice("plaitctl bind: %s", outcome->line);
	return !err;
}

static bool unbind_port(void *owner, const struct request *request, struct outcome *outcome)
{
	struct role *role = owner;
	struct config_binding binding;
	bool found;

	if (!take_binding(role, request, &binding, outcome))
		return false;
	found = role->unbind(role, &binding);
	outcome_say(outcome, found ? "%s lets nobody in any more" : "%s is not bound",
		    addr_text(&binding.external).text);
	if (found)
		log_notice("plaitctl unbind: %s", outcome->line);
	return found;
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
		{"bind",
		 {{.name = "external"}, {.name = "inside"}, {.name = "protocol"}},
		 bind_port},
		{"unbind", {{.name = "external"}, {.name = "protocol"}}, unbind_port},
		{"close",
		 {{.name = "inside"}, {.name = "remote"}, {.name = "all"}},
		 close_sessions},
	};

	return (struct verbs){.owner = role, .verb = all, .count = sizeof(all) / sizeof(*all)};
}
