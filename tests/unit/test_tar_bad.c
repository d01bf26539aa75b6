/* SPDX-License-Identifier: Apache-2.0 */
/* Tar streams that are refused: with which error, and in which words. */
#include <string.h>

#include "tests/lib/tar_make.h"
#include "tests/lib/tree_same.h"
#include "tests/unit/unit.h"

#define MORE 8

struct bad {
	const char *what; /* part of the line that is told */
	int err;
	struct tar_make members[MORE];
};

static const struct bad bad[] = {
	{"\"..\" in it (archive member a/../b)", -EBADMSG,
		{TAR_FILE("a/../b", "")}},
	{"\"..\" in it (archive member ..)", -EBADMSG, {TAR_FOLDER("..")}},
	{"\"..\" in it (archive member h)", -EBADMSG,
		{TAR_FILE("x", ""), TAR_HARD("h", "../x")}},
	{"l is no folder, and nothing can be in it (archive member l/x)",
		-EBADMSG, {TAR_LINK("l", "/etc"), TAR_FILE("l/x", "")}},
	{"a/l is no folder", -EBADMSG,
		{TAR_LINK("a/l", "."), TAR_FOLDER("a/l/x/y")}},
	{"f is no folder", -EBADMSG, {TAR_FILE("f", ""), TAR_FILE("f/x", "")}},
	{"a hard link to x, which is not in the archive", -EBADMSG,
		{TAR_HARD("h", "x"), TAR_FILE("x", "")}},
	{"a hard link to the folder d", -EBADMSG,
		{TAR_FOLDER("d"), TAR_HARD("h", "d")}},
	{"a hard link to the folder ", -EBADMSG, {TAR_HARD("h", "/")}},
	{"a folder that is not empty (archive member d)", -EBADMSG,
		{TAR_FILE("d/x", ""), TAR_FILE("d", "")}},
	{"root of the tree must be a folder", -EBADMSG,
		{TAR_FILE("./", ""), TAR_LINK(".", "x")}},
	{"target of 0 bytes", -EBADMSG, {TAR_LINK("l", "")}},
	{"unknown type 'M'", -EOPNOTSUPP, {{.name = "m", .type = 'M'}}},
	{"unknown type 'S'", -EOPNOTSUPP, {{.name = "s", .type = 'S'}}},
	{"malformed number", -EBADMSG,
		{{.name = "s", .type = '0', .size = "0000000000x\0"}}},
	{"malformed number", -EBADMSG, /* minus one */
		{{.name = "s",
			.type = '0',
			.size = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
				"\xff\xff"}}},
	{"malformed number", -EBADMSG, /* beyond 63 bits */
		{{.name = "s",
			.type = '0',
			.size = "\x80\0\0\1\0\0\0\0\0\0\0\0"}}},
	{"content of another size", -EBADMSG,
		{TAR_FILE("f", "12"), {.name = "h",
					      .type = '1',
					      .target = "f",
					      .data = "1",
					      .len = 1}}},
	{"a folder, but a file's content", -EBADMSG, {TAR_FILE("d/", "x")}},
	{"extended headers of more than", -E2BIG,
		{{.name = "x", .type = 'x', .size = "00100000000\0"}}},
	{"that no member follows", -EBADMSG,
		{{.name = "x", .type = 'L', .data = "long", .len = 4}}},
	{"cut off (archive member f)", -EBADMSG,
		{{.name = "f", .type = '0', .size = "00000100000\0"}}},
};

static void test_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_buf_ struct buf b = {.max = 1 << 20};
		struct diag diag = {0};
		struct tree *t = NULL;

		for (size_t m = 0; m < MORE && bad[i].members[m].name; m++)
			tar_add(&b, &bad[i].members[m]);
		tar_end(&b);

		int r = tar_read_bytes(b.data, b.len, &tar_plain, &t, &diag);

		tree_free(t);
		if (r != bad[i].err || !strstr(diag.text, bad[i].what))
			fail_msg("%zu: want %d \"%s\", got %d \"%s\"", i,
				bad[i].err, bad[i].what, r, diag.text);
	}
}

