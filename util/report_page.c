/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page of a report. It asks for nothing from anywhere: its policy lets in
 * one style and one script, by their hashes. It reads the same without the
 * script.
 */
#include <inttypes.h>
#include <string.h>

#include "fs/codec/digest.h"
#include "util/report.h"
#include "util/report_html.h"

static int print_hash(FILE *f, const char *text)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	struct digest d;
	int r = digest_of(text, strlen(text), &d);
	uint32_t group = 0;

	if (r < 0)
		return r;
	fputs("'sha256-", f);
	/* 32 bytes: ten groups of three and one of two */
	for (size_t i = 0; i <= DIGEST_LEN; i++) {
		group = group << 8 | (i < DIGEST_LEN ? d.bytes[i] : 0);
		if (i % 3 < 2)
			continue;
		for (int shift = 18; shift >= 0; shift -= 6)
			putc(i == DIGEST_LEN && shift == 0
					? '='
					: digits[group >> shift & 63],
				f);
	}
	putc('\'', f);
	return 0;
}

static int print_head(FILE *f, const struct report *r)
{
	int code;

	fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n"
	      "<meta charset=\"utf-8\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\""
	      "default-src 'none'; style-src ",
		f);
	code = print_hash(f, report_style);
	fputs("; script-src ", f);
	if (code == 0)
		code = print_hash(f, report_script);
	fputs("; img-src data:; base-uri 'none'; form-action 'none'\">\n"
	      "<meta name=\"viewport\" "
	      "content=\"width=device-width,initial-scale=1\">\n"
	      "<meta name=\"referrer\" content=\"no-referrer\">\n"
	      "<meta name=\"generator\" content=\"stele " STELE_VERSION "\">\n"
	      "<link rel=\"icon\" href=\"data:,\">\n<title>Refused writes: ",
		f);
	report_html_name(f, r->opt->ledger, strlen(r->opt->ledger));
	fprintf(f, "</title>\n<style>%s</style>\n</head>\n<body>\n<main>\n",
		report_style);
	return code;
}

static void print_title(FILE *f, const struct report *r)
{
	const struct summary_totals *t = summary_totals(r->summary);
	const char *title = r->title ? r->title : r->opt->ledger;

	fputs("<header>\n<div class=\"brand\">Report of refused writes"
	      "</div>\n<h1>",
		f);
	report_html_name(f, title, strlen(title));
	fputs("</h1>\n<p class=\"sub\">", f);
	if (t->attempts) {
		report_html_count(f, t->attempts, "attempt", "attempts");
		fputs(" from ", f);
		report_html_moment(f, t->first, REPORT_HTML_SECOND);
		fputs(" to ", f);
		report_html_moment(f, t->last, REPORT_HTML_SECOND);
		fputs(" UTC", f);
		if (t->last - t->first >= 1000000) {
			fputs(" (", f);
			report_html_span(f, t->last - t->first);
			putc(')', f);
		}
	} else {
		fputs("No attempt matches", f);
	}
	if (*r->opt->filters) {
		fputs("; only ", f);
		fputs("<code>", f);
		report_html_name(
			f, r->opt->filters + 1, strlen(r->opt->filters + 1));
		fputs("</code>", f);
	}
	fputs("</p>\n", f);
	if (r->place_html)
		fprintf(f, "<p class=\"sub\">%s%s</p>\n", r->place_html,
			r->mount_count > 1 ? ", and more: see Source" : "");
	fputs("</header>\n", f);
}

/* ---- what it comes to ---- */

static void print_fact(FILE *f, int64_t n, const char *what, bool bad)
{
	fprintf(f, "<div class=\"fact%s\"><b>", bad ? " bad" : "");
	report_html_number(f, n);
	fprintf(f, "</b><span>%s</span></div>\n", what);
}

static int64_t distinct(const struct report *r, enum summary_by by)
{
	return summary_table(r->summary, by)->distinct;
}

static int64_t containers(const struct report *r)
{
	const struct summary_table *t =
		summary_table(r->summary, SUMMARY_CONTAINER);

	/* "In none" is a group, too; it may have come after the top ones. */
	for (size_t i = 0; i < t->count; i++) {
		if (t->groups[i].key.null)
			return t->distinct - 1;
	}
	return t->distinct;
}

