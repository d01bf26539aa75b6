/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of attempts as text and as JSON; see log_summary.h. */
#include "util/log_summary.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util/log_map.h"
#include "util/out.h"

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RED "\033[31m"
#define CYAN "\033[36m"
#define PLAIN "\033[0m"

enum { COUNT_WIDTH = 10, BAR_WIDTH = 40, OVERVIEW_HOURS = 12 };

static const struct {
	const char *name;  /* for --by */
	const char *title; /* of the overview, with their number before it */
	const char *none;  /* what a key that is null says */
} kinds[SUMMARY_COUNT] = {
	[SUMMARY_PATH] = {"path", "paths", "-"},
	[SUMMARY_PROGRAM] = {"exe", "programs", "(not known)"},
	[SUMMARY_COMM] = {"comm", "process names", "(not known)"},
	[SUMMARY_CONTAINER] = {"container", "containers", "(none)"},
	[SUMMARY_UID] = {"uid", "users", "-"},
	[SUMMARY_OP] = {"op", "operations", "-"},
	[SUMMARY_RULE] = {"rule", "rules", "-"},
	[SUMMARY_HOUR] = {"hour", "hours", "-"},
	[SUMMARY_PROCESS] = {"process", "processes", "(not known)"},
};

const char *log_summary_name(enum summary_by by)
{
	return (unsigned)by < SUMMARY_COUNT ? kinds[by].name : NULL;
}

