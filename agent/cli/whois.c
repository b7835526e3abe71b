// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "whois.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent.h"
#include "base/addr_text.h"
#include "codec/iso_time.h"
#include "config/load.h"
#include "config/value.h"
#include "field.h"
#include "output.h"
#include "table.h"
#include "table/pool.h"
#include "text.h"
#include "whois_sources.h"

/* Arguments */

bool whois_is_meant(int argc, char *const *argv)
{
	static const char *const with_value[] = {"-n", "--name", "-c", "--config", "--log"};
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++)
		for (size_t j = 0; j < sizeof(with_value) / sizeof(*with_value); j++)
			if (!strcmp(argv[i], with_value[j])) {
				i++;
				break;
			}
	return i < argc && !strcmp(argv[i], "whois");
}

static int show_usage(const json_t *reply, const struct show_options *options, FILE *stream)
{
	fputs("usage: plaitctl whois [OPTION...] ADDRESS:PORT [AT TIME]   who has, or had, that port\n"
	      "       plaitctl whois [OPTION...] SUBSCRIBER [AT TIME]     which ports it has, or had\n"
	      "\n"
	      "  -c, --config FILE  plaitd's configuration: deterministic pools are computed, without\n"
	      "                     asking anybody; names, log and instance are taken from it\n"
	      "      --log FILE     the binding log to look in\n"
	      "  -n, --name NAME    instance to ask; default: the only one that runs\n"
	      "      --json         the answer as JSON\n"
	      "\n"
	      "SUBSCRIBER: source address or name. TIME: 2026-02-03T04:05:06Z or with +01:00 for Z\n",
	      stream);
	return 0;
}

/* Returns -1 to go on, else the exit status. */
static int take_options(int argc, char **argv, struct whois_request *out, bool *json)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'}, {"log", required_argument, NULL, 'l'},
		{"name", required_argument, NULL, 'n'},   {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},         {0},
	};
	int option;

	opterr = 0; /* getopt() would print the argument as it is */
	while ((option = getopt_long(argc, argv, ":c:n:", options, NULL)) != -1) {
		if (option == 'c')
			out->config_path = optarg;
		else if (option == 'l')
			out->log_path = optarg;
		else if (option == 'n')
			out->instance = optarg;
		else if (option == 'j')
			*json = true;
		else if (option == 'h')
			return report(show_usage, NULL, NULL);
		else {
			complain("%s: %s; see plaitctl whois --help", argv[optind - 1],
				 option == ':' ? "a value is missing" : "unknown option");
			return EXIT_USAGE;
		}
	}
	return -1;
}

static bool take_subject(const char *text, struct history_question *out)
{
	struct plait_addr addr;

	if (!addr_from_text(text, &addr)) {
		if (!name_valid(text))
			return false;
		strcpy(out->subscriber, text);
		return true;
	}
	if (addr.port)
		out->external = addr;
	else
		out->source = addr;
	return true;
}

/* "whois", what is asked for, and "at" with a time, or nothing. */
static int take_words(char *const *words, struct whois_request *out)
{
	out->text = words[1];
	if (!words[1]) {
		complain("whois: say of which ADDRESS:PORT, or which subscriber");
		return EXIT_USAGE;
	}
	if (!take_subject(words[1], &out->question)) {
		complain("whois: \"%s\" is no ADDRESS:PORT, address or name", words[1]);
		return EXIT_USAGE;
	}
	out->is_past = words[2];
	if (words[2] && (strcasecmp(words[2], "at") != 0 || !words[3] || words[4])) {
		complain("whois: expected AT and a time behind %s", words[1]);
		return EXIT_USAGE;
	}
	if (words[2] && iso_time_parse(words[3], &out->question.at_ns)) {
		complain("whois: \"%s\" is no time such as 2026-02-03T04:05:06Z or "
			 "2026-02-03T05:05:06+01:00",
			 words[3]);
		return EXIT_USAGE;
	}
	if (out->log_path && !out->is_past) {
		complain("whois: a log tells of the past, say AT which time");
		return EXIT_USAGE;
	}
	return 0;
}

/* Looking */

int whois_add(struct whois_answer *answer, const struct binding_record *record)
{
	void *larger = reallocarray(answer->records, answer->count + 1, sizeof(*answer->records));

	if (!larger) {
		complain("%s", strerror(ENOMEM));
		return EXIT_FAILURE;
	}
	answer->records = larger;
	answer->records[answer->count++] = *record;
	return 0;
}

