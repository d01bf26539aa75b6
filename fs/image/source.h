/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the bytes of an image come from: a file, or memory (tests, fuzzing).
 * A source may be read by several threads at once.
 */
#ifndef FS_IMAGE_SOURCE_H
#define FS_IMAGE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/cleanup.h"

struct source;

/*
 * Take over fd, which must be a regular file or a block device open for
 * reading; on failure fd stays the caller's. 0, -EINVAL for another kind of
 * file, or -errno.
 */
int source_from_fd(int fd, struct source **ret) must_check;

/* Read from memory that the caller keeps valid until source_free. */
int source_from_memory(
	const void *data, size_t len, struct source **ret) must_check;

void source_free(struct source *s); /* NULL is allowed */
DEFINE_CLEANUP(source_free, struct source *);

/* Size when the source was made, in bytes. */
uint64_t source_size(const struct source *s);

/* A block device, which may be larger than what was written onto it. */
bool source_is_padded(const struct source *s);

/*
 * Read exactly len bytes at off. 0; -EBADMSG when the source ends before
 * (it was cut after it was opened); -errno of the read.
 */
int source_read(
	struct source *s, void *buf, size_t len, uint64_t off) must_check;

#endif
