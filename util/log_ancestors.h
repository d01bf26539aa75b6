/* SPDX-License-Identifier: Apache-2.0 */
/* Ancestors of processes, kept for a while: a few processes make most records.
 */
#ifndef UTIL_LOG_ANCESTORS_H
#define UTIL_LOG_ANCESTORS_H

#include <stdio.h>

#include "fs/audit/query.h"

#define LOG_ANCESTORS_MAX 16

struct log_ancestor_list {
	int64_t proc;
	bool known;
	size_t count;
	struct query_ancestor items[LOG_ANCESTORS_MAX]; /* parent first */
};

/* Zeroed at first; given back with log_ancestors_done. */
struct log_ancestors {
	struct log_ancestor_list
		*lists; /* process N at N modulo their number */
};

/*
 * The recorded ancestors of the process of a row: none, too, when the process
 * is not known. Valid until the next call. 0 or -errno (query_error).
 */
int log_ancestors_get(struct log_ancestors *a, struct query *q,
	const struct query_row *row,
	const struct log_ancestor_list **ret) must_check;
void log_ancestors_done(struct log_ancestors *a);

/* A row that says of a process what is known of this one, for tables that are
 * made for rows; its other cells are null. Borrows. */
void log_ancestors_row(const struct query_ancestor *a, struct query_row *ret);

/* "bash < sshd < systemd", escaped. */
void log_ancestors_print(FILE *f, const struct log_ancestor_list *l);

#endif
