/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the end of a ledger what its last writer left there? Asked before anything
 * is written: who goes on with a ledger that does not verify would lend his
 * signature to whoever changed it.
 *
 * The tree is found from the roots of tiles and the last rows. It must be the
 * one of the newest checkpoint, which must be signed by the key of its time;
 * the key file must be of this ledger, and what it remembers must be in the
 * tree; and the last START_RECORDS records must be those of their leaves. What
 * is older is for "stele log verify". Costs 32 bytes of reading for 256
 * records, and the rows of the last ones.
 */
#ifndef FS_LEDGER_START_H
#define FS_LEDGER_START_H

#include <stdbool.h>

#include "fs/base/diag.h"
#include "fs/ledger/store.h"
#include "fs/seal/keyfile.h"

#define START_RECORDS 16384

enum start_kind {
	START_NEW, /* nothing has been recorded or signed yet */
	START_FINE,
	START_CRASH, /* fine, but the last records are not signed yet */
	/* What follows is refused, unless the caller means to recover. */
	START_LOST,	   /* the ledger is gone, its key file is there */
	START_NO_KEY,	   /* the key file is missing, or no key file */
	START_OTHER_KEY,   /* it is another ledger's, or an old one */
	START_CUT,	   /* records at the end are missing */
	START_ROLLED_BACK, /* an older copy was put in place of the ledger */
	START_EDITED,	   /* records or signatures were changed */
};

struct start {
	enum start_kind kind;
	char text[512]; /* what was found, one line; "" when all is well */

	char origin[NOTE_ORIGIN_MAX + 1]; /* "" when it has none */
	bool has_key;			  /* keyfile_done when it is over */
	struct keyfile key;
	bool key_fits; /* it is this ledger's, of now or of a later state */
	int64_t epoch; /* the last one's number; -1: none */
	struct note_key epoch_key;
	uint64_t epoch_size;

	/* The newest that was ever signed, as far as is known; 0: nothing. */
	uint64_t signed_size;
	struct digest signed_root;
	char note[NOTE_MAX + 1]; /* the newest checkpoint; or "" */

	int64_t mend; /* for store_open */

	uint64_t size; /* of the tree that was found */
	struct digest root;

	/* When the last record was made, if in this boot of the machine. */
	bool has_last;
	struct store_time last;
};

/*
 * Look at the ledger at path, which nobody writes to (claim.h), and its key
 * file. 0; -EBADMSG when it may not be gone on with (diag says why and what to
 * do), but with recover everything that can be gone on with is 0. -EPERM as
 * keyfile_read, -errno.
 */
int start_check(const char *path, bool recover, struct start *ret,
	struct diag *diag) must_check;

/* The key file's name, PATH-key. -ENAMETOOLONG. */
int start_key_path(const char *path, char *ret, size_t room) must_check;

/* "cut", "edited": the word for what was found. */
const char *start_word(enum start_kind kind);

void start_done(struct start *s);

#endif
