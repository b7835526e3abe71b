// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "control/socket_path.h"
#include "instance.h"
#include "text.h"

/* Returns 0, or the exit status after complaining. */
static int choose_instance(const char *name, struct instances *found, struct socket_path *path)
{
	int error;

	if (!name) {
		error = instances_find(SOCKET_DIRECTORY, found);
		if (error) {
			complain("%s: %s", SOCKET_DIRECTORY, strerror(-error));
			return EXIT_FAILURE;
		}
		if (!found->count) {
			complain("plaitd is not running: no socket in %s", SOCKET_DIRECTORY);
			return EXIT_FAILURE;
		}
		if (found->count > 1) {
			complain("several plaitd run here, choose one with -n: %s", found->choices);
			return EXIT_USAGE;
		}
		name = found->choices;
	}
	if (socket_path(name, path)) {
		complain("\"%s\" cannot be the name of an instance", name);
		return EXIT_USAGE;
	}
	return 0;
}

static const char *explain(int error)
{
	switch (-error) {
	case ENOENT:
	case ECONNREFUSED:
		return "plaitd is not running under this name";
	case EACCES:
	case EPERM:
		return "permission denied; try as root";
	case EAGAIN:
		return "plaitd does not answer";
	case ENODATA:
	case EPROTO:
	case ECONNRESET:
		return "plaitd hung up before its answer was complete";
	case EBADMSG:
	case EMSGSIZE:
		return "what answers there is not plaitd";
	}
	return strerror(-error);
}

int agent_ask(const char *name, const struct request *request, json_t **reply)
{
	struct instances found;
	struct socket_path path;
	const char *refusal;
	int error, status = choose_instance(name, &found, &path);

	if (status)
		return status;
	error = ask(path.text, request, reply);
	if (error) {
		complain("%s: %s", path.text, explain(error));
		return EXIT_FAILURE;
	}
	refusal = json_string_value(json_object_get(*reply, "error"));
	if (!refusal)
		return 0;
	complain("plaitd says: %s", refusal);
	json_decref(*reply);
	*reply = NULL;
	return EXIT_FAILURE;
}

int agent_ask_about(const char *name, const char *noun, json_t **reply)
{
	struct request request = {};

	strcpy(request.word, noun);
	return agent_ask(name, &request, reply);
}