int whois_nobody(const struct whois_request *request)
{
	const struct plait_addr *external = &request->question.external;

	if (external->family && ntohs(external->port) < POOL_FIRST_PORT)
		complain("%s: nobody; ports below %u are not lent", request->text, POOL_FIRST_PORT);
	else if (external->family)
		complain("%s: nobody %s it", request->text, request->is_past ? "had" : "has");
	else
		complain("%s: it %s no ports that are known of%s", request->text,
			 request->is_past ? "had" : "has",
			 request->config_path ? "" : "; all of its sources are known with -c FILE");
	return EXIT_FAILURE;
}

static int ask_config(struct whois_request *request, struct whois_answer *answer)
{
	static struct config config; /* what it has is used until the end */
	char why[CONFIG_WHY_BYTES];

	if (!config_load(request->config_path, &config, why))
		return whois_from_config(request, &config, answer);
	complain("%s", why);
	return EXIT_USAGE;
}

static int look(struct whois_request *request, struct whois_answer *answer)
{
	int status = request->config_path ? ask_config(request, answer) : 0;

	if (status || answer->count)
		return status;
	status = request->is_past ? whois_from_log(request, answer)
				  : whois_from_agent(request, answer);
	if (status || answer->count)
		return status;
	return whois_nobody(request);
}

/* Printing */

static const char *protocol_text(uint8_t protocol, char number[4])
{
	if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP)
		return protocol == IPPROTO_TCP ? "tcp" : "udp";
	snprintf(number, 4, "%u", protocol);
	return protocol ? number : "tcp,udp";
}

static const char *known(const struct addr_text *text)
{
	return text->text[0] == '-' ? "" : text->text;
}

static json_t *record_json(const struct binding_record *record, const char *from)
{
	struct plait_addr external = record->external;
	struct addr_text source = addr_text(&record->source);
	char number[4];

	external.port = 0;
	return json_pack(
		"{s:s, s:i, s:i, s:s, s:s, s:s, s:s, s:s, s:s}", "external",
		addr_text(&external).text, "port_first", ntohs(record->external.port), "port_last",
		record->last_port, "protocol", protocol_text(record->protocol, number),
		"subscriber", record->subscriber[0] ? record->subscriber : known(&source), "source",
		known(&source), "since",
		record->since_ns ? iso_time_text(record->since_ns).text : "", "until",
		record->until_ns ? iso_time_text(record->until_ns).text : "", "from", from);
}

static json_t *answer_json(const struct whois_answer *answer)
{
	json_t *list = json_array();

	for (size_t i = 0; i < answer->count; i++)
		if (json_array_append_new(list, record_json(&answer->records[i], answer->from)))
			return json_decref(list), NULL;
	return json_pack("{s:o}", "whois", list);
}

static const struct table_column columns[] = {
	{"EXTERNAL", false}, {"PORTS", false}, {"PROTO", false}, {"SUBSCRIBER", false},
	{"SOURCE", false},   {"SINCE", false}, {"UNTIL", false}, {"FROM", false},
};

static void put_record(struct table *table, const json_t *record)
{
	table_cell(table, "%s", field_text(record, "external"));
	table_cell(table, "%u-%u", (unsigned int)field_number(record, "port_first"),
		   (unsigned int)field_number(record, "port_last"));
	table_cell(table, "%s", field_text(record, "protocol"));
	table_cell(table, "%s", field_text(record, "subscriber"));
	table_cell(table, "%s", field_text(record, "source"));
	table_cell(table, "%s", field_text(record, "since"));
	table_cell(table, "%s", field_text(record, "until"));
	table_cell(table, "%s", field_text(record, "from"));
}

static int show_whois(const json_t *reply, const struct show_options *options, FILE *stream)
{
	const json_t *records = json_object_get(reply, "whois");
	struct table table;
	int error;

	table_open(&table, columns, sizeof(columns) / sizeof(*columns));
	for (size_t i = 0; i < json_array_size(records); i++)
		put_record(&table, json_array_get(records, i));
	error = table_print(&table, stream);
	table_close(&table);
	return error;
}

static int print_answer(const struct whois_answer *answer, bool json)
{
	json_t *document = answer_json(answer);
	int status = EXIT_FAILURE;

	if (document)
		status = report(json ? show_json : show_whois, document, NULL);
	else
		complain("%s", strerror(ENOMEM));
	json_decref(document);
	return status;
}

int whois(int argc, char **argv)
{
	struct whois_request request = {0};
	struct whois_answer answer = {0};
	bool json = false;
	int status = take_options(argc, argv, &request, &json);

	if (status >= 0)
		return status;
	status = take_words(argv + optind, &request);
	if (!status)
		status = look(&request, &answer);
	if (!status)
		status = print_answer(&answer, json);
	free(answer.records);
	return status;
}
