/* SPDX-License-Identifier: Apache-2.0 */
/* Trees built by hand: names, order, numbers, links, limits. */
#include "fs/tree/tree.h"

#include <string.h>
#include <sys/stat.h>

#include "fs/tree/table.h"
#include "tests/unit/unit.h"

static struct tree *make_tree(void)
{
	struct tree *t = NULL;

	assert_int_equal(tree_new(&t), 0);
	return t;
}

static struct tree_node *add(
	struct tree *t, struct tree_node *dir, const char *name, uint32_t mode)
{
	struct tree_node *n = tree_add_node(t, mode);

	assert_non_null(n);
	assert_int_equal(tree_add_entry(t, dir, name, strlen(name), n), 0);
	return n;
}

static void test_numbers(void **state)
{
	_cleanup_(tree_free) struct tree *t = make_tree();
	struct tree_node *root = tree_root(t);
	struct tree_node *z = add(t, root, "z", S_IFDIR | 0755);
	struct tree_node *a = add(t, root, "a", S_IFDIR | 0755);
	struct tree_node *orphan = tree_add_node(t, S_IFREG);
	struct tree_node *f = add(t, z, "f", S_IFREG | 0644);
	struct tree_node *below = add(t, a, "below", S_IFDIR | 0755);
	struct tree_node *high = add(t, root, "\xff", S_IFREG | 0644);
	char *path;

	/* The same node again, by a name that comes first. */
	assert_int_equal(tree_add_entry(t, a, "g", 1, f), 0);
	assert_int_equal(tree_add_entry(t, root, "aa", 2, f), 0);
	assert_int_equal(tree_seal(t, NULL), 0);
	assert_int_equal(tree_node_count(t), 6);
	assert_int_equal(tree_entry_count(t), 7);
	assert_int_equal(root->ino, 1);
	assert_int_equal(a->ino, 2);
	assert_int_equal(f->ino, 3); /* "aa": a prefix comes first */
	assert_int_equal(z->ino, 4);
	assert_int_equal(high->ino, 5); /* bytes are unsigned */
	assert_int_equal(below->ino, 6);
	assert_int_equal(orphan->ino, 0);
	assert_int_equal(root->nlink, 4);
	assert_int_equal(a->nlink, 3);
	assert_int_equal(f->nlink, 3);
	assert_ptr_equal(tree_node(t, 3), f);
	assert_null(tree_node(t, 0));
	assert_null(tree_node(t, 7));
	assert_ptr_equal(f->parent, root);
	assert_string_equal(f->home->name, "aa");
	assert_ptr_equal(root->parent, root);
	assert_null(root->home);
	path = tree_path(below);
	assert_string_equal(path, "/a/below");
	free(path);
	path = tree_path(root);
	assert_string_equal(path, "/");
	free(path);
}

static void test_names(void **state)
{
	_cleanup_(tree_free) struct tree *t = make_tree();
	struct tree_node *n = tree_add_node(t, S_IFREG);
	static const struct {
		const char *name;
		size_t len;
		int want;
	} names[] = {
		{"", 0, -EINVAL},
		{".", 1, -EINVAL},
		{"..", 2, -EINVAL},
		{"a/b", 3, -EINVAL},
		{"a\0b", 3, -EINVAL},
		{"...", 3, 0},
		{"\n\xff", 2, 0},
	};
	char longest[256];

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(tree_add_entry(t, tree_root(t), names[i].name,
					 names[i].len, n),
			names[i].want);
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(tree_add_entry(t, tree_root(t), longest, 255, n), 0);
	assert_int_equal(
		tree_add_entry(t, tree_root(t), longest, 256, n), -EINVAL);
}

/* Adding, finding and removing around the size where an index appears. */
static void test_find(void **state)
{
	_cleanup_(tree_free) struct tree *t = make_tree();
	struct tree_node *root = tree_root(t);
	char name[16];

	for (int i = 0; i < 3000; i++) {
		(void)snprintf(name, sizeof(name), "%d", i);
		assert_null(tree_find(t, root, name, strlen(name)));
		add(t, root, name, S_IFREG | (uint32_t)(i % 512));
		assert_non_null(tree_find(t, root, name, strlen(name)));
	}
	for (int i = 0; i < 3000; i += 3) {
		(void)snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(
			tree_remove_entry(t, root, name, strlen(name)), 0);
		assert_int_equal(tree_remove_entry(t, root, name, strlen(name)),
			-ENOENT);
	}
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3000; i++) {
			const struct tree_entry *e;

			(void)snprintf(name, sizeof(name), "%d", i);
			e = tree_find(t, root, name, strlen(name));
			if (i % 3 == 0) {
				assert_null(e);
				continue;
			}
			assert_non_null(e);
			assert_string_equal(e->name, name);
			assert_int_equal(e->node->mode & 0777, i % 512);
		}
		if (round == 0)
			assert_int_equal(tree_seal(t, NULL), 0);
	}
	assert_int_equal(root->entry_count, 2000);
	assert_null(tree_find(t, root->entries[0].node, "x", 1));
}

static void test_bad_trees(void **state)
{
	_cleanup_(tree_free) struct tree *twice = make_tree();
	_cleanup_(tree_free) struct tree *linked = make_tree();
	struct diag diag = {0};
	struct tree_node *d = add(twice, tree_root(twice), "d", S_IFDIR);

	add(twice, d, "same", S_IFREG);
	add(twice, d, "same", S_IFREG);
	assert_int_equal(tree_seal(twice, &diag), -EEXIST);
	assert_string_equal(
		diag.text, "folder /d: the name same is there twice");

	d = add(linked, tree_root(linked), "d", S_IFDIR);
	assert_int_equal(
		tree_add_entry(linked, tree_root(linked), "e", 1, d), 0);
	assert_int_equal(tree_seal(linked, &diag), -EMLINK);
}

