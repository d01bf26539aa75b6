/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format csv: RFC 4180 with a header, every column of a record in a fixed
 * order. A text that a spreadsheet would take for a formula gets an apostrophe
 * in front; what could forge a line is escaped as everywhere, so a field is
 * never longer than a line.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "util/log_map.h"
#include "util/log_out.h"
#include "util/log_record.h"
#include "util/out.h"

/* Spreadsheets obey what begins so; the last four are the same characters in
 * full width. Tabs and line ends are escaped anyway. */
static bool is_formula(const char *text)
{
	static const char *const wide[] = {
		"\xef\xbc\x9d", "\xef\xbc\x8b", "\xef\xbc\x8d", "\xef\xbc\xa0"};

	if (*text && strchr("=+-@", *text))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(wide); i++) {
		if (strncmp(text, wide[i], strlen(wide[i])) == 0)
			return true;
	}
	return false;
}

static void print_text(const char *text)
{
	putchar('"');
	if (is_formula(text))
		putchar('\'');
	for (; *text; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	putchar('"');
}

static int print_words(const struct query_cell *c)
{
	_cleanup_free_ char *line = malloc(c->len + 1), *text = NULL;
	size_t len = c->len;

	if (!line)
		return -ENOMEM;
	while (len > 0 && c->bytes[len - 1] == '\0')
		len--;
	for (size_t i = 0; i < len; i++)
		line[i] = c->bytes[i] ? c->bytes[i] : ' ';
	text = out_name_string(line, len);
	if (!text)
		return -ENOMEM;
	print_text(text);
	return 0;
}

static int print_name(const struct query_cell *c)
{
	_cleanup_free_ char *text = out_name_string(c->bytes, c->len);

	if (!text)
		return -ENOMEM;
	print_text(text);
	return 0;
}

static int print_value(enum query_column column, const struct query_row *row)
{
	const struct log_map line = {.column = column};
	json_t *value;
	int r = log_map_value(&line, row, &value);

	if (r == 0 && value)
		print_text(json_string_value(value));
	json_decref(value);
	return r;
}

static int print_cell(enum query_column column, const struct query_row *row)
{
	const struct query_cell *c = &row->cell[column];

	if (c->null)
		return 0;
	if (column == QUERY_CMDLINE)
		return print_words(c);
	switch (query_columns[column].kind) {
	case QUERY_NUMBER:
	case QUERY_FLAG: printf("%" PRId64, c->number); return 0;
	case QUERY_TEXT:
	case QUERY_NAME: return print_name(c);
	case QUERY_TIME:
	case QUERY_DIGEST:
	case QUERY_BLOB: break;
	}
	return print_value(column, row);
}

static int begin(struct log_out *o)
{
	fputs("type", stdout);
	for (int i = 0; i < QUERY_COLUMNS; i++)
		printf(",%s", query_columns[i].name);
	fputs(",error\r\n", stdout);
	return 0;
}

static int print_row(struct log_out *o, const struct query_row *row)
{
	const struct query_cell *error = &row->cell[QUERY_ERRNO];
	const char *name =
		error->null ? NULL : strerrorname_np((int)error->number);
	int r = 0;

	fputs(row->cell[QUERY_TEXT_OF_EVENT].null ? "attempt" : "event",
		stdout);
	for (int i = 0; r == 0 && i < QUERY_COLUMNS; i++) {
		putchar(',');
		r = print_cell((enum query_column)i, row);
	}
	printf(",%s\r\n", name ? name : "");
	return r < 0 ? r : ferror(stdout) ? -EIO : 0;
}

const struct log_format log_out_csv = {
	.name = "csv",
	.what = "comma-separated values with a header, every column",
	.begin = begin,
	.row = print_row,
};
