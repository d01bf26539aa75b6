/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes an image file: frames first, as they come, then the sections, then
 * the superblock. The caller gives tables that obey FORMAT.md; the writer
 * knows files, offsets, digests and compression, not trees.
 * One thread at a time.
 */
#ifndef FS_IMAGE_WRITER_H
#define FS_IMAGE_WRITER_H

#include <stdint.h>

#include "fs/base/buf.h"
#include "fs/base/diag.h"
#include "fs/codec/digest.h"
#include "fs/image/layout.h"

struct image_writer;

/*
 * Begin an image that will appear at path: a temporary file beside it, readable
 * by the owner only until it is whole. Where the file system can, it has no
 * name until then, so that a killed process leaves nothing. level 0 stores
 * everything raw. path must be free or name a regular file: -EISDIR for a
 * folder, -EEXIST for anything else.
 */
int image_writer_new(const char *path, uint32_t frame_size, int level,
	struct image_writer **ret, struct diag *diag) must_check;

/* Without image_writer_finish the temporary file is removed. NULL allowed. */
void image_writer_free(struct image_writer *w);
DEFINE_CLEANUP(image_writer_free, struct image_writer *);

/* Bytes for the frame table: filled by whoever compressed the frame. */
struct image_frame {
	const void *stored;
	uint32_t stored_len;
	uint32_t raw_len;
	struct digest digest; /* of the stored bytes */
	uint64_t checksum;
};

/* Append a frame; its index is the count of those before. 0 or -errno. */
int image_writer_frame(struct image_writer *w, const struct image_frame *frame,
	struct diag *diag) must_check;

uint32_t image_writer_frame_count(const struct image_writer *w);

/* Bytes of the file so far: after image_writer_finish, of the whole image. */
uint64_t image_writer_size(const struct image_writer *w);

/*
 * Write the sections (all but SECTION_FRAMES, which the writer keeps) and the
 * superblock, fsync, and rename to the final path; an existing file there is
 * replaced in one step. On failure nothing appears, but for one case: when
 * only the folder can't be synced, diag says that the file is there but may not
 * survive a power cut. The writer is of no further use either way.
 */
int image_writer_finish(struct image_writer *w,
	const struct buf tables[SECTION_FRAMES], struct digest *ret_image_id,
	struct digest *ret_tree_id, struct diag *diag) must_check;

#endif
