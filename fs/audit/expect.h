/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints that were kept elsewhere, and that a ledger must agree with: read
 * from files of signed notes, or of lines as the anchors write them, in the log
 * of a system for example:
 *
 *	stele checkpoint ORIGIN SIZE ROOT SIGNATURE-LINE
 *
 * What is neither is passed over; a line or note that begins like one and is
 * malformed is an error. Nothing is believed yet.
 */
#ifndef FS_AUDIT_EXPECT_H
#define FS_AUDIT_EXPECT_H

#include "fs/base/buf.h"
#include "fs/base/diag.h"
#include "fs/codec/digest.h"

#define EXPECT_FILE_MAX (64u << 20) /* bytes of all files together */

struct expect_one {
	uint64_t size;
	struct digest root;
	size_t at, len; /* the note in text */
	bool seen;	/* for who compares */
};

struct expect {
	struct buf text; /* of all notes */
	struct expect_one *all;
	size_t count, cap;
};

void expect_init(struct expect *e);
void expect_done(struct expect *e);

/* Add what a file holds. -EBADMSG when it holds no checkpoint or a malformed
 * one, -E2BIG when it is too much, -errno; diag says it. */
int expect_read(
	struct expect *e, const char *path, struct diag *diag) must_check;

/* The same for bytes that come from a file of that name. */
int expect_parse(struct expect *e, const char *text, size_t len,
	const char *name, struct diag *diag) must_check;

/* In the order of their sizes. */
void expect_sort(struct expect *e);

#endif
