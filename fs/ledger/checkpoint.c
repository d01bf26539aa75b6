/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints; see checkpoint.h. */
#include "fs/ledger/checkpoint.h"

#include <string.h>

#include "fs/db/db.h"

int checkpoint_sign(const struct merkle *tree, const struct keyfile *key,
	struct buf *ret, struct digest *ret_root)
{
	_cleanup_(hasher_free) struct hasher *h = hasher_new();
	struct note note = {.kind = NOTE_CHECKPOINT, .size = tree->size};
	int r;

	if (!h)
		return -ENOMEM;
	merkle_root(tree, h, &note.root);
	memcpy(note.origin, key->origin, sizeof(note.origin));
	r = note_make(&note, key->seed, ret);
	*ret_root = note.root;
	return r < 0 ? r : buf_add(ret, "", 1);
}

/* It may be there, the same, when only the sync after it failed. */
int checkpoint_add(
	struct store *s, uint64_t size, int64_t real, const char *note)
{
	_cleanup_(db_stmt_free) struct db_stmt *add = NULL;
	int r = db_prepare(store_db(s),
		"INSERT OR IGNORE INTO checkpoint VALUES(?, ?, ?)", &add);

	if (r < 0)
		return r;
	db_bind_int(add, (int64_t)size);
	db_bind_int(add, real);
	db_bind_text(add, note);
	return db_run(add);
}
