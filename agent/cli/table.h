/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A table of text cells, as wide as its contents. */
#ifndef PLAIT_CLI_TABLE_H
#define PLAIT_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table_column {
	const char *title; /* NULL in a table without a title line */
	bool right; /* aligned at its right edge: numbers */
};

struct table {
	const struct table_column *columns;
	size_t column_count;
	int *widths;
	char **cells; /* row by row */
	size_t cell_count, room;
	bool failed; /* out of memory; printing says so */
};

/* columns must outlive the table. Undone by table_close(). */
void table_open(struct table *table, const struct table_column *columns, size_t column_count);
void table_close(struct table *table);

/* Append the next cell; what a terminal would obey is escaped, empty text is "-". */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for text that is part of this program: taken as it is. */
void table_own_cell(struct table *table, const char *text);

/* The printing functions return 0 or -ENOMEM; stream's errors stay with the stream. */
int table_print_titles(const struct table *table, FILE *stream);
int table_print_row(const struct table *table, size_t row, const char *indent, FILE *stream);
int table_print(const struct table *table, FILE *stream);

#endif
