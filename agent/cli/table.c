// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

void table_open(struct table *table, const struct table_column *columns, size_t column_count)
{
	*table = (struct table){.columns = columns, .column_count = column_count};
	table->widths = calloc(column_count, sizeof(*table->widths));
	table->failed = !table->widths;
	for (size_t i = 0; i < column_count && !table->failed; i++)
		table->widths[i] = columns[i].title ? (int)strlen(columns[i].title) : 0;
}

void table_close(struct table *table)
{
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table->widths);
}

static bool make_room(struct table *table)
{
	size_t room = table->room ? 2 * table->room : 64;
	char **cells;

	if (table->cell_count < table->room)
		return true;
	cells = reallocarray(table->cells, room, sizeof(*cells));
	if (!cells)
		return false;
	table->cells = cells;
	table->room = room;
	return true;
}

/* Takes text over. */
static void append(struct table *table, char *text)
{
	size_t column = table->cell_count % table->column_count;

	if (!text || table->failed || !make_room(table)) {
		table->failed = true;
		free(text);
		return;
	}
	if ((int)strlen(text) > table->widths[column])
		table->widths[column] = (int)strlen(text);
	table->cells[table->cell_count++] = text;
}

void table_cell(struct table *table, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	append(table, text ? clean_text(*text ? text : "-") : NULL);
	free(text);
}

void table_own_cell(struct table *table, const char *text)
{
	append(table, strdup(text));
}

/* The last cell of a line is not padded: no line ends in blanks. */
static void print_cell(const struct table *table, size_t column, const char *text, FILE *stream)
{
	int width = table->widths[column];

	if (column)
		fputs("  ", stream);
	if (table->columns[column].right)
		fprintf(stream, "%*s", width, text);
	else if (column + 1 == table->column_count)
		fputs(text, stream);
	else
		fprintf(stream, "%-*s", width, text);
}

int table_print_titles(const struct table *table, FILE *stream)
{
	if (table->failed)
		return -ENOMEM;
	for (size_t i = 0; i < table->column_count; i++)
		print_cell(table, i, table->columns[i].title, stream);
	fputc('\n', stream);
	return 0;
}

int table_print_row(const struct table *table, size_t row, const char *indent, FILE *stream)
{
	if (table->failed)
		return -ENOMEM;
	fputs(indent, stream);
	for (size_t i = 0; i < table->column_count; i++)
		print_cell(table, i, table->cells[row * table->column_count + i], stream);
	fputc('\n', stream);
	return 0;
}

int table_print(const struct table *table, FILE *stream)
{
	if (table->failed)
		return -ENOMEM;
	if (table->columns[0].title)
		table_print_titles(table, stream);
	for (size_t row = 0; row < table->cell_count / table->column_count; row++)
		table_print_row(table, row, "", stream);
	return 0;
}
