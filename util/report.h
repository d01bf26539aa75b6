/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in a report of a ledger: collected in one pass over the records, with
 * bounded memory, and written as one page that needs nothing else.
 *
 * Texts that end in _html are escaped already. A report belongs to one thread.
 */
#ifndef UTIL_REPORT_H
#define UTIL_REPORT_H

#include <stdio.h>

#include "fs/audit/summary.h"
#include "fs/audit/verify.h"
#include "fs/base/diag.h"
#include "util/log_record.h"
#include "util/report_tree.h"

enum {
	REPORT_EVENTS = 200, /* events that are shown one by one */
	REPORT_MOUNTS = 20,  /* mounts that are described */
	REPORT_NAMES = 20,   /* names of one record that are listed */
	REPORT_TOP = 8,	     /* lines of each list of the most */
	REPORT_BARS = 96,    /* of the timeline, about */
};

/* Attempts that are alike in everything but their times. */
struct report_row {
	char *cells_html; /* all but time and count; owned */
	size_t len;
	enum log_class class;
	int64_t seq; /* of the first; 0: not closed yet */
	int64_t first, last, count;
};

struct report_event {
	char *cells_html; /* owned */
	enum log_level level;
	int64_t time, count;
};

struct report_bar {
	int64_t count[LOG_CLASSES];
};

/* Attempts by time. */
struct report_timeline {
	int64_t start, width; /* ns */
	size_t count;
	struct report_bar *bars; /* owned */
	int64_t tallest;	 /* attempts in the fullest bar */
};

struct report_mount {
	int64_t id;
	char *html; /* its lines in a table; owned */
};

/* What verifying the ledger found. */
enum report_verdict { REPORT_UNKNOWN, REPORT_INTACT, REPORT_FAULTY };
struct report_integrity {
	enum report_verdict verdict;
	const char *title; /* "Intact"; NULL: it was not looked at */
	char *detail_html; /* what was found; owned; may be NULL */
};

struct report_options {
	const struct query_filter *filter;
	const char *ledger;  /* the file */
	const char *origin;  /* the name of the log, or "" */
	const char *filters; /* what was asked for: " --op=x --uid=0", or "" */
	size_t rows;	     /* distinct attempts that are listed at most */
	int64_t now;
};

struct report {
	const struct report_options *opt;
	struct summary *summary;
	struct report_timeline timeline;
	struct report_tree *tree;
	struct report_row *rows; /* owned */
	size_t row_count;
	uint32_t *row_index; /* hash table of numbers of rows + 1; owned */
	size_t index_size;
	int64_t rows_left, attempts_left; /* that had no room */
	struct report_event *events;	  /* owned */
	size_t event_count;
	int64_t events_left, heartbeats;
	struct report_mount mounts[REPORT_MOUNTS];
	size_t mount_count;
	int64_t mounts_left;
	char *title;	  /* the mount point; owned; NULL: not known */
	char *place_html; /* host and image; owned; NULL: no record */
	struct report_integrity integrity;
};

/* 0 or -errno (query_error). ret is to be given back with report_done also
 * after a failure. opt is borrowed. */
int report_collect(struct query *q, const struct report_options *opt,
	struct report *ret) must_check;
void report_done(struct report *r);

/* Verify the ledger; what was found is given back with report_done. 0 or -errno
 * when it could not be judged; diag says it. */
int report_verify(const char *path, const struct verify_options *opt,
	struct report_integrity *ret, struct diag *diag) must_check;

/* Write the page. 0 or -errno. */
int report_page(FILE *f, const struct report *r) must_check;

/* The picture of the timeline. */
void report_chart(FILE *f, const struct report *r);

/* The constant parts of the page. */
extern const char report_style[], report_script[];

#endif
