/* SPDX-License-Identifier: Apache-2.0 */
/* The progress bar; see progress.h. */
#include "util/progress.h"

#include <inttypes.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "util/out.h"

#define SECOND UINT64_C(1000000000)
#define REDRAW (SECOND / 10)

/* A rate from less than this says nothing about the rest. */
#define SETTLED (SECOND / 2)

#define BAR_MAX 30
#define BAR_MIN 8

static uint64_t now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* never fails */
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static int terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return 80;
}

void progress_begin(struct progress *p, const char *label, bool quiet)
{
	const char *term = getenv("TERM");

	*p = (struct progress){
		.label = label,
		.shown = !quiet && isatty(STDERR_FILENO) && term &&
			 strcmp(term, "dumb") != 0,
		.start = now(),
	};
}

/* "  1:23 left"; empty while nothing can be said. */
static void format_left(
	uint64_t ns, uint64_t done, uint64_t total, char *ret, size_t room)
{
	double left;

	ret[0] = '\0';
	if (ns < SETTLED || done == 0 || done >= total)
		return;
	left = (double)ns / (double)SECOND * ((double)total / (double)done - 1);
	if (left < 3600)
		(void)snprintf(ret, room, "  %d:%02d left", (int)left / 60,
			(int)left % 60);
	else if (left < 360000)
		(void)snprintf(ret, room, "  %d:%02d h left", (int)left / 3600,
			(int)left / 60 % 60);
}

/* "  312M   1.2G/s  0:04 left" */
static void format_amount(
	uint64_t ns, uint64_t done, uint64_t total, char *ret, size_t room)
{
	char amount[16], rate[16] = "", left[32];
	double per_second = (double)done / ((double)ns / (double)SECOND);

	out_size(done, amount);
	if (ns >= SETTLED && per_second < 1e18)
		out_size((uint64_t)per_second, rate);
	format_left(ns, done, total, left, sizeof(left));
	(void)snprintf(ret, room, "  %5s  %5s%s%s", amount, rate,
		rate[0] ? "/s" : "", left);
}

static void repeat(FILE *f, const char *text, int times)
{
	while (times-- > 0)
		fputs(text, f);
}

/* "━━━━━━━─────" of so many columns. */
static void print_bar(FILE *f, double part, int cells)
{
	bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	const char *no_color = getenv("NO_COLOR");
	bool color = !no_color || !*no_color;
	int full = (int)(part * cells);

	fputs(color ? "\033[32m" : "", f);
	repeat(f, utf8 ? "━" : "#", full);
	fputs(color ? "\033[0;2m" : "", f);
	repeat(f, utf8 ? "─" : ".", cells - full);
	fputs(color ? "\033[0m" : "", f);
}

/* The parts that fit into the line; its last column stays free, or the
 * terminal would wrap. */
static void print_line(FILE *f, const struct progress *p, uint64_t ns,
	uint64_t done, uint64_t total)
{
	char amount[96], percent[16] = "";
	double part = done < total ? (double)done / (double)total : 1;
	int room = terminal_width() - 1 - (int)strlen(p->label);

	if (total > 0)
		(void)snprintf(
			percent, sizeof(percent), "  %3d%%", (int)(part * 100));
	format_amount(ns, done, total, amount, sizeof(amount));
	room -= (int)strlen(percent);
	if (room < (int)strlen(amount))
		amount[0] = '\0';
	room -= (int)strlen(amount) + 2;

	fprintf(f, "\r%s", p->label);
	if (total > 0 && room >= BAR_MIN) {
		fputs("  ", f);
		print_bar(f, part, room < BAR_MAX ? room : BAR_MAX);
	}
	fprintf(f, "%s%s\033[K", percent, amount);
}

void progress_update(struct progress *p, uint64_t done, uint64_t total)
{
	char line[512] = "";
	uint64_t t;
	FILE *f;

	if (!p->shown)
		return;
	t = now();
	if (p->drawn && t - p->drawn < REDRAW)
		return;
	p->drawn = t;

	/* One write for the whole line, so that it does not flicker. */
	f = fmemopen(line, sizeof(line), "w");
	if (!f)
		return;
	print_line(f, p, t - p->start, done, total);
	(void)fclose(f); /* memory: nothing can fail but room, and then the
			  * line is cut */
	fputs(line, stderr);
}

void progress_end(struct progress *p)
{
	if (p->shown && p->drawn)
		fputs("\r\033[K", stderr);
	p->drawn = 0;
}
