/* SPDX-License-Identifier: Apache-2.0 */
/* What the options of `stele build` say, from text to values. */
#ifndef UTIL_BUILD_OPTIONS_H
#define UTIL_BUILD_OPTIONS_H

#include "fs/tree/build.h"
#include "fs/tree/pack.h"
#include "util/cmd.h"

/* As opt_parse fills it in. */
struct build_options {
	const char *output;
	struct opt_list exclude, exclude_from;
	const char *owner, *mtime, *frame_size;
	bool owner_names, numeric_owner, one_file_system;
	int64_t level, jobs; /* jobs 0: not given */
	bool json, quiet, verbose;
};

/* All patterns, those from files too. */
struct build_patterns {
	char **items; /* owned, each too */
	size_t count, cap;
};

void build_patterns_done(struct build_patterns *p);

/*
 * Fill in tree and pack (but for what reports progress). The patterns must
 * outlive tree. EXIT_OK, or another exit_code after saying what is wrong.
 */
int build_options_apply(const struct command *self,
	const struct build_options *o, struct build_patterns *patterns,
	struct tree_options *tree, struct pack_options *pack);

/* "@SECONDS", "YYYY-MM-DD" or "YYYY-MM-DDThh:mm:ss" with an optional 'Z' (all
 * in UTC, a space may stand for the 'T'). 0 or -EINVAL. */
int build_parse_time(const char *text, int64_t *ret) must_check;

/* "UID", "UID:GID" or ":GID", decimal, below 2^32 - 1. 0 or -EINVAL. */
int build_parse_owner(const char *text, struct tree_options *ret) must_check;

/* A power of two from 4096 to 1048576, also as "64K" or "1M". 0 or -EINVAL. */
int build_parse_size(const char *text, uint32_t *ret) must_check;

#endif
