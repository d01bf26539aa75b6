/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One image for each rule of FORMAT.md that breaks it and nothing else (but
 * what can't be helped), with all digests right; the reader must name the
 * record and the rule. The numbers below are those of sample_all_kinds.
 */
#include "fs/image/image.h"

#include <string.h>
#include <sys/stat.h>

#include "tests/lib/image_parts.h"
#include "tests/lib/image_sample.h"
#include "tests/unit/unit.h"

/* The superblock, changed after all else is in place. */
#define SUPER SECTION_COUNT

/* A field of the record with a number, and what to put there. */
struct patch {
	int section;
	size_t at, len; /* len 0 ends a list */
	uint64_t value;
};

#define FIELD(sec, index, type, field, to)                                    \
	{                                                                     \
		(sec),                                                        \
			(index) * sizeof(struct type) +                       \
				offsetof(struct type, field),                 \
			sizeof(((struct type *)NULL)->field), (uint64_t)(to), \
	}
#define INODE(ino, field, to) \
	FIELD(SECTION_INODES, (ino)-1, layout_inode, field, to)
#define DIRENT(i, field, to) FIELD(SECTION_DIRENTS, i, layout_dirent, field, to)
#define XSET(i, field, to) FIELD(SECTION_XSETS, i, layout_xset, field, to)
#define XATTR(i, field, to) FIELD(SECTION_XATTRS, i, layout_xattr, field, to)
#define OBJECT(i, field, to) FIELD(SECTION_OBJECTS, i, layout_object, field, to)
#define HOLE(i, field, to) FIELD(SECTION_HOLES, i, layout_hole, field, to)
#define PLACE(i, field, to) FIELD(SECTION_PLACES, i, layout_place, field, to)
#define FRAME(i, field, to) FIELD(SECTION_FRAMES, i, layout_frame, field, to)
#define SUPERBLOCK(field, to) FIELD(SUPER, 0, layout_super, field, to)
#define BYTE(sec, at, to)                      \
	{                                      \
		(sec), (at), 1, (uint64_t)(to) \
	}

struct broken {
	const char *says; /* part of the diag */
	struct patch patches[6];
	/* Append this many zero bytes, or cut. */
	struct {
		int section;
		int bytes;
	} resize;
};

/* clang-format off */
static const struct broken superblock[] = {
	{"frame size 0", {SUPERBLOCK(frame_size, 0)}, {0}},
	{"frame size 2048", {SUPERBLOCK(frame_size, 2048)}, {0}},
	{"frame size 12288", {SUPERBLOCK(frame_size, 12288)}, {0}},
	{"frame size 2097152", {SUPERBLOCK(frame_size, 2097152)}, {0}},
	{"9 sections instead of 10", {SUPERBLOCK(section_count, 9)}, {0}},
	{"reserved bytes", {BYTE(SUPER, 704, 1)}, {0}},
	{"reserved bytes", {BYTE(SUPER, 4063, 1)}, {0}},
	{"cut short", {SUPERBLOCK(file_size, 1 << 20)}, {0}},
	{"too long", {SUPERBLOCK(file_size, 4096)}, {0}},
	{"section inodes: begins in the superblock",
		{SUPERBLOCK(sections[0].off, 4095)}, {0}},
	{"section dirents: not right after",
		{SUPERBLOCK(sections[1].off, 4096)}, {0}},
	{"section inodes: ends behind",
		{SUPERBLOCK(sections[0].off, 1 << 20)}, {0}},
	{"section names: ends behind",
		{SUPERBLOCK(sections[2].stored, UINT64_MAX)}, {0}},
	{"section frames: raw, but two sizes",
		{SUPERBLOCK(sections[9].stored, 1)}, {0}},
	{"the sections end at", {SUPERBLOCK(sections[9].stored, 0),
		SUPERBLOCK(sections[9].raw, 0)}, {0}},
	{"section xsets: unknown codec",
		{SUPERBLOCK(sections[3].codec, 2)}, {0}},
	{"section xsets: compressed, but not smaller",
		{SUPERBLOCK(sections[3].codec, 1)}, {0}},
	{"section inodes: expands too much",
		{SUPERBLOCK(sections[0].codec, 1),
		SUPERBLOCK(sections[0].raw, 19 * 64 * 1024 + 64)}, {0}},
	{"section inodes: expands too much",
		{SUPERBLOCK(sections[0].codec, 1),
		SUPERBLOCK(sections[0].raw, UINT64_MAX)}, {0}},
	{"section inodes: does not decompress",
		{SUPERBLOCK(sections[0].codec, 1),
		SUPERBLOCK(sections[0].raw, 19 * 64 * 1024)}, {0}},
	{"section xattrs: reserved",
		{SUPERBLOCK(sections[4].reserved, 1)}, {0}},
	{"section inodes: damaged",
		{BYTE(SUPER, 64 + 32, 0)}, {0}},
	{"section dirents: ends inside a record", {{0}}, {SECTION_DIRENTS, 1}},
	{"section places: 6 places for 7", {{0}}, {SECTION_PLACES, -8}},
	{"section places: 8 places for 7", {{0}}, {SECTION_PLACES, 8}},
};

static const struct broken data[] = {
	{"frame 0: not right after", {FRAME(0, off, 4097)}, {0}},
	{"frame 2: not right after", {FRAME(2, off, 4096)}, {0}},
	{"frame 0: larger than the frame size", {FRAME(0, raw, 4097)}, {0}},
	{"frame 3: stored size", {FRAME(3, stored, 0)}, {0}},
	{"frame 3: stored size", {FRAME(3, stored, 141)}, {0}},
	{"the frames end at", {FRAME(7, stored, 49)}, {0}},
	{"the frames end at", {{0}}, {SECTION_FRAMES, -56}},
	{"object 5: its holes do not follow", {OBJECT(5, hole, 2)}, {0}},
	{"object 6: its holes do not follow", {OBJECT(6, hole, 5)}, {0}},
	{"object 5: has more holes", {OBJECT(5, hole_count, 3)}, {0}},
	{"object 5: has more holes", {OBJECT(5, hole_count, UINT32_MAX)}, {0}},
	{"hole 4 belongs to no object", {OBJECT(5, hole_count, 1)}, {0}},
	{"object 5: a hole is empty", {HOLE(3, len, 0)}, {0}},
	{"object 1: a hole ends behind", {HOLE(0, len, 8192)}, {0}},
	{"object 1: a hole ends behind", {HOLE(0, start, UINT64_MAX)}, {0}},
	{"object 1: a hole ends behind", {HOLE(0, len, UINT64_MAX)}, {0}},
	{"object 5: a hole is not made of", {HOLE(3, start, 4097)}, {0}},
	{"object 5: a hole is not made of", {HOLE(3, len, 1)}, {0}},
	{"object 4: a hole is not made of", {HOLE(2, len, 903)}, {0}},
	{"object 5: its holes are not in order", {HOLE(4, start, 4096)}, {0}},
	{"object 5: its holes are not in order", {HOLE(4, start, 8192)}, {0}},
	{"object 5: a hole counts", {HOLE(3, dense, 4095)}, {0}},
	{"object 5: a hole counts", {HOLE(4, dense, 12288)}, {0}},
	{"object 1: the objects together", {OBJECT(1, size, INT64_MAX)}, {0}},
	{"object 1: the objects together", {OBJECT(1, size, UINT64_MAX)}, {0}},
	{"object 3: has a place but no", {PLACE(3, frame, 1)}, {0}},
	{"object 6: has a place but no", {PLACE(6, off, 1)}, {0}},
	{"object 0: a large object does not", {PLACE(0, off, 1)}, {0}},
	{"object 0: its place is behind", {PLACE(0, frame, 6)}, {0}},
	{"object 0: its place is behind", {PLACE(0, frame, UINT32_MAX)}, {0}},
	{"object 0: has a frame of a wrong size", {PLACE(0, frame, 1)}, {0}},
	{"object 5: shares a frame", {PLACE(5, frame, 0)}, {0}},
	{"object 4: its place is behind", {PLACE(4, frame, 8)}, {0}},
	{"object 4: shares a frame", {PLACE(4, frame, 5)}, {0}},
	{"object 2: not right after", {PLACE(2, off, 99)}, {0}},
	{"object 2: not right after", {PLACE(2, off, 101)}, {0}},
	{"object 1: not right after", {PLACE(1, off, 1)}, {0}},
	{"object 2: not right after", {PLACE(2, off, 0)}, {0}},
	{"frame 3: its objects do not fill", {FRAME(3, raw, 141)}, {0}},
	{"object 4: ends behind its frame", {PLACE(4, frame, 3),
		PLACE(4, off, 140)}, {0}},
};

static const struct broken tree[] = {
	{"dirent 1: the name is not right after", {DIRENT(1, name, 4)}, {0}},
	{"dirent 1: the name is not right", {DIRENT(0, name_len, 4)}, {0}},
	{"dirent 0: the name is not 1 to", {DIRENT(0, name_len, 0)}, {0}},
	{"dirent 0: the name ends behind", {DIRENT(0, name_len, 256)}, {0}},
	{"dirent 0: the name has a slash", {BYTE(SECTION_NAMES, 1, '/')}, {0}},
	{"dirent 0: the name has a slash", {BYTE(SECTION_NAMES, 2, 0)}, {0}},
	{"dirent 0: the name is \".\"", {DIRENT(0, name_len, 1),
		BYTE(SECTION_NAMES, 0, '.')}, {0}},
	{"dirent 0: the name is \".\"", {DIRENT(0, name_len, 2),
		BYTE(SECTION_NAMES, 0, '.'), BYTE(SECTION_NAMES, 1, '.')}, {0}},
	{"dirent 1: names are not", {BYTE(SECTION_NAMES, 0, 'e')}, {0}},
	{"dirent 4: names are not strictly", {BYTE(SECTION_NAMES, 11, 0xff)},
		{0}},
	{"dirent 19: names are not strictly", {BYTE(SECTION_NAMES, 74, 'u')},
		{0}},
	{"dirent 5: wrong parent", {DIRENT(5, parent, 1)}, {0}},
	{"dirent 5: wrong parent", {DIRENT(5, parent, 0)}, {0}},
	{"dirent 0: names no inode", {DIRENT(0, ino, 0)}, {0}},
	{"dirent 0: names no inode", {DIRENT(0, ino, 20)}, {0}},
	{"dirent 0: the inodes are not", {DIRENT(0, ino, 3)}, {0}},
	{"dirent 5: names a folder a second", {DIRENT(5, ino, 2),
		DIRENT(5, type, 4)}, {0}},
	{"dirent 5: names a folder a second", {DIRENT(5, ino, 1),
		DIRENT(5, type, 4)}, {0}},
	{"dirent 5: not of its inode's type", {DIRENT(5, type, 10)}, {0}},
	{"dirent 5: not of its inode's type", {DIRENT(5, type, 0xffff)}, {0}},
	{"inode 7: home is not its first", {INODE(7, home, 11)}, {0}},
	{"inode 7: nlink is not the number", {INODE(7, nlink, 2)}, {0}},
	{"inode 19: nlink is not the number", {INODE(19, nlink, 0)}, {0}},
	{"inode 1: the root has a home", {INODE(1, home, 0)}, {0}},
	{"inode 1: is not a folder", {INODE(1, mode, S_IFREG)}, {0}},
	{"inode 1: is not a folder", {{0}}, {SECTION_INODES, -19 * 64}},
	{"inode 20: no entry", {{0}}, {SECTION_INODES, 64}},
	{"dirent 19: names no inode", {{0}}, {SECTION_INODES, -64}},
	{"inode 3: nlink is not 2", {INODE(3, nlink, 2)}, {0}},
	{"inode 4: nlink is not 2", {INODE(4, nlink, 1)}, {0}},
	{"inode 2: its entries do not", {INODE(2, data, 4)}, {0}},
	{"inode 4: its entries do not", {INODE(4, data, 0)}, {0}},
	{"inode 11: has more entries", {INODE(11, size, 6)}, {0}},
	{"inode 11: has more entries", {INODE(11, size, UINT64_MAX)}, {0}},
	{"dirent 20: belongs to no folder", {DIRENT(20, name, 85),
		DIRENT(20, name_len, 1), INODE(5, link, 86), INODE(5, size, 7)},
		{SECTION_DIRENTS, 16}},
	{"inode 1: unknown bits in mode", {INODE(1, mode, 0x100041ed)}, {0}},
	{"inode 15: unknown type", {INODE(15, mode, 0),
		DIRENT(14, type, 0)}, {0}},
	{"inode 15: unknown type", {INODE(15, mode, S_IFMT),
		DIRENT(14, type, 15)}, {0}},
	{"inode 2: mtime has a whole", {INODE(2, mtime_nsec, 1000000000)}, {0}},
	{"inode 2: reserved field", {INODE(2, reserved, 1)}, {0}},
	{"inode 2: a field without use", {INODE(2, more, 1)}, {0}},
	{"inode 2: a field without use", {INODE(2, link, 1)}, {0}},
	{"inode 7: a field without use", {INODE(7, more, 1)}, {0}},
	{"inode 7: a field without use", {INODE(7, link, 85)}, {0}},
	{"inode 5: a field without use", {INODE(5, data, 1)}, {0}},
	{"inode 5: a field without use", {INODE(5, more, 1)}, {0}},
	{"inode 13: a field without use", {INODE(13, size, 1)}, {0}},
	{"inode 13: a field without use", {INODE(13, link, 1)}, {0}},
	{"inode 12: a field without use", {INODE(12, data, 1)}, {0}},
	{"inode 12: a field without use", {INODE(12, more, 1)}, {0}},
	{"inode 15: a field without use", {INODE(15, data, 1)}, {0}},
	{"inode 15: a field without use", {INODE(15, size, 1)}, {0}},
	{"inode 7: the objects are not", {INODE(7, data, 1)}, {0}},
	{"inode 8: size is not that", {INODE(8, data, 0)}, {0}},
	{"inode 8: size is not that", {INODE(8, size, 0)}, {0}},
	{"inode 19: there is no such object", {INODE(19, data, 7)}, {0}},
	{"object 6: belongs to no file", {INODE(18, data, 2),
		INODE(18, size, 40)}, {0}},
	{"inode 5: the target is not 1 to", {INODE(5, size, 0)}, {0}},
	{"inode 5: the target is not 1 to", {INODE(5, size, 4096)}, {0}},
	{"inode 5: its target does not", {INODE(5, link, 84)}, {0}},
	{"inode 6: its target does not", {INODE(5, size, 7)}, {0}},
	{"inode 6: the target ends behind", {INODE(6, size, 2)}, {0}},
	{"inode 5: the target has a NUL", {BYTE(SECTION_NAMES, 92, 0)}, {0}},
	{"section names: byte 94", {{0}}, {SECTION_NAMES, 1}},
	{"inode 6: the target ends behind", {{0}}, {SECTION_NAMES, -1}},
};

static const struct broken xattrs[] = {
	{"xattr 1: its bytes do not follow", {XATTR(1, bytes, 26)}, {0}},
	{"xattr 0: the name is not 1 to", {XATTR(0, name_len, 0)}, {0}},
	{"xattr 0: the name is not 1 to", {XATTR(0, name_len, 256)}, {0}},
	{"xattr 0: the value exceeds", {XATTR(0, value_len, 65537)}, {0}},
	{"xattr 0: ends behind", {XATTR(0, value_len, 65536)}, {0}},
	{"xattr 3: ends behind", {XATTR(3, value_len, 21)}, {0}},
	{"xattr 0: the name has a NUL", {BYTE(SECTION_XBYTES, 3, 0)}, {0}},
	{"xattr 2: reserved field", {XATTR(2, reserved, 1)}, {0}},
	{"section xbytes: byte 90", {{0}}, {SECTION_XBYTES, 1}},
	{"xattr set 1: its xattrs do not", {XSET(1, first, 2)}, {0}},
	{"xattr set 0: is empty", {XSET(0, count, 0)}, {0}},
	{"xattr set 1: has more xattrs", {XSET(1, count, 2)}, {0}},
	{"xattr set 1: has more xattrs", {XSET(1, count, UINT32_MAX)}, {0}},
	{"xattr set 0: names are not strictly",
		{BYTE(SECTION_XBYTES, 32, 'o')}, {0}},
	{"xattr set 0: names are not strictly",
		{XSET(0, count, 4), XSET(1, first, 4)}, {0}},
	{"xattr 3: belongs to no set", {{0}}, {SECTION_XSETS, -8}},
	{"inode 1: the xattr sets are not", {INODE(1, xset, 1)}, {0}},
	{"inode 19: there is no such xattr", {INODE(19, xset, 2)}, {0}},
	{"xattr set 1: belongs to no", {INODE(7, xset, 0)}, {0}},
};
/* clang-format on */

struct fixture {
	struct buf good; /* sample_all_kinds at level 0 */
};

static int set_up(void **state)
{
	static struct fixture f = {.good.max = 1 << 20};
	struct sample s = sample_all_kinds(0);

	*state = &f;
	return sample_image(&s, &f.good);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	buf_done(&f->good);
	return 0;
}

static void put(char *at, size_t len, uint64_t value)
{
	uint64_t le = htole64(value);

	memcpy(at, &le, len);
}

static void resize(struct buf *b, int bytes)
{
	if (bytes > 0) {
		void *more = buf_reserve(b, (size_t)bytes);

		assert_non_null(more);
		memset(more, 0, (size_t)bytes);
	}
	assert_true(bytes >= 0 || b->len >= (size_t)-bytes);
	b->len += (size_t)bytes;
}

static void seal_super(struct buf *image)
{
	struct digest d;
	size_t len = offsetof(struct layout_super, image_id);

	assert_int_equal(digest_of(image->data, len, &d), 0);
	memcpy(image->data + len, d.bytes, DIGEST_LEN);
}

/* The good image with the changes made, in image. */
static void make_broken(
	const struct buf *good, const struct broken *b, struct buf *image)
{
	struct image_parts p;

	assert_int_equal(image_parts_read(good->data, good->len, &p), 0);
	if (b->resize.bytes)
		resize(&p.tables[b->resize.section], b->resize.bytes);
	for (const struct patch *x = b->patches; x->len; x++) {
		if (x->section == SUPER)
			continue;
		assert_true(x->at + x->len <= p.tables[x->section].len);
		put(p.tables[x->section].data + x->at, x->len, x->value);
	}
	assert_int_equal(image_parts_write(&p, image), 0);
	image_parts_done(&p);
	for (const struct patch *x = b->patches; x->len; x++) {
		if (x->section == SUPER)
			put(image->data + x->at, x->len, x->value);
	}
	seal_super(image);
}

static int open_bytes(
	const struct buf *bytes, struct image **ret, struct diag *diag)
{
	_cleanup_(source_free) struct source *src = NULL;

	assert_int_equal(source_from_memory(bytes->data, bytes->len, &src), 0);

	int r = image_open(src, ret, diag);

	if (r == 0)
		(void)take_ptr(src); /* the image has it */
	return r;
}

static void must_fail_with(int error, const struct fixture *f,
	const struct broken *table, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		_cleanup_buf_ struct buf image = {.max = 1 << 20};
		struct image *img = NULL;
		struct diag diag = {0};

		make_broken(&f->good, &table[i], &image);

		int r = open_bytes(&image, &img, &diag);

		if (r != error || !strstr(diag.text, table[i].says))
			fail_msg("%zu: %d \"%s\" instead of \"%s\"", i, r,
				diag.text, table[i].says);
	}
}

