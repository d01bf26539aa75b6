/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ledgers made row by row, for tests of readers: nothing is hashed or signed,
 * and numbers, times and processes are what a test says.
 */
#ifndef TESTS_UNIT_QUERY_KIT_H
#define TESTS_UNIT_QUERY_KIT_H

#include "fs/audit/query.h"
#include "fs/db/db.h"
#include "tests/lib/scratch.h"

struct made {
	struct scratch scratch;
	char path[SCRATCH_PATH];
	struct db *db; /* where rows are written; NULL when closed */
	struct db_stmt *attempt, *event, *fold, *fold_name;
	struct names_packer *packer;
};

struct made_target {
	const char *path, *path2;
	int64_t count, first, last;
};

/* An attempt, or an event when kind is given. Zero is a good default for all
 * but seq and targets. */
struct made_record {
	int64_t seq; /* of a fold: its id */
	int64_t mount, t_real, t_last, op, error, tid, uid, proc;
	const char *rule, *kind;
	const struct made_target *targets;
	size_t target_count;
	bool damaged_names; /* what is packed is not what names.h says */
};

/* For cmocka: *state is a struct made with the tables of a ledger, and mount 1
 * in boot "boot-a". */
int made_set_up(void **state);
int made_tear_down(void **state);

/* Let go of the file, as a writer that ends; and begin to write again. */
void made_close(struct made *k);
void made_open(struct made *k);

void made_sql(struct made *k, const char *sql);
void made_mount(struct made *k, int64_t id, const char *boot);

struct made_process {
	int64_t id, parent, mount, pid, start;
	const char *comm, *exe, *container;
};
void made_process(struct made *k, const struct made_process *p);

/* Attempts in all of its targets. */
int64_t made_count(const struct made_record *r);

void made_add(struct made *k, const struct made_record *r);
void made_add_fold(struct made *k, const struct made_record *r);
/* It becomes record seq, in one transaction. */
void made_close_fold(struct made *k, const struct made_record *r, int64_t seq);

struct query *made_query(const struct made *k);

#endif
