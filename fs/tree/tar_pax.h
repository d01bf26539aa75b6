/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of pax extended headers: records "LENGTH KEY=VALUE\n", taken as
 * bytes, without any idea of a character set. Pure functions.
 */
#ifndef FS_TREE_TAR_PAX_H
#define FS_TREE_TAR_PAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/diag.h"

/* Bytes in somebody else's memory; data NULL: not there. */
struct span {
	const char *data;
	size_t len;
};

bool span_is(struct span s, const char *text);
bool span_begins(struct span s, const char *text);

/* All of s is one decimal number, without a sign. 0, -EBADMSG. */
int span_number(struct span s, uint64_t *ret) must_check;

/* Seconds with an optional sign and fraction, rounded down to nanoseconds. */
int span_time(struct span s, int64_t *ret_sec, uint32_t *ret_nsec) must_check;

/*
 * Take the next record off *text. 1 and the record; 0 at the end; -EBADMSG when
 * what follows is none.
 */
int pax_next(struct span *text, struct span *ret_key,
	struct span *ret_value) must_check;

/* Where the data of a sparse file lie; the rest of it is zero. */
struct tar_chunk {
	uint64_t off, len;
};

struct tar_map {
	struct tar_chunk *chunks; /* owned; in order, without overlap */
	size_t count, cap;
	uint64_t end; /* of the last one added, an empty one too */
	uint64_t sum; /* of their lengths */
};

void tar_map_done(struct tar_map *map);
/* -EBADMSG for one that begins before the last ends, -E2BIG, -ENOMEM. */
int tar_map_add(struct tar_map *map, uint64_t off, uint64_t len) must_check;

/* What the records say about the next member: the last word on each thing; an
 * empty value takes back what was said before. */
struct pax {
	struct span path, linkpath, uname, gname, uid, gid, size, mtime;
	struct span devmajor, devminor;
	struct span sparse_name, sparse_size, sparse_realsize, sparse_map;
	struct span sparse_major, sparse_minor, sparse_blocks;
	struct span sparse_off; /* of sparse format 0.0, until its length */
};

/*
 * Read all records of text into pax (spans point into text) and the chunks of
 * sparse formats 0.0 into map. -EBADMSG, -EOPNOTSUPP, -ENOMEM, -E2BIG.
 */
int pax_read(struct pax *pax, struct span text, struct tar_map *map,
	struct diag *diag) must_check;

/* The chunks of sparse format 0.1. */
int pax_read_map(const struct pax *pax, struct tar_map *map) must_check;

#endif
