/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of an image, version 1. FORMAT.md tells the meaning of each field
 * and the rules that make the encoding canonical; this header is the map.
 *
 *	0        superblock, 4096 bytes
 *	4096     frames, back to back, in the order of the frame table
 *	...      sections, back to back, in the order of enum section
 *	         end of file
 *
 * Everything is little-endian and packed without gaps. Tables have a fixed
 * stride and are addressed by index. Reserved bytes are zero.
 */
#ifndef FS_IMAGE_LAYOUT_H
#define FS_IMAGE_LAYOUT_H

#include <assert.h>
#include <endian.h>
#include <stddef.h>
#include <stdint.h>

/* 8 bytes; CR LF ^Z show a copy in text mode. */
#define LAYOUT_MAGIC "stele\r\n\x1a"
#define LAYOUT_VERSION 1
#define LAYOUT_SUPER_SIZE 4096

/* A file is split, and holes are looked for, in blocks of this size. */
#define LAYOUT_BLOCK 4096

/* Raw bytes in one frame: a power of two between these. */
#define LAYOUT_FRAME_MIN 4096
#define LAYOUT_FRAME_MAX (1u << 20)
#define LAYOUT_FRAME_DEFAULT (128u << 10)

/* A section that claims to expand more than this is refused unread. */
#define LAYOUT_SECTION_RATIO 1024

#define LAYOUT_NAME_MAX 255
#define LAYOUT_LINK_MAX 4095   /* symbolic link target: PATH_MAX - 1 */
#define LAYOUT_VALUE_MAX 65536 /* XATTR_SIZE_MAX */

/* "none" in a field that holds an index. */
#define LAYOUT_NONE UINT32_MAX

#define LAYOUT_ROOT_INO 1

/*
 * The sections in file order. Those up to SECTION_HOLES are the logical tree:
 * the tree id is computed from them. The rest say where the bytes lie.
 */
enum section {
	SECTION_INODES,	 /* struct layout_inode, breadth first */
	SECTION_DIRENTS, /* struct layout_dirent, folder by folder */
	SECTION_NAMES,	 /* bytes: entry names, then symbolic link targets */
	SECTION_XSETS,	 /* struct layout_xset */
	SECTION_XATTRS,	 /* struct layout_xattr */
	SECTION_XBYTES,	 /* bytes: name and value of each xattr in turn */
	SECTION_OBJECTS, /* struct layout_object */
	SECTION_HOLES,	 /* struct layout_hole, object by object */
	SECTION_PLACES,	 /* struct layout_place, one for each object */
	SECTION_FRAMES,	 /* struct layout_frame */
	SECTION_COUNT,
	SECTION_LOGICAL_COUNT = SECTION_HOLES + 1,
};

/* How a section or frame is stored. */
enum layout_codec {
	LAYOUT_RAW = 0,
	LAYOUT_ZSTD = 1,
};

struct layout_section {
	uint64_t off;	 /* of the stored bytes, from the start of the file */
	uint64_t stored; /* bytes in the file */
	uint64_t raw;	 /* bytes after decompression */
	uint32_t codec;
	uint32_t reserved;
	uint8_t sha256[32]; /* of the stored bytes */
} __attribute__((packed));

struct layout_super {
	uint8_t magic[8];
	uint32_t version;
	uint32_t frame_size; /* raw bytes of a full frame */
	uint64_t file_size;
	uint32_t section_count;
	uint32_t features; /* no feature is defined: zero */
	uint8_t tree_id[32];
	struct layout_section sections[SECTION_COUNT];
	uint8_t reserved[LAYOUT_SUPER_SIZE - 64 - 64 * SECTION_COUNT - 32];
	uint8_t image_id[32]; /* SHA-256 of the superblock's bytes before it */
} __attribute__((packed));

struct layout_inode {
	uint32_t mode; /* type and permission, as in stat(2) */
	uint32_t uid;
	uint32_t gid;
	uint32_t nlink;
	int64_t mtime; /* seconds since 1970 */
	uint32_t mtime_nsec;
	uint32_t home; /* the dirent that first names it; the root: none */
	uint64_t size; /* file: bytes; folder: entries; link: target bytes */
	uint32_t data; /* file: object; folder: first dirent; device: major */
	uint32_t more; /* device: minor; else zero */
	uint64_t link; /* link: where its target begins in the names */
	uint32_t xset; /* or none */
	uint32_t reserved;
} __attribute__((packed));

struct layout_dirent {
	uint32_t name; /* where the name begins in the names */
	uint32_t ino;
	uint32_t parent; /* inode number of the folder */
	uint16_t name_len;
	uint16_t type; /* mode >> 12: listing a folder reads one table */
} __attribute__((packed));

struct layout_xset {
	uint32_t first; /* xattr */
	uint32_t count;
} __attribute__((packed));

struct layout_xattr {
	uint64_t bytes; /* where the name begins; the value follows it */
	uint32_t value_len;
	uint16_t name_len;
	uint16_t reserved;
} __attribute__((packed));

struct layout_object {
	uint8_t sha256[32]; /* of the whole content, holes as zeros */
	uint64_t size;
	uint32_t hole; /* the first one; 0 when there is none */
	uint32_t hole_count;
} __attribute__((packed));

struct layout_hole {
	uint64_t start;
	uint64_t len;
	uint64_t dense; /* bytes of the object before start that are no hole */
} __attribute__((packed));

struct layout_place {
	uint32_t frame; /* where the dense bytes begin; 0 when there are none */
	uint32_t off;	/* within the frame's raw bytes */
} __attribute__((packed));

struct layout_frame {
	uint64_t off; /* of the stored bytes, from the start of the file */
	uint32_t stored;
	uint32_t raw;	    /* stored == raw: not compressed */
	uint8_t sha256[32]; /* of the stored bytes */
	uint64_t xxh3;	    /* of the stored bytes */
} __attribute__((packed));

_Static_assert(sizeof(struct layout_section) == 64, "section");
_Static_assert(offsetof(struct layout_super, tree_id) == 32, "super");
_Static_assert(offsetof(struct layout_super, sections) == 64, "super");
_Static_assert(offsetof(struct layout_super, image_id) == 4064, "super");
_Static_assert(sizeof(struct layout_super) == LAYOUT_SUPER_SIZE, "super");
_Static_assert(sizeof(struct layout_inode) == 64, "inode");
_Static_assert(sizeof(struct layout_dirent) == 16, "dirent");
_Static_assert(sizeof(struct layout_xset) == 8, "xset");
_Static_assert(sizeof(struct layout_xattr) == 16, "xattr");
_Static_assert(sizeof(struct layout_object) == 48, "object");
_Static_assert(sizeof(struct layout_hole) == 24, "hole");
_Static_assert(sizeof(struct layout_place) == 8, "place");
_Static_assert(sizeof(struct layout_frame) == 56, "frame");

#endif