static const struct {
	const char *text; /* of the extended header */
	const char *what;
	int err;
} bad_pax[] = {
	{"x", "malformed extended header", -EBADMSG},
	{"9 path=a\n", "", 0},
	{"8 path=a\n", "malformed extended header", -EBADMSG},
	{"99 path=a\n", "malformed extended header", -EBADMSG},
	{"18446744073709551617 path=a\n", "malformed extended", -EBADMSG},
	{"4 =\n", "malformed extended header", -EBADMSG},
	{"5 aa\n", "malformed extended header", -EBADMSG},
	{"0 a=b\n", "malformed extended header", -EBADMSG},
	{"2 \n", "malformed extended header", -EBADMSG},
	{"12 size=-1\n\n", "malformed", -EBADMSG},
	{"11 size=1x\n", "malformed number", -EBADMSG},
	{"18 uid=4294967296\n", "malformed number", -EBADMSG},
	{"13 mtime=1.x\n", "malformed number", -EBADMSG},
	{"29 mtime=9223372036854775807\n", "malformed number", -EBADMSG},
	{"18 path=a/../../b\n", "..", -EBADMSG},
	{"26 GNU.sparse.map=4,4,2,1\n", "malformed sparse map", -EBADMSG},
	{"23 GNU.sparse.map=4,4,\n", "malformed sparse map", -EBADMSG},
	{"22 GNU.sparse.map=4,4\n", "malformed sparse map", -EBADMSG},
	{"42 GNU.sparse.map=9223372036854775807,400\n", "malformed", -EBADMSG},
	{"25 GNU.sparse.numbytes=4\n", "malformed sparse map", -EBADMSG},
	{"22 GNU.sparse.major=2\n", "unknown version", -EOPNOTSUPP},
	{"22 GNU.sparse.map=0,3\n22 GNU.sparse.size=5\n", "malformed",
		-EBADMSG},
	{"22 GNU.sparse.map=0,9\n21 GNU.sparse.size=9\n", "does not fit",
		-EBADMSG},
	{"22 GNU.sparse.map=7,3\n21 GNU.sparse.size=9\n", "does not fit",
		-EBADMSG},
	{"22 GNU.sparse.map=7,3\n22 GNU.sparse.size=10\n", "", 0},
	{"24 SUN.holesdata= 1 2 3\n", "SUN.holesdata is not", -EOPNOTSUPP},
	{"29 LIBARCHIVE.xattr.user.a=*\n", "malformed extended attribute",
		-EBADMSG},
	{"29 LIBARCHIVE.xattr.user.a=A\n", "malformed extended attribute",
		-EBADMSG},
	{"30 SCHILY.acl.access=u::rwx,x\n", "malformed access", -EBADMSG},
};

static void test_refused_pax(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_pax); i++) {
		_cleanup_buf_ struct buf b = {.max = 1 << 20};
		struct diag diag = {0};
		struct tree *t = NULL;

		tar_add(&b, &(struct tar_make){.name = "x",
				    .type = 'x',
				    .data = bad_pax[i].text,
				    .len = strlen(bad_pax[i].text)});
		tar_add(&b, &(struct tar_make)TAR_FILE("f", "abc"));
		tar_end(&b);

		int r = tar_read_bytes(b.data, b.len, &tar_plain, &t, &diag);

		tree_free(t);
		if (r != bad_pax[i].err || !strstr(diag.text, bad_pax[i].what))
			fail_msg("%s want %d \"%s\", got %d \"%s\"",
				bad_pax[i].text, bad_pax[i].err,
				bad_pax[i].what, r, diag.text);
	}
}

/* A whole archive, cut at each length and with each byte changed: an error or
 * another tree, never a crash; and never less without an error. */
