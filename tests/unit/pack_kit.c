/* SPDX-License-Identifier: Apache-2.0 */
/* Trees made in memory, packed and looked at; see pack_kit.h. */
#include "tests/unit/pack_kit.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "fs/base/io.h"
#include "tests/unit/unit.h"

/* Linked with --wrap: what these tests write need not survive a power cut, and
 * they write often. */
int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
	return 0;
}

const struct pack_options kit_options = {
	.level = 1,
	.jobs = 2,
	.frame_size = LAYOUT_FRAME_MIN,
};

int kit_set_up(void **state)
{
	struct kit *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	assert_true(scratch_init(&k->scratch));
	(void)scratch_name(&k->scratch, "x.stele", k->image);
	assert_int_equal(tree_new(&k->tree), 0);
	k->root = tree_root(k->tree);
	k->spool = memfd_create("spool", MFD_CLOEXEC);
	assert_true(k->spool >= 0);
	tree_set_spool_fd(k->tree, k->spool);
	/* Contents need not begin at a block of the spool. */
	k->end = 100;
	*state = k;
	return 0;
}

int kit_tear_down(void **state)
{
	struct kit *k = *state;

	tree_free(k->tree);
	scratch_done(&k->scratch);
	free(k);
	return 0;
}

void kit_link(
	struct kit *k, struct tree_node *dir, const char *name, void *node)
{
	assert_int_equal(
		tree_add_entry(k->tree, dir, name, strlen(name), node), 0);
}

struct tree_node *kit_add(
	struct kit *k, struct tree_node *dir, const char *name, uint32_t mode)
{
	struct tree_node *node = tree_add_node(k->tree, mode);

	assert_non_null(node);
	kit_link(k, dir, name, node);
	return node;
}

void kit_room(struct kit *k, struct tree_node *node, uint64_t size)
{
	node->size = size;
	if (!size)
		return;
	node->content = TREE_CONTENT_SPOOL;
	node->spool_off = k->end;
	k->end += size;
	assert_int_equal(ftruncate(k->spool, (off_t)k->end), 0);
}

struct tree_node *kit_sparse(struct kit *k, const char *name, uint64_t size)
{
	struct tree_node *node = kit_add(k, k->root, name, S_IFREG | 0644);

	kit_room(k, node, size);
	return node;
}

void kit_poke(struct kit *k, const struct tree_node *node, uint64_t off,
	const void *data, size_t len)
{
	assert_true(off + len <= node->size);
	assert_int_equal(
		io_pwrite(k->spool, data, len, node->spool_off + off), 0);
}

struct tree_node *kit_file(
	struct kit *k, const char *name, const void *data, size_t len)
{
	struct tree_node *node = kit_sparse(k, name, len);

	if (len)
		kit_poke(k, node, 0, data, len);
	return node;
}

struct tree_node *kit_noise(
	struct kit *k, const char *name, uint64_t seed, size_t len)
{
	struct prng prng = {seed};
	_cleanup_free_ uint8_t *data = malloc(len + 1);

	assert_non_null(data);
	prng_fill(&prng, data, len);
	return kit_file(k, name, data, len);
}

void kit_xattr(struct kit *k, struct tree_node *node, const char *name,
	const char *value)
{
	assert_int_equal(tree_set_xattr(k->tree, node, name, strlen(name),
				 value, strlen(value)),
		0);
}

void kit_seal(struct kit *k)
{
	struct diag diag = {0};

	if (k->root->ino)
		return;
	if (tree_seal(k->tree, &diag) < 0)
		fail_msg("%s", diag.text);
}

int kit_left(const struct kit *k)
{
	_cleanup_closedir_ DIR *d = opendir(k->scratch.path);
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	return n - 2; /* "." and ".." */
}

void kit_pack(
	struct kit *k, const struct pack_options *opt, struct pack_result *ret)
{
	struct pack_result result;
	struct diag diag = {0};
	struct stat st;

