/* SPDX-License-Identifier: Apache-2.0 */
/* Frames through libzstd; see zstd.h. */
#include "fs/codec/zstd.h"

#include <assert.h>
#include <zstd.h>

struct compressor {
	ZSTD_CCtx *ctx;
};

struct decompressor {
	ZSTD_DCtx *ctx;
};

struct compressor *compressor_new(int level)
{
	assert(level >= ZSTD_LEVEL_MIN && level <= ZSTD_LEVEL_MAX);

	_cleanup_(compressor_free) struct compressor *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->ctx = ZSTD_createCCtx();
	if (!c->ctx)
		return NULL;

	/* Sizes and checksums are in the frame table already. */
	if (ZSTD_isError(ZSTD_CCtx_setParameter(
		    c->ctx, ZSTD_c_compressionLevel, level)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(
			c->ctx, ZSTD_c_contentSizeFlag, 0)) ||
		ZSTD_isError(
			ZSTD_CCtx_setParameter(c->ctx, ZSTD_c_checksumFlag, 0)))
		return NULL;
	return take_ptr(c);
}

void compressor_free(struct compressor *c)
{
	if (!c)
		return;
	ZSTD_freeCCtx(c->ctx);
	free(c);
}

size_t compressor_run(
	struct compressor *c, void *dst, const void *src, size_t len)
{
	size_t n = ZSTD_compress2(c->ctx, dst, len, src, len);

	/* The only expected error is "dst too small": not compressible. */
	return ZSTD_isError(n) || n >= len ? 0 : n;
}

struct decompressor *decompressor_new(void)
{
	_cleanup_(decompressor_free) struct decompressor *d =
		calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->ctx = ZSTD_createDCtx();
	return d->ctx ? take_ptr(d) : NULL;
}

void decompressor_free(struct decompressor *d)
{
	if (!d)
		return;
	ZSTD_freeDCtx(d->ctx);
	free(d);
}

int decompressor_run(struct decompressor *d, void *dst, size_t raw_len,
	const void *src, size_t len)
{
	/* libzstd would go on with further frames, and skip what says that it
	 * may be skipped: bytes that nobody sees. An error is no length. */
	if (ZSTD_findFrameCompressedSize(src, len) != len)
		return -EBADMSG;

	size_t n = ZSTD_decompressDCtx(d->ctx, dst, raw_len, src, len);

	return ZSTD_isError(n) || n != raw_len ? -EBADMSG : 0;
}
