/* SPDX-License-Identifier: Apache-2.0 */
/* A record of a ledger as a line for people, or as a JSON object. */
#ifndef UTIL_LOG_PRINT_H
#define UTIL_LOG_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/audit/query.h"

/* Column titles for log_print_line. */
void log_print_header(bool color);

/*
 * TIME PID COMM OP ERR PATH; the time is local, what is not known is "-", what
 * could forge a line is escaped. A failure shows at the next fflush(stdout).
 */
void log_print_line(const struct query_row *row, bool color);

/*
 * Ancestors that were read before: a few processes make most records. Zeroed
 * at first; given back with log_json_done.
 */
struct log_json {
	struct {
		int64_t proc;
		json_t *ancestors; /* a reference; NULL: none yet */
	} known[64];		   /* process N at N modulo 64 */
};

/*
 * One object on one line: each column that is not null under its name
 * (query_columns), with KEY_raw in base64 for names that are no UTF-8; "error"
 * is the name of the errno, "cmdline" an array, "ancestors" the recorded
 * parents of the process, nearest first. 0 or -errno.
 */
int log_json_print(struct log_json *j, struct query *q,
	const struct query_row *row) must_check;
void log_json_done(struct log_json *j);

#endif
