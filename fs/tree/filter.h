/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What struct tree_options asks of every entry, whatever it is read from: is it
 * left out, who owns it, how old is it.
 */
#ifndef FS_TREE_FILTER_H
#define FS_TREE_FILTER_H

#include <locale.h>

#include "fs/base/diag.h"
#include "fs/tree/build.h"

struct filter {
	const struct tree_options *opt;
	struct filter_pattern *patterns; /* owned; opt->exclude_count */
	locale_t bytes_locale;	 /* owned; a pattern means the same anywhere */
	uint64_t entries, bytes; /* seen; see filter_count */
	uint64_t told;		 /* bytes, at the last progress */
};

/* opt is borrowed until filter_done. 0, -EINVAL for an empty pattern, -ENOMEM.
 */
int filter_init(struct filter *f, const struct tree_options *opt,
	struct diag *diag) must_check;
void filter_done(struct filter *f);
#define _cleanup_filter_ __attribute__((cleanup(filter_done)))

/* path: from the root, without a '/' at its start. */
bool filter_excludes(const struct filter *f, const char *path);

/* Is an extended attribute of this name one that an image keeps? */
bool filter_keeps_xattr(const char *name, size_t len);

/* Set owner and time as the options say. */
void filter_attributes(const struct filter *f, struct tree_node *node);

/* Count an entry, or bytes of one, and tell the progress now and then. */
void filter_count(struct filter *f);
void filter_count_bytes(struct filter *f, uint64_t bytes);
/* Tell the progress, now. */
void filter_progress(struct filter *f);

/* Remark on something, as opt->remark wants it; a long text is cut. */
void filter_remark(const struct filter *f, const char *fmt, ...)
	format_like(2, 3);

#endif