	kit_seal(k);
	if (pack(k->tree, k->image, opt, &result, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_int_equal(stat(k->image, &st), 0);
	assert_int_equal(result.image_bytes, st.st_size);
	assert_int_equal(kit_left(k), 1);
	if (ret)
		*ret = result;
}

int kit_pack_fails(
	struct kit *k, const struct pack_options *opt, struct diag *diag)
{
	struct pack_result result;

	kit_seal(k);
	*diag = (struct diag){0};

	int r = pack(k->tree, k->image, opt, &result, diag);

	assert_true(r < 0);
	assert_true(diag->text[0] != '\0');
	assert_null(strchr(diag->text, '\n'));
	assert_int_equal(kit_left(k), 0);
	return r;
}

static void compare_xattrs(const struct image *img,
	const struct image_node *got, const struct tree_node *want)
{
	assert_int_equal(image_xattr_count(img, got), want->xattr_count);
	for (uint32_t i = 0; i < want->xattr_count; i++) {
		const struct tree_xattr *w = &want->xattrs[i];
		struct image_xattr x;

		assert_int_equal(image_xattr(img, got, i, &x), 0);
		assert_int_equal(x.name_len, w->name_len);
		assert_memory_equal(x.name, w->name, w->name_len);
		assert_int_equal(x.value_len, w->value_len);
		if (w->value_len)
			assert_memory_equal(x.value, w->value, w->value_len);
	}
}

static void compare_entries(const struct image *img,
	const struct image_node *got, const struct tree_node *want)
{
	assert_int_equal(got->size, want->entry_count);
	for (uint32_t i = 0; i < want->entry_count; i++) {
		const struct tree_entry *w = &want->entries[i];
		struct image_entry e;

		assert_int_equal(image_entry(img, got->data + i, &e), 0);
		assert_int_equal(e.name_len, w->name_len);
		assert_memory_equal(e.name, w->name, w->name_len);
		assert_int_equal(e.ino, w->node->ino);
		assert_int_equal(e.parent, want->ino);
		assert_int_equal(e.type, w->node->mode & S_IFMT);
	}
}

/* Where a tree comes from a folder, its files are found below root_fd. */
static void compare_content(struct kit *k, const struct image *img,
	const struct image_node *got, const struct tree_node *want)
{
	_cleanup_(hasher_free) struct hasher *h = hasher_new();
	static uint8_t chunk[1 << 20];
	struct image_object o;
	struct digest d;

	assert_non_null(h);
	assert_int_equal(got->size, want->size);
	assert_int_equal(image_object(img, got->data, &o), 0);
	assert_int_equal(o.size, want->size);
	/* For larger ones image_check must do: zeros take long to hash. */
	if (want->size > UINT32_MAX)
		return;

	_cleanup_close_ int fd = -1;
	uint64_t base = 0;

	if (want->size)
		assert_int_equal(tree_open(k->tree, want, &fd, &base, NULL), 0);
	hasher_begin(h);
	for (uint64_t off = 0; off < want->size; off += sizeof(chunk)) {
		uint64_t left = want->size - off;
		size_t n = left < sizeof(chunk) ? left : sizeof(chunk);

		assert_int_equal(io_pread(fd, chunk, n, base + off), n);
		hasher_add(h, chunk, n);
	}
	hasher_end(h, &d);
	assert_memory_equal(d.bytes, o.digest.bytes, DIGEST_LEN);
}

static void compare_node(
	struct kit *k, const struct image *img, const struct tree_node *want)
{
	struct image_node got;
	const char *target;
	size_t len;

	assert_int_equal(image_node(img, want->ino, &got), 0);
	assert_int_equal(got.mode, want->mode);
	assert_int_equal(got.uid, want->uid);
	assert_int_equal(got.gid, want->gid);
	assert_int_equal(got.nlink, want->nlink);
	assert_int_equal(got.mtime, want->mtime);
	assert_int_equal(got.mtime_nsec, want->mtime_nsec);
	compare_xattrs(img, &got, want);
	switch (want->mode & S_IFMT) {
	case S_IFREG: compare_content(k, img, &got, want); break;
	case S_IFDIR: compare_entries(img, &got, want); break;
	case S_IFLNK:
		assert_int_equal(
			image_link_target(img, &got, &target, &len), 0);
		assert_int_equal(len, want->size);
		assert_memory_equal(target, want->target, len);
		break;
	case S_IFCHR:
	case S_IFBLK:
		assert_int_equal(got.data, want->major);
		assert_int_equal(got.minor, want->minor);
		break;
	default: assert_int_equal(got.size, 0);
	}
}

static void report(void *arg, const char *text)
{
	print_error("%s\n", text);
}

struct image *kit_open(struct kit *k)
{
	struct image_check_hooks hooks = {.report = report};
	struct image_summary sum;
	struct image *img;
	struct diag diag = {0};

	if (image_open_path(k->image, &img, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_int_equal(image_check(img, &hooks), 0);
	image_summary(img, &sum);
	assert_int_equal(sum.inodes, tree_node_count(k->tree));
	assert_int_equal(sum.dirents, tree_entry_count(k->tree));
	for (uint32_t ino = 1; ino <= sum.inodes; ino++)
		compare_node(k, img, tree_node(k->tree, ino));
	return img;
}

struct image_object kit_object(
	const struct image *img, const struct tree_node *node)
{
	struct image_node n;
	struct image_object o;

	assert_int_equal(image_node(img, node->ino, &n), 0);
	assert_int_equal(image_object(img, n.data, &o), 0);
	return o;
}

void kit_hex(const struct digest *d, const char *want)
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_hex(d, hex);
	assert_string_equal(hex, want);
}
