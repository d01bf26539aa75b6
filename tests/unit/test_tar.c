/* SPDX-License-Identifier: Apache-2.0 */
/* Tar streams by hand, and what they become. */
#include <archive.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/io.h"
#include "fs/tree/build.h"
#include "tests/lib/tar_make.h"
#include "tests/lib/tree_same.h"
#include "tests/unit/unit.h"

static char remarks[512];

static void on_remark(void *arg, const char *text)
{
	(void)snprintf(remarks, sizeof(remarks), "%s", text);
}

static struct tree *must_read(const struct buf *b, const struct tree_options *o)
{
	struct tree *t = NULL;
	struct diag diag = {0};
	struct tree_options opt = o ? *o : tar_plain;

	remarks[0] = '\0';
	opt.remark = on_remark;
	opt.spool_dir = "/tmp";

	int r = tar_read_bytes(b->data, b->len, &opt, &t, &diag);

	if (r < 0)
		fail_msg("%d: %s", r, diag.text);
	return t;
}

static void content_is(
	struct tree *t, const char *path, const void *data, size_t len)
{
	_cleanup_free_ char *got = malloc(len + 1);
	struct tree_node *n = tree_at(t, path);
	_cleanup_close_ int fd = -1;
	struct digest digest;
	uint64_t off = 0;

	assert_non_null(n);
	assert_int_equal(n->size, len);
	assert_true(n->has_digest);
	assert_int_equal(digest_of(data, len, &digest), 0);
	assert_true(digest_equal(&digest, &n->digest));
	if (len == 0) {
		assert_int_equal(n->content, TREE_CONTENT_NONE);
		return;
	}
	assert_int_equal(tree_open(t, n, &fd, &off, NULL), 0);
	assert_int_equal(io_pread(fd, got, len, off), len);
	assert_memory_equal(got, data, len);
}

static void test_plain(void **state)
{
	_cleanup_buf_ struct buf b = {.max = 1 << 20};
	_cleanup_(tree_free) struct tree *t = NULL;
	const struct tar_make members[] = {
		{.name = "./", .type = '5', .mode = 01777, .uid = 3},
		TAR_FILE("/abs", "one"),
		TAR_FILE("./a//b/./c", "two"), /* folders that are not there */
		TAR_FILE("empty", ""),
		TAR_LINK("a/link", "../../../etc/passwd"),
		TAR_HARD("hard", "./abs"),
		{.name = "char", .type = '3', .major = "377", .minor = "11"},
		{.name = "block", .type = '4', .major = "1", .minor = "2"},
		{.name = "fifo", .type = '6', .mode = 0600, .mtime = "17"},
	};

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		tar_add(&b, &members[i]);
	tar_end(&b);
	t = must_read(&b, NULL);
	assert_string_equal(remarks, "");
	assert_int_equal(tree_node_count(t), 10);
	assert_int_equal(tree_root(t)->mode, S_IFDIR | 01777);
	assert_int_equal(tree_root(t)->uid, 3);
	content_is(t, "abs", "one", 3);
	content_is(t, "a/b/c", "two", 3);
	content_is(t, "empty", "", 0);
	assert_int_equal(tree_at(t, "a")->mode, S_IFDIR | 0755);
	assert_int_equal(tree_at(t, "a")->mtime, 0);
	assert_ptr_equal(tree_at(t, "hard"), tree_at(t, "abs"));
	assert_int_equal(tree_at(t, "abs")->nlink, 2);
	assert_string_equal(
		tree_at(t, "a/link")->target, "../../../etc/passwd");
	assert_int_equal(tree_at(t, "a/link")->mode, S_IFLNK | 0777);
	assert_int_equal(tree_at(t, "char")->mode, S_IFCHR | 0644);
	assert_int_equal(tree_at(t, "char")->major, 255);
	assert_int_equal(tree_at(t, "char")->minor, 9);
	assert_int_equal(tree_at(t, "fifo")->mode, S_IFIFO | 0600);
	assert_int_equal(tree_at(t, "fifo")->mtime, 15);
}

