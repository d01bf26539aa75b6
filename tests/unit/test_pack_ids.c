/* SPDX-License-Identifier: Apache-2.0 */
/* The same tree has the same ids: each time, everywhere and for ever. */
#include "fs/tree/pack.h"

#include <string.h>
#include <sys/stat.h>

#include "tests/lib/image_sample.h"
#include "tests/unit/pack_kit.h"
#include "tests/unit/unit.h"

#define FRAME 4096u /* of kit_options */

/* Sizes around those where something changes. */
static const uint32_t edges[] = {0, 1, 4095, 4096, 4097, 8191, 8192, 8193,
	12288, 16384, 20000, 65536, 65537, 131072, 131073, 262144};

/* Something of everything: text, noise, holes, twins. */
static void add_mixture(struct kit *k)
{
	char name[32];

	for (uint32_t i = 0; i < ARRAY_LEN(edges); i++) {
		struct tree_node *n;

		(void)snprintf(name, sizeof(name), "noise%02u", i);
		(void)kit_noise(k, name, i, edges[i]);
		(void)snprintf(name, sizeof(name), "twin%02u", i);
		(void)kit_noise(k, name, i % 7, edges[i]);
		(void)snprintf(name, sizeof(name), "even%02u", i);
		n = kit_sparse(k, name, edges[i]);
		for (uint32_t off = 0; off < edges[i]; off += 512)
			kit_poke(k, n, off, "x", 1);
		(void)snprintf(name, sizeof(name), "hole%02u", i);
		n = kit_sparse(k, name, edges[i]);
		if (edges[i] > 10000)
			kit_poke(k, n, 9000, "some bytes", 10);
	}
}

static void test_same_bytes(void **state)
{
	static const int levels[] = {0, 1, 4, 19};
	static const unsigned jobs[] = {1, 2, 3, 8, 1, 2, 3, 8, 8};
	struct kit *k = *state;
	struct pack_result first = {0};

	add_mixture(k);
	for (size_t l = 0; l < ARRAY_LEN(levels); l++) {
		struct pack_options opt = kit_options;
		struct pack_result level = {0}, again;

		opt.level = levels[l];
		kit_pack(k, &opt, &level);
		image_free(kit_open(k));
		for (size_t j = 0; j < ARRAY_LEN(jobs); j++) {
			opt.jobs = jobs[j];
			kit_pack(k, &opt, &again);
			assert_memory_equal(&again, &level, sizeof(level));
		}
		if (l == 0)
			first = level;
		assert_memory_equal(
			&level.tree_id, &first.tree_id, sizeof(struct digest));
	}
}

static void test_frame_sizes(void **state)
{
	static const uint32_t sizes[] = {LAYOUT_FRAME_MIN, 65536,
		LAYOUT_FRAME_DEFAULT, LAYOUT_FRAME_MAX};
	struct kit *k = *state;
	struct pack_result first = {0}, result;

	add_mixture(k);
	(void)kit_noise(k, "large", 77, 3u << 20);
	(void)kit_noise(k, "larger", 78, (3u << 20) + 1);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct pack_options opt = kit_options;

		opt.frame_size = sizes[i];
		kit_pack(k, &opt, &result);
		image_free(kit_open(k));
		if (i == 0)
			first = result;
		assert_memory_equal(
			&result.tree_id, &first.tree_id, sizeof(struct digest));
		assert_int_equal(result.objects, first.objects);
	}
}

/* An inode of a sample's table, as a node that has its first name already. */
static void fill_node(struct kit *k, struct tree_node *n,
	const struct sample_entry *e, const struct sample *s)
{
	n->uid = e->uid;
	n->gid = e->gid;
	n->mtime = e->mtime;
	n->mtime_nsec = e->mtime_nsec;
	for (const struct sample_xattr *x = e->xattrs; x && x->name; x++)
		assert_int_equal(
			tree_set_xattr(k->tree, n, x->name, strlen(x->name),
				x->value, x->value_len),
			0);
	if (S_ISREG(e->mode)) {
		const struct sample_content *c = &s->contents[e->content];

		kit_room(k, n, c->len);
		if (c->len)
			kit_poke(k, n, 0, c->data, c->len);
	} else if (S_ISLNK(e->mode)) {
		assert_int_equal(tree_set_target(k->tree, n, e->target,
					 strlen(e->target)),
			0);
	} else if (S_ISCHR(e->mode) || S_ISBLK(e->mode)) {
		n->major = e->major;
		n->minor = e->minor;
	}
}

