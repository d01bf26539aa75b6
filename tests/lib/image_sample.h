/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small images from a table, written by the product's writer. The table is in
 * the order of the image's dirents, so that a test decides what is numbered
 * how; what can be counted (links, offsets, holes, objects) is counted here.
 */
#ifndef TESTS_LIB_IMAGE_SAMPLE_H
#define TESTS_LIB_IMAGE_SAMPLE_H

#include "fs/base/buf.h"
#include "fs/base/diag.h"
#include "fs/codec/digest.h"
#include "fs/image/layout.h"

struct sample_xattr {
	const char *name; /* NULL ends a set */
	const char *value;
	uint32_t value_len;
};

struct sample_content {
	const uint8_t *data;
	size_t len;
};

/*
 * A dirent, with the attributes of the inode where it is named first. The first
 * one of a table is the root: no parent, no name.
 */
struct sample_entry {
	uint32_t parent;
	uint32_t ino;
	const char *name;
	uint32_t mode;
	uint32_t uid, gid;
	int64_t mtime;
	uint32_t mtime_nsec;
	uint32_t content; /* regular file: index of a content */
	const char *target;
	uint32_t major, minor;
	const struct sample_xattr *xattrs; /* same pointer, same set */
};

struct sample {
	const struct sample_entry *entries;
	size_t entry_count;
	const struct sample_content *contents; /* each different */
	uint32_t frame_size;
	int level;
};

/* Write it at path; ids may be NULL. 0 or -errno with diag. */
int sample_write(const struct sample *s, const char *path,
	struct digest *ret_image_id, struct digest *ret_tree_id,
	struct diag *diag) must_check;

/* Write it into a temporary folder and append the file to ret. */
int sample_image(const struct sample *s, struct buf *ret) must_check;

/*
 * All kinds of inodes and contents in a few kilobytes: hard links, devices, odd
 * names, xattr sets, an object over several frames, shared frames, holes in the
 * middle, at the end and all over. Or a root folder and nothing else.
 */
struct sample sample_all_kinds(int level);
struct sample sample_nothing(int level);

/* The contents of sample_all_kinds. */
enum sample_contents {
	SAMPLE_LARGE,  /* 3 frames */
	SAMPLE_SPARSE, /* a hole, then data */
	SAMPLE_TEXT,
	SAMPLE_ZERO, /* 3 zero bytes: a hole and nothing else */
	SAMPLE_TAIL, /* data, then a hole to the end */
	SAMPLE_EMPTY,
	SAMPLE_BIG_SPARSE, /* large, with two holes */
	SAMPLE_CONTENT_COUNT,
};

const struct sample_content *sample_content(enum sample_contents which);

#endif