int log_summary_parse(const char *name, enum summary_by *ret)
{
	for (int i = 0; i < SUMMARY_COUNT; i++) {
		if (strcmp(kinds[i].name, name) == 0) {
			*ret = (enum summary_by)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* ---- text ---- */

static const char *style(bool color, const char *sequence)
{
	return color ? sequence : "";
}

/* Local time, to the second or to the minute. */
static void print_time(int64_t ns, bool seconds)
{
	uint32_t rest;
	time_t when = (time_t)out_time_split(ns, &rest);
	char text[40] = "?";
	struct tm tm;

	if (localtime_r(&when, &tm))
		(void)(seconds ? strftime(text, sizeof(text),
					 "%Y-%m-%d %H:%M:%S", &tm)
			       : strftime(text, sizeof(text), "%Y-%m-%d %H:%M",
					 &tm));
	fputs(text, stdout);
}

static void print_name(const struct query_cell *c, const char *none)
{
	if (c->null)
		fputs(none, stdout);
	else
		out_name(stdout, c->bytes, c->len);
}

static void print_key(enum summary_by by, const struct summary_group *g)
{
	const struct query_cell *key = &g->key;

	switch (by) {
	case SUMMARY_UID:
		if (key->null)
			putchar('-');
		else
			printf("%" PRId64, key->number);
		return;
	case SUMMARY_HOUR: print_time(key->number, false); return;
	case SUMMARY_PROCESS:
		print_name(&g->comm, kinds[by].none);
		if (!key->null)
			printf("[%" PRId64 "]", key->number);
		if (!g->exe.null) {
			putchar(' ');
			print_name(&g->exe, "");
		}
		return;
	default: print_name(key, kinds[by].none);
	}
}

/* As many blocks as fit its part of the most, to an eighth. */
static void print_bar(int64_t count, int64_t most, bool color)
{
	static const char *const eighths[] = {"", "\xe2\x96\x8f",
		"\xe2\x96\x8e", "\xe2\x96\x8d", "\xe2\x96\x8c", "\xe2\x96\x8b",
		"\xe2\x96\x8a", "\xe2\x96\x89"};
	int parts =
		most > 0 ? (int)((double)count / (double)most * BAR_WIDTH * 8)
			 : 0;

	/* What there is, is to be seen. */
	if (parts == 0 && count > 0)
		parts = 1;
	fputs(style(color, CYAN), stdout);
	for (int i = 0; i < parts / 8; i++)
		fputs("\xe2\x96\x88", stdout);
	fputs(eighths[parts % 8], stdout);
	fputs(style(color, PLAIN), stdout);
}

static int64_t most_of(const struct summary_table *t)
{
	int64_t most = 0;

	for (size_t i = 0; i < t->count; i++) {
		if (t->groups[i].count > most)
			most = t->groups[i].count;
	}
	return most;
}

static void print_forgotten(const struct summary_table *t)
{
	if (t->forgotten)
		printf("There are more than can be told apart; a count may be "
		       "too low by up to %" PRId64 ".\n",
			t->forgotten);
}

void log_summary_table(const struct summary *s, enum summary_by by, bool color)
{
	const struct summary_table *t = summary_table(s, by);
	int64_t most = most_of(t);

	printf("%s%*s %8s  %-19s  %-19s  %s%s\n", style(color, BOLD),
		COUNT_WIDTH, "COUNT", "PATHS", "FIRST", "LAST",
		by == SUMMARY_PROCESS ? "PROCESS PROGRAM" : kinds[by].name,
		style(color, PLAIN));
	for (size_t i = 0; i < t->count; i++) {
		const struct summary_group *g = &t->groups[i];

		printf("%*" PRId64 " %7" PRId64 "%c  ", COUNT_WIDTH, g->count,
			g->paths, g->more_paths ? '+' : ' ');
		print_time(g->first, true);
		fputs("  ", stdout);
		print_time(g->last, true);
		fputs("  ", stdout);
		print_key(by, g);
		if (by == SUMMARY_HOUR) {
			putchar(' ');
			print_bar(g->count, most, color);
		}
		putchar('\n');
	}
	if (t->distinct > (int64_t)t->count)
		printf("and %" PRId64 " more\n",
			t->distinct - (int64_t)t->count);
	print_forgotten(t);
}

static void print_bad(int64_t count, const char *what, bool color)
{
	if (count)
		printf("%s%" PRId64 " %s%s\n", style(color, RED), count, what,
			style(color, PLAIN));
}

static void print_totals(const struct summary_totals *t, bool color)
{
	printf("%s%" PRId64 " attempt%s%s in %" PRId64 " record%s",
		style(color, BOLD), t->attempts, t->attempts == 1 ? "" : "s",
		style(color, PLAIN), t->records, t->records == 1 ? "" : "s");
	if (t->attempts) {
		fputs(", ", stdout);
		print_time(t->first, true);
		fputs(" to ", stdout);
		print_time(t->last, true);
	}
	putchar('\n');
	print_bad(t->gap, "attempts were only counted (gap)", color);
	print_bad(t->lost, "attempts could not be recorded (lost)", color);
	print_bad(t->damage, "times the image was found damaged", color);
}

static void print_top(const struct summary *s, enum summary_by by, bool color)
{
	const struct summary_table *t = summary_table(s, by);

	printf("\n%s%" PRId64 " %s%s\n", style(color, BOLD), t->distinct,
		kinds[by].title, style(color, PLAIN));
	for (size_t i = 0; i < t->count; i++) {
		printf("%*" PRId64 "  ", COUNT_WIDTH, t->groups[i].count);
		print_key(by, &t->groups[i]);
		putchar('\n');
	}
	print_forgotten(t);
}

static void print_hours(const struct summary *s, bool color)
{
	const struct summary_table *t = summary_table(s, SUMMARY_HOUR);
	int64_t most = most_of(t);

	printf("\n%s%s%s\n", style(color, BOLD), kinds[SUMMARY_HOUR].title,
		style(color, PLAIN));
	for (size_t i = 0; i < t->count; i++) {
		printf("%*" PRId64 "  ", COUNT_WIDTH, t->groups[i].count);
		print_key(SUMMARY_HOUR, &t->groups[i]);
		putchar(' ');
		print_bar(t->groups[i].count, most, color);
		putchar('\n');
	}
}

void log_summary_overview(const struct summary *s, bool color)
{
	static const enum summary_by shown[] = {SUMMARY_PATH, SUMMARY_PROGRAM,
		SUMMARY_OP, SUMMARY_UID, SUMMARY_CONTAINER};

	print_totals(summary_totals(s), color);
	for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
		const struct summary_table *t = summary_table(s, shown[i]);

		/* That all were in no container needs no table. */
		if (shown[i] == SUMMARY_CONTAINER && t->count == 1 &&
			t->groups[0].key.null)
			continue;
		if (t->count)
			print_top(s, shown[i], color);
	}
	if (summary_table(s, SUMMARY_HOUR)->count)
		print_hours(s, color);
}

/* ---- JSON ---- */

/* Takes value over, also when it is NULL for lack of memory. */
static int set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

static int set_name(json_t *object, const char *key, const struct query_cell *c)
{
	return c->null ? 0 : out_json_set_name(object, key, c->bytes, c->len);
}

static int set_key(
	json_t *object, enum summary_by by, const struct query_cell *key)
{
	if (key->null)
		return set(object, "key", json_null());
	if (by == SUMMARY_UID || by == SUMMARY_PROCESS)
		return set(object, "key", json_integer(key->number));
	if (by == SUMMARY_HOUR)
		return set(object, "key", log_map_time(key->number));
	return set_name(object, "key", key);
}

static int set_digest(json_t *object, const struct query_cell *c)
{
	char hex[DIGEST_HEX_LEN + 1];
	struct digest d;

	if (c->null || c->len != DIGEST_LEN)
		return 0;
	memcpy(d.bytes, c->bytes, DIGEST_LEN);
	digest_hex(&d, hex);
	return set(object, "exe_digest", json_string(hex));
}

static int fill_group(
	json_t *object, enum summary_by by, const struct summary_group *g)
{
	int r = set(object, "by", json_string(kinds[by].name));

	if (r == 0)
		r = set_key(object, by, &g->key);
	if (r == 0)
		r = set(object, "count", json_integer(g->count));
	if (r == 0)
		r = set(object, "first", log_map_time(g->first));
	if (r == 0)
		r = set(object, "last", log_map_time(g->last));
	if (r == 0)
		r = set(object, "paths", json_integer(g->paths));
	if (r == 0 && g->more_paths)
		r = set(object, "more_paths", json_true());
	if (r == 0 && by == SUMMARY_PROCESS)
		r = set_name(object, "comm", &g->comm);
	if (r == 0 && by == SUMMARY_PROCESS)
		r = set_name(object, "exe", &g->exe);
	if (r == 0 && by == SUMMARY_PROCESS && !g->start_real.null)
		r = set(object, "start_time",
			log_map_time(g->start_real.number));
	if (r == 0 && (by == SUMMARY_PROCESS || by == SUMMARY_PROGRAM))
		r = set_digest(object, &g->exe_digest);
	return r;
}

static int fill_totals(json_t *object, const struct summary_totals *t)
{
	const struct {
		const char *key;
		int64_t value;
	} numbers[] = {
		{"attempts", t->attempts},
		{"records", t->records},
		{"lost", t->lost},
		{"gap", t->gap},
		{"damage", t->damage},
	};
	int r = set(object, "by", json_null());

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(numbers); i++)
		r = set(object, numbers[i].key, json_integer(numbers[i].value));
	if (r == 0 && t->attempts)
		r = set(object, "first", log_map_time(t->first));
	if (r == 0 && t->attempts)
		r = set(object, "last", log_map_time(t->last));
	return r;
}

static int print_object(json_t *object, int r)
{
	if (r == 0)
		return out_json_line(stdout, object);
	json_decref(object);
	return r;
}

int log_summary_json(const struct summary *s, unsigned by)
{
	json_t *object = json_object();
	int r = print_object(object, fill_totals(object, summary_totals(s)));

	for (int i = 0; r == 0 && i < SUMMARY_COUNT; i++) {
		const struct summary_table *t =
			summary_table(s, (enum summary_by)i);

		for (size_t k = 0; by >> i & 1 && r == 0 && k < t->count; k++) {
			object = json_object();
			r = print_object(
				object, fill_group(object, (enum summary_by)i,
						&t->groups[k]));
		}
	}
	return r;
}