static void must_fail(
	const struct fixture *f, const struct broken *table, size_t count)
{
	must_fail_with(-EBADMSG, f, table, count);
}

static void test_newer(void **state)
{
	static const struct broken newer[] = {
		{"unknown features 0x80000000",
			{SUPERBLOCK(features, 1u << 31)}, {0}},
	};

	must_fail_with(-EOPNOTSUPP, *state, newer, ARRAY_LEN(newer));
}

static void test_superblock(void **state)
{
	must_fail(*state, superblock, ARRAY_LEN(superblock));
}

static void test_data(void **state)
{
	must_fail(*state, data, ARRAY_LEN(data));
}

static void test_tree(void **state)
{
	must_fail(*state, tree, ARRAY_LEN(tree));
}

static void test_xattrs(void **state)
{
	must_fail(*state, xattrs, ARRAY_LEN(xattrs));
}

/* The taking apart and putting together changes nothing by itself. */
static void test_unbroken(void **state)
{
	const struct fixture *f = *state;
	const struct broken none = {0};
	_cleanup_buf_ struct buf image = {.max = 1 << 20};

	make_broken(&f->good, &none, &image);
	assert_int_equal(image.len, f->good.len);
	assert_memory_equal(image.data, f->good.data, image.len);
}

/* A frame more than the objects need. */
static void test_unused_frame(void **state)
{
	const struct fixture *f = *state;
	_cleanup_buf_ struct buf image = {.max = 1 << 20};
	struct image_parts p;
	struct layout_frame frame = {.stored = htole32(1), .raw = htole32(1)};
	struct image *img = NULL;
	struct diag diag = {0};

	assert_int_equal(image_parts_read(f->good.data, f->good.len, &p), 0);
	frame.off = htole64(LAYOUT_SUPER_SIZE + p.frames.len);
	assert_int_equal(buf_add(&p.frames, "x", 1), 0);
	assert_int_equal(
		buf_add(&p.tables[SECTION_FRAMES], &frame, sizeof(frame)), 0);
	assert_int_equal(image_parts_write(&p, &image), 0);
	image_parts_done(&p);
	assert_int_equal(open_bytes(&image, &img, &diag), -EBADMSG);
	assert_string_equal(diag.text, "frame 8: belongs to no object");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unbroken),
		cmocka_unit_test(test_superblock),
		cmocka_unit_test(test_newer),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_xattrs),
		cmocka_unit_test(test_unused_frame),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
