/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that tried to write, below those that started them. Bounded:
 * many short-lived processes of one program under one parent share a line.
 */
#ifndef UTIL_REPORT_TREE_H
#define UTIL_REPORT_TREE_H

#include <stdio.h>

#include "fs/audit/query.h"
#include "util/log_ancestors.h"

struct report_tree;

/* Both are borrowed. NULL: no memory. */
struct report_tree *report_tree_new(struct query *q, struct log_ancestors *a);
void report_tree_free(struct report_tree *t); /* NULL is allowed */

/* Count the attempts of a row at its process. 0 or -errno. */
int report_tree_add(struct report_tree *t, const struct query_row *row,
	int64_t count) must_check;

/* Nested lists; folded where they are large. */
void report_tree_print(FILE *f, const struct report_tree *t);

#endif
