// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "command.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

static const struct command commands[] = {
	{"status", "what runs, since when, how full it is", .show = show_status},
	{"sessions", "bonded connections and their subflows", .show = show_sessions},
	{"links", "access networks and interfaces", .show = show_links},
	{"concentrators", "where a CPE's connections go, and who answers",
	 .show = show_concentrators},
	{"bindings", "external addresses and ports, and what they stand for",
	 .show = show_bindings},
	{"pools", "how much of the external addresses and ports is lent", .show = show_pools},
	{"subscribers", "who has how much of them, and sessions", .show = show_subscribers},
	{"counters", "what became of packets and connections; --all: also the zeros",
	 .show = show_counters, .arguments = {{"all", ARGUMENT_OPTION}}},
	{.word = "reload",
	 .help = "read the configuration again, and take it if all of it can change"},
	{"drain", "take no new connections; --off: take them again",
	 .arguments = {{"off", ARGUMENT_OPTION}}},
	{"bind", "let in: EXTERNAL:PORT CPE-ADDRESS:PORT; a CPE: PORT HOST:PORT; [--protocol udp]",
	 .arguments = {{"external", ARGUMENT_WORD},
		       {"inside", ARGUMENT_WORD},
		       {"protocol", ARGUMENT_OPTION}}},
	{"unbind", "let no more in: EXTERNAL:PORT; a CPE: PORT; [--protocol udp]",
	 .arguments = {{"external", ARGUMENT_WORD}, {"protocol", ARGUMENT_OPTION}}},
	{"close", "end sessions: [ADDRESS[:PORT]] [--remote ADDRESS[:PORT]], or --all",
	 .arguments = {{"inside", ARGUMENT_WORD_IF_ANY},
		       {"remote", ARGUMENT_OPTION},
		       {"all", ARGUMENT_OPTION}},
	 .least = 1},
};

enum { COMMAND_COUNT = sizeof(commands) / sizeof(*commands) };

static const struct command *find(const char *word)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (!strcmp(word, commands[i].word))
			return &commands[i];
	return NULL;
}

static void complain_word(const char *word)
{
	char words[256] = "";

	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		strcat(words, " ");
		strcat(words, commands[i].word);
	}
	if (word)
		complain("unknown noun or verb \"%s\"; there are:%s", word, words);
	else
		complain("say what to show or to do, one of:%s", words);
}

static bool has_option(const struct command *command, const char *name)
{
	for (size_t i = 0; i < REQUEST_ARGUMENTS_MAX && command->arguments[i].name; i++)
		if (command->arguments[i].kind == ARGUMENT_OPTION &&
		    !strcmp(command->arguments[i].name, name))
			return true;
	return false;
}

static bool check_options(const struct command *command, const struct request *request)
{
	for (size_t i = 0; i < request->argument_count; i++) {
		const char *name = request->arguments[i].name;

		if (has_option(command, name))
			continue;
		complain("--%s is not for %s", name, command->word);
		return false;
	}
	return true;
}

static bool take_words(const struct command *command, char *const *words, struct request *request)
{
	for (size_t i = 0; i < REQUEST_ARGUMENTS_MAX && command->arguments[i].name; i++) {
		const struct command_argument *argument = &command->arguments[i];

		if (argument->kind == ARGUMENT_OPTION ||
		    (argument->kind == ARGUMENT_WORD_IF_ANY && !*words))
			continue;
		if (!*words) {
			complain("%s: %s is missing", command->word, argument->name);
			return false;
		}
		if (request_add(request, argument->name, *words)) {
			complain("%s: \"%s\" cannot be right", command->word, *words);
			return false;
		}
		words++;
	}
	if (*words)
		complain("%s: \"%s\" is one too many", command->word, *words);
	return !*words;
}

const struct command *command_take(char *const *words, struct request *request)
{
	const struct command *command = words[0] ? find(words[0]) : NULL;

	if (!command) {
		complain_word(words[0]);
		return NULL;
	}
	if (!check_options(command, request) || !take_words(command, words + 1, request))
		return NULL;
	if (request->argument_count < command->least) {
		complain("%s: say which; see plaitctl --help", command->word);
		return NULL;
	}
	request->is_verb = !command->show;
	strcpy(request->word, command->word);
	return command;
}

static void print(FILE *stream, const char *title, bool verbs)
{
	fprintf(stream, "\n%s:\n", title);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (!commands[i].show == verbs)
			fprintf(stream, "  %-13s %s\n", commands[i].word, commands[i].help);
}

void command_print_all(FILE *stream)
{
	print(stream, "nouns, which show", false);
	print(stream, "verbs, which change", true);
}
