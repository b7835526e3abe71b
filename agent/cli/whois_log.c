// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What the binding log says of a time in the past. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "codec/iso_time.h"
#include "text.h"
#include "whois_sources.h"

struct log_lines {
	char *text;
	size_t bytes;
	unsigned long number, damaged;
};

/* What plaitd says else, on the same standard error, is no record. */
static int take_line(struct log_lines *lines, struct history *history)
{
	struct binding_record record;

	lines->number++;
	lines->text[strcspn(lines->text, "\n")] = '\0';
	if (!binding_record_parse(lines->text, &record))
		return history_add(history, &record);
	lines->damaged += strstr(lines->text, "event=") != NULL;
	return 0;
}

/* 0 or negative errno. */
static int read_log(FILE *file, struct history *history, unsigned long *damaged)
{
	struct log_lines lines = {0};
	int err = 0;

	errno = 0;
	while (!err && getline(&lines.text, &lines.bytes, file) >= 0)
		err = take_line(&lines, history);
	if (!err && ferror(file))
		err = errno ? -errno : -EIO;
	free(lines.text);
	*damaged = lines.damaged;
	return err;
}

static int read_file(const char *path, struct history *history)
{
	FILE *file = fopen(path, "r");
	unsigned long damaged = 0;
	int err = file ? read_log(file, history, &damaged) : -errno;

	if (file)
		fclose(file);
	if (err)
		complain("%s: %s", path, strerror(-err));
	if (damaged)
		complain("%s: %lu lines are no whole records, and passed over", path, damaged);
	return err ? EXIT_FAILURE : 0;
}

static int add_records(const struct whois_request *request, const struct history *history,
		       struct whois_answer *answer)
{
	int status = 0;

	answer->from = "log";
	for (size_t i = 0; !status && i < history->count; i++)
		status = whois_add(answer, &history->records[i]);
	if (history->begins_ns == UINT64_MAX)
		complain("%s: there is no record in it", request->log_path);
	else if (history->begins_ns > request->question.at_ns)
		complain("%s: it begins later, at %s", request->log_path,
			 iso_time_text(history->begins_ns).text);
	return status;
}

int whois_from_log(const struct whois_request *request, struct whois_answer *answer)
{
	struct history history;
	int status;

	if (!request->log_path) {
		complain(
			"whois: of the past only the binding log knows: name it with --log FILE, or "
			"a configuration that does with -c FILE");
		return EXIT_USAGE;
	}
	history_open(&history, &request->question);
	status = read_file(request->log_path, &history);
	if (!status)
		status = add_records(request, &history, answer);
	history_close(&history);
	return status;
}
