/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory runs out at each allocation in turn: everything about trees then ends
 * with -ENOMEM and a line, gives back what it took (the sanitizer sees to it),
 * and works again.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "fs/base/io.h"
#include "fs/tree/extract.h"
#include "tests/lib/tar_make.h"
#include "tests/lib/tree_same.h"
#include "tests/unit/unit.h"

/* Linked with --wrap: allocations that still succeed; -1: all. */
static long allocations_left = -1;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t count, size_t size);

static bool is_out(void)
{
	if (allocations_left < 0)
		return false;
	if (allocations_left == 0)
		return true;
	allocations_left--;
	return false;
}

void *__wrap_malloc(size_t size)
{
	return is_out() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return is_out() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return is_out() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t count, size_t size)
{
	return is_out() ? NULL : __real_reallocarray(p, count, size);
}

struct place {
	const struct workdir *dir;
	int tar;
	struct image *img;
	struct tree *a, *b;
};

typedef int (*action)(const struct place *p, struct diag *diag);

static int do_scan(const struct place *p, struct diag *diag)
{
	static const char *const exclude[] = {"nothing", "/at/all"};
	const struct tree_options opt = {
		.exclude = exclude, .exclude_count = ARRAY_LEN(exclude)};
	_cleanup_(tree_free) struct tree *t = NULL;
	int r = tree_scan(workdir_path(p->dir, "a"), &opt, &t, diag);

	return r < 0 ? r : tree_seal(t, diag);
}

static int do_tar(const struct place *p, struct diag *diag)
{
	const struct tree_options opt = {.spool_dir = p->dir->path};
	_cleanup_(tree_free) struct tree *t = NULL;

	if (lseek(p->tar, 0, SEEK_SET) < 0)
		return -errno;

	int r = tree_read_tar(p->tar, &opt, &t, diag);

	return r < 0 ? r : tree_seal(t, diag);
}

static int do_image(const struct place *p, struct diag *diag)
{
	_cleanup_(tree_free) struct tree *t = NULL;
	int r = tree_from_image(p->img, &t, diag);

	return r < 0 ? r : tree_seal(t, diag);
}

static int ignore(void *arg, const struct diff *d)
{
	return 0;
}

static int do_diff(const struct place *p, struct diag *diag)
{
	const struct diff_hooks hooks = {.found = ignore};

	return tree_diff(p->a, p->b, 0, &hooks, diag);
}

static int do_extract(const struct place *p, struct diag *diag)
{
	static const char *const paths[] = {"/folder", "/first"};
	const struct extract_options opt = {.overwrite = true,
		.paths = paths,
		.path_count = ARRAY_LEN(paths)};
	struct extract_result res;

	return extract(p->img, workdir_path(p->dir, "out"), &opt, &res, diag);
}

static void sweep(const char *name, action act, const struct place *p)
{
	long n = 0;
	int r;

	do {
		struct diag diag = {0};

		assert_true(n < 100000);
		allocations_left = n++;
		r = act(p, &diag);
		allocations_left = -1;
		if (r != 0 && (r != -ENOMEM || !diag.text[0]))
			fail_msg("%s, allocation %ld: %d \"%s\"", name, n, r,
				diag.text);
	} while (r != 0);
	print_message("%s: %ld allocations\n", name, n - 1);
	assert_true(n > 3);
}

static void make_tar(struct buf *b)
{
	char name[16];

	tar_add_record(b, 'g', "SCHILY.xattr.user.g", "v");
	tar_add_record(b, 'x', "SCHILY.acl.access",
		"u::rw-,u:root:rw-:0,g::r--,m::rw-,o::r--");
	tar_add(b, &(struct tar_make){.name = "f",
			   .type = '0',
			   .data = "x",
			   .len = 1,
			   .uname = "root"});
	tar_add_record(b, 'x', "LIBARCHIVE.xattr.user.l", "AAEC");
	tar_add(b, &(struct tar_make)TAR_LINK("l", "to"));
	tar_add_record(b, 'x', "GNU.sparse.map", "0,1,5,1");
	tar_add(b, &(struct tar_make)TAR_HARD("h", "f"));
	for (int i = 0; i < 40; i++) { /* enough for an index */
		(void)snprintf(name, sizeof(name), "d/%d", i);
		tar_add(b, &(struct tar_make){.name = name, .type = '0'});
	}
	tar_end(b);
}

static void test_out_of_memory(void **state)
{
	const struct workdir *dir = *state;
	_cleanup_buf_ struct buf tar = {.max = 1 << 20};
	_cleanup_close_ int fd = memfd_create("tar", MFD_CLOEXEC);
	struct place p = {.dir = dir, .tar = fd};

	workdir_all_kinds(dir, "a");
	make_tar(&tar);
	assert_int_equal(io_write(fd, tar.data, tar.len), 0);
	p.a = tree_of_folder(workdir_path(dir, "a"), NULL);
	p.b = tree_of_folder(workdir_path(dir, "a"), NULL);
	p.img = image_of_tree(p.a, workdir_path(dir, "x.stele"));
	sweep("scan", do_scan, &p);
	sweep("tar", do_tar, &p);
	sweep("image", do_image, &p);
	sweep("diff", do_diff, &p);
	sweep("extract", do_extract, &p);
	image_free(p.img);
	tree_free(p.a);
	tree_free(p.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_out_of_memory, workdir_set_up, workdir_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