static void print_facts(FILE *f, const struct report *r)
{
	const struct summary_totals *t = summary_totals(r->summary);

	fputs("<div class=\"facts\">\n", f);
	print_fact(f, t->attempts, "attempts refused", false);
	print_fact(f, distinct(r, SUMMARY_PATH), "paths", false);
	print_fact(f, distinct(r, SUMMARY_PROGRAM), "programs", false);
	print_fact(f, distinct(r, SUMMARY_UID), "users", false);
	if (containers(r))
		print_fact(f, containers(r), "containers", false);
	if (t->gap)
		print_fact(f, t->gap, "only counted (gap)", true);
	if (t->lost)
		print_fact(f, t->lost, "not recorded", true);
	if (t->damage)
		print_fact(f, t->damage, "damaged places", true);
	fputs("</div>\n", f);
}

static void print_integrity(FILE *f, const struct report *r)
{
	static const char *const classes[] = {
		[REPORT_UNKNOWN] = "",
		[REPORT_INTACT] = " good",
		[REPORT_FAULTY] = " bad",
	};
	const struct report_integrity *i = &r->integrity;

	if (!i->title)
		return;
	fprintf(f,
		"<section class=\"verdict%s\">\n<h2>Integrity "
		"<span class=\"pill\">",
		classes[i->verdict]);
	report_html_text(f, i->title);
	fprintf(f, "</span></h2>\n%s</section>\n",
		i->detail_html ? i->detail_html : "");
}

/* ---- the most ---- */

static void print_key(FILE *f, enum summary_by by, const struct query_cell *key)
{
	if (key->null) {
		fputs(by == SUMMARY_CONTAINER ? "<i>in no container</i>"
					      : "<i>not known</i>",
			f);
		return;
	}
	if (by == SUMMARY_UID) {
		fprintf(f, "%" PRId64 "%s", key->number,
			key->number == 0 ? " (root)" : "");
		return;
	}
	fputs(by == SUMMARY_OP ? "" : "<span class=\"path\">", f);
	report_html_name(f, key->bytes, key->len);
	fputs(by == SUMMARY_OP ? "" : "</span>", f);
}

static void print_group(FILE *f, enum summary_by by,
	const struct summary_group *g, int64_t most)
{
	fputs("<tr><td class=\"what\">", f);
	print_key(f, by, &g->key);
	fprintf(f,
		"<svg viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" "
		"aria-hidden=\"true\"><rect class=\"rail\" width=\"100\" "
		"height=\"4\"/><rect class=\"part\" width=\"%.1f\" "
		"height=\"4\"/></svg></td><td class=\"n\">",
		most > 0 ? 100.0 * (double)g->count / (double)most : 0.0);
	report_html_number(f, g->count);
	fputs("</td></tr>\n", f);
}

static void print_top(
	FILE *f, const struct report *r, enum summary_by by, const char *title)
{
	const struct summary_table *t = summary_table(r->summary, by);

	if (t->count == 0)
		return;
	fprintf(f, "<div><h3>%s</h3>\n<table class=\"top\"><tbody>\n", title);
	for (size_t i = 0; i < t->count; i++)
		print_group(f, by, &t->groups[i], t->groups[0].count);
	fputs("</tbody></table>\n", f);
	if (t->distinct > (int64_t)t->count) {
		fputs("<p class=\"note\">and ", f);
		report_html_number(f, t->distinct - (int64_t)t->count);
		fputs(" more</p>\n", f);
	}
	fputs("</div>\n", f);
}

static void print_tops(FILE *f, const struct report *r)
{
	fputs("<section>\n<h2>The most</h2>\n<div class=\"tops\">\n", f);
	print_top(f, r, SUMMARY_PATH, "Paths");
	print_top(f, r, SUMMARY_PROGRAM, "Programs");
	print_top(f, r, SUMMARY_OP, "Operations");
	print_top(f, r, SUMMARY_UID, "Users");
	if (containers(r) > 0)
		print_top(f, r, SUMMARY_CONTAINER, "Containers");
	fputs("</div>\n</section>\n", f);
}

/* ---- tables ---- */

static void print_row(FILE *f, const struct report_row *row)
{
	fprintf(f, "<tr><td class=\"time\" data-n=\"%" PRId64 "\">",
		row->first);
	report_html_time(f, row->first);
	if (row->last / 1000000 != row->first / 1000000) {
		fputs("<span class=\"till\">to ", f);
		report_html_time(f, row->last);
		fputs("</span>", f);
	}
	fprintf(f, "</td><td class=\"num\" data-n=\"%" PRId64 "\">",
		row->count);
	if (row->count > 1)
		fputs("\xc3\x97", f);
	report_html_number(f, row->count);
	fprintf(f, "</td>%s</tr>\n", row->cells_html);
}