static void test_damaged(void **state)
{
	_cleanup_buf_ struct buf b = {.max = 1 << 20};
	struct diag diag;

	tar_add_record(&b, 'x', "SCHILY.xattr.user.a", "value");
	tar_add(&b, &(struct tar_make)TAR_FILE("f", "abc"));
	tar_add(&b, &(struct tar_make)TAR_LINK("l", "f"));

	size_t whole = b.len;

	tar_end(&b);
	for (size_t len = 0; len < b.len; len++) {
		struct tree *t = NULL;
		int r = tar_read_bytes(b.data, len, &tar_plain, &t, &diag);

		tree_free(t);
		if (len >= whole + 512)
			assert_int_equal(r, 0); /* one block of zeros will do */
		else
			assert_int_equal(r, -EBADMSG);
	}
	for (size_t i = 0; i < b.len; i++) {
		struct tree *t = NULL;

		b.data[i] ^= 0x55;
		(void)tar_read_bytes(b.data, b.len, &tar_plain, &t, &diag);
		tree_free(t);
		b.data[i] ^= 0x55;
	}
}

static void test_nothing(void **state)
{
	struct diag diag = {0};
	struct tree *t = NULL;

	assert_int_equal(
		tar_read_bytes("", 0, &tar_plain, &t, &diag), -EBADMSG);
	assert_non_null(strstr(diag.text, "nothing to read"));

	char junk[2048];

	memset(junk, 'j', sizeof(junk));
	assert_int_equal(
		tar_read_bytes(junk, sizeof(junk), &tar_plain, &t, &diag),
		-EBADMSG);
	assert_non_null(strstr(diag.text, "not a tar archive"));
}

/* A name of a few kilobytes must not make folders without end. */
static void test_bound(void **state)
{
	const struct tree_options opt = {
		.numeric = true, .max_bytes = 65536, .spool_dir = "/tmp"};
	_cleanup_buf_ struct buf b = {.max = 1 << 20}, deep = {.max = 1 << 20};
	_cleanup_buf_ struct buf x = {.max = 1 << 20};
	struct diag diag = {0};
	struct tree *t = NULL;

	for (int i = 0; i < 1000; i++)
		assert_int_equal(buf_add(&deep, "d/", 2), 0);
	tar_record(&x, "path", deep.data, deep.len);
	tar_add(&b,
		&(struct tar_make){.type = 'x', .data = x.data, .len = x.len});
	tar_add(&b, &(struct tar_make)TAR_FILE("f", ""));
	tar_end(&b);
	assert_int_equal(
		tar_read_bytes(b.data, b.len, &opt, &t, &diag), -EFBIG);

	/* A size that only the map claims. */
	buf_reset(&b);
	buf_reset(&x);
	tar_record(&x, "GNU.sparse.map", "0,3", 3);
	tar_record(&x, "GNU.sparse.size", "9223372036854775807", 19);
	tar_add(&b,
		&(struct tar_make){.type = 'x', .data = x.data, .len = x.len});
	tar_add(&b, &(struct tar_make)TAR_FILE("f", "abc"));
	tar_end(&b);
	assert_int_equal(
		tar_read_bytes(b.data, b.len, &opt, &t, &diag), -EFBIG);
	assert_non_null(strstr(diag.text, "member f"));
	/* And the stream itself. */
	assert_int_equal(buf_add(&b, deep.data, deep.len), 0);
	while (b.len < 100000)
		tar_add(&b, &(struct tar_make)TAR_FILE("f", "abc"));
	assert_int_equal(
		tar_read_bytes(b.data + 2048, b.len - 2048, &opt, &t, &diag),
		-EFBIG);
}

static void test_no_spool(void **state)
{
	const struct tree_options opt = {
		.numeric = true, .spool_dir = "/nowhere"};
	_cleanup_buf_ struct buf b = {.max = 1 << 20};
	struct diag diag = {0};
	struct tree *t = NULL;

	tar_end(&b);
	assert_int_equal(
		tar_read_bytes(b.data, b.len, &opt, &t, &diag), -ENOENT);
	assert_non_null(strstr(diag.text, "/nowhere"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_pax),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_no_spool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
