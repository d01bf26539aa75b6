/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing run of bytes with a maximum given at the start, so that no input
 * can make it grow without bound. Not thread-safe.
 */
#ifndef FS_BASE_BUF_H
#define FS_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "fs/base/cleanup.h"

struct buf {
	char *data; /* len valid bytes; owned; NULL while empty */
	size_t len;
	size_t cap;
	size_t max; /* appending past this fails with -E2BIG */
};

void buf_init(struct buf *b, size_t max);

/* Free the bytes. A zeroed or done buf may be done again. */
void buf_done(struct buf *b);

/* Forget the bytes, keep the memory. */
void buf_reset(struct buf *b);

/*
 * Append len bytes. 0, -E2BIG past the maximum, -ENOMEM; on failure the buf is
 * as before.
 */
int buf_add(struct buf *b, const void *data, size_t len) must_check;

/*
 * Make room for len more bytes and return where they go, still uncounted (the
 * caller adds to b->len what it filled). NULL on -E2BIG or -ENOMEM.
 */
void *buf_reserve(struct buf *b, size_t len) must_check;

/* Append formatted text without its NUL. 0 or -errno as buf_add. */
int buf_printf(struct buf *b, const char *fmt, ...) must_check
	format_like(2, 3);

#define _cleanup_buf_ __attribute__((cleanup(buf_done)))

#endif
