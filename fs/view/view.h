/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of an image as something that can be read: bytes of an object at
 * an offset, verified, through a bounded cache of decompressed frames.
 *
 * The first read of a frame in the life of a view checks its SHA-256, later
 * ones its XXH3 (VIEW_VERIFY_ALWAYS: SHA-256 each time). Thread-safe.
 */
#ifndef FS_VIEW_VIEW_H
#define FS_VIEW_VIEW_H

#include "fs/image/image.h"

enum view_flags {
	VIEW_VERIFY_ALWAYS = 1 << 0,
};

struct view;

/*
 * img must outlive the view. cache_bytes bounds the decompressed frames that
 * are kept; 0 gives the default of 16 MiB. -EINVAL for unknown flags.
 */
int view_new(const struct image *img, unsigned flags, size_t cache_bytes,
	struct view **ret) must_check;
void view_free(struct view *v); /* NULL is allowed */
DEFINE_CLEANUP(view_free, struct view *);

/*
 * Read up to len bytes of an object at off into dst. Bytes read, 0 at or past
 * the end; -EBADMSG when the image is damaged there (*ret_frame, when not
 * NULL, then names the frame); -errno.
 */
ssize_t view_read(struct view *v, const struct image_object *obj, void *dst,
	size_t len, uint64_t off, uint32_t *ret_frame) must_check;

#endif
