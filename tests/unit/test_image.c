/* SPDX-License-Identifier: Apache-2.0 */
/* Images that are good: golden ids, and that every accessor tells the truth. */
#include "fs/image/image.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/lib/image_exercise.h"
#include "tests/lib/image_sample.h"
#include "tests/unit/unit.h"

struct opened {
	struct buf bytes;
	struct image *img;
};

static struct opened open_sample(struct sample s)
{
	struct opened o = {.bytes.max = 1 << 20};
	struct source *src;
	struct diag diag = {0};

	assert_int_equal(sample_image(&s, &o.bytes), 0);
	assert_int_equal(
		source_from_memory(o.bytes.data, o.bytes.len, &src), 0);
	if (image_open(src, &o.img, &diag) < 0)
		fail_msg("%s", diag.text);
	return o;
}

static void close_sample(struct opened *o)
{
	image_free(o->img);
	buf_done(&o->bytes);
}

static struct image_node walk(const struct image *img, const char *path)
{
	struct image_node node = {0};

	assert_int_equal(image_walk(img, path, &node), 0);
	return node;
}

/*
 * These change only when the format does. Level 0, since a compressor's output
 * depends on its version.
 */
static const struct {
	struct sample (*make)(int level);
	const char *image_id;
	const char *tree_id;
} golden[] = {
	{sample_all_kinds,
		"3ceab3cf7f1c1c0e247e1f78d3a74bcd"
		"44b23950c1d8082c7475b8c8fe86e6ce",
		"c450f2555add8be4d56547ea6fd951ce"
		"01a3f989b1ea2cf2f4b1dec34a08065c"},
	{sample_nothing,
		"2de10142d2011db0937225bb20f99b82"
		"38769a3fda12a3b04bd9e054c7fa580b",
		"af177a1458dbe18ec248d195ec55f09e"
		"4283053b7ba3528fa751df46e35f7d44"},
};

static void check_ids(size_t which, int level)
{
	struct opened o = open_sample(golden[which].make(level));
	struct image_summary s;
	char hex[DIGEST_HEX_LEN + 1];

	image_summary(o.img, &s);
	digest_hex(&s.tree_id, hex);
	assert_string_equal(hex, golden[which].tree_id);
	if (level == 0) {
		digest_hex(&s.image_id, hex);
		assert_string_equal(hex, golden[which].image_id);
	}
	assert_int_equal(s.file_size, o.bytes.len);
	close_sample(&o);
}

static void test_golden_ids(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(golden); i++) {
		check_ids(i, 0);
		check_ids(i, 3);
		check_ids(i, 19);
	}
}

static void test_exercise(void **state)
{
	static const int levels[] = {0, 1, 19};

	for (size_t i = 0; i < ARRAY_LEN(golden); i++) {
		for (size_t l = 0; l < ARRAY_LEN(levels); l++) {
			struct opened o =
				open_sample(golden[i].make(levels[l]));

			assert_int_equal(
				image_exercise(o.bytes.data, o.bytes.len), 0);
			assert_int_equal(image_exercise_sealed(
						 o.bytes.data, o.bytes.len),
				0);
			close_sample(&o);
		}
	}
}

static void test_summary(void **state)
{
	struct opened o = open_sample(sample_all_kinds(0));
	struct image_summary s;
	uint64_t bytes = 0;

	for (int i = 0; i < SAMPLE_CONTENT_COUNT; i++)
		bytes += sample_content(i)->len;
	image_summary(o.img, &s);
	assert_int_equal(s.inodes, 19);
	assert_int_equal(s.dirents, 20);
	assert_int_equal(s.objects, SAMPLE_CONTENT_COUNT);
	assert_int_equal(s.xattr_sets, 2);
	assert_int_equal(s.frame_size, LAYOUT_FRAME_MIN);
	assert_int_equal(s.object_bytes, bytes);
	assert_int_equal(s.sparse_bytes, 4096 + 3 + 904 + 2 * 4096);
	assert_int_equal(s.stored_bytes, s.object_bytes - s.sparse_bytes);
	close_sample(&o);
}

