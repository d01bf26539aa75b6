/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A signed ledger, made by hand: the writer's rows and tree (store.h), but the
 * test says how time passes, when a checkpoint is made and when keys change.
 */
#ifndef TESTS_UNIT_AUDIT_KIT_H
#define TESTS_UNIT_AUDIT_KIT_H

#include "fs/audit/verify.h"
#include "fs/ledger/store.h"
#include "tests/lib/scratch.h"
#include "tests/unit/unit.h"

#define AUDIT_ORIGIN "host/stele/0123456789abcdef"
#define AUDIT_FOUND_MAX 64

struct audit_kit {
	struct scratch scratch;
	char path[SCRATCH_PATH], keyfile[SCRATCH_PATH];
	struct store *store; /* NULL: it is closed */
	struct proc *procs[3];
	struct store_time now;
	uint8_t seed[SIGN_SEED_LEN]; /* of the key of this epoch */
	struct note_key first, key;
	uint64_t number; /* of that key */

	/* What verify found last. */
	struct verify_result result;
	struct verify_finding found[AUDIT_FOUND_MAX];
	char text[AUDIT_FOUND_MAX][512];
	size_t found_count;
};

/* For cmocka; the state is a struct audit_kit with an open, empty ledger. */
int audit_set_up(void **state);
/* In small pages, so that few bytes of the file are not used. */
int audit_set_up_small(void **state);
int audit_tear_down(void **state);

/* Each of these works, or fails the test. */

/* Attempts by the three processes in turn, on files and in folders; their paths
 * tell the number of the record. */
void audit_attempts(struct audit_kit *k, unsigned count);
void audit_event(struct audit_kit *k, enum ledger_event kind, const char *text,
	int count);
void audit_pass(struct audit_kit *k, int64_t seconds);
void audit_sign(struct audit_kit *k);
/* The same without storing it. */
void audit_note(struct audit_kit *k, struct buf *ret);
void audit_next_key(struct audit_kit *k);

/* So many records: two tiles and 188 more, signed at 301, 400, 401 and at the
 * end, by three keys; closed, and saved as "good". */
#define AUDIT_LAST 700
void audit_fill(struct audit_kit *k);

/* Close the store; the file is complete without -wal then. */
void audit_close(struct audit_kit *k);
/* Change it with SQL, by another connection. */
void audit_sql(struct audit_kit *k, const char *sql);
/* Copy the closed ledger aside, and back. */
void audit_save(struct audit_kit *k, const char *name);
void audit_restore(struct audit_kit *k, const char *name);

/* Verify with these, or with NULL for none; the result is in the kit. */
int audit_verify(struct audit_kit *k, const struct verify_options *opt);
/* A finding of this kind whose text has this in it must be there. */
const struct verify_finding *audit_must_find(
	const struct audit_kit *k, enum verify_kind kind, const char *text);
/* Verify without options, and the verdict must be this. */
void audit_must_be(struct audit_kit *k, enum verify_kind kind);

#endif
