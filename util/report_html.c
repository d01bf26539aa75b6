/* SPDX-License-Identifier: Apache-2.0 */
/* Text for an HTML page; see report_html.h. */
#include "util/report_html.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fs/base/cleanup.h"
#include "fs/codec/digest.h"
#include "util/log_map.h"
#include "util/out.h"

#define NONE "\xe2\x80\x93" /* an en dash */

void report_html_text(FILE *f, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&': fputs("&amp;", f); break;
		case '<': fputs("&lt;", f); break;
		case '>': fputs("&gt;", f); break;
		case '"': fputs("&quot;", f); break;
		case '\'': fputs("&#39;", f); break;
		default: putc(*text, f);
		}
	}
}

void report_html_name(FILE *f, const char *bytes, size_t len)
{
	_cleanup_free_ char *text = out_name_string(bytes, len);

	report_html_text(f, text ? text : "(out of memory)");
}

void report_html_cell(FILE *f, const struct query_cell *c)
{
	if (c->null)
		fputs(NONE, f);
	else
		report_html_name(f, c->bytes, c->len);
}

void report_html_number(FILE *f, int64_t number)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRId64, number);

	for (int i = 0; i < len; i++) {
		int left = len - i;

		putc(digits[i], f);
		if (left > 1 && left % 3 == 1 && digits[i] != '-')
			putc(',', f);
	}
}

void report_html_count(
	FILE *f, int64_t number, const char *one, const char *many)
{
	report_html_number(f, number);
	fprintf(f, " %s", number == 1 ? one : many);
}

static void print_tm(FILE *f, const struct tm *tm, enum report_html_form form)
{
	char text[64] = "";

	switch (form) {
	case REPORT_HTML_SECOND:
		(void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", tm);
		break;
	case REPORT_HTML_DATE:
		(void)strftime(text, sizeof(text), "%Y-%m-%d", tm);
		break;
	case REPORT_HTML_CLOCK:
	case REPORT_HTML_FRACTION:
		(void)strftime(text, sizeof(text), "%H:%M:%S", tm);
		break;
	case REPORT_HTML_MINUTE:
		(void)strftime(text, sizeof(text), "%H:%M", tm);
		break;
	}
	fputs(text, f);
}

void report_html_moment(FILE *f, int64_t ns, enum report_html_form form)
{
	uint32_t rest;
	time_t sec = (time_t)out_time_split(ns, &rest);
	struct tm tm;

	if (!gmtime_r(&sec, &tm)) {
		fprintf(f, "@%" PRId64, (int64_t)sec);
		return;
	}
	print_tm(f, &tm, form);
	if (form == REPORT_HTML_FRACTION)
		fprintf(f, ".%02u", (unsigned)(rest / 10000000));
}

void report_html_time(FILE *f, int64_t ns)
{
	uint32_t rest;

	(void)out_time_split(ns, &rest);
	report_html_moment(f, ns, REPORT_HTML_SECOND);
	fprintf(f, ".%03u", (unsigned)(rest / 1000000));
}

void report_html_span(FILE *f, int64_t ns)
{
	static const struct {
		int64_t ns;
		const char *name;
	} units[] = {
		{INT64_C(86400000000000), "d"},
		{INT64_C(3600000000000), "h"},
		{INT64_C(60000000000), "min"},
		{INT64_C(1000000000), "s"},
		{INT64_C(1000000), "ms"},
	};
	size_t i = 0;

	while (i < ARRAY_LEN(units) - 1 && ns < units[i].ns)
		i++;
	fprintf(f, "%" PRId64 " %s", ns / units[i].ns, units[i].name);
	/* A second unit where the first alone would be coarse. */
	if (i < 3 && ns % units[i].ns >= units[i + 1].ns)
		fprintf(f, " %" PRId64 " %s",
			ns % units[i].ns / units[i + 1].ns, units[i + 1].name);
}

void report_html_digest(FILE *f, const struct query_cell *c)
{
	char hex[DIGEST_HEX_LEN + 1];
	struct digest d;

	if (c->null || c->len != DIGEST_LEN) {
		fputs(NONE, f);
		return;
	}
	memcpy(d.bytes, c->bytes, DIGEST_LEN);
	digest_hex(&d, hex);
	fputs(hex, f);
}
