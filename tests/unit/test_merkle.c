/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree against the reference data of Certificate Transparency, and
 * against the recursive definitions of RFC 6962 in these few lines.
 */
#include <string.h>

#include "fs/seal/merkle.h"
#include "tests/unit/unit.h"

#define LEAVES 1100
#define ROOT_SIZES 300
#define PROOF_SIZES 70
#define PROOF_MAX (64 * sizeof(struct digest))

/* The leaves of the reference data, and the roots of their first n. */
static const struct {
	const char *bytes;
	size_t len;
	const char *root;
} reference[] = {
	{"", 0,
		"6e340b9cffb37a989ca544e6bb780a2c"
		"78901d3fb33738768511a30617afa01d"},
	{"\x00", 1,
		"fac54203e7cc696cf0dfcb42c92a1d9d"
		"baf70ad9e621f4bd8d98662f00e3c125"},
	{"\x10", 1,
		"aeb6bcfe274b70a14fb067a5e5578264"
		"db0fa9b51af5e0ba159158f329e06e77"},
	{"\x20\x21", 2,
		"d37ee418976dd95753c1c73862b9398f"
		"a2a2cf9b4ff0fdfe8b30cd95209614b7"},
	{"\x30\x31", 2,
		"4e3bbb1f7b478dcfe71fb631631519a3"
		"bca12c9aefca1612bfce4c13a86264d4"},
	{"@ABC", 4,
		"76e67dadbcdf1e10e1b74ddc608abd2f"
		"98dfb16fbce75277b5232a127f2087ef"},
	{"PQRSTUVW", 8,
		"ddb89be403809e325750d3d263cd7892"
		"9c2942b7942a34b77e122c9594a74c8c"},
	{"`abcdefghijklmno", 16,
		"5dc9da79a70659a9ad559cb701ded9a2"
		"ab9d823aad2f4960cfe370eff4604328"},
};

/* Nodes of the reference tree, named by their leaves. */
#define LEAF_0 \
	"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
#define LEAF_1 \
	"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
#define LEAF_4 \
	"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
#define NODE_01 \
	"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
#define NODE_23 \
	"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
#define NODE_45 \
	"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
#define NODE_67 \
	"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
#define NODE_0123 \
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
#define NODE_4567 \
	"6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"

/* Proofs of the reference data. */
static const struct known_proof {
	uint64_t from, size;
	const char *hashes[4];
} known_inclusion[] =
	{
		{0, 1, {NULL}},
		{0, 8, {LEAF_1, NODE_23, NODE_4567}},
		{5, 8, {LEAF_4, NODE_67, NODE_0123}},
		{2, 3, {NODE_01}},
		{1, 5, {LEAF_0, NODE_23, LEAF_4}},
},
  known_consistency[] = {
	  {1, 1, {NULL}},
	  {1, 8, {LEAF_1, NODE_23, NODE_4567}},
	  {6, 8, {NODE_45, NODE_67, NODE_0123}},
	  {2, 5, {NODE_23, LEAF_4}},
};

struct fixture {
	struct hasher *h;
	struct digest leaves[LEAVES];
	struct digest known[ARRAY_LEN(reference)];
	unsigned asked;	  /* subtrees that proofs have asked for */
	unsigned fail_at; /* the ask that fails; 0: none */
};

/* Three functions as RFC 6962, 2.1, defines them, on leaf hashes. */

static uint64_t split(uint64_t n)
{
	uint64_t k = 1;

	while (k * 2 < n)
		k *= 2;
	return k;
}

static void naive_root(struct hasher *h, const struct digest *d, uint64_t n,
	struct digest *ret)
{
	struct digest left, right;
	uint64_t k = split(n);

	if (n == 1) {
		*ret = *d;
		return;
	}
	naive_root(h, d, k, &left);
	naive_root(h, d + k, n - k, &right);
	hasher_begin(h);
	hasher_add(h, "\x01", 1);
	hasher_add(h, &left, sizeof(left));
	hasher_add(h, &right, sizeof(right));
	hasher_end(h, ret);
}

