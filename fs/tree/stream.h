/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain bytes of a stream that may be compressed with gzip, bzip2, xz, zstd
 * or lz4, found by its first bytes. libarchive decompresses; what the bytes
 * mean is not its business here (README.md says why). Not thread-safe.
 */
#ifndef FS_TREE_STREAM_H
#define FS_TREE_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/base/diag.h"

struct stream;

/*
 * fd stays the caller's. max bounds the plain bytes (0: no bound). -EOPNOTSUPP
 * when libarchive was built without one of the methods.
 */
int stream_open(int fd, uint64_t max, struct stream **ret,
	struct diag *diag) must_check;
void stream_free(struct stream *s); /* NULL is allowed */
DEFINE_CLEANUP(stream_free, struct stream *);

/*
 * The next bytes, at most want of them; they stay valid until the next call.
 * The number of them, 0 at the end of the stream; -EBADMSG for a broken or cut
 * compressed stream, -EFBIG past the bound, -errno.
 */
ssize_t stream_next(struct stream *s, const uint8_t **ret, size_t want,
	struct diag *diag) must_check;

/* Fill buf. The number of bytes, less than len only at the end; or as above. */
ssize_t stream_read(
	struct stream *s, void *buf, size_t len, struct diag *diag) must_check;

/* Plain bytes given so far. */
uint64_t stream_offset(const struct stream *s);

#endif
