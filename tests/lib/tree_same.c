/* SPDX-License-Identifier: Apache-2.0 */
/* Trees in tests; see tree_same.h. */
#include "tests/lib/tree_same.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "fs/base/io.h"
#include "fs/tree/pack.h"
#include "tests/unit/unit.h"

const struct tree_options tar_plain = {.numeric = true, .spool_dir = "/tmp"};

static void seal(int r, struct tree *t, struct diag *diag)
{
	if (r == 0)
		r = tree_seal(t, diag);
	if (r < 0)
		fail_msg("%d: %s", r, diag->text);
}

struct tree *tree_of_folder(const char *path, const struct tree_options *opt)
{
	const struct tree_options none = {0};
	struct tree *t = NULL;
	struct diag diag = {0};
	int r = tree_scan(path, opt ? opt : &none, &t, &diag);

	seal(r, t, &diag);
	return t;
}

struct tree *tree_of_tar(const char *path, const struct tree_options *opt)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct tree *t = NULL;
	struct diag diag = {0};

	assert_true(fd >= 0);

	int r = tree_read_tar(fd, opt ? opt : &tar_plain, &t, &diag);

	seal(r, t, &diag);
	return t;
}

int tar_read_bytes(const void *data, size_t len, const struct tree_options *opt,
	struct tree **ret, struct diag *diag)
{
	_cleanup_close_ int fd = memfd_create("tar", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(io_write(fd, data, len), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);

	int r = tree_read_tar(fd, opt, ret, diag);

	return r < 0 ? r : tree_seal(*ret, diag);
}

struct tree_node *tree_at(struct tree *t, const char *path)
{
	struct tree_node *node = tree_root(t);

	while (*path && node) {
		size_t len = strcspn(path, "/");
		struct tree_entry *e = tree_find(t, node, path, len);

		node = e ? e->node : NULL;
		path += len + (path[len] == '/');
	}
	return node;
}

static int on_found(void *arg, const struct diff *d)
{
	fail_msg("%s: kind %d, differs in %#x", d->path, d->kind, d->what);
	return -ECANCELED;
}

void trees_are_same(const struct tree *a, const struct tree *b, unsigned flags)
{
	const struct diff_hooks hooks = {.found = on_found};
	struct diag diag = {0};
	int r = tree_diff(a, b, flags, &hooks, &diag);

	if (r < 0)
		fail_msg("%d: %s", r, diag.text);
	assert_int_equal(tree_node_count(a), tree_node_count(b));
	assert_int_equal(tree_entry_count(a), tree_entry_count(b));
}

struct image *image_of_tree(struct tree *t, const char *path)
{
	const struct pack_options opt = {
		.level = 1, .jobs = 2, .frame_size = LAYOUT_FRAME_DEFAULT};
	struct pack_result res;
	struct image *img = NULL;
	struct diag diag = {0};
	int r = pack(t, path, &opt, &res, &diag);

	if (r == 0)
		r = image_open_path(path, &img, &diag);
	if (r < 0)
		fail_msg("%d: %s", r, diag.text);
	return img;
}
