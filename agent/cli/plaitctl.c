// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* plaitctl: ask a running plaitd, or tell it what to do, and print its answer. One file a noun. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "command.h"
#include "output.h"
#include "text.h"
#include "whois.h"

struct arguments {
	const char *name; /* NULL: the only one there is */
	const struct command *command;
	struct request request;
	bool json;
};

static int show_usage(const json_t *reply, const struct show_options *options, FILE *stream)
{
	fputs("usage: plaitctl [-n NAME] [--json] NOUN | VERB [ARGUMENT...]\n", stream);
	command_print_all(stream);
	fputs("\n  whois         who has an external port, or had it: see plaitctl whois --help\n",
	      stream);
	fputs("\noptions:\n"
	      "  -n, --name NAME  instance to ask; default: the only one that runs\n"
	      "      --json       the answer as JSON\n"
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

/* An option that is an argument of the command goes into the request by its name. */
static int take_option(struct request *request, const char *name)
{
	if (!request_add(request, name, optarg))
		return 0;
	complain("--%s: once, and with a value that can be right", name);
	return EXIT_USAGE;
}

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct arguments *out)
{
	static const struct option options[] = {
		{"name", required_argument, NULL, 'n'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{"all", no_argument, NULL, 'o'},
		{"off", no_argument, NULL, 'o'},
		{"remote", required_argument, NULL, 'o'},
		{"protocol", required_argument, NULL, 'o'},
		{0},
	};
	int option, which, status = 0;

	opterr = 0; /* getopt() would print the argument as it is */
	while (!status && (option = getopt_long(argc, argv, ":n:", options, &which)) != -1) {
		if (option == 'n')
			out->name = optarg;
		else if (option == 'j')
			out->json = true;
		else if (option == 'o')
			status = take_option(&out->request, options[which].name);
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
	if (!status)
		out->command = command_take(argv + optind, &out->request);
	return out->command ? -1 : EXIT_USAGE;
}

static int report_reply(const struct arguments *arguments, const json_t *reply)
{
	const struct show_options options = {.all = request_value(&arguments->request, "all")};
	show_fn *show = arguments->command->show;

	return report(arguments->json ? show_json : show ? show : show_done, reply, &options);
}

int main(int argc, char **argv)
{
	struct arguments arguments = {0};
	json_t *reply = NULL;
	int status;

	signal(SIGPIPE, SIG_IGN);
	if (whois_is_meant(argc, argv))
		return whois(argc, argv);
	status = parse(argc, argv, &arguments);
	if (status >= 0)
		return status;
	status = agent_ask(arguments.name, &arguments.request, &reply);
	if (!status)
		status = report_reply(&arguments, reply);
	json_decref(reply);
	return status;
}