static void print_attempts(FILE *f, const struct report *r)
{
	if (r->row_count == 0)
		return;
	fputs("<section>\n<h2>Attempts</h2>\n<div class=\"list\">"
	      "<table id=\"attempts\">\n<thead><tr><th>Time (UTC)</th>"
	      "<th class=\"num\">Count</th><th>Operation</th><th>Answer</th>"
	      "<th>Path in the image</th><th>Process</th>"
	      "<th class=\"num\">User</th><th>Container</th><th>Rule</th>"
	      "</tr></thead>\n<tbody>\n",
		f);
	for (size_t i = 0; i < r->row_count; i++)
		print_row(f, &r->rows[i]);
	fputs("</tbody>\n</table></div>\n<p class=\"note\">Attempts of one "
	      "process that are alike share a line.",
		f);
	if (r->rows_left) {
		fputs(" Not listed here, but counted above: ", f);
		report_html_count(
			f, r->attempts_left, "later attempt", "later attempts");
		fputs(" of other kinds. <code>stele log</code> shows all.", f);
	}
	fputs("</p>\n</section>\n", f);
}

static void print_events(FILE *f, const struct report *r)
{
	if (r->event_count == 0)
		return;
	fputs("<section>\n<h2>What happened to the mount</h2>\n"
	      "<div class=\"list\"><table>\n<thead><tr><th>Time (UTC)</th>"
	      "<th>Event</th><th>Path</th><th>What</th></tr></thead>\n"
	      "<tbody>\n",
		f);
	for (size_t i = 0; i < r->event_count; i++) {
		const struct report_event *e = &r->events[i];

		fprintf(f, "<tr class=\"m-%d\"><td class=\"time\">",
			(int)e->level);
		report_html_time(f, e->time);
		fprintf(f, "</td>%s</tr>\n", e->cells_html);
	}
	fputs("</tbody>\n</table></div>\n", f);
	if (r->events_left || r->heartbeats) {
		fputs("<p class=\"note\">Not listed: ", f);
		report_html_count(f, r->heartbeats, "heartbeat", "heartbeats");
		fputs(", ", f);
		report_html_count(
			f, r->events_left, "other event", "other events");
		fputs(".</p>\n", f);
	}
	fputs("</section>\n", f);
}

/* ---- where it comes from ---- */

static void print_source(FILE *f, const struct report *r)
{
	fputs("<section>\n<h2>Source</h2>\n<table class=\"facts-table\">\n"
	      "<tr><th>Ledger</th><td class=\"path\">",
		f);
	report_html_name(f, r->opt->ledger, strlen(r->opt->ledger));
	fputs("</td></tr>\n", f);
	if (*r->opt->origin) {
		fputs("<tr><th>Name of the log</th><td class=\"path\">", f);
		report_html_name(f, r->opt->origin, strlen(r->opt->origin));
		fputs("</td></tr>\n", f);
	}
	for (size_t i = 0; i < r->mount_count; i++) {
		if (r->mount_count > 1)
			fprintf(f,
				"<tr class=\"gap\"><td colspan=\"2\"><b>Mount "
				"%zu</b></td></tr>\n",
				i + 1);
		fputs(r->mounts[i].html, f);
	}
	fputs("</table>\n", f);
	if (r->mounts_left)
		fprintf(f,
			"<p class=\"note\">Only the first %d mounts are "
			"described.</p>\n",
			REPORT_MOUNTS);
	fputs("</section>\n", f);
}

static void print_end(FILE *f, const struct report *r)
{
	fputs("<footer><p>A name that a process gives itself (its command name "
	      "and its arguments) can be anything; program, user, process id "
	      "and container were read from the kernel. Control characters in "
	      "names are shown escaped.</p>\n<p>Made by stele " STELE_VERSION
	      " on ",
		f);
	report_html_moment(f, r->opt->now, REPORT_HTML_SECOND);
	fputs(" UTC. To check it against the ledger: <code>stele log verify "
	      "FILE</code></p></footer>\n",
		f);
	fprintf(f, "</main>\n<script>%s</script>\n</body>\n</html>\n",
		report_script);
}

int report_page(FILE *f, const struct report *r)
{
	int code = print_head(f, r);

	if (code < 0)
		return code;
	print_title(f, r);
	print_facts(f, r);
	print_integrity(f, r);
	if (summary_totals(r->summary)->attempts) {
		fputs("<section>\n<h2>When</h2>\n", f);
		report_chart(f, r);
		fputs("</section>\n", f);
		print_tops(f, r);
		fputs("<section>\n<h2>Who</h2>\n", f);
		report_tree_print(f, r->tree);
		fputs("</section>\n", f);
	}
	print_events(f, r);
	print_attempts(f, r);
	print_source(f, r);
	print_end(f, r);
	return ferror(f) ? -EIO : 0;
}
