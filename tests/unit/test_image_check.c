/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that open, and that image_check must not let pass: it says what is
 * wrong, of which file, in so many words.
 */
#include "fs/image/image.h"

#include <string.h>
#include <sys/stat.h>

#include "tests/lib/image_parts.h"
#include "tests/lib/image_sample.h"
#include "tests/unit/unit.h"

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

static void keep_report(void *arg, const char *text)
{
	struct buf *all = arg;

	assert_int_equal(buf_printf(all, "%s\n", text), 0);
}

/* Checks an image that opens; its reports must be these. */
static void check_reports(const struct buf *bytes, const char *want)
{
	_cleanup_(source_free) struct source *src = NULL;
	_cleanup_(image_free) struct image *img = NULL;
	_cleanup_buf_ struct buf got = {.max = 1 << 20};
	struct image_check_hooks hooks = {.report = keep_report, .arg = &got};
	struct diag diag = {0};

	assert_int_equal(source_from_memory(bytes->data, bytes->len, &src), 0);
	if (image_open(src, &img, &diag) < 0)
		fail_msg("%s", diag.text);
	(void)take_ptr(src); /* the image has it */
	assert_int_equal(image_check(img, &hooks), -EBADMSG);
	assert_int_equal(buf_add(&got, "", 1), 0);
	assert_string_equal(got.data, want);
	assert_int_equal(image_check(img, NULL), -EBADMSG);
}

/* One byte changed behind digests that are right. */
static const struct {
	const char *says;
	int section; /* SECTION_COUNT: the superblock */
	size_t at;
} checks[] = {
	{"superblock: the tree id is not that of the tree\n", SECTION_COUNT,
		32},
	{"/bin/hard: content does not match its SHA-256 (object 0)\n",
		SECTION_OBJECTS, 0},
	{"/dev/dir/nothing: content does not match its SHA-256 (object 6)\n",
		SECTION_OBJECTS, 6 * 48},
	{"/bin/zero: content does not match its SHA-256 (object 3)\n",
		SECTION_OBJECTS, 3 * 48},
	{"/bin/text: content does not match its SHA-256 (object 2)\n",
		SECTION_OBJECTS, 2 * 48 + 31},
};

static void change_byte(
	const struct fixture *f, int section, size_t at, struct buf *image)
{
	struct image_parts p;
	struct digest d;
	size_t len = offsetof(struct layout_super, image_id);

	assert_int_equal(image_parts_read(f->good.data, f->good.len, &p), 0);
	if (section < SECTION_COUNT)
		p.tables[section].data[at] ^= 1;
	assert_int_equal(image_parts_write(&p, image), 0);
	image_parts_done(&p);
	if (section == SECTION_COUNT)
		image->data[at] ^= 1;
	assert_int_equal(digest_of(image->data, len, &d), 0);
	memcpy(image->data + len, d.bytes, DIGEST_LEN);
}

static void test_checks(void **state)
{
	const struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		_cleanup_buf_ struct buf image = {.max = 1 << 20};

		change_byte(f, checks[i].section, checks[i].at, &image);
		check_reports(&image, checks[i].says);
	}
}

/* Frame 4 holds the data of object 4; make both zeros. */
static void test_zero_block(void **state)
{
	static const uint8_t zeros[5000];
	const struct fixture *f = *state;
	_cleanup_buf_ struct buf image = {.max = 1 << 20};
	struct image_parts p;
	struct digest d;

	assert_int_equal(image_parts_read(f->good.data, f->good.len, &p), 0);
	memset(p.frames.data + 9000 + 140, 0, 4096);
	assert_int_equal(digest_of(zeros, sizeof(zeros), &d), 0);
	memcpy(p.tables[SECTION_OBJECTS].data + 4 * 48, d.bytes, DIGEST_LEN);
	assert_int_equal(image_parts_write(&p, &image), 0);
	image_parts_done(&p);
	check_reports(&image,
		"/dev/dir/deep: a block of zeros is not a hole (object 4)\n");
}

