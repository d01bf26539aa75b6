/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of ledgers share: a folder with one, and ways to look at it. */
#ifndef TESTS_UNIT_LEDGER_KIT_H
#define TESTS_UNIT_LEDGER_KIT_H

#include <stdint.h>

#include "fs/audit/query.h"
#include "fs/ledger/ledger.h"
#include "fs/ledger/store.h"
#include "tests/lib/scratch.h"

struct kit {
	struct scratch scratch;
	char path[SCRATCH_PATH]; /* of a ledger that does not exist yet */
};

/* For cmocka; the state is a struct kit. */
int kit_set_up(void **state);
int kit_tear_down(void **state);

extern const struct ledger_mount kit_mount;

/* Each of these works, or fails the test. */
struct ledger *kit_open(const char *path);
struct query *kit_query(const char *path);
int64_t kit_number(const char *path, const char *sql);
void kit_change(const char *path, const char *sql);

/* An attempt of nobody, refused with EPERM. */
struct ledger_attempt kit_attempt(enum ledger_op op, const char *path);

/* The same with a number that makes it unlike all others, so that it is never
 * folded however many come. */
struct ledger_attempt kit_unlike(
	enum ledger_op op, const char *path, unsigned number);

void kit_try(struct ledger *l, const struct ledger_attempt *a);

/* Attempts that it tells of now, with those that are only counted yet. */
int64_t kit_attempts(const char *path);

/*
 * Every record in order, which are numbered 1, 2, 3 ... without a gap; see gets
 * those that are no beginning or end of a mount, and may be NULL. How many it
 * gets.
 */
int64_t kit_read(const char *path,
	void (*see)(void *arg, const struct query_row *row), void *arg);

/* The writer's tree is that of the rows, computed from the first one on. */
void kit_check_tree(struct store *s);

#endif