static void put_root(
	struct hasher *h, const struct digest *d, uint64_t n, struct buf *ret)
{
	struct digest root;

	naive_root(h, d, n, &root);
	assert_int_equal(buf_add(ret, &root, sizeof(root)), 0);
}

static void naive_path(struct hasher *h, uint64_t m, const struct digest *d,
	uint64_t n, struct buf *ret)
{
	uint64_t k = split(n);

	if (n == 1)
		return;
	if (m < k) {
		naive_path(h, m, d, k, ret);
		put_root(h, d + k, n - k, ret);
	} else {
		naive_path(h, m - k, d + k, n - k, ret);
		put_root(h, d, k, ret);
	}
}

static void naive_proof(struct hasher *h, uint64_t m, const struct digest *d,
	uint64_t n, bool whole, struct buf *ret)
{
	uint64_t k = split(n);

	if (m == n) {
		if (!whole)
			put_root(h, d, n, ret);
	} else if (m <= k) {
		naive_proof(h, m, d, k, whole, ret);
		put_root(h, d + k, n - k, ret);
	} else {
		naive_proof(h, m - k, d + k, n - k, false, ret);
		put_root(h, d, k, ret);
	}
}

/* What a proof may ask for: whole perfect subtrees, in their places. */
static int ask(void *arg, uint64_t first, unsigned level, struct digest *ret)
{
	struct fixture *f = arg;
	uint64_t n = 1ull << level;

	assert_int_equal(first % n, 0);
	assert_true(first + n <= LEAVES);
	if (++f->asked == f->fail_at)
		return -EIO;
	naive_root(f->h, f->leaves + first, n, ret);
	return 0;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	*state = f;
	f->h = hasher_new();
	for (uint32_t i = 0; f->h && i < LEAVES; i++)
		merkle_leaf(f->h, &i, sizeof(i), &f->leaves[i]);
	for (size_t i = 0; f->h && i < ARRAY_LEN(reference); i++)
		merkle_leaf(f->h, reference[i].bytes, reference[i].len,
			&f->known[i]);
	return f->h ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	hasher_free(f->h);
	free(f);
	return 0;
}

static void hex_is(const struct digest *d, const char *expected)
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_hex(d, hex);
	assert_string_equal(hex, expected);
}

static void test_reference_roots(void **state)
{
	struct fixture *f = *state;
	struct merkle m = {0};
	struct digest root;

	merkle_root(&m, f->h, &root);
	hex_is(&root, "e3b0c44298fc1c149afbf4c8996fb924"
		      "27ae41e4649b934ca495991b7852b855");
	for (size_t i = 0; i < ARRAY_LEN(reference); i++) {
		merkle_add(&m, f->h, &f->known[i]);
		assert_int_equal(m.size, i + 1);
		merkle_root(&m, f->h, &root);
		hex_is(&root, reference[i].root);
	}
}

static void proof_is(const struct buf *b, const char *const *hashes)
{
	const struct digest *d = (const void *)b->data;
	size_t n = 0;

	for (; hashes[n]; n++) {
		assert_true(b->len >= (n + 1) * sizeof(*d));
		hex_is(&d[n], hashes[n]);
	}
	assert_int_equal(b->len, n * sizeof(*d));
}

static void test_reference_proofs(void **state)
{
	struct fixture *f = *state;

	memcpy(f->leaves, f->known, sizeof(f->known));
	for (size_t i = 0; i < ARRAY_LEN(known_inclusion); i++) {
		const struct known_proof *k = &known_inclusion[i];
		_cleanup_buf_ struct buf b = {.max = PROOF_MAX};

		assert_int_equal(
			merkle_inclusion(f->h, k->from, k->size, ask, f, &b),
			0);
		proof_is(&b, k->hashes);
	}
	for (size_t i = 0; i < ARRAY_LEN(known_consistency); i++) {
		const struct known_proof *k = &known_consistency[i];
		_cleanup_buf_ struct buf b = {.max = PROOF_MAX};

		assert_int_equal(
			merkle_consistency(f->h, k->from, k->size, ask, f, &b),
			0);
		proof_is(&b, k->hashes);
	}
}

