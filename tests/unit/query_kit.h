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

struct kit {
	struct scratch scratch;
	char path[SCRATCH_PATH];
	struct db *db; /* where rows are written; NULL when closed */
	struct db_stmt *attempt, *event, *fold, *fold_name;
	struct names_packer *packer;
};

struct kit_target {
	const char *path, *path2;
	int64_t count, first, last;
};

/* An attempt, or an event when kind is given. Zero is a good default for all
 * but seq and targets. */
struct kit_record {
	int64_t seq; /* of a fold: its id */
	int64_t mount, t_real, t_last, op, error, tid, uid, proc;
	const char *rule, *kind;
	const struct kit_target *targets;
	size_t target_count;
	bool damaged_names; /* what is packed is not what names.h says */
};

/* For cmocka: *state is a struct kit with the tables of a ledger, and mount 1
 * in boot "boot-a". */
int kit_set_up(void **state);
int kit_tear_down(void **state);

/* Let go of the file, as a writer that ends; and begin to write again. */
void kit_close(struct kit *k);
void kit_open(struct kit *k);

void kit_sql(struct kit *k, const char *sql);
void kit_mount(struct kit *k, int64_t id, const char *boot);

struct kit_process {
	int64_t id, parent, mount, pid, start;
	const char *comm, *exe, *container;
};
void kit_process(struct kit *k, const struct kit_process *p);

/* Attempts in all of its targets. */
int64_t kit_count(const struct kit_record *r);

void kit_add(struct kit *k, const struct kit_record *r);
void kit_add_fold(struct kit *k, const struct kit_record *r);
/* It becomes record seq, in one transaction. */
void kit_close_fold(struct kit *k, const struct kit_record *r, int64_t seq);

struct query *kit_query(const struct kit *k);

#endif