static void test_nodes(void **state)
{
	struct opened o = open_sample(sample_all_kinds(0));
	struct image_node n;

	assert_int_equal(image_node(o.img, 0, &n), -ESTALE);
	assert_int_equal(image_node(o.img, 20, &n), -ESTALE);
	assert_int_equal(image_node(o.img, UINT64_MAX, &n), -ESTALE);

	n = walk(o.img, "/bin/hard");
	assert_int_equal(n.ino, 7);
	assert_int_equal(n.mode, S_IFREG | 04755);
	assert_int_equal(n.nlink, 3);
	assert_int_equal(n.mtime, -1);
	assert_int_equal(n.mtime_nsec, 999999999);
	assert_int_equal(n.size, 9000);
	n = walk(o.img, "dev");
	assert_int_equal(n.mode, S_IFDIR | 01777);
	assert_int_equal(n.uid, 4294967294);
	assert_int_equal(n.gid, 100);
	assert_int_equal(n.nlink, 3);
	assert_int_equal(n.size, 6);
	n = walk(o.img, "/dev/loop0");
	assert_int_equal(n.mode, S_IFBLK | 0660);
	assert_int_equal(n.data, 7);
	assert_int_equal(n.minor, 0);
	n = walk(o.img, "/dev/null");
	assert_int_equal(n.data, 1);
	assert_int_equal(n.minor, 3);
	n = walk(o.img, "/");
	assert_int_equal(n.nlink, 5);
	assert_int_equal(n.home, LAYOUT_NONE);
	close_sample(&o);
}

static const struct {
	const char *path;
	int result; /* inode number, or -errno */
} walks[] = {
	{"", 1},
	{"/", 1},
	{"///", 1},
	{"bin", 2},
	{"/bin/", 2},
	{"//bin//text", 9},
	{"dev/dir/deep", 16},
	{"dev/hard", 7},
	{"dev/dir/hard", 7},
	{"to\xff\n\x01", 6},
	{"bin/text/", -ENOTDIR},
	{"bin/text/x", -ENOTDIR},
	{"link/x", -ENOTDIR},
	{"absent", -ENOENT},
	{"bi", -ENOENT},
	{"bin ", -ENOENT},
	{".", -ENOENT},
	{"bin/..", -ENOENT},
	{"empty/x", -ENOENT},
	{"zzz", -ENOENT},
	{"\x01", -ENOENT},
};

static void test_walk(void **state)
{
	struct opened o = open_sample(sample_all_kinds(0));

	for (size_t i = 0; i < ARRAY_LEN(walks); i++) {
		struct image_node n = {0};
		int r = image_walk(o.img, walks[i].path, &n);

		if ((r < 0 ? r : (int)n.ino) != walks[i].result)
			fail_msg("\"%s\" gave %d, inode %u", walks[i].path, r,
				n.ino);
	}
	close_sample(&o);
}

static void check_path(const struct image *img, uint32_t ino, const char *name,
	const char *want)
{
	_cleanup_free_ char *path = image_path(img, ino, name);

	assert_non_null(path);
	assert_string_equal(path, want);
}

static void test_paths(void **state)
{
	struct opened o = open_sample(sample_all_kinds(0));
	struct image_node n;

	check_path(o.img, 1, NULL, "/");
	check_path(o.img, 1, "new", "/new");
	check_path(o.img, 2, "new", "/bin/new");
	check_path(o.img, 7, NULL, "/bin/hard");
	check_path(o.img, 16, NULL, "/dev/dir/deep");
	n = walk(o.img, "dev/dir/hard");
	assert_int_equal(image_parent(o.img, &n), 2);
	n = walk(o.img, "dev/dir/deep");
	assert_int_equal(image_parent(o.img, &n), 11);
	n = walk(o.img, "/");
	assert_int_equal(image_parent(o.img, &n), 1);
	close_sample(&o);
}

static void test_links(void **state)
{
	struct opened o = open_sample(sample_all_kinds(0));
	struct image_node n = walk(o.img, "link");
	const char *target;
	size_t len;

	assert_int_equal(image_link_target(o.img, &n, &target, &len), 0);
	assert_int_equal(len, 8);
	assert_memory_equal(target, "bin/text", 8);
	n = walk(o.img, "bin");
	assert_int_equal(image_link_target(o.img, &n, &target, &len), -EINVAL);
	close_sample(&o);
}

static void test_xattrs(void **state)
{
	struct opened o = open_sample(sample_all_kinds(0));
	struct image_node n = walk(o.img, "bin/text");
	struct image_xattr x;

	assert_int_equal(image_xattr_count(o.img, &n), 3);
	assert_int_equal(image_xattr(o.img, &n, 1, &x), 0);
	assert_int_equal(x.name_len, 10);
	assert_memory_equal(x.name, "user.empty", 10);
	assert_int_equal(x.value_len, 0);
	assert_int_equal(image_xattr_get(o.img, &n, "user.name", &x), 0);
	assert_int_equal(x.value_len, 5);
	assert_memory_equal(x.value, "value", 5);
	assert_int_equal(image_xattr_get(o.img, &n, "user.nam", &x), -ENODATA);
	assert_int_equal(
		image_xattr_get(o.img, &n, "user.name2", &x), -ENODATA);
	assert_int_equal(image_xattr(o.img, &n, 3, &x), -EBADMSG);
	n = walk(o.img, "bin");
	assert_int_equal(image_xattr_count(o.img, &n), 0);
	assert_int_equal(image_xattr_get(o.img, &n, "user.name", &x), -ENODATA);
	close_sample(&o);
}