static void test_roots_of_all_sizes(void **state)
{
	struct fixture *f = *state;
	struct merkle m = {0};

	for (uint64_t n = 1; n <= ROOT_SIZES; n++) {
		struct digest root, naive;

		merkle_add(&m, f->h, &f->leaves[n - 1]);
		merkle_root(&m, f->h, &root);
		naive_root(f->h, f->leaves, n, &naive);
		assert_memory_equal(&root, &naive, sizeof(root));
	}
}

static void test_a_tile_is_as_its_leaves(void **state)
{
	struct fixture *f = *state;
	struct merkle one = {0}, whole = {0};
	struct digest a, b;
	unsigned i = 0;

	for (; i + MERKLE_TILE <= LEAVES; i += MERKLE_TILE) {
		merkle_tile_root(f->h, f->leaves + i, &a);
		naive_root(f->h, f->leaves + i, MERKLE_TILE, &b);
		assert_memory_equal(&a, &b, sizeof(a));
		merkle_add_tile(&whole, f->h, &a);
		for (unsigned n = 0; n < MERKLE_TILE; n++)
			merkle_add(&one, f->h, &f->leaves[i + n]);
		assert_int_equal(whole.size, one.size);
		merkle_root(&one, f->h, &a);
		merkle_root(&whole, f->h, &b);
		assert_memory_equal(&a, &b, sizeof(a));
	}
	/* A copy grows on its own, from whole tiles to single leaves. */
	struct merkle copy = whole;

	for (; i < LEAVES; i++) {
		merkle_add(&one, f->h, &f->leaves[i]);
		merkle_add(&copy, f->h, &f->leaves[i]);
	}
	merkle_root(&one, f->h, &a);
	merkle_root(&copy, f->h, &b);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(whole.size, LEAVES / MERKLE_TILE * MERKLE_TILE);
}

/* An inclusion proof with all that it is about, so that it can be damaged. */
struct claim {
	uint64_t from, size;
	struct digest leaf, root; /* leaf or old root */
	const struct digest *proof;
	size_t count;
};

static int check_path(struct hasher *h, const struct claim *c)
{
	return merkle_check_inclusion(
		h, &c->leaf, c->from, c->size, c->proof, c->count, &c->root);
}

static int check_growth(struct hasher *h, const struct claim *c)
{
	return merkle_check_consistency(
		h, c->from, &c->leaf, c->size, &c->root, c->proof, c->count);
}

typedef int (*checker)(struct hasher *h, const struct claim *c);

