/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the phases of the reader share: image_open.c brings the sections into
 * memory, image_rules.c and image_rules_data.c refuse what breaks FORMAT.md,
 * image_tree.c and image_data.c answer questions, image_check.c reads
 * everything; writer.c borrows the record sizes and the tree id. Nobody
 * outside of this folder includes this.
 */
#ifndef FS_IMAGE_IMAGE_INTERNAL_H
#define FS_IMAGE_IMAGE_INTERNAL_H

#include "fs/image/image.h"

struct image {
	struct source *source;
	struct digest image_id;
	struct digest tree_id; /* as claimed */
	uint32_t frame_size;
	uint64_t file_size;
	uint64_t frames_end; /* frames lie from LAYOUT_SUPER_SIZE to here */

	/* Sums over the objects, found while the rules are checked. Together
	 * they stay below 2^63, so that no reader has to think of overflow. */
	uint64_t object_bytes;
	uint64_t sparse_bytes;

	/* The raw bytes of each section; count is bytes / stride. */
	char *section[SECTION_COUNT];
	uint64_t bytes[SECTION_COUNT];
	uint64_t count[SECTION_COUNT];
};

/* Size of a record, 1 for a section of bytes. */
size_t image_section_stride(enum section s);

static inline const struct layout_inode *image_inodes(const struct image *img)
{
	return (const void *)img->section[SECTION_INODES];
}

static inline const struct layout_dirent *image_dirents(const struct image *img)
{
	return (const void *)img->section[SECTION_DIRENTS];
}

static inline const struct layout_xset *image_xsets(const struct image *img)
{
	return (const void *)img->section[SECTION_XSETS];
}

static inline const struct layout_xattr *image_xattrs(const struct image *img)
{
	return (const void *)img->section[SECTION_XATTRS];
}

static inline const struct layout_object *image_objects(const struct image *img)
{
	return (const void *)img->section[SECTION_OBJECTS];
}

static inline const struct layout_hole *image_holes(const struct image *img)
{
	return (const void *)img->section[SECTION_HOLES];
}

static inline const struct layout_place *image_places(const struct image *img)
{
	return (const void *)img->section[SECTION_PLACES];
}

static inline const struct layout_frame *image_frames(const struct image *img)
{
	return (const void *)img->section[SECTION_FRAMES];
}

/* The order of names: that of unsigned bytes, a prefix first. As memcmp. */
int image_compare_names(
	const char *a, size_t a_len, const char *b, size_t b_len);

/* The tree id from the SHA-256 of the raw bytes of each logical section. */
void image_tree_id(struct hasher *hasher,
	const struct digest sections[SECTION_LOGICAL_COUNT],
	struct digest *ret);

/* Every rule on the tables; sets the sums of img. image_open calls them. */
int image_rules_tree(const struct image *img, struct diag *diag) must_check;
int image_rules_xattrs(const struct image *img, struct diag *diag) must_check;
int image_rules_data(struct image *img, struct diag *diag) must_check;

/*
 * The first path of an inode that is not the root into size (at least 512)
 * bytes, "..." for the beginning of a longer one: for messages, at a bounded
 * cost.
 */
void image_path_short(
	const struct image *img, uint32_t ino, char *ret, size_t size);

/* Where an object lies: frame, then offset in it, as one number to sort by. */
struct image_spot {
	uint64_t place; /* frame << 32 | off */
	uint32_t object;
};

/*
 * All objects that have dense bytes, in the order in which their bytes lie in
 * the file. The caller frees *ret; -ENOMEM.
 */
int image_spots(const struct image *img, struct image_spot **ret,
	uint32_t *ret_count) must_check;

#endif
