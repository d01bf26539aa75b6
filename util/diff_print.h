/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `stele diff` prints, whatever is compared, and how it ends. Zeroed but
 * for the options, one struct is good for one comparison.
 */
#ifndef UTIL_DIFF_PRINT_H
#define UTIL_DIFF_PRINT_H

#include "fs/tree/changes.h"
#include "util/progress.h"

struct diff_print {
	bool json, quiet, ignore_mtime, ignore_owner;

	/* private */
	struct progress bar;
	uint64_t differences;
	int err; /* of the output */
};

/* Two sealed trees. An exit code: 0, 1 when there are differences, or that of
 * an error that was printed. */
int diff_print_trees(struct diff_print *p, const struct tree *a,
	const struct tree *b) must_check;

/* What was written on several paths of one mount, in the order of paths. */
int diff_print_changes(struct diff_print *p,
	const struct changes_source *sources, size_t count) must_check;

#endif
