/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of the clerk share: ledgers whose clerk is quick, and ways to see
 * what it has done. */
#ifndef TESTS_UNIT_CLERK_KIT_H
#define TESTS_UNIT_CLERK_KIT_H

#include "fs/audit/verify.h"
#include "fs/ledger/clerk.h"
#include "fs/seal/keyfile.h"
#include "tests/unit/hook_kit.h"
#include "tests/unit/ledger_kit.h"

/* Looks often; else as usual. */
extern const struct clerk_pace quick;

/* Open with these options (but for its durability). */
struct ledger *clerk_kit_open(
	const char *path, const struct ledger_options *opt);

/* It must be refused with -EBADMSG and a line that has word; with recover it
 * must be accepted, and then be a ledger like any other. */
void clerk_kit_refused(const char *path, const char *word);

/* So many attempts, all unlike. */
void clerk_kit_try(struct ledger *l, unsigned count);

/* Wait until a number in the ledger is at least want; fails after a minute. */
void clerk_kit_wait(const char *path, const char *sql, int64_t want);

/*
 * All that is signed is signed by the key of its time and is what the tree was,
 * up to the last record; and the key file remembers that.
 */
void clerk_kit_sealed(const char *path);

/* What stele log verify says of it, the key file included. */
enum verify_kind clerk_kit_verify(const char *path);

/* Text of the last event of a kind. */
void clerk_kit_event(const char *path, const char *kind, char ret[4096]);

/* Copy the files of a ledger, its key file included, under another name. */
void clerk_kit_copy(const char *from, const char *to);
void clerk_kit_copy_file(const char *from, const char *to);

#endif
