/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers of the records that pass a filter, in order: attempts and events
 * merged, between two numbers.
 *
 * A plan is made once for the records that there are at the start. A filter of
 * times is turned into the range of numbers that these times lie in, by an
 * index. A filter of paths is looked up in the indexes of paths where that
 * gives few records; each of these is then looked at. Otherwise the table is
 * gone through.
 */
#ifndef FS_AUDIT_FIND_H
#define FS_AUDIT_FIND_H

#include "fs/audit/match.h"

enum {
	FIND_BATCH = 256,   /* numbers that are known ahead */
	FIND_LOOKS = 65536, /* rows looked at for them */
	/* More records of a path than this are not looked up one by one. */
	FIND_CANDIDATES = 1 << 18,
};

/* What FIND gives back; less than 0 is -errno. */
enum find_result {
	FIND_END,
	FIND_FOUND,
	FIND_AGAIN, /* nothing yet: let the reading transaction end, go on */
};

struct find {
	struct db *db;	     /* borrowed */
	struct match *match; /* borrowed */
	enum query_order order;

	struct find_stream {
		enum query_table table;
		struct db_stmt *scan;  /* owned; for the order above */
		int64_t after, before; /* not looked at yet */
		int64_t seqs[FIND_BATCH];
		size_t count, next;
	} streams[2];

	/* The plan for attempts below planned. */
	int64_t planned;
	int64_t first, last; /* nothing passes outside of these */
	bool by_candidates;
	struct ids candidates; /* nothing else passes */
};

/* Make a plan for the records below before. 0 or -errno. */
int find_init(struct find *f, struct db *db, struct match *m,
	int64_t before) must_check;
void find_done(struct find *f); /* zeroed is allowed */

/* From here on give the records between after and before, not included; the
 * plan is used when it covers them. */
int find_begin(struct find *f, enum query_order order, int64_t after,
	int64_t before) must_check;

int find_next(
	struct find *f, int64_t *ret_seq, enum query_table *ret) must_check;

#endif
