/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text for an HTML page. Whatever comes from a ledger goes through here: no
 * name can become markup, and none can forge a line or turn the reading
 * direction around.
 */
#ifndef UTIL_REPORT_HTML_H
#define UTIL_REPORT_HTML_H

#include <stdio.h>

#include "fs/audit/query.h"

/* Bytes of an untrusted name: escaped as out_name does, then for HTML; right
 * in text and in attributes between double quotes. */
void report_html_name(FILE *f, const char *bytes, size_t len);
/* The same of a cell; "–" when it is null. */
void report_html_cell(FILE *f, const struct query_cell *c);
/* Text of our own, escaped for HTML. */
void report_html_text(FILE *f, const char *text);

/* 1234567 as "1,234,567". */
void report_html_number(FILE *f, int64_t number);
/* "2026-11-22 06:41:22.123", UTC. */
void report_html_time(FILE *f, int64_t ns);
/* The same in another form. */
enum report_html_form {
	REPORT_HTML_SECOND, /* date and time without a fraction */
	REPORT_HTML_DATE,
	REPORT_HTML_CLOCK,    /* "06:41:22" */
	REPORT_HTML_MINUTE,   /* "06:41" */
	REPORT_HTML_FRACTION, /* "06:41:22.12" */
};
void report_html_moment(FILE *f, int64_t ns, enum report_html_form form);
/* "3 h 12 min", "250 ms" */
void report_html_span(FILE *f, int64_t ns);
/* The digits of a digest; "–" when it is none. */
void report_html_digest(FILE *f, const struct query_cell *c);

/* "1 process", "2 processes" with the number as above. */
void report_html_count(
	FILE *f, int64_t number, const char *one, const char *many);

#endif
