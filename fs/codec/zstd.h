/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-shot zstd of whole frames. The output for a given input and level
 * depends only on the libzstd version, never on threads or history.
 */
#ifndef FS_CODEC_ZSTD_H
#define FS_CODEC_ZSTD_H

#include <stddef.h>

#include "fs/base/cleanup.h"

#define ZSTD_LEVEL_MIN 1
#define ZSTD_LEVEL_MAX 22

/* A compressor or decompressor belongs to one thread at a time. */
struct compressor;
struct decompressor;

/* level: ZSTD_LEVEL_MIN to ZSTD_LEVEL_MAX. NULL when out of memory. */
struct compressor *compressor_new(int level) must_check;
void compressor_free(struct compressor *c); /* NULL is allowed */
DEFINE_CLEANUP(compressor_free, struct compressor *);

/*
 * Compress len bytes of src into dst, which has room for len bytes. Returns
 * the compressed size, or 0 when it would not be smaller than len: then the
 * caller stores src as it is.
 */
size_t compressor_run(struct compressor *c, void *dst, const void *src,
	size_t len) must_check;

struct decompressor *decompressor_new(void) must_check;
void decompressor_free(struct decompressor *d); /* NULL is allowed */
DEFINE_CLEANUP(decompressor_free, struct decompressor *);

/*
 * Decompress one zstd frame of len bytes, not two and nothing after it, that
 * must give exactly raw_len bytes. 0, or -EBADMSG when it does not (dst is then
 * undefined).
 */
int decompressor_run(struct decompressor *d, void *dst, size_t raw_len,
	const void *src, size_t len) must_check;

#endif
