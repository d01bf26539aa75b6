/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image opened for reading. image_open reads the metadata into memory,
 * checks the digest of every section and then every rule of FORMAT.md that can
 * be checked without reading file content; what it returns is well formed, and
 * the accessors still bound every index they are given.
 *
 * An image never changes after image_open: all functions here may be called
 * from several threads at once. Errors: -EBADMSG for what breaks a rule,
 * -EOPNOTSUPP for a newer version, -ENOMEM, -errno of a read.
 */
#ifndef FS_IMAGE_IMAGE_H
#define FS_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/base/diag.h"
#include "fs/codec/digest.h"
#include "fs/codec/zstd.h"
#include "fs/image/layout.h"
#include "fs/image/source.h"

struct image;

/* Takes over src on success. diag says which rule is broken, and where. */
int image_open(
	struct source *src, struct image **ret, struct diag *diag) must_check;
/* source_from_fd + image_open on a path. */
int image_open_path(
	const char *path, struct image **ret, struct diag *diag) must_check;
void image_free(struct image *img); /* NULL is allowed */
DEFINE_CLEANUP(image_free, struct image *);

struct image_summary {
	struct digest image_id;
	struct digest tree_id; /* as claimed; image_check proves it */
	uint32_t frame_size;
	uint64_t file_size;
	uint32_t inodes, dirents, objects, frames, xattr_sets;
	uint64_t object_bytes; /* sum of the objects' sizes */
	uint64_t stored_bytes; /* sum of the frames' stored sizes */
	uint64_t sparse_bytes; /* sum of the holes */
};

void image_summary(const struct image *img, struct image_summary *ret);

/* One file, folder, ...; numbers as in FORMAT.md. */
struct image_node {
	uint32_t ino;
	uint32_t mode;
	uint32_t uid, gid;
	uint32_t nlink;
	uint32_t mtime_nsec;
	int64_t mtime;
	uint64_t size;	/* folder: number of entries */
	uint32_t home;	/* dirent index, LAYOUT_NONE for the root */
	uint32_t data;	/* file: object; folder: first dirent; device: major */
	uint32_t minor; /* device */
	uint32_t xset;	/* or LAYOUT_NONE */
	uint64_t link;
};

/* -ESTALE when there is no such inode number. */
int image_node(const struct image *img, uint64_t ino,
	struct image_node *ret) must_check;

struct image_entry {
	const char *name; /* not NUL-terminated; borrowed from the image */
	uint32_t name_len;
	uint32_t ino;
	uint32_t parent;
	uint32_t type; /* S_IFMT bits, as in stat(2) */
};

/* By index into the table of entries. -EBADMSG when out of range. */
int image_entry(const struct image *img, uint32_t index,
	struct image_entry *ret) must_check;

/*
 * Find a name in a folder by binary search. 0 and the entry; -ENOENT;
 * -ENOTDIR when dir is none.
 */
int image_lookup(const struct image *img, const struct image_node *dir,
	const char *name, size_t len, struct image_entry *ret) must_check;

/*
 * Walk a path from the root ("", "/", "a/b", "/a//b/"); symbolic links are not
 * followed, "." and ".." are names like others and so not found.
 */
int image_walk(const struct image *img, const char *path,
	struct image_node *ret) must_check;

/* Inode number of the folder that first names the inode; the root's is 1. */
uint32_t image_parent(const struct image *img, const struct image_node *node);

/*
 * The first path of an inode, "/" for the root, without limit of length, to be
 * freed. A second name appended when name is not NULL. NULL: out of memory, or
 * no such inode.
 */
char *image_path(
	const struct image *img, uint32_t ino, const char *name) must_check;

/* Target of a symbolic link, borrowed, not NUL-terminated. -EINVAL if none. */
int image_link_target(const struct image *img, const struct image_node *node,
	const char **ret, size_t *ret_len) must_check;

struct image_xattr {
	const char *name; /* borrowed, not NUL-terminated */
	const uint8_t *value;
	uint32_t name_len;
	uint32_t value_len;
};

uint32_t image_xattr_count(
	const struct image *img, const struct image_node *node);
/* By index below image_xattr_count; sorted by name. */
int image_xattr(const struct image *img, const struct image_node *node,
	uint32_t index, struct image_xattr *ret) must_check;
/* By name; -ENODATA when the inode has none of that name. */
int image_xattr_get(const struct image *img, const struct image_node *node,
	const char *name, struct image_xattr *ret) must_check;

struct image_object {
	struct digest digest;
	uint64_t size;
	uint64_t dense; /* bytes that are no hole */
	uint32_t index;
	uint32_t hole, hole_count;
	uint32_t frame, off; /* where the dense bytes begin */
};

/* By index (image_node.data of a regular file). */
int image_object(const struct image *img, uint32_t index,
	struct image_object *ret) must_check;

/*
 * The piece of an object that begins at off (< size): a hole, or a run of bytes
 * that lies in one frame.
 */
struct image_piece {
	uint64_t len; /* at least 1; ends where the piece ends */
	bool hole;
	uint32_t frame;	    /* not for a hole */
	uint32_t frame_off; /* into the frame's raw bytes */
};

int image_piece(const struct image *img, const struct image_object *obj,
	uint64_t off, struct image_piece *ret) must_check;

/*
 * lseek(2) SEEK_DATA or SEEK_HOLE on an object: the new offset in *ret, or
 * -ENXIO as lseek gives it. Holes are those of the image: every whole zero
 * block.
 */
int image_seek(const struct image *img, const struct image_object *obj,
	uint64_t off, int whence, uint64_t *ret) must_check;

/* How sure to be of a frame's stored bytes before they are used. */
enum image_trust {
	IMAGE_TRUST_DIGEST,   /* SHA-256 */
	IMAGE_TRUST_CHECKSUM, /* XXH3: the SHA-256 was good before */
};

/* What one thread needs to read frames. */
struct image_reader;
struct image_reader *image_reader_new(const struct image *img) must_check;
void image_reader_free(struct image_reader *r); /* NULL is allowed */
DEFINE_CLEANUP(image_reader_free, struct image_reader *);

/* Raw size of a frame, 0 when index is out of range. */
uint32_t image_frame_size(const struct image *img, uint32_t index);

/*
 * Read, verify and decompress one frame into dst (room for image_frame_size).
 * 0, -EBADMSG on damage, -errno. One reader serves one thread at a time.
 */
int image_frame_read(struct image_reader *r, uint32_t index,
	enum image_trust trust, void *dst) must_check;

/*
 * The stored bytes of a frame as they are, not verified, and what the image
 * says of them: for another image to hold them too. dst has room for
 * image_frame_size. 0 or -errno.
 */
struct image_stored {
	uint32_t len, raw_len;
	struct digest digest;
	uint64_t checksum;
};

int image_frame_stored(const struct image *img, uint32_t index, void *dst,
	struct image_stored *ret) must_check;

/*
 * Read everything: each frame against its digest, each object against its
 * digest and hole rule, and the tree id. Calls progress(arg, done, total) with
 * bytes of object content. Damage is told one by one to report(arg, text);
 * returns 0 when all is good, -EBADMSG when not, or -errno.
 */
struct image_check_hooks {
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void (*report)(void *arg, const char *text);
	void *arg;
};

int image_check(const struct image *img,
	const struct image_check_hooks *hooks) must_check;

#endif
