/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that appears under its name only when it is whole. Where the kernel
 * can (O_TMPFILE), it has no name at all before that, so that a killed process
 * leaves nothing; elsewhere it is called .NAME.XXXXXX, readable by its owner.
 */
#ifndef FS_IMAGE_WRITER_FILE_H
#define FS_IMAGE_WRITER_FILE_H

#include "fs/base/diag.h"

struct writer_file;

/*
 * path must be free or name a regular file: -EEXIST for anything else, since
 * renaming over a device or a link would destroy it. -errno.
 */
int writer_file_new(const char *path, struct writer_file **ret,
	struct diag *diag) must_check;

/* Removes what was not published. NULL is allowed. */
void writer_file_free(struct writer_file *f);
DEFINE_CLEANUP(writer_file_free, struct writer_file *);

int writer_file_fd(const struct writer_file *f);
const char *writer_file_path(const struct writer_file *f);

/*
 * Sync, set the permissions that a new file gets, and put the file under its
 * name, in place of a file that is there. On failure nothing appears; except
 * that the last step syncs the folder: when that fails, diag says that the file
 * is there but may not survive a power cut.
 */
int writer_file_publish(struct writer_file *f, struct diag *diag) must_check;

#endif