static void add_sample(struct kit *k, const struct sample *s)
{
	struct tree_node *nodes[64] = {NULL, k->root};

	for (size_t i = 0; i < s->entry_count; i++) {
		const struct sample_entry *e = &s->entries[i];
		struct tree_node **n = &nodes[e->ino];

		assert_true(e->ino < ARRAY_LEN(nodes));
		if (*n && i > 0) {
			kit_link(k, nodes[e->parent], e->name, *n);
			continue;
		}
		if (i > 0)
			*n = kit_add(k, nodes[e->parent], e->name, e->mode);
		(*n)->mode = e->mode;
		fill_node(k, *n, e, s);
	}
}

/* The sample's tables are made by other code, from the same specification. */
static void test_sample(void **state)
{
	struct kit *k = *state;
	struct sample s = sample_all_kinds(0);
	struct pack_result result;
	struct digest image_id, tree_id;

	assert_int_equal(
		sample_write(&s, k->image, &image_id, &tree_id, NULL), 0);
	add_sample(k, &s);
	kit_pack(k, &kit_options, &result);
	assert_memory_equal(&result.tree_id, &tree_id, sizeof(tree_id));
	image_free(kit_open(k));
}

/* Everything that the ids depend on is given here, and nothing is the file
 * system's. */
static void add_golden(struct kit *k)
{
	struct tree_node *d = kit_add(k, k->root, "folder", S_IFDIR | 02750);
	struct tree_node *n = kit_noise(k, "large", 42, 3 * FRAME + 5);

	k->root->mode = S_IFDIR | 0755;
	k->root->mtime = 1700000000;
	d->uid = 1000;
	d->gid = 4294967294;
	d->mtime = -1;
	d->mtime_nsec = 999999999;
	n->mode = S_IFREG | 04755;
	kit_xattr(k, n, "user.name", "value");
	kit_xattr(k, n, "security.capability", "c");
	kit_link(k, d, "hard", n);
	(void)kit_file(k, "b.txt", "two words", 9);
	(void)kit_file(k, "c.sh", "#!/bin/sh\n", 10);
	(void)kit_file(k, "d.txt", "three more words", 16);
	(void)kit_file(k, "text", "stele\n", 6);
	(void)kit_file(k, "twin", "stele\n", 6);
	(void)kit_sparse(k, "empty", 0);
	n = kit_sparse(k, "sparse", 9 * FRAME + 1);
	kit_poke(k, n, 4 * FRAME, "some bytes", 10);
	n = kit_add(k, d, "link\xff\n", S_IFLNK | 0777);
	assert_int_equal(tree_set_target(k->tree, n, "../text", 7), 0);
	n = kit_add(k, d, "null", S_IFCHR | 0666);
	n->major = 1;
	n->minor = 3;
	(void)kit_add(k, d, "fifo", S_IFIFO | 0600);
	(void)kit_add(k, d, "socket", S_IFSOCK | 0700);
}

/*
 * The tree id never changes within version 1 of the format: the same tree would
 * get another name. The image id, at level 0 since a compressor's output
 * depends on its version, changes only with a decision to place contents in
 * another way, which FORMAT.md leaves to the writer.
 */
static void test_golden_ids(void **state)
{
	struct kit *k = *state;
	struct pack_options opt = kit_options;
	struct pack_result result;

	opt.level = 0;
	add_golden(k);
	kit_pack(k, &opt, &result);
	kit_hex(&result.tree_id, "84b11d7cf22cd90ff059a2ebd5309d11"
				 "c1c2bd796a29a55e8d73a9d6e4ab84d8");
	kit_hex(&result.image_id, "b24afb82ef6a73ab3de42546f97f372c"
				  "50be9c332481b9753cb7c5badd705adf");
	assert_int_equal(result.objects, 7);
	assert_int_equal(result.file_bytes,
		3 * FRAME + 5 + 6 + 6 + 9 + 10 + 16 + 9 * FRAME + 1);
	assert_int_equal(result.object_bytes, result.file_bytes - 6);
	image_free(kit_open(k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(test_sample),
		KIT_TEST(test_golden_ids),
		KIT_TEST(test_same_bytes),
		KIT_TEST(test_frame_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
