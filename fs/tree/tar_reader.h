/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The members of a tar stream, one after another: v7, ustar, GNU and pax. Names
 * are bytes; nothing is converted. What cannot be understood exactly is an
 * error, and so is a stream without the mark of its end: it may be half of
 * one. Not thread-safe.
 */
#ifndef FS_TREE_TAR_READER_H
#define FS_TREE_TAR_READER_H

#include "fs/tree/stream.h"
#include "fs/tree/tar_member.h"

struct tar_reader;

/* s is borrowed until tar_reader_free. NULL: out of memory. */
struct tar_reader *tar_reader_new(struct stream *s) must_check;
void tar_reader_free(struct tar_reader *r); /* NULL is allowed */
DEFINE_CLEANUP(tar_reader_free, struct tar_reader *);

/*
 * Go to the next member, past what is left of this one. 1 and the member, good
 * until the next call; 0 at the end of the archive, when the stream has been
 * read to its end too; -EBADMSG, -EOPNOTSUPP, -E2BIG, or as stream_next.
 */
int tar_reader_next(struct tar_reader *r, const struct tar_member **ret,
	struct diag *diag) must_check;

/* The next stored bytes of the member, at most want; 0 after the last; as
 * stream_next. */
ssize_t tar_reader_data(struct tar_reader *r, const uint8_t **ret,
	uint64_t want, struct diag *diag) must_check;

/*
 * The extended records that hold for the member, those of global headers first:
 * text for pax_next, known to be well formed.
 */
void tar_reader_records(const struct tar_reader *r, struct span ret[2]);

/* After the end: is there something else than zeros behind the archive? */
bool tar_reader_has_more(const struct tar_reader *r);

#endif
