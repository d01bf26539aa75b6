/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image taken apart, changed at will, and put together again with digests,
 * offsets and sizes that are right: what is behind the digests can then be
 * tried. Only the lengths are kept consistent; every rule can be broken.
 */
#ifndef TESTS_LIB_IMAGE_PARTS_H
#define TESTS_LIB_IMAGE_PARTS_H

#include <stdbool.h>

#include "fs/base/buf.h"
#include "fs/image/layout.h"

struct image_parts {
	uint32_t frame_size;
	struct buf frames;		  /* stored bytes of all frames */
	struct buf tables[SECTION_COUNT]; /* raw bytes */
	bool packed[SECTION_COUNT];	  /* stored with zstd if smaller */
	bool keep_frames; /* leave the digests in the frame table alone */
};

/*
 * Take any bytes apart, as far as they make sense: what the superblock says is
 * clamped to what is there. 0, -EBADMSG when shorter than a superblock,
 * -ENOMEM.
 */
int image_parts_read(
	const void *data, size_t len, struct image_parts *ret) must_check;
void image_parts_done(struct image_parts *p);

/* Append the image to ret, with the digests in the frame table put right. */
int image_parts_write(struct image_parts *p, struct buf *ret) must_check;

#endif
