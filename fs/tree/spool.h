/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file without a name that keeps contents until they are packed, each content
 * once: its digest is computed on the way in, and one that was there before is
 * taken back. Holes stay holes. Not thread-safe.
 */
#ifndef FS_TREE_SPOOL_H
#define FS_TREE_SPOOL_H

#include <stdint.h>

#include "fs/base/diag.h"
#include "fs/codec/digest.h"

struct spool;

/* dir: a folder on a disk with room. */
int spool_new(
	const char *dir, struct spool **ret, struct diag *diag) must_check;
void spool_free(struct spool *s); /* NULL is allowed */
DEFINE_CLEANUP(spool_free, struct spool *);

/* Begin a content, append to it, end it: then *ret_off is where it lies. */
void spool_begin(struct spool *s);
int spool_add(struct spool *s, const void *data, size_t len,
	struct diag *diag) must_check;
int spool_add_hole(struct spool *s, uint64_t len, struct diag *diag) must_check;
int spool_end(struct spool *s, struct digest *ret_digest, uint64_t *ret_off,
	struct diag *diag) must_check;

/* The file; the caller closes it, and the spool is of no more use. */
int spool_take_fd(struct spool *s) must_check;

#endif