static void test_later_members_win(void **state)
{
	_cleanup_buf_ struct buf b = {.max = 1 << 20};
	_cleanup_(tree_free) struct tree *t = NULL;
	const struct tar_make members[] = {
		TAR_FOLDER("d"), TAR_FILE("d/x", "old"),
		TAR_HARD("kept", "d/x"), TAR_FILE("d/x", "new"),
		{.name = "d", .type = '5', .mode = 0700}, TAR_LINK("l", "d"),
		TAR_FOLDER("l"), /* a folder in place of a link */
		TAR_FILE("l/y", "y"), TAR_FOLDER("e"),
		TAR_FILE("e", "a file in place of an empty folder"),
		TAR_HARD("d/x", "d/x"), /* to itself */
	};

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		tar_add(&b, &members[i]);
	tar_end(&b);
	t = must_read(&b, NULL);
	content_is(t, "d/x", "new", 3);
	content_is(t, "kept", "old", 3);
	content_is(t, "l/y", "y", 1);
	assert_int_equal(tree_at(t, "d")->mode, S_IFDIR | 0700);
	assert_int_equal(tree_at(t, "kept")->nlink, 1);
	assert_int_equal(tree_at(t, "e")->mode, S_IFREG | 0644);
}

static void test_names(void **state)
{
	_cleanup_buf_ struct buf b = {.max = 1 << 20};
	_cleanup_(tree_free) struct tree *t = NULL;
	char name[101], target[101], prefix[156], longer[300];

	memset(name, 'n', sizeof(name)); /* a field without NUL */
	memset(target, 't', sizeof(target));
	memset(prefix, 'p', sizeof(prefix));
	memset(longer, 'L', sizeof(longer));
	name[100] = target[100] = prefix[155] = longer[250] = '\0';
	tar_add(&b, &(struct tar_make)TAR_LINK(name, target));
	tar_add(&b,
		&(struct tar_make){.name = "x", .type = '0', .prefix = prefix});
	/* GNU tar has something else where the prefix is. */
	tar_add(&b, &(struct tar_make){.name = "gnu",
			    .type = '0',
			    .magic = TAR_GNU,
			    .prefix = "0"});
	tar_add(&b, &(struct tar_make){.name = "L",
			    .type = 'L',
			    .data = longer,
			    .len = 251,
			    .magic = TAR_GNU});
	tar_add(&b, &(struct tar_make){.name = "K",
			    .type = 'K',
			    .data = "K\0rest",
			    .len = 6,
			    .magic = TAR_GNU});
	tar_add(&b, &(struct tar_make)TAR_LINK("short", "short"));
	tar_add_record(&b, 'x', "path", "\xff\xfe e\xcc\x81\xc3\xa9");
	tar_add(&b, &(struct tar_make)TAR_FILE("other", "1"));
	tar_add(&b, &(struct tar_make)TAR_FILE("v7folder/", ""));
	tar_end(&b);
	t = must_read(&b, NULL);
	assert_int_equal(tree_node_count(t), 8);
	assert_string_equal(tree_at(t, name)->target, target);
	assert_non_null(tree_at(t, prefix));
	assert_int_equal(tree_at(t, prefix)->entry_count, 1);
	assert_non_null(tree_at(t, "gnu"));
	assert_string_equal(tree_at(t, longer)->target, "K");
	/* Byte for byte: not normalised, not converted. */
	content_is(t, "\xff\xfe e\xcc\x81\xc3\xa9", "1", 1);
	assert_int_equal(tree_at(t, "v7folder")->mode, S_IFDIR | 0644);
}