static void test_twin_objects(void **state)
{
	const struct fixture *f = *state;
	_cleanup_buf_ struct buf image = {.max = 1 << 20};
	struct image_parts p;
	char *objects;

	assert_int_equal(image_parts_read(f->good.data, f->good.len, &p), 0);
	objects = p.tables[SECTION_OBJECTS].data;
	memcpy(objects + 5 * 48, objects + 2 * 48, DIGEST_LEN);
	assert_int_equal(image_parts_write(&p, &image), 0);
	image_parts_done(&p);
	check_reports(&image,
		"object 5: the same as object 2\n"
		"/dev/dir/huge: content does not match its SHA-256 "
		"(object 5)\n");
}

static void test_twin_xsets(void **state)
{
	static const struct sample_xattr a[] = {{"user.a", "1", 1}, {0}};
	static const struct sample_xattr b[] = {{"user.a", "1", 1}, {0}};
	static const struct sample_entry entries[] = {
		{.ino = 1, .mode = S_IFDIR | 0755, .xattrs = a},
		{.parent = 1,
			.ino = 2,
			.name = "x",
			.mode = S_IFIFO,
			.xattrs = b},
	};
	struct sample s = {.entries = entries,
		.entry_count = 2,
		.frame_size = LAYOUT_FRAME_MIN};
	_cleanup_buf_ struct buf image = {.max = 1 << 20};

	assert_int_equal(sample_image(&s, &image), 0);
	check_reports(&image, "xattr set 1: the same as xattr set 0\n");
}

/* One line for a damaged frame, however many files lie in it. */
static void test_damaged_frames(void **state)
{
	const struct fixture *f = *state;
	_cleanup_buf_ struct buf image = {.max = 1 << 20};

	assert_int_equal(buf_add(&image, f->good.data, f->good.len), 0);
	image.data[4096 + 4096] ^= 1;	    /* frame 1 */
	image.data[4096 + 9000 + 120] ^= 1; /* frame 3 */
	check_reports(&image,
		"/bin/hard: cannot be read, frame 1 is damaged (object 0)\n"
		"/bin/sparse: cannot be read, frame 3 is damaged (object 1)\n");
}

static void test_wrong_checksum(void **state)
{
	const struct fixture *f = *state;
	_cleanup_buf_ struct buf image = {.max = 1 << 20};
	struct image_parts p;

	assert_int_equal(image_parts_read(f->good.data, f->good.len, &p), 0);
	p.keep_frames = true;
	p.tables[SECTION_FRAMES].data[4 * 56 + 48] ^= 1;
	assert_int_equal(image_parts_write(&p, &image), 0);
	image_parts_done(&p);
	check_reports(&image,
		"/dev/dir/deep: cannot be read, frame 4 is damaged "
		"(object 4)\n");
}

/* Control characters of a name, and a path too long for a line. */
static void test_hostile_path(void **state)
{
	static char name[256];
	const struct sample_entry entries[] = {
		{.ino = 1, .mode = S_IFDIR},
		{.parent = 1, .ino = 2, .name = name, .mode = S_IFDIR},
		{.parent = 2, .ino = 3, .name = name, .mode = S_IFDIR},
		{.parent = 3, .ino = 4, .name = name, .mode = S_IFDIR},
		{.parent = 4, .ino = 5, .name = "a\n\x1b", .mode = S_IFREG},
	};
	const struct sample_content content = {(const uint8_t *)"x", 1};
	struct sample s = {.entries = entries,
		.entry_count = 5,
		.contents = &content,
		.frame_size = LAYOUT_FRAME_MIN};
	_cleanup_buf_ struct buf image = {.max = 1 << 20};
	char want[1024];

	memset(name, 'n', 255);
	assert_int_equal(sample_image(&s, &image), 0);
	image.data[LAYOUT_SUPER_SIZE] ^= 1;
	(void)snprintf(want, sizeof(want),
		".../%s/%s/a??: cannot be read, frame 0 is damaged "
		"(object 0)\n",
		name, name);
	check_reports(&image, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_zero_block),
		cmocka_unit_test(test_twin_objects),
		cmocka_unit_test(test_twin_xsets),
		cmocka_unit_test(test_damaged_frames),
		cmocka_unit_test(test_wrong_checksum),
		cmocka_unit_test(test_hostile_path),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