/* An object's bytes put together from its pieces, against the content. */
static void check_content(
	const struct image *img, const char *path, enum sample_contents which)
{
	const struct sample_content *c = sample_content(which);
	_cleanup_(image_reader_free) struct image_reader *reader =
		image_reader_new(img);
	uint8_t frame[LAYOUT_FRAME_MIN], *got = calloc(1, c->len + 1);
	struct image_node n = walk(img, path);
	struct image_object o;

	assert_non_null(got);
	assert_int_equal(image_object(img, n.data, &o), 0);
	assert_int_equal(o.size, c->len);
	for (uint64_t off = 0; off < o.size;) {
		struct image_piece p;

		assert_int_equal(image_piece(img, &o, off, &p), 0);
		if (!p.hole) {
			assert_int_equal(image_frame_read(reader, p.frame,
						 IMAGE_TRUST_DIGEST, frame),
				0);
			memcpy(got + off, frame + p.frame_off, p.len);
		}
		off += p.len;
	}
	assert_memory_equal(got, c->data, c->len);
	free(got);
}

static void test_contents(void **state)
{
	for (int level = 0; level < 2; level++) {
		struct opened o = open_sample(sample_all_kinds(level));

		check_content(o.img, "dev/hard", SAMPLE_LARGE);
		check_content(o.img, "bin/sparse", SAMPLE_SPARSE);
		check_content(o.img, "bin/text", SAMPLE_TEXT);
		check_content(o.img, "dev/dir/twin", SAMPLE_TEXT);
		check_content(o.img, "bin/zero", SAMPLE_ZERO);
		check_content(o.img, "dev/dir/deep", SAMPLE_TAIL);
		check_content(o.img, "dev/dir/nothing", SAMPLE_EMPTY);
		check_content(o.img, "dev/dir/huge", SAMPLE_BIG_SPARSE);
		close_sample(&o);
	}
}

static const struct {
	const char *path;
	uint64_t off;
	int whence;
	int64_t result;
} seeks[] = {
	{"dev/dir/huge", 0, SEEK_DATA, 0},
	{"dev/dir/huge", 0, SEEK_HOLE, 4096},
	{"dev/dir/huge", 4095, SEEK_HOLE, 4096},
	{"dev/dir/huge", 4096, SEEK_HOLE, 4096},
	{"dev/dir/huge", 4096, SEEK_DATA, 8192},
	{"dev/dir/huge", 5000, SEEK_HOLE, 5000},
	{"dev/dir/huge", 8192, SEEK_HOLE, 12288},
	{"dev/dir/huge", 12289, SEEK_DATA, 16384},
	{"dev/dir/huge", 16384, SEEK_HOLE, 16434},
	{"dev/dir/huge", 16433, SEEK_DATA, 16433},
	{"dev/dir/huge", 16434, SEEK_DATA, -ENXIO},
	{"dev/dir/huge", 16434, SEEK_HOLE, -ENXIO},
	{"dev/dir/huge", UINT64_MAX, SEEK_HOLE, -ENXIO},
	{"dev/dir/huge", 0, SEEK_SET, -EINVAL},
	{"bin/sparse", 0, SEEK_DATA, 4096},
	{"bin/sparse", 0, SEEK_HOLE, 0},
	{"dev/dir/deep", 4096, SEEK_DATA, -ENXIO},
	{"dev/dir/deep", 0, SEEK_HOLE, 4096},
	{"bin/zero", 0, SEEK_DATA, -ENXIO},
	{"bin/zero", 2, SEEK_HOLE, 2},
	{"bin/text", 0, SEEK_HOLE, 40},
	{"dev/dir/nothing", 0, SEEK_DATA, -ENXIO},
	{"dev/dir/nothing", 0, SEEK_HOLE, -ENXIO},
};

static void test_seek(void **state)
{
	struct opened o = open_sample(sample_all_kinds(0));

	for (size_t i = 0; i < ARRAY_LEN(seeks); i++) {
		struct image_node n = walk(o.img, seeks[i].path);
		struct image_object obj;
		uint64_t at = 0;

		assert_int_equal(image_object(o.img, n.data, &obj), 0);

		int r = image_seek(
			o.img, &obj, seeks[i].off, seeks[i].whence, &at);

		if ((r < 0 ? r : (int64_t)at) != seeks[i].result)
			fail_msg("%s from %d: %d, %d", seeks[i].path,
				(int)seeks[i].off, r, (int)at);
	}
	close_sample(&o);
}

struct progress {
	uint64_t done, total;
};

static void keep_progress(void *arg, uint64_t done, uint64_t total)
{
	struct progress *p = arg;

	assert_true(done > p->done && done <= total);
	*p = (struct progress){done, total};
}

