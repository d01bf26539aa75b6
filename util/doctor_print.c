/* SPDX-License-Identifier: Apache-2.0 */
/* Findings in words or as JSON; see doctor_print.h. */
#include "util/doctor_print.h"

#include <string.h>

#include "util/out.h"

/* Where the text of a finding begins, and how wide all is. */
#define COLUMN 7
#define WIDTH 79

static const char *color_of(enum doctor_level level)
{
	static const char *const colors[] = {
		[DOCTOR_BLIND] = "\033[1;31m",
		[DOCTOR_RISK] = "\033[31m",
		[DOCTOR_SLOW] = "\033[33m",
		[DOCTOR_STALE] = "\033[33m",
		[DOCTOR_NOTE] = "\033[2m",
	};

	return out_color() ? colors[level] : "";
}

static const char *plain(void)
{
	return out_color() ? "\033[0m" : "";
}

/* Words of ours, wrapped behind the column. */
static void print_wrapped(const char *text)
{
	int at = printf("%*s", COLUMN, "");

	while (*text) {
		int len = (int)strcspn(text, " ");

		if (at > COLUMN && at + 1 + len > WIDTH)
			at = printf("\n%*s", COLUMN, "") - 1;
		else if (at > COLUMN)
			at += printf(" ");
		at += printf("%.*s", len, text);
		text += len;
		text += strspn(text, " ");
	}
	putchar('\n');
}

/* A command stays one line, however long, so that it can be copied. */
static void print_finding(const struct doctor_finding *f)
{
	printf("%s%-*s%s", color_of(f->level), COLUMN,
		doctor_level_name(f->level), plain());
	out_name(stdout, f->what, strlen(f->what));
	putchar('\n');
	print_wrapped(f->why);
	if (f->command)
		printf("%*s$ %s\n", COLUMN, "", f->command);
}

static void print_mount(const struct doctor_mount *m)
{
	const struct mountinfo *info = &m->seen[0].m;

	out_name(stdout, info->dir, strlen(info->dir));
	fputs(" (", stdout);
	out_name(stdout, info->source, strlen(info->source));
	fputs(")\n", stdout);
}

static void print_those_of(const struct doctor_findings *all,
	const struct doctor_mount *m, bool *began)
{
	bool headed = false;

	for (size_t i = 0; i < all->count; i++) {
		const struct doctor_finding *f = &all->all[i];

		if (f->mount != m)
			continue;
		if (!headed && *began)
			putchar('\n');
		if (!headed && m)
			print_mount(m);
		else if (!headed)
			puts("this machine");
		headed = *began = true;
		print_finding(f);
	}
}

void doctor_print_text(
	const struct doctor_facts *facts, const struct doctor_findings *all)
{
	size_t bad = doctor_findings_bad(all);
	bool began = false;

	for (size_t i = 0; i < facts->mount_count; i++)
		print_those_of(all, &facts->mounts[i], &began);
	print_those_of(all, NULL, &began);
	if (began)
		putchar('\n');
	printf("%zu mount%s, ", facts->mount_count,
		facts->mount_count == 1 ? "" : "s");
	if (bad == 0)
		puts("all is well");
	else
		printf("%zu finding%s\n", bad, bad == 1 ? "" : "s");
}

static int set_text(json_t *o, const char *key, const char *text)
{
	if (!text)
		return 0;
	return out_json_set_name(o, key, text, strlen(text));
}

static int set_mount(json_t *o, const struct doctor_mount *m)
{
	int r = set_text(o, "mount", m->seen[0].m.dir);

	if (r == 0)
		r = set_text(o, "image", m->seen[0].m.source);
	if (r == 0)
		r = set_text(o, "ledger", m->store.ledger);
	if (r == 0 && m->daemon.pid &&
		json_object_set_new(o, "daemon", json_integer(m->daemon.pid)) <
			0)
		r = -ENOMEM;
	return r;
}

static int print_object(const struct doctor_finding *f)
{
	json_t *o = json_object();
	int r = o ? 0 : -ENOMEM;

	if (r == 0)
		r = set_text(o, "level", doctor_level_name(f->level));
	if (r == 0)
		r = set_text(o, "kind", f->kind);
	if (r == 0 && f->mount)
		r = set_mount(o, f->mount);
	if (r == 0)
		r = set_text(o, "what", f->what);
	if (r == 0)
		r = set_text(o, "why", f->why);
	if (r == 0)
		r = set_text(o, "command", f->command);
	if (r < 0) {
		json_decref(o);
		return r;
	}
	return out_json_line(stdout, o);
}

int doctor_print_json(const struct doctor_findings *all)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < all->count; i++)
		r = print_object(&all->all[i]);
	return r;
}
