/* SPDX-License-Identifier: Apache-2.0 */
/* The tree and its tiles; see sealing.h. */
#include "fs/ledger/sealing.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* So many missing records can be mended; more are no accident. */
#define MEND_MAX 65536

struct sealing {
	struct db *db; /* borrowed */
	struct hasher *hasher;
	struct db_stmt *add, *roots, *leaves_of;
	struct merkle tree, tree_now; /* committed; with what was added since */
	/*
	 * Leaves of the last tile. A transaction that fills the tile goes on in
	 * the other half, so that the committed ones are still there if it
	 * fails: the first size % MERKLE_TILE of them.
	 */
	struct digest leaves[2][MERKLE_TILE];
	unsigned half, half_now;
};

int sealing_new(struct db *db, struct sealing **ret)
{
	_cleanup_(sealing_free) struct sealing *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->db = db;
	s->hasher = hasher_new();
	if (!s->hasher)
		return -ENOMEM;

	int r = db_prepare(db, "INSERT INTO tile VALUES(?, ?, ?)", &s->add);

	if (r == 0)
		r = db_prepare(db,
			"SELECT n, root FROM tile WHERE n < ? ORDER BY n",
			&s->roots);
	if (r == 0)
		r = db_prepare(db, "SELECT leaves FROM tile WHERE n = ?",
			&s->leaves_of);
	if (r < 0)
		return r;
	*ret = take_ptr(s);
	return 0;
}

void sealing_free(struct sealing *s)
{
	if (!s)
		return;
	db_stmt_free(s->add);
	db_stmt_free(s->roots);
	db_stmt_free(s->leaves_of);
	hasher_free(s->hasher);
	free(s);
}

int64_t sealing_next(const struct sealing *s)
{
	return (int64_t)s->tree_now.size + 1;
}

const struct merkle *sealing_tree(const struct sealing *s)
{
	return &s->tree;
}

/* ---- adding ---- */

/* All leaves but the last of a tile are in the tree: the root of the tile. */
static void tile_root(
	struct sealing *s, const struct digest *last, struct digest *ret)
{
	struct merkle tile = s->tree_now;

	tile.size = MERKLE_TILE - 1;
	merkle_add(&tile, s->hasher, last);
	*ret = tile.edge[MERKLE_TILE_LEVEL];
}

static int add_tile(struct sealing *s, const struct digest *root)
{
	db_bind_int(s->add, (int64_t)(s->tree_now.size / MERKLE_TILE));
	db_bind_bytes(s->add, root->bytes, DIGEST_LEN);
	db_bind_bytes(
		s->add, s->leaves[s->half_now], sizeof(s->leaves[s->half_now]));
	return db_run(s->add);
}

int sealing_add(struct sealing *s, const struct digest *leaf)
{
	size_t n = s->tree_now.size % MERKLE_TILE;

	s->leaves[s->half_now][n] = *leaf;
	if (n == MERKLE_TILE - 1) {
		struct digest root;

		tile_root(s, leaf, &root);

		int r = add_tile(s, &root);

		if (r < 0)
			return r;
		s->half_now = !s->half;
	}
	merkle_add(&s->tree_now, s->hasher, leaf);
	return 0;
}

void sealing_commit(struct sealing *s)
{
	s->tree = s->tree_now;
	s->half = s->half_now;
}

void sealing_abort(struct sealing *s)
{
	s->tree_now = s->tree;
	s->half_now = s->half;
}

/* ---- finding it again ---- */

/* Add the tiles before number end to an empty tree; how many there are. */
static int add_roots(struct sealing *s, int64_t end, struct merkle *ret)
{
	int64_t n = 0;
	int r;

	*ret = (struct merkle){0};
	db_bind_int(s->roots, end);
	while ((r = db_next(s->roots)) > 0) {
		struct digest root;
		size_t len;
		const void *bytes = db_bytes(s->roots, 1, &len);

		if (db_type(s->roots, 0) != DB_INT ||
			db_int(s->roots, 0) != n || !bytes ||
			len != DIGEST_LEN) {
			r = -EBADMSG;
			break;
		}
		memcpy(root.bytes, bytes, DIGEST_LEN);
		merkle_add_tile(ret, s->hasher, &root);
		n++;
	}
	db_rewind(s->roots);
	return r;
}