static void test_pax(void **state)
{
	_cleanup_buf_ struct buf b = {.max = 1 << 20}, x = {.max = 1 << 20};
	_cleanup_(tree_free) struct tree *t = NULL;

	tar_add_record(&b, 'g', "uid", "4294967295");
	tar_add_record(&b, 'g', "mtime", "7.25");
	tar_add(&b, &(struct tar_make)TAR_FILE("global", ""));
	tar_record(&x, "uid", "12", 2);
	tar_record(&x, "mtime", "-1.5", 4);
	tar_record(&x, "size", "3", 1);
	tar_record(&x, "comment", "what is not known does not matter", 33);
	tar_record(&x, "SCHILY.xattr.user.bin", "a\0\n=", 4);
	tar_record(&x, "SCHILY.xattr.user.a%3Db%25%41", "v", 1);
	tar_record(&x, "LIBARCHIVE.xattr.user.%41", "AAEC", 4);
	tar_record(&x, "SCHILY.xattr.btrfs.compression", "zstd", 4);
	tar_record(&x, "RHT.security.selinux", "u:r:t", 5);
	tar_add(&b, &(struct tar_make){.name = "x",
			    .type = 'x',
			    .data = x.data,
			    .len = x.len});
	tar_add(&b, &(struct tar_make){.name = "local",
			    .type = '0',
			    .data = "abc",
			    .len = 3,
			    .size = "00000000777\0"});
	tar_add_record(&b, 'x', "mtime", ""); /* takes the global one back */
	tar_add(&b,
		&(struct tar_make){.name = "back", .type = '0', .mtime = "1"});
	tar_end(&b);
	t = must_read(&b, NULL);
	assert_int_equal(tree_at(t, "global")->uid, UINT32_MAX);
	assert_int_equal(tree_at(t, "global")->mtime, 7);
	assert_int_equal(tree_at(t, "global")->mtime_nsec, 250000000);
	assert_int_equal(tree_at(t, "back")->mtime, 1);
	content_is(t, "local", "abc", 3);

	struct tree_node *n = tree_at(t, "local");

	assert_int_equal(n->uid, 12);
	assert_int_equal(n->mtime, -2);
	assert_int_equal(n->mtime_nsec, 500000000);
	assert_int_equal(n->xattr_count, 4);
	assert_string_equal(n->xattrs[0].name, "security.selinux");
	assert_int_equal(n->xattrs[0].value_len, 6);
	assert_string_equal(n->xattrs[1].name, "user.A");
	assert_memory_equal(n->xattrs[1].value, "\0\1\2", 3);
	assert_string_equal(n->xattrs[2].name, "user.a=b%%41");
	assert_string_equal(n->xattrs[3].name, "user.bin");
	assert_int_equal(n->xattrs[3].value_len, 4);
	assert_memory_equal(n->xattrs[3].value, "a\0\n=", 4);
	assert_non_null(strstr(remarks, "btrfs.compression"));
}

/* Binary numbers, as GNU tar and star write what does not fit. */
static void test_base_256(void **state)
{
	_cleanup_buf_ struct buf b = {.max = 1 << 20};
	_cleanup_(tree_free) struct tree *t = NULL;

	tar_add(&b, &(struct tar_make){.name = "f", .type = '0'});
	memcpy(b.data + 108, "\x80\0\0\0\xff\xff\xff\xfe", 8);
	memcpy(b.data + 136, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfb",
		12);
	tar_fix_sum(b.data);
	tar_end(&b);
	t = must_read(&b, NULL);
	assert_int_equal(tree_at(t, "f")->uid, 4294967294);
	assert_int_equal(tree_at(t, "f")->mtime, -5);
}

/* Old GNU format: the map in the header, and more in a block behind it. */
static void add_sparse_gnu(struct buf *b)
{
	char more[512] = "00000021446\00000000000002";
	char body[512] = "dataok";

	tar_add(b, &(struct tar_make){
			   .name = "gnu", .type = 'S', .magic = TAR_GNU});

	char *h = b->data + b->len - 512;

	memcpy(h + 124, "00000000006", 11);
	memcpy(h + 386, "00000010000\00000000000004", 23);
	for (int i = 1; i < 4; i++)
		memcpy(h + 386 + 24 * i, "00000020000\00000000000000", 23);
	h[482] = 1;
	memcpy(h + 483, "00000021450", 11);
	tar_fix_sum(h);
	assert_int_equal(buf_add(b, more, 512), 0);
	assert_int_equal(buf_add(b, body, 512), 0);
}

