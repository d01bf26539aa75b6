/* SPDX-License-Identifier: Apache-2.0 */
/* A record of a ledger as a line for people; see log_print.h. */
#include "util/log_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util/out.h"

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RED "\033[31m"
#define CYAN "\033[36m"
#define PLAIN "\033[0m"

/* Widths: a time with milliseconds, a pid of 4 million, a comm of the kernel,
 * the longest op, and nearly every errno. */
#define COLUMNS "%-23s %7s %-15s %-15s %-6s "

static const char *style(bool color, const char *sequence)
{
	return color ? sequence : "";
}

void log_print_header(bool color)
{
	printf("%s" COLUMNS "%s%s\n", style(color, BOLD), "TIME", "PID", "COMM",
		"OP", "ERR", "PATH", style(color, PLAIN));
}

static void format_time(int64_t ns, char ret[40])
{
	int64_t sec = ns / 1000000000, rest = ns % 1000000000;
	time_t when = (time_t)(sec - (rest < 0));
	struct tm tm;
	size_t len;

	if (rest < 0)
		rest += 1000000000;
	if (!localtime_r(&when, &tm)) {
		(void)snprintf(ret, 40, "@%" PRId64, sec);
		return;
	}
	len = strftime(ret, 40, "%Y-%m-%d %H:%M:%S", &tm);
	(void)snprintf(ret + len, 40 - len, ".%03d", (int)(rest / 1000000));
}

/* Escaped and padded; the padding counts bytes, as comm seldom has others. */
static void print_padded(const struct query_cell *c, int width)
{
	char *text = c->null ? NULL : out_name_string(c->bytes, c->len);

	printf("%-*s ", width, text ? text : "-");
	free(text);
}

static void print_error(const struct query_cell *c, bool color)
{
	const char *name = c->null ? "-" : strerrorname_np((int)c->number);
	char number[24];

	if (!name) {
		(void)snprintf(number, sizeof(number), "%" PRId64, c->number);
		name = number;
	}
	printf("%s%-6s%s ", style(color && !c->null, RED), name,
		style(color && !c->null, PLAIN));
}

static void print_number(const struct query_cell *c, int width)
{
	char number[24] = "-";

	if (!c->null)
		(void)snprintf(number, sizeof(number), "%" PRId64, c->number);
	printf("%*s ", width, number);
}

static void print_name(const struct query_cell *c)
{
	if (!c->null)
		out_name(stdout, c->bytes, c->len);
}

void log_print_line(const struct query_row *row, bool color)
{
	const struct query_cell *cell = row->cell;
	bool event = !cell[QUERY_TEXT_OF_EVENT].null;
	char time[40];

	format_time(cell[QUERY_T_REAL].number, time);
	printf("%s%-23s%s ", style(color, DIM), time, style(color, PLAIN));
	print_number(&cell[QUERY_PID], 7);
	print_padded(&cell[QUERY_COMM], 15);
	fputs(style(color, event ? RED : CYAN), stdout);
	print_padded(&cell[QUERY_OP], 15);
	fputs(style(color, PLAIN), stdout);
	print_error(&cell[QUERY_ERRNO], color);
	print_name(&cell[QUERY_PATH]);
	if (!cell[QUERY_PATH2].null) {
		fputs(" -> ", stdout);
		print_name(&cell[QUERY_PATH2]);
	}
	if (event) {
		fputs(cell[QUERY_PATH].null ? "" : ": ", stdout);
		print_name(&cell[QUERY_TEXT_OF_EVENT]);
	}
	putchar('\n');
}
