/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The targets of a record that stands for many attempts, packed into one blob:
 * 4 bytes, the length of the entries, little-endian; then the entries as a zstd
 * frame, or as they are where that is not smaller. Each entry is numbers as
 * LEB128, and bytes:
 *
 *	shared	bytes that its path has in common with the one before
 *	len, bytes of the rest of its path
 *	len2	0: no second path; else its length + 1, then its bytes
 *	ino << 1 | ino_is_parent
 *	count
 *	first	µs from the record's t_real to the first attempt, as zigzag
 *	last	µs from the first to the last, as zigzag (clocks can step)
 *
 * The blob comes from a file that anybody may have made: reading is bounded.
 */
#ifndef FS_LEDGER_NAMES_H
#define FS_LEDGER_NAMES_H

#include <stdbool.h>

#include "fs/base/buf.h"
#include "fs/base/cleanup.h"

#define NAMES_MAX 4096		 /* targets in one record */
#define NAMES_RAW_MAX (1u << 20) /* bytes of the entries before compression */
/* Bytes of all paths written out in full: what has much in common would
 * otherwise make a small blob cost its readers gigabytes. */
#define NAMES_PATHS_MAX (16u << 20)

struct names_entry {
	const char *path, *path2; /* path2 NULL: none. Not NUL-terminated */
	size_t len, len2;
	uint64_t ino;
	bool ino_is_parent;
	int64_t count;
	int64_t t_first, t_last; /* by the wall clock, ns; kept to the µs */
};

struct names_packer;
int names_packer_new(struct names_packer **ret) must_check;
void names_packer_free(struct names_packer *p); /* NULL is allowed */
DEFINE_CLEANUP(names_packer_free, struct names_packer *);

/* Begin a blob for a record whose t_real is this. */
void names_begin(struct names_packer *p, int64_t t_real);
/*
 * 0; -E2BIG when it would be more than the bounds, or numbers that no attempt
 * has (a count below 1, times 292 years apart); -ENOMEM. After a failure the
 * blob is as before.
 */
int names_add(struct names_packer *p, const struct names_entry *e) must_check;
/* The blob, valid until the next call. 0 or -ENOMEM. */
int names_end(
	struct names_packer *p, const void **ret, size_t *ret_len) must_check;

/*
 * Call fn for each entry, in order; stops when it gives other than 0 and
 * returns that. -EBADMSG when the blob is malformed, -ENOMEM. Pointers hold
 * during the call.
 */
struct names_reader;
int names_reader_new(struct names_reader **ret) must_check;
void names_reader_free(struct names_reader *r); /* NULL is allowed */
DEFINE_CLEANUP(names_reader_free, struct names_reader *);
int names_read(struct names_reader *r, const void *blob, size_t len,
	int64_t t_real, int (*fn)(void *arg, const struct names_entry *e),
	void *arg) must_check;

#endif
