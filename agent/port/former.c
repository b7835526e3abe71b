// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "former.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void former_open(struct former *former, const char *file)
{
	FILE *in;

	memset(former, 0, sizeof(*former));
	snprintf(former->file, sizeof(former->file), "%s", file);
	in = fopen(file, "re");
	if (!in)
		return;
	while (former->count < FORMER_MAX &&
	       fscanf(in, "%95s %63[^\n]", former->entry[former->count].key,
		      former->entry[former->count].value) == 2)
		former->count++;
	fclose(in);
}

static int write_file(const struct former *former)
{
	FILE *out = fopen(former->file, "we");

	if (!out)
		return -errno;
	for (unsigned int i = 0; i < former->count; i++)
		fprintf(out, "%s %s\n", former->entry[i].key, former->entry[i].value);
	return fclose(out) ? -errno : 0;
}

int former_keep(struct former *former, const char *key, const char *value)
{
	if (former_value(former, key))
		return 0;
	if (former->count == FORMER_MAX)
		return -ENOSPC;
	snprintf(former->entry[former->count].key, FORMER_KEY_BYTES, "%s", key);
	snprintf(former->entry[former->count].value, FORMER_VALUE_BYTES, "%s", value);
	former->count++;
	return write_file(former);
}

const char *former_value(const struct former *former, const char *key)
{
	for (unsigned int i = 0; i < former->count; i++)
		if (!strcmp(former->entry[i].key, key))
			return former->entry[i].value;
	return NULL;
}

void former_forget(struct former *former)
{
	former->count = 0;
	if (former->file[0])
		unlink(former->file);
}