/* records: key and value in turn, until NULL. */
static void add_sparse_pax(struct buf *b, const char *const *records,
	const char *name, const char *data, size_t len)
{
	_cleanup_buf_ struct buf x = {.max = 1 << 16};

	for (; *records; records += 2)
		tar_record(&x, records[0], records[1], strlen(records[1]));
	tar_add(b,
		&(struct tar_make){.type = 'x', .data = x.data, .len = x.len});
	tar_add(b,
		&(struct tar_make){
			.name = name, .type = '0', .data = data, .len = len});
}

static void test_sparse(void **state)
{
	static const char *const v00[] = {"GNU.sparse.numblocks", "2",
		"GNU.sparse.size", "9000", "GNU.sparse.offset", "4096",
		"GNU.sparse.numbytes", "4", "GNU.sparse.offset", "8998",
		"GNU.sparse.numbytes", "2", NULL};
	static const char *const v01[] = {"GNU.sparse.map", "4096,4,8998,2",
		"GNU.sparse.size", "9000", "GNU.sparse.name", "p0.1", NULL};
	static const char *const v10[] = {"GNU.sparse.major", "1",
		"GNU.sparse.minor", "0", "GNU.sparse.realsize", "9000",
		"GNU.sparse.name", "p1.0", NULL};
	_cleanup_buf_ struct buf b = {.max = 1 << 20};
	_cleanup_(tree_free) struct tree *t = NULL;
	char want[9000] = {0}, mapped[518] = "2\n4096\n4\n8998\n2\n";

	memcpy(want + 4096, "data", 4);
	memcpy(want + 8998, "ok", 2);
	memcpy(mapped + 512, "dataok", 6);
	add_sparse_gnu(&b);
	add_sparse_pax(&b, v00, "p0.0", "dataok", 6);
	add_sparse_pax(&b, v01, "GNUSparseFile.0/p0.1", "dataok", 6);
	add_sparse_pax(&b, v10, "GNUSparseFile.0/p1.0", mapped, 518);
	tar_end(&b);
	t = must_read(&b, NULL);
	content_is(t, "gnu", want, sizeof(want));
	content_is(t, "p0.0", want, sizeof(want));
	content_is(t, "p0.1", want, sizeof(want));
	content_is(t, "p1.0", want, sizeof(want));
	/* The same content four times: kept once. */
	assert_int_equal(
		tree_at(t, "gnu")->spool_off, tree_at(t, "p1.0")->spool_off);
}

static void test_options(void **state)
{
	const char *const exclude[] = {"/var/cache/*", "*.o", "skip"};
	const struct tree_options opt = {
		.exclude = exclude,
		.exclude_count = ARRAY_LEN(exclude),
		.set_uid = true,
		.uid = 7,
		.clamp_mtime = true,
		.mtime = 8,
		.numeric = true,
	};
	_cleanup_buf_ struct buf b = {.max = 1 << 20};
	_cleanup_(tree_free) struct tree *t = NULL;
	const struct tar_make members[] = {
		TAR_FILE("var/cache/a/b", "no"),
		TAR_FILE("x/var/cache/a", "yes"),
		TAR_FILE("a.o", "no"),
		TAR_FILE("d/a.o", "no"),
		TAR_FILE("skip/deep/er", "no"),
		{.name = "t", .type = '0', .gid = 5, .mtime = "77777777"},
		TAR_FILE("last", "still in step with the stream"),
	};

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		tar_add(&b, &members[i]);
	tar_end(&b);
	t = must_read(&b, &opt);
	assert_null(tree_at(t, "var"));
	assert_null(tree_at(t, "d"));
	assert_null(tree_at(t, "skip"));
	assert_non_null(tree_at(t, "x/var/cache/a"));
	assert_int_equal(tree_at(t, "t")->uid, 7);
	assert_int_equal(tree_at(t, "t")->gid, 5);
	assert_int_equal(tree_at(t, "t")->mtime, 8);
	content_is(t, "last", "still in step with the stream", 29);
}

