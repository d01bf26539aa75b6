/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The formats of stele log. Each is one constant; the table in log_out.c lists
 * them, and the help and the completion are made from it.
 */
#ifndef UTIL_LOG_OUT_H
#define UTIL_LOG_OUT_H

#include <jansson.h>
#include <stdbool.h>

#include "fs/audit/attest.h"
#include "fs/audit/query.h"
#include "util/log_ancestors.h"
#include "util/log_record.h"
#include "util/log_text.h"

struct log_out;

struct log_format {
	const char *name;
	const char *what; /* for the help, one line */
	bool for_people;  /* colour, column titles, repeats folded */
	bool attests;	  /* needs log_out.attest */
	/* Each may be NULL but row. 0 or -errno; a failure of standard output
	 * shows at the next fflush. */
	int (*begin)(struct log_out *o);
	int (*row)(struct log_out *o, const struct query_row *row);
	int (*flush)(struct log_out *o); /* no more rows for now */
};

struct log_out {
	const struct log_format *format;
	struct query *query;
	struct attest *attest; /* of the same file, or NULL; borrowed */
	const char *origin;    /* the name of the log, or ""; borrowed */
	bool color;
	bool titles;  /* for_people: print column titles first */
	bool names;   /* a row for each name of a record that has several */
	int64_t name; /* which of them this is, from 1; 0: the whole record */

	struct log_ancestors ancestors;
	struct log_text text;
};

extern const struct log_format log_out_short, log_out_wide, log_out_json,
	log_out_ocsf, log_out_ecs, log_out_falco, log_out_csv,
	log_out_timesketch;

/* All formats in the order of the help; ends with NULL. */
extern const struct log_format *const log_out_formats[];

/* NULL when there is none of this name. */
const struct log_format *log_out_find(const char *name);

int log_out_begin(struct log_out *o) must_check;
int log_out_row(struct log_out *o, const struct query_row *row) must_check;
int log_out_flush(struct log_out *o) must_check;
void log_out_done(struct log_out *o);

/*
 * What names a record in all the world: "ORIGIN:SEQ", of one of its names
 * "ORIGIN:SEQ.NUMBER". False while it has no number.
 */
#define LOG_OUT_ID_ROOM 512
bool log_out_id(const struct log_out *o, const struct query_row *row,
	char ret[LOG_OUT_ID_ROOM]);

/* The leaf of a record: 1; 0 when there is none, since it was removed by
 * retention or can't be one; -errno. */
int log_out_leaf(struct log_out *o, int64_t seq, struct digest *ret) must_check;

/* Print a record as one line of JSON that fill makes. 0 or -errno. */
int log_out_object(struct log_out *o, const struct query_row *row,
	int (*fill)(json_t *root, struct log_out *o,
		const struct query_row *row,
		const struct log_record *r)) must_check;

#endif
