/* SPDX-License-Identifier: Apache-2.0 */
/* One member of a tar stream, put together from its headers. */
#ifndef FS_TREE_TAR_MEMBER_H
#define FS_TREE_TAR_MEMBER_H

#include "fs/base/buf.h"
#include "fs/tree/tar_header.h"
#include "fs/tree/tar_pax.h"

struct tar_member {
	/* '0' file, '1' hard link, '2' symbolic link, '3' character device,
	 * '4' block device, '5' folder, '6' FIFO */
	char type;
	uint32_t mode; /* permission bits */
	uint32_t uid, gid;
	uint32_t major, minor;
	int64_t mtime;
	uint32_t mtime_nsec;
	uint64_t size;	 /* of the file, holes included; of a hard link: of
			  * the content that comes with it, usually none */
	uint64_t stored; /* bytes that follow in the stream */
	bool sparse;
	struct tar_map map; /* when sparse: where the stored bytes go */

	/* len bytes and a NUL that is not counted; none holds a NUL */
	struct buf path, target, uname, gname;
};

/* Where its parts come from. */
struct tar_headers {
	const struct tar_header *block;
	const struct pax *pax;
	const struct buf *long_name, *long_link; /* GNU; empty: none */
};

/*
 * Fill in all but sparse and map; size and stored are those of the stored
 * bytes. -EBADMSG, -EOPNOTSUPP for an unknown type, -E2BIG, -ENOMEM.
 */
int tar_member_fill(struct tar_member *m, const struct tar_headers *h,
	struct diag *diag) must_check;

#endif