static void test_xattrs(void **state)
{
	_cleanup_(tree_free) struct tree *t = make_tree();
	struct tree_node *n = tree_root(t);
	char name[256] = "user.";
	_cleanup_free_ char *large = calloc(1, 65537);
	int count = 0, r = 0;

	assert_int_equal(tree_set_xattr(t, n, "user.b", 6, "1", 1), 0);
	assert_int_equal(tree_set_xattr(t, n, "user.a", 6, "\0x", 2), 0);
	assert_int_equal(tree_set_xattr(t, n, "user.b", 6, "new", 3), 0);
	assert_int_equal(tree_set_xattr(t, n, "", 0, "", 0), -EINVAL);
	assert_int_equal(tree_set_xattr(t, n, "a\0b", 3, "", 0), -EINVAL);
	assert_int_equal(tree_set_xattr(t, n, "user.l", 6, large, 65536), 0);
	assert_int_equal(
		tree_set_xattr(t, n, "user.m", 6, large, 65537), -E2BIG);
	memset(name + 5, 'x', 250);
	assert_int_equal(tree_set_xattr(t, n, name, 256, "", 0), -EINVAL);
	/* As many names as listxattr(2) can give, and no more. */
	while (r == 0) {
		(void)snprintf(name + 5, 8, "%06d", count++ % 1000000);
		name[11] = 'x';
		r = tree_set_xattr(t, n, name, 255, "", 0);
	}
	assert_int_equal(r, -E2BIG);
	assert_int_equal(count - 1, (65536 - 3 * 7) / 256);
	assert_int_equal(tree_seal(t, NULL), 0);
	for (uint32_t i = 1; i < n->xattr_count; i++)
		assert_true(
			strcmp(n->xattrs[i - 1].name, n->xattrs[i].name) < 0);
	assert_string_equal(n->xattrs[n->xattr_count - 2].name, "user.b");
	assert_int_equal(n->xattrs[n->xattr_count - 2].value_len, 3);
}

static void test_targets(void **state)
{
	_cleanup_(tree_free) struct tree *t = make_tree();
	struct tree_node *n = add(t, tree_root(t), "l", S_IFLNK | 0777);
	char target[4096];

	memset(target, 't', sizeof(target));
	assert_int_equal(tree_set_target(t, n, target, 0), -EINVAL);
	assert_int_equal(tree_set_target(t, n, target, 4096), -EINVAL);
	assert_int_equal(tree_set_target(t, n, "a\0b", 3), -EINVAL);
	assert_int_equal(tree_set_target(t, n, target, 4095), 0);
	assert_int_equal(n->size, 4095);
	assert_int_equal(strlen(n->target), 4095);
}

/* Nothing may recurse: neither the seal, nor a path, nor the end. */
static void test_deep(void **state)
{
	_cleanup_(tree_free) struct tree *t = make_tree();
	struct tree_node *n = tree_root(t);

	for (int i = 0; i < 200000; i++)
		n = add(t, n, "d", S_IFDIR | 0755);
	assert_int_equal(tree_seal(t, NULL), 0);
	assert_int_equal(n->ino, 200001);

	_cleanup_free_ char *path = tree_path(n);

	assert_int_equal(strlen(path), 400000);
}

/* Values under few different hashes, so that runs are long and wrap around. */
static void test_table(void **state)
{
	struct table t = {0};
	bool in[1000] = {0};
	unsigned seed = 1;

	assert_null(table_next(&t, 0, NULL));
	for (int step = 0; step < 20000; step++) {
		seed = seed * 1103515245 + 12345;

		unsigned value = seed / 65536 % 1000;
		uint64_t hash = value % 7 * 0x123456789abcdef;
		struct table_slot *s = NULL;

		do
			s = table_next(&t, hash, s);
		while (s && s->value != value);
		assert_int_equal(s != NULL, in[value]);
		if (s)
			table_remove(&t, s);
		else
			assert_int_equal(table_add(&t, hash, value), 0);
		in[value] = !in[value];
	}

	size_t count = 0;

	for (int i = 0; i < 1000; i++)
		count += in[i];
	assert_int_equal(t.count, count);
	table_done(&t);
}

/* SipHash-1-3 of 0, 1, 2, ... under the key 0, 1, ..., 15: computed with
 * another implementation, which gives the paper's value for SipHash-2-4. */
static void test_hash(void **state)
{
	struct table_key key;
	uint8_t data[64], bytes[16];
	uint64_t seen[64];

	for (uint8_t i = 0; i < 16; i++)
		bytes[i] = i;
	memcpy(&key, bytes, sizeof(key));
	for (uint8_t i = 0; i < 64; i++)
		data[i] = i;
	for (size_t len = 0; len < 64; len++) {
		seen[len] = table_hash(&key, data, len);
		for (size_t i = 0; i < len; i++)
			assert_true(seen[i] != seen[len]);
	}
	assert_int_equal(seen[0], 0xabac0158050fc4dc);
	assert_int_equal(seen[1], 0xc9f49bf37d57ca93);
	assert_int_equal(seen[15], 0xd320d86d2a519956);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_bad_trees),
		cmocka_unit_test(test_xattrs),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
