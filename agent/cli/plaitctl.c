// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* plaitctl: ask a running plaitd, print its answer. One file a noun. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "control/socket_path.h"
#include "instance.h"
#include "output.h"
#include "show.h"
#include "text.h"

enum { EXIT_USAGE = 2 };

struct command {
	const char *noun, *help;
	show_fn *show;
};

static const struct command commands[] = {
	{"status", "what runs, since when, how full it is", show_status},
	{"sessions", "bonded connections and their subflows", show_sessions},
	{"links", "access networks and interfaces", show_links},
	{"concentrators", "where a CPE's connections go, and who answers", show_concentrators},
	{"bindings", "external addresses and ports, and what they stand for", show_bindings},
	{"pools", "how much of the external addresses and ports is lent", show_pools},
	{"subscribers", "who has how much of them, and sessions", show_subscribers},
	{"counters", "what became of packets and connections; --all: also the zeros",
	 show_counters},
};

enum { COMMAND_COUNT = sizeof(commands) / sizeof(*commands) };

struct arguments {
	const char *name; /* NULL: the only one there is */
	const struct command *command;
	bool json;
	struct show_options show;
};

static int show_usage(const json_t *reply, const struct show_options *options, FILE *stream)
{
	fputs("usage: plaitctl [-n NAME] [--json] NOUN\n\nnouns:\n", stream);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(stream, "  %-13s %s\n", commands[i].noun, commands[i].help);
	fputs("\noptions:\n"
	      "  -n, --name NAME  instance to ask; default: the only one that runs\n"
	      "      --json       the answer as JSON\n"
	      "      --all        counters: also those that are zero\n"
	      "      --help       this text\n"
	      "      --version    version\n",
	      stream);
	return 0;
}

static int show_version(const json_t *reply, const struct show_options *options, FILE *stream)
{
	fputs("plaitctl " PLAIT_VERSION "\n", stream);
	return 0;
}

static const struct command *find_command(const char *noun)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (!strcmp(noun, commands[i].noun))
			return &commands[i];
	}
	return NULL;
}

static int complain_noun(const char *noun)
{
	char nouns[128] = "";

	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		strcat(nouns, " ");
		strcat(nouns, commands[i].noun);
	}
	if (noun)
		complain("unknown noun \"%s\"; there are:%s", noun, nouns);
	else
		complain("say what to show, one of:%s", nouns);
	return EXIT_USAGE;
}

/* Print, and turn what became of it into an exit status. */
static int report(show_fn *show, const json_t *reply, const struct show_options *options)
{
	int error = output(show, reply, options);

	if (error == -EPROTO)
		complain("plaitd's answer is of another kind; is it another version?");
	else if (error)
		complain("standard output: %s", strerror(-error));
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int take_noun(char *const *words, struct arguments *out)
{
	if (!words[0])
		return complain_noun(NULL);
	out->command = find_command(words[0]);
	if (!out->command)
		return complain_noun(words[0]);
	if (words[1]) {
		complain("one noun at a time, \"%s\" is one too many", words[1]);
		return EXIT_USAGE;
	}
	if (out->show.all && out->command->show != show_counters) {
		complain("--all is for counters");
		return EXIT_USAGE;
	}
	return 0;
}

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct arguments *out)
{
	static const struct option options[] = {
		{"name", required_argument, NULL, 'n'}, {"json", no_argument, NULL, 'j'},
		{"all", no_argument, NULL, 'a'},        {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},    {0},
	};
	int option, status;

	opterr = 0; /* getopt() would print the argument as it is */
	while ((option = getopt_long(argc, argv, ":n:", options, NULL)) != -1) {
		if (option == 'n')
			out->name = optarg;
		else if (option == 'j')
			out->json = true;
		else if (option == 'a')
			out->show.all = true;
		else if (option == 'h')
			return report(show_usage, NULL, NULL);
		else if (option == 'V')
			return report(show_version, NULL, NULL);
		else {
			complain("%s: %s; see plaitctl --help", argv[optind - 1],
				 option == ':' ? "a value is missing" : "unknown option");
			return EXIT_USAGE;
		}
	}
	status = take_noun(argv + optind, out);
	return status ? status : -1;
}

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

static int report_reply(const struct arguments *arguments, const json_t *reply)
{
	const char *refusal = json_string_value(json_object_get(reply, "error"));

	if (refusal) {
		complain("plaitd says: %s", refusal);
		return EXIT_FAILURE;
	}
	return report(arguments->json ? show_json : arguments->command->show, reply,
		      &arguments->show);
}

int main(int argc, char **argv)
{
	struct arguments arguments = {0};
	struct instances found;
	struct socket_path path;
	json_t *reply = NULL;
	int status, error;

	signal(SIGPIPE, SIG_IGN);
	status = parse(argc, argv, &arguments);
	if (status >= 0)
		return status;
	status = choose_instance(arguments.name, &found, &path);
	if (status)
		return status;
	error = ask(path.text, arguments.command->noun, &reply);
	if (error) {
		complain("%s: %s", path.text, explain(error));
		return EXIT_FAILURE;
	}
	status = report_reply(&arguments, reply);
	json_decref(reply);
	return status;
}
