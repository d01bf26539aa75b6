/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One block of a tar stream that is a header: its fields and their numbers, as
 * v7, ustar, GNU tar and star write them. Pure functions.
 */
#ifndef FS_TREE_TAR_HEADER_H
#define FS_TREE_TAR_HEADER_H

#include "fs/tree/tar_pax.h"

#define TAR_BLOCK 512

/* A header block; GNU tar has other things in place of the prefix. */
struct tar_header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char sum[8];
	char type;
	char linkname[100];
	char magic[8]; /* with the version */
	char uname[32];
	char gname[32];
	char major[8];
	char minor[8];
	union {
		char prefix[155];
		struct {
			char before[41]; /* times, offset, names */
			struct tar_sparse {
				char off[12], len[12];
			} sparse[4];
			char more; /* extension blocks follow */
			char realsize[12];
		} gnu;
	};
	char end[12];
};

/* A block of further pieces of a GNU sparse file. */
struct tar_extension {
	struct tar_sparse sparse[21];
	char more;
	char end[7];
};

_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "header");
_Static_assert(sizeof(struct tar_extension) == TAR_BLOCK, "extension");

/*
 * A field of len bytes: octal, blank for zero, or base 256 (GNU tar, star).
 * -EBADMSG when it is neither or too large.
 */
int tar_number(const char *field, size_t len, int64_t *ret) must_check;
int tar_unsigned(const char *field, size_t len, uint64_t *ret) must_check;

/* The same for 32 bits, from the extended header when that has a value. */
int tar_number_32(struct span pax, const char *field, size_t len,
	uint32_t *ret) must_check;

/* Is the block's own sum right? */
bool tar_header_is_right(const struct tar_header *h);

bool tar_header_is_ustar(const struct tar_header *h);
bool tar_header_is_gnu(const struct tar_header *h);

#define TAR_NAME_MAX (155 + 1 + 100)

/* The name of the member, without NUL: in the block, or put together in room.
 */
struct span tar_header_name(
	const struct tar_header *h, char room[TAR_NAME_MAX]);

#endif
