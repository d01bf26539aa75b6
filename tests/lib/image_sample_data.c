/* SPDX-License-Identifier: Apache-2.0 */
/* The trees and contents that samples are made of; see image_sample.h. */
#include "tests/lib/image_sample.h"

#include <string.h>
#include <sys/stat.h>

/* Bytes that zstd can't shrink, always the same. */
static void noise(uint8_t *p, size_t len)
{
	uint32_t x = 1;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = (uint8_t)(x >> 24) | 1;
	}
}

const struct sample_content *sample_content(enum sample_contents which)
{
	static const char text[] = "stele: a stone slab with an inscription\n";
	static uint8_t large[9000], sparse[4096 + 100], tail[4096 + 904];
	static uint8_t big[16384 + 50];
	static const struct sample_content all[SAMPLE_CONTENT_COUNT] = {
		[SAMPLE_LARGE] = {large, sizeof(large)},
		[SAMPLE_SPARSE] = {sparse, sizeof(sparse)},
		[SAMPLE_TEXT] = {(const uint8_t *)text, sizeof(text) - 1},
		[SAMPLE_ZERO] = {(const uint8_t *)"\0\0\0", 3},
		[SAMPLE_TAIL] = {tail, sizeof(tail)},
		[SAMPLE_EMPTY] = {(const uint8_t *)"", 0},
		[SAMPLE_BIG_SPARSE] = {big, sizeof(big)},
	};

	if (!large[0]) {
		/* One frame that shrinks, two that do not; zeros within a
		 * block are no hole. */
		memset(large, 'L', 4096);
		noise(large + 4096, sizeof(large) - 4096);
		memset(large + 5000, 0, 100);
		sparse[4096 + 99] = 'e';
		memset(tail, 't', 4096);
		memset(big, 'b', sizeof(big));
		memset(big + 4096, 0, 4096);
		memset(big + 12288, 0, 4096);
	}
	return &all[which];
}

static const struct sample_xattr acl[] = {
	{"system.posix_acl_access", "\2\0\0\0", 4},
	{"user.empty", "", 0},
	{"user.name", "value", 5},
	{NULL, NULL, 0},
};

static const struct sample_xattr caps[] = {
	{"security.capability", "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20},
	{NULL, NULL, 0},
};

static const struct sample_entry root_only[] = {
	{.ino = 1, .mode = S_IFDIR | 0755, .mtime = 1},
};

static const struct sample_entry all_kinds[] = {
	{.ino = 1, .mode = S_IFDIR | 0755, .mtime = 1700000000, .xattrs = acl},

	/* the root */
	{.parent = 1,
		.ino = 2,
		.name = "bin",
		.mode = S_IFDIR | 0755,
		.mtime = 1},
	{.parent = 1,
		.ino = 3,
		.name = "dev",
		.mode = S_IFDIR | 01777,
		.uid = 4294967294,
		.gid = 100},
	{.parent = 1, .ino = 4, .name = "empty", .mode = S_IFDIR | 0},
	{.parent = 1,
		.ino = 5,
		.name = "link",
		.mode = S_IFLNK | 0777,
		.target = "bin/text"},
	{.parent = 1,
		.ino = 6,
		.name = "to\xff\n\x01",
		.mode = S_IFLNK | 0777,
		.target = "/"},

	/* /bin */
	{.parent = 2,
		.ino = 7,
		.name = "hard",
		.mode = S_IFREG | 04755,
		.content = SAMPLE_LARGE,
		.xattrs = caps,
		.mtime = -1,
		.mtime_nsec = 999999999},
	{.parent = 2,
		.ino = 8,
		.name = "sparse",
		.mode = S_IFREG | 0644,
		.content = SAMPLE_SPARSE},
	{.parent = 2,
		.ino = 9,
		.name = "text",
		.mode = S_IFREG | 0600,
		.content = SAMPLE_TEXT,
		.xattrs = acl},
	{.parent = 2,
		.ino = 10,
		.name = "zero",
		.mode = S_IFREG | 0644,
		.content = SAMPLE_ZERO},

	/* /dev */
	{.parent = 3, .ino = 11, .name = "dir", .mode = S_IFDIR | 0700},
	{.parent = 3, .ino = 12, .name = "fifo", .mode = S_IFIFO | 0600},
	{.parent = 3, .ino = 7, .name = "hard", .mode = 0},
	{.parent = 3,
		.ino = 13,
		.name = "loop0",
		.mode = S_IFBLK | 0660,
		.major = 7,
		.minor = 0},
	{.parent = 3,
		.ino = 14,
		.name = "null",
		.mode = S_IFCHR | 0666,
		.major = 1,
		.minor = 3},
	{.parent = 3, .ino = 15, .name = "sock", .mode = S_IFSOCK | 0777},

	/* /dev/dir */
	{.parent = 11,
		.ino = 16,
		.name = "deep",
		.mode = S_IFREG | 0644,
		.content = SAMPLE_TAIL},
	{.parent = 11, .ino = 7, .name = "hard", .mode = 0},
	{.parent = 11,
		.ino = 17,
		.name = "huge",
		.mode = S_IFREG | 0644,
		.content = SAMPLE_BIG_SPARSE},
	{.parent = 11,
		.ino = 18,
		.name = "nothing",
		.mode = S_IFREG | 0644,
		.content = SAMPLE_EMPTY},
	{.parent = 11,
		.ino = 19,
		.name = "twin",
		.mode = S_IFREG | 0640,
		.content = SAMPLE_TEXT},
};

struct sample sample_all_kinds(int level)
{
	return (struct sample){
		.entries = all_kinds,
		.entry_count = ARRAY_LEN(all_kinds),
		.contents = sample_content(0),
		.frame_size = LAYOUT_FRAME_MIN,
		.level = level,
	};
}

struct sample sample_nothing(int level)
{
	return (struct sample){
		.entries = root_only,
		.entry_count = ARRAY_LEN(root_only),
		.frame_size = LAYOUT_FRAME_MIN,
		.level = level,
	};
}