static void test_check_progress(void **state)
{
	struct opened o = open_sample(sample_all_kinds(3));
	struct progress p = {0};
	struct image_check_hooks hooks = {.progress = keep_progress, .arg = &p};
	struct image_summary s;

	image_summary(o.img, &s);
	assert_int_equal(image_check(o.img, &hooks), 0);
	assert_int_equal(p.done, s.object_bytes);
	assert_int_equal(p.total, s.object_bytes);
	close_sample(&o);
}

static void test_bounds(void **state)
{
	struct opened o = open_sample(sample_all_kinds(0));
	struct image_node n = walk(o.img, "bin");
	struct image_entry e;
	struct image_object obj;
	struct image_piece p;

	assert_int_equal(image_entry(o.img, 20, &e), -EBADMSG);
	assert_int_equal(image_entry(o.img, LAYOUT_NONE, &e), -EBADMSG);
	n.data = LAYOUT_NONE - 1;
	assert_int_equal(image_lookup(o.img, &n, "x", 1, &e), -EBADMSG);
	n.size = UINT64_MAX;
	assert_int_equal(image_lookup(o.img, &n, "x", 1, &e), -EBADMSG);
	assert_int_equal(image_object(o.img, 7, &obj), -EBADMSG);
	assert_int_equal(image_object(o.img, 0, &obj), 0);
	assert_int_equal(image_piece(o.img, &obj, obj.size, &p), -EBADMSG);
	assert_int_equal(image_frame_size(o.img, LAYOUT_NONE), 0);
	assert_null(image_path(o.img, 20, NULL));
	close_sample(&o);
}

static const struct {
	const char *what;
	const char *bytes;
	size_t len;
	int result;
	const char *says;
} not_images[] = {
	{"nothing", "", 0, -EBADMSG, "not a stele image"},
	{"text", "stelae are stones", 17, -EBADMSG, "not a stele image"},
	{"as text", "stele\n\x1a....", 11, -EBADMSG, "as text"},
	{"magic only", LAYOUT_MAGIC "\1\0\0\0", 12, -EBADMSG, "cut short: 12"},
	{"version 0", LAYOUT_MAGIC "\0\0\0\0", 12, -EBADMSG,
		"no format version"},
	{"version 2", LAYOUT_MAGIC "\2\0\0\0", 12, -EOPNOTSUPP,
		"format version 2; this program reads up to 1; upgrade stele"},
};

static void test_not_images(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(not_images); i++) {
		_cleanup_(source_free) struct source *src = NULL;
		struct image *img = NULL;
		struct diag diag = {0};

		assert_int_equal(source_from_memory(not_images[i].bytes,
					 not_images[i].len, &src),
			0);
		assert_int_equal(
			image_open(src, &img, &diag), not_images[i].result);
		if (!strstr(diag.text, not_images[i].says))
			fail_msg("%s: \"%s\"", not_images[i].what, diag.text);
	}
}

static void test_open_path(void **state)
{
	struct image *img = NULL;
	struct diag diag = {0};
	struct source *src;

	assert_int_equal(image_open_path("/absent/x", &img, &diag), -ENOENT);
	assert_non_null(strstr(diag.text, "/absent/x: No such file"));
	assert_int_equal(image_open_path("/dev/null", &img, &diag), -EBADMSG);
	assert_non_null(strstr(diag.text, "/dev/null: not a stele image"));
	assert_int_equal(image_open_path("/", &img, &diag), -EBADMSG);
	assert_int_equal(
		image_open_path("/proc/self/exe", &img, &diag), -EBADMSG);
	assert_non_null(strstr(diag.text, "/proc/self/exe: not a stele image"));
	assert_int_equal(source_from_fd(-1, &src), -EBADF);
}

static void test_source_fd(void **state)
{
	_cleanup_(source_free) struct source *src = NULL;
	char name[] = "/tmp/stele-source.XXXXXX", got[4] = {0};
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(write(fd, "12345678", 8), 8);
	assert_int_equal(source_from_fd(fd, &src), 0);
	assert_int_equal(source_size(src), 8);
	assert_false(source_is_padded(src));
	assert_int_equal(source_read(src, got, 4, 3), 0);
	assert_memory_equal(got, "4567", 4);
	assert_int_equal(source_read(src, got, 4, 5), -EBADMSG);
	assert_int_equal(source_read(src, got, 1, UINT64_MAX), -EBADMSG);
	assert_int_equal(ftruncate(fd, 5), 0);
	assert_int_equal(source_read(src, got, 4, 3), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_ids),
		cmocka_unit_test(test_exercise),
		cmocka_unit_test(test_summary),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_xattrs),
		cmocka_unit_test(test_contents),
		cmocka_unit_test(test_seek),
		cmocka_unit_test(test_check_progress),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_not_images),
		cmocka_unit_test(test_open_path),
		cmocka_unit_test(test_source_fd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
