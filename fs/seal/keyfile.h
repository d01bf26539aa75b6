/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secret that signs a ledger, in LEDGER-key (mode 0600), beside it. It is
 * replaced at the end of each epoch and the old one overwritten, so that who
 * reads it today cannot sign what was before. (What a copy-on-write file system
 * or a flash disk keeps of overwritten blocks is beyond us: said in the docs.)
 *
 * The file also remembers the last checkpoint, which the ledger must still
 * contain: an older copy put in its place is found when it is next opened. It
 * is replaced as a whole (written aside as LEDGER-key-new, synced, exchanged),
 * never half. It is text, each line once and in this order:
 *
 *	stele-key 1
 *	origin ORIGIN
 *	number N		of the key, from 0
 *	seed BASE64		the secret, 32 bytes
 *	next BASE64		the secret of key N + 1, during a change of keys
 *	size SIZE		of the last checkpoint
 *	root BASE64
 *	sum BASE64		SHA-256 of the lines above
 *
 * The sum is against damage, not against who can write the file.
 *
 * Belongs to one thread at a time.
 */
#ifndef FS_SEAL_KEYFILE_H
#define FS_SEAL_KEYFILE_H

#include <stdbool.h>

#include "fs/base/diag.h"
#include "fs/seal/note.h"

struct keyfile {
	char *path; /* owned */
	char origin[NOTE_ORIGIN_MAX + 1];
	uint64_t number;	     /* of the key, from 0 */
	uint8_t seed[SIGN_SEED_LEN]; /* the secret */
	struct note_key key;	     /* its public half, named by origin */
	bool has_next;		     /* the next key is made, not yet used */
	uint8_t next_seed[SIGN_SEED_LEN];
	struct note_key next;
	uint64_t size; /* the last checkpoint that was made */
	struct digest root;
};

/*
 * Read it. -ENOENT when there is none; -EBADMSG when it is malformed;
 * -EOPNOTSUPP when a newer version made it; -EPERM when it is not a regular
 * file of ours or others can read it (diag says what to do); -errno.
 */
int keyfile_read(
	const char *path, struct keyfile *ret, struct diag *diag) must_check;

/*
 * Make key 0 for an origin, and the file, which must not exist; the checkpoint
 * to remember is the empty tree. 0, -EEXIST, -EINVAL for a bad origin, -errno.
 */
int keyfile_create(const char *path, const char *origin, struct keyfile *ret,
	struct diag *diag) must_check;

/*
 * What follows replaces the file. k says at all times what the file does: a
 * failure leaves both as they were, but for one after the exchange (the folder
 * can't be synced, the old secret not overwritten), which leaves both new.
 */

/* Remember a checkpoint that is safely on disk. 0 or -errno. */
int keyfile_remember(struct keyfile *k, uint64_t size,
	const struct digest *root, struct diag *diag) must_check;

/*
 * Change of epoch, in two steps, so that a death between them loses no key:
 * prepare makes the next key (k->has_next) and a file that holds both; then the
 * caller stores the note that hands over (NOTE_NEXT_KEY) in the ledger, synced;
 * advance makes the next key the one, and overwrites the old. Who reads a file
 * with both looks whether the ledger has the note, and advances or prepares
 * anew. 0 or -errno; -EINVAL for an advance without a next key.
 */
int keyfile_prepare(struct keyfile *k, struct diag *diag) must_check;
int keyfile_advance(struct keyfile *k, struct diag *diag) must_check;

/* Overwrite the secrets in memory and free. A zeroed one may be done. */
void keyfile_done(struct keyfile *k);

#endif
