// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

int show_json(const json_t *reply, const struct show_options *options, FILE *stream)
{
	char *text =
		json_dumps(reply, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15));

	if (!text)
		return -ENOMEM;
	for (const char *c = text; *c; c++) {
		if (*c == '\x7f') /* DEL, which JSON lets pass */
			fputs("\\u007f", stream);
		else
			fputc(*c, stream);
	}
	fputc('\n', stream);
	free(text);
	return 0;
}

/* Not by stdio, which may lose the errno of an earlier flush. */
static int write_all(const char *text, size_t bytes)
{
	while (bytes) {
		ssize_t n = write(STDOUT_FILENO, text, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EPIPE ? 0 : -errno;
		text += n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* Nothing is written unless all of it can be printed. 0 or negative errno. */
static int output(show_fn *show, const json_t *reply, const struct show_options *options)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *stream = open_memstream(&text, &bytes);
	int error;

	if (!stream)
		return -ENOMEM;
	error = show(reply, options, stream);
	if ((ferror(stream) | fclose(stream)) && !error)
		error = -ENOMEM;
	if (!error)
		error = write_all(text, bytes);
	free(text);
	return error;
}

int report(show_fn *show, const json_t *reply, const struct show_options *options)
{
	int error = output(show, reply, options);

	if (error == -EPROTO)
		complain("plaitd's answer is of another kind; is it another version?");
	else if (error)
		complain("standard output: %s", strerror(-error));
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