static void test_owner_names(void **state)
{
	const struct tree_options names = {.numeric = false};
	_cleanup_buf_ struct buf b = {.max = 1 << 20};
	_cleanup_(tree_free) struct tree *t = NULL, *n = NULL;

	tar_add(&b, &(struct tar_make){.name = "root",
			    .type = '0',
			    .uid = 5,
			    .gid = 6,
			    .uname = "root",
			    .gname = "root"});
	tar_add(&b, &(struct tar_make){.name = "unknown",
			    .type = '0',
			    .uid = 5,
			    .gid = 6,
			    .uname = "no such user",
			    .gname = "no such group"});
	tar_end(&b);
	t = must_read(&b, NULL);
	assert_int_equal(tree_at(t, "root")->uid, 5);
	n = must_read(&b, &names);
	assert_int_equal(tree_at(n, "root")->uid, 0);
	assert_int_equal(tree_at(n, "root")->gid, 0);
	assert_int_equal(tree_at(n, "unknown")->uid, 5);
	assert_int_equal(tree_at(n, "unknown")->gid, 6);
}

static void test_end(void **state)
{
	_cleanup_buf_ struct buf b = {.max = 1 << 20};
	_cleanup_(tree_free) struct tree *t = NULL, *lone = NULL, *more = NULL;

	tar_end(&b);
	t = must_read(&b, NULL); /* an empty archive */
	assert_int_equal(tree_node_count(t), 1);
	b.len = 512;
	lone = must_read(&b, NULL);
	assert_int_equal(tree_node_count(lone), 1);
	b.len = 1024;
	tar_add(&b, &(struct tar_make)TAR_FILE("behind", ""));
	more = must_read(&b, NULL);
	assert_int_equal(tree_node_count(more), 1);
	assert_non_null(strstr(remarks, "left out"));
}

/* A folder of many names, by name: linear, or the test times out. */
static void test_many(void **state)
{
	_cleanup_buf_ struct buf b = {.max = 256 << 20};
	_cleanup_(tree_free) struct tree *t = NULL;
	char name[32];

	for (int i = 0; i < 100000; i++) {
		(void)snprintf(name, sizeof(name), "d/%d", i);
		tar_add(&b, &(struct tar_make){.name = name, .type = '0'});
	}
	tar_end(&b);
	t = must_read(&b, NULL);
	assert_int_equal(tree_at(t, "d")->entry_count, 100000);
	assert_non_null(tree_at(t, "d/99999"));
}

static void test_compressed(void **state)
{
	static const int filters[] = {ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_BZIP2,
		ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_ZSTD, ARCHIVE_FILTER_LZ4};
	_cleanup_buf_ struct buf b = {.max = 1 << 20};

	tar_add(&b, &(struct tar_make)TAR_FILE("f", "text"));
	tar_end(&b);
	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		_cleanup_buf_ struct buf z = {.max = 1 << 20};
		_cleanup_(tree_free) struct tree *t = NULL;
		struct diag diag = {0};

		tar_compress(&b, &z, filters[i]);
		t = must_read(&z, NULL);
		content_is(t, "f", "text", 4);
		/* Cut anywhere, it is an error. */
		for (size_t len = 0; len < z.len; len++) {
			struct tree *cut = NULL;
			int r = tar_read_bytes(
				z.data, len, &tar_plain, &cut, &diag);

			tree_free(cut);
			/* lz4 and bzip2 end with a sum that libarchive does
			 * not miss; all of the archive is there then. */
			if (r == 0 && len > z.len - 16)
				continue;
			if (r != -EBADMSG)
				fail_msg("filter %d cut at %zu of %zu: %d",
					filters[i], len, z.len, r);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_later_members_win),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_pax),
		cmocka_unit_test(test_base_256),
		cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_owner_names),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_compressed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