static void flip(void *bytes, size_t bit)
{
	((uint8_t *)bytes)[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

/* Each bit of a hash, in turn; all of them for the small trees. */
static void damage_bits(
	struct hasher *h, const struct claim *c, checker check, size_t step)
{
	_cleanup_free_ struct digest *copy =
		calloc(c->count + 1, sizeof(*copy));
	struct claim bad = *c;

	assert_non_null(copy);
	if (c->count)
		memcpy(copy, c->proof, c->count * sizeof(*copy));
	bad.proof = copy;
	for (size_t bit = 0; bit < c->count * DIGEST_LEN * 8; bit += step) {
		flip(copy, bit);
		assert_int_equal(check(h, &bad), -EBADMSG);
		flip(copy, bit);
	}
	for (size_t bit = 0; bit < DIGEST_LEN * 8; bit += step) {
		flip(&bad.leaf, bit);
		assert_int_equal(check(h, &bad), -EBADMSG);
		flip(&bad.leaf, bit);
		flip(&bad.root, bit);
		assert_int_equal(check(h, &bad), -EBADMSG);
		flip(&bad.root, bit);
	}
	assert_int_equal(check(h, &bad), 0);

	/* A hash too many, at the end; one too few. */
	bad.count++;
	assert_int_equal(check(h, &bad), -EBADMSG);
	bad.count = c->count - 1;
	if (c->count)
		assert_int_equal(check(h, &bad), -EBADMSG);
}

static size_t damage_step(uint64_t size)
{
	return size <= 9 ? 1 : 61; /* a prime: all bits of bytes have turns */
}

static void test_every_inclusion_proof(void **state)
{
	struct fixture *f = *state;

	for (uint64_t size = 1; size <= PROOF_SIZES; size++)
		for (uint64_t i = 0; i < size; i++) {
			_cleanup_buf_ struct buf b = {.max = PROOF_MAX};
			_cleanup_buf_ struct buf naive = {.max = PROOF_MAX};
			struct claim c = {
				.from = i, .size = size, .leaf = f->leaves[i]};

			assert_int_equal(
				merkle_inclusion(f->h, i, size, ask, f, &b), 0);
			naive_path(f->h, i, f->leaves, size, &naive);
			assert_int_equal(b.len, naive.len);
			if (b.len)
				assert_memory_equal(b.data, naive.data, b.len);
			naive_root(f->h, f->leaves, size, &c.root);
			c.proof = (const void *)b.data;
			c.count = b.len / sizeof(*c.proof);
			assert_int_equal(check_path(f->h, &c), 0);
			damage_bits(f->h, &c, check_path, damage_step(size));
		}
}

/* The same leaf proved at another place, or in a tree of another size. */
static void test_a_path_is_of_one_place(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 0; i < 21; i++) {
		_cleanup_buf_ struct buf b = {.max = PROOF_MAX};
		struct claim c = {.from = i, .size = 21, .leaf = f->leaves[i]};

		assert_int_equal(merkle_inclusion(f->h, i, 21, ask, f, &b), 0);
		naive_root(f->h, f->leaves, 21, &c.root);
		c.proof = (const void *)b.data;
		c.count = b.len / sizeof(*c.proof);
		for (c.from = 0; c.from < 40; c.from++)
			assert_int_equal(check_path(f->h, &c),
				c.from == i ? 0 : -EBADMSG);
		c.from = UINT64_MAX;
		assert_int_equal(check_path(f->h, &c), -EBADMSG);
	}
}

static void test_every_consistency_proof(void **state)
{
	struct fixture *f = *state;

	for (uint64_t size = 1; size <= PROOF_SIZES; size++)
		for (uint64_t old = 1; old <= size; old++) {
			_cleanup_buf_ struct buf b = {.max = PROOF_MAX};
			_cleanup_buf_ struct buf naive = {.max = PROOF_MAX};
			struct claim c = {.from = old, .size = size};

			assert_int_equal(
				merkle_consistency(f->h, old, size, ask, f, &b),
				0);
			naive_proof(f->h, old, f->leaves, size, true, &naive);
			assert_int_equal(b.len, naive.len);
			if (b.len)
				assert_memory_equal(b.data, naive.data, b.len);
			naive_root(f->h, f->leaves, old, &c.leaf);
			naive_root(f->h, f->leaves, size, &c.root);
			c.proof = (const void *)b.data;
			c.count = b.len / sizeof(*c.proof);
			assert_int_equal(check_growth(f->h, &c), 0);
			damage_bits(f->h, &c, check_growth, damage_step(size));
		}
}

/* A tree whose past was rewritten has no proof: neither history's fits. */
static void test_a_rewritten_past_is_refused(void **state)
{
	struct fixture *f = *state;

	for (uint64_t old = 1; old < 40; old++) {
		_cleanup_buf_ struct buf b = {.max = PROOF_MAX};
		struct claim c = {.from = old, .size = 40};

		naive_root(f->h, f->leaves, old, &c.leaf);
		flip(&f->leaves[old / 2], old);
		naive_root(f->h, f->leaves, 40, &c.root);
		assert_int_equal(
			merkle_consistency(f->h, old, 40, ask, f, &b), 0);
		c.proof = (const void *)b.data;
		c.count = b.len / sizeof(*c.proof);
		assert_int_equal(check_growth(f->h, &c), -EBADMSG);
		flip(&f->leaves[old / 2], old);
	}
}

static void test_numbers_that_are_no_proof(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = {.max = PROOF_MAX};
	const struct digest *d = f->leaves;
	struct hasher *h = f->h;

	assert_int_equal(merkle_inclusion(h, 0, 0, ask, f, &b), -EINVAL);
	assert_int_equal(merkle_inclusion(h, 5, 5, ask, f, &b), -EINVAL);
	assert_int_equal(merkle_consistency(h, 0, 5, ask, f, &b), -EINVAL);
	assert_int_equal(merkle_consistency(h, 0, 0, ask, f, &b), -EINVAL);
	assert_int_equal(merkle_consistency(h, 6, 5, ask, f, &b), -EINVAL);
	assert_int_equal(b.len, 0);
	assert_int_equal(merkle_check_inclusion(h, d, 0, 0, d, 0, d), -EBADMSG);
	assert_int_equal(
		merkle_check_consistency(h, 0, d, 5, d, d, 0), -EBADMSG);
	assert_int_equal(
		merkle_check_consistency(h, 0, d, 0, d, d, 0), -EBADMSG);
	assert_int_equal(
		merkle_check_consistency(h, 6, d, 5, d, d, 1), -EBADMSG);
	assert_int_equal(
		merkle_check_consistency(h, 6, d, 8, d, d, 0), -EBADMSG);
}

static void test_a_failed_proof_leaves_the_buf(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = {.max = PROOF_MAX};

	assert_int_equal(buf_add(&b, "before", 6), 0);
	for (unsigned n = 1;; n++) {
		f->asked = 0;
		f->fail_at = n;

		int r = merkle_inclusion(f->h, 13, 23, ask, f, &b);

		if (r == 0)
			break;
		assert_int_equal(r, -EIO);
		assert_int_equal(b.len, 6);
	}
	assert_true(f->asked > 3);
	f->fail_at = f->asked = 0;
	b.len = 6;
	b.max = 6 + 2 * sizeof(struct digest);
	assert_int_equal(merkle_consistency(f->h, 13, 23, ask, f, &b), -E2BIG);
	assert_int_equal(b.len, 6);
	assert_memory_equal(b.data, "before", 6);
}

/* All subtrees of one level are the same: any size can be asked for. */
static int ask_same(
	void *arg, uint64_t first, unsigned level, struct digest *ret)
{
	memset(ret, (int)level, sizeof(*ret));
	return 0;
}

/* Shifts by 63 and sums that would wrap. */
static void test_the_largest_trees(void **state)
{
	static const uint64_t sizes[] = {UINT64_MAX, UINT64_MAX - 1, 1ull << 63,
		(1ull << 63) + 1, INT64_MAX};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		_cleanup_buf_ struct buf b = {.max = PROOF_MAX};
		uint64_t n = sizes[i];

		assert_int_equal(
			merkle_inclusion(f->h, n - 1, n, ask_same, NULL, &b),
			0);
		b.len = 0;
		assert_int_equal(
			merkle_inclusion(f->h, 0, n, ask_same, NULL, &b), 0);
		assert_int_equal(b.len,
			(n > 1ull << 63 ? 64 : 63) * sizeof(struct digest));
		b.len = 0;
		assert_int_equal(
			merkle_consistency(f->h, n - 1, n, ask_same, NULL, &b),
			0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_reference_roots, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_reference_proofs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_roots_of_all_sizes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_tile_is_as_its_leaves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_every_inclusion_proof, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_path_is_of_one_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_every_consistency_proof, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_rewritten_past_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_numbers_that_are_no_proof, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_failed_proof_leaves_the_buf, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_the_largest_trees, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
