/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read and write that finish what they began: short transfers and EINTR are
 * handled here and nowhere else.
 */
#ifndef FS_BASE_IO_H
#define FS_BASE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/base/cleanup.h"

/* Read up to len bytes; fewer only at the end of the file. Bytes, or -errno. */
ssize_t io_read(int fd, void *buf, size_t len) must_check;

/* As io_read, at a position. */
ssize_t io_pread(int fd, void *buf, size_t len, uint64_t off) must_check;

/* Write all of len bytes. 0, or -errno (then some may have been written). */
int io_write(int fd, const void *buf, size_t len) must_check;

/* As io_write, at a position. */
int io_pwrite(int fd, const void *buf, size_t len, uint64_t off) must_check;

#endif