static int newest(struct sealing *s, int64_t *ret)
{
	return db_exec_int(s->db,
		"SELECT max(coalesce((SELECT max(seq) FROM attempt), 0),"
		" coalesce((SELECT max(seq) FROM event), 0))",
		ret);
}

static int missing(int r, int64_t seq, struct diag *diag)
{
	return diag_set(diag, r,
		"record %" PRId64 " is missing or was changed into something "
		"that is no record",
		seq);
}

static bool is_damage(int r)
{
	return r == -ENOENT || r == -EBADMSG;
}

/* The records behind the last tile, up to number last. */
static int load_tail(struct sealing *s, struct digests *digests, int64_t last,
	int64_t mend, struct diag *diag)
{
	struct digest leaf, nothing;
	int64_t mended = 0;

	merkle_leaf(s->hasher, "", 0, &nothing);
	for (int64_t seq = sealing_next(s); seq <= last; seq++) {
		int r = digests_leaf(digests, seq, &leaf);

		if (is_damage(r) && (seq > mend || ++mended > MEND_MAX))
			return missing(-EBADMSG, seq, diag);
		if (r < 0 && !is_damage(r))
			return diag_set(diag, r, "%s", db_error(s->db));
		r = sealing_add(s, r == 0 ? &leaf : &nothing);
		if (r < 0)
			return diag_set(diag, r, "%s", db_error(s->db));
	}
	return 0;
}

int sealing_load(struct sealing *s, struct digests *digests, int64_t mend,
	struct diag *diag)
{
	int64_t last;
	int r = add_roots(s, INT64_MAX, &s->tree_now);

	if (r == -EBADMSG)
		return diag_set(diag, r,
			"the list of tiles has a hole or a row that is none");
	if (r == 0)
		r = newest(s, &last);
	if (r < 0)
		return diag_set(diag, r, "%s", db_error(s->db));
	return load_tail(s, digests, last, mend, diag);
}

/* ---- the past ---- */

/* Leaves of a tile: of the last one from memory, of others from its row. */
static int leaves_of(
	struct sealing *s, uint64_t tile, size_t count, struct digest *ret)
{
	if (tile == s->tree.size / MERKLE_TILE) {
		memcpy(ret, s->leaves[s->half], count * sizeof(*ret));
		return 0;
	}
	db_bind_int(s->leaves_of, (int64_t)tile);

	int r = db_next(s->leaves_of);
	size_t len = 0;
	const void *bytes = r > 0 ? db_bytes(s->leaves_of, 0, &len) : NULL;

	if (r > 0)
		r = !bytes				? -ENODATA
		    : len == MERKLE_TILE * sizeof(*ret) ? 0
							: -EBADMSG;
	else if (r == 0)
		r = -EBADMSG;
	if (r == 0)
		memcpy(ret, bytes, count * sizeof(*ret));
	db_rewind(s->leaves_of);
	return r;
}

int sealing_root_at(struct sealing *s, uint64_t size, struct digest *ret)
{
	struct digest leaves[MERKLE_TILE];
	size_t rest = size % MERKLE_TILE;
	struct merkle m;

	if (size > s->tree.size)
		return -ENOENT;

	int r = add_roots(s, (int64_t)(size / MERKLE_TILE), &m);

	if (r == 0 && rest)
		r = leaves_of(s, size / MERKLE_TILE, rest, leaves);
	if (r < 0)
		return r;
	for (size_t i = 0; i < rest; i++)
		merkle_add(&m, s->hasher, &leaves[i]);
	merkle_root(&m, s->hasher, ret);
	return 0;
}
