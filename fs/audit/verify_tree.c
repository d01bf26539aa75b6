/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree of a walk over a ledger, and who is right when a record and
 * its tile differ; see verify_internal.h.
 *
 * Three things say what a leaf is: its row, the hash in its tile, and each
 * signed root above it. Only the last can't be made by who changed the file.
 * So a difference between the first two is a doubt until the next signed root:
 *
 *	the root is that of the rows	the tile was changed
 *	the root is that of the tiles	the rows in doubt were changed, and the
 *					tree goes on as the tiles have it
 *	neither				something since the last good root was
 *					changed, in both or where no tile is
 */
#include <assert.h>
#include <string.h>

#include "fs/audit/verify_internal.h"

void verify_tree_begin(struct verify *v)
{
	v->tree.rows.known = true;
	merkle_leaf(v->hasher, "", 0, &v->tree.nothing);
}

static uint64_t first_of(uint64_t tile)
{
	return tile * MERKLE_TILE + 1;
}

/* ---- tiles ---- */

static void bad_tile(struct verify *v, const char *what)
{
	uint64_t n = v->tree.tile.n;

	verify_find(v, VERIFY_EDITED,
		&(struct verify_about){
			.first = first_of(n),
			.last = first_of(n) + MERKLE_TILE - 1,
		},
		"tile %llu, of records %llu to %llu: %s", (unsigned long long)n,
		(unsigned long long)first_of(n),
		(unsigned long long)(first_of(n) + MERKLE_TILE - 1), what);
}

/* The columns root and leaves of the row that s is at. */
static enum verify_tile_state take_tile(struct verify *v, struct db_stmt *s)
{
	struct verify_tile *t = &v->tree.tile;
	struct digest root;
	size_t len = 0;
	const void *bytes = db_bytes(s, 0, &len);

	if (db_type(s, 0) != DB_BLOB || len != DIGEST_LEN) {
		bad_tile(v, "its root is no digest: it was changed");
		return VERIFY_TILE_NONE;
	}
	memcpy(&t->root, bytes, DIGEST_LEN);
	if (db_is_null(s, 1))
		return VERIFY_TILE_REMOVED;
	bytes = db_bytes(s, 1, &len);
	if (db_type(s, 1) != DB_BLOB || len != sizeof(t->leaves)) {
		bad_tile(v, "its leaves are no digests: it was changed");
		return VERIFY_TILE_NONE;
	}
	memcpy(t->leaves, bytes, len);
	merkle_tile_root(v->hasher, t->leaves, &root);
	if (!digest_equal(&root, &t->root))
		bad_tile(v, "its root is not that of its leaves: it was "
			    "changed");
	return VERIFY_TILE_FULL;
}

int verify_tree_load(struct verify *v)
{
	struct verify_tile *t = &v->tree.tile;
	uint64_t n = v->tree.size / MERKLE_TILE;
	int r;

	if (t->loaded && t->n == n)
		return 0;
	t->loaded = true;
	t->n = n;
	t->state = VERIFY_TILE_NONE;
	db_bind_int(v->tile_stmt, (int64_t)n);
	r = db_next(v->tile_stmt);
	if (r > 0)
		t->state = take_tile(v, v->tile_stmt);
	db_rewind(v->tile_stmt);
	/* In the middle of a tile its root alone is of no use. */
	if (t->state == VERIFY_TILE_REMOVED && v->tree.size % MERKLE_TILE)
		t->state = VERIFY_TILE_NONE;
	return r < 0 ? r : 0;
}

/* ---- growing ---- */

/* About the records behind the tree so far, up to this one. */
static void doubt(struct verify_tree *t, bool gone, uint64_t last)
{
	struct verify_doubt *d = t->doubts + t->doubt_count;
	uint64_t first = t->size + 1;

	if (t->doubt_count > 0 && d[-1].gone == gone && d[-1].last + 1 == first)
		d[-1].last = last;
	else if (t->doubt_count < ARRAY_LEN(t->doubts))
		t->doubts[t->doubt_count++] =
			(struct verify_doubt){gone, first, last};
	else
		t->doubts_more++;
}

static void add(struct verify *v, struct verify_side *s, const struct digest *d)
{
	if (s->known)
		merkle_add(&s->tree, v->hasher, d);
}

static void split(struct verify_tree *t)
{
	if (t->split)
		return;
	t->split = true;
	t->tiles = t->rows;
}

void verify_tree_add(struct verify *v, const struct digest *leaf)
{
	struct verify_tree *t = &v->tree;
	const struct digest *other =
		t->tile.state == VERIFY_TILE_FULL
			? &t->tile.leaves[t->size % MERKLE_TILE]
			: NULL;
	bool gone = !leaf, differs;

	if (gone) {
		leaf = &t->nothing;
		t->holes = true;
	}
	differs = other && !digest_equal(leaf, other);
	if (differs)
		split(t);
	if (gone || differs)
		doubt(t, gone, t->size + 1);
	add(v, &t->rows, leaf);
	if (t->split)
		add(v, &t->tiles, other ? other : leaf);
	t->size++;
	if (t->size % MERKLE_TILE == 0 && t->tile.state == VERIFY_TILE_NONE)
		bad_tile(v, "it is missing: it was removed");
}

void verify_tree_add_removed(struct verify *v)
{
	struct verify_tree *t = &v->tree;

	assert(t->size % MERKLE_TILE == 0);
	if (t->rows.known)
		merkle_add_tile(&t->rows.tree, v->hasher, &t->tile.root);
	if (t->split && t->tiles.known)
		merkle_add_tile(&t->tiles.tree, v->hasher, &t->tile.root);
	t->size += MERKLE_TILE;
}

void verify_tree_skip(struct verify *v, uint64_t size)
{
	struct verify_tree *t = &v->tree;

	doubt(t, true, size);
	t->rows.known = false;
	t->tiles.known = false;
	t->size = size;
}

/* ---- judging ---- */

static void tell_doubt(struct verify *v, const struct verify_doubt *d,
	const char *changed, const char *gone)
{
	const struct verify_about about = {.first = d->first, .last = d->last};
	const char *what = d->gone ? gone : changed;

	if (d->first == d->last)
		verify_find(v, VERIFY_EDITED, &about, "record %llu: %s",
			(unsigned long long)d->first, what);
	else
		verify_find(v, VERIFY_EDITED, &about,
			"records %llu to %llu: %s",
			(unsigned long long)d->first,
			(unsigned long long)d->last, what);
}

static void tell_doubts(struct verify *v, const char *changed, const char *gone)
{
	struct verify_tree *t = &v->tree;

	for (size_t i = 0; i < t->doubt_count; i++)
		tell_doubt(v, &t->doubts[i], changed, gone);
	v->ret->found[VERIFY_EDITED] += t->doubts_more;
	t->doubt_count = 0;
	t->doubts_more = 0;
}

static bool is_root(struct verify *v, const struct verify_side *s,
	const struct digest *want)
{
	struct digest root;

	if (!s->known)
		return false;
	merkle_root(&s->tree, v->hasher, &root);
	return digest_equal(&root, want);
}

/* Both are right: what did not fit before was no history of this ledger. */
static void tell_other_history(struct verify *v)
{
	struct verify_tree *t = &v->tree;

	if (t->bad_count > 0)
		verify_find(v, VERIFY_FORKED,
			&(struct verify_about){
				.has_checkpoint = true,
				.checkpoint = t->bad,
			},
			"%llu signed root%s from size %llu on %s another "
			"history than the records and later roots",
			(unsigned long long)t->bad_count,
			t->bad_count == 1 ? "" : "s",
			(unsigned long long)t->bad,
			t->bad_count == 1 ? "tells" : "tell");
	t->bad_count = 0;
}

enum verify_match verify_tree_root(
	struct verify *v, const struct digest *root, bool own)
{
	struct verify_tree *t = &v->tree;

	if (!t->rows.known && !(t->split && t->tiles.known))
		return VERIFY_UNKNOWN;
	if (is_root(v, &t->rows, root)) {
		tell_doubts(v,
			"as signed, but the hash kept in the tile was changed",
			"gone before a mount went on with --recover, which "
			"signed that it is");
	} else if (t->split && is_root(v, &t->tiles, root)) {
		tell_doubts(v, "edited after it was signed",
			"removed after it was signed");
		t->rows = t->tiles;
	} else if (t->holes) {
		/* That they are gone is enough of a reason. */
		t->rows.known = false;
		t->tiles.known = false;
		return VERIFY_UNKNOWN;
	} else if (own) {
		if (t->bad_count++ == 0)
			t->bad = t->size;
		return VERIFY_OTHER;
	} else {
		/* What is known to be wrong can't tell of more. */
		return t->bad_count > 0 ? VERIFY_UNKNOWN : VERIFY_OTHER;
	}
	tell_other_history(v);
	t->split = false;
	t->holes = false;
	t->good = t->size;
	return VERIFY_SAME;
}

/* Without a tile, one record that is gone takes the proof of all that are under
 * the same roots, and the tree is not found again. */
static void tell_unproved(struct verify *v)
{
	struct verify_tree *t = &v->tree;
	uint64_t first = t->good + 1;
	uint64_t last = v->sealed < t->size ? v->sealed : t->size;

	if (t->rows.known || t->tiles.known || last < first)
		return;
	verify_find(v, VERIFY_EDITED,
		&(struct verify_about){.first = first, .last = last},
		"records %llu to %llu: not proved, since others among them are "
		"gone; they may have been edited, too",
		(unsigned long long)first, (unsigned long long)last);
}

void verify_tree_end(struct verify *v)
{
	struct verify_tree *t = &v->tree;
	uint64_t bad = t->bad;

	tell_unproved(v);
	if (t->bad_count > 0)
		verify_find(v, VERIFY_EDITED,
			&(struct verify_about){
				.first = t->good + 1,
				.last = bad,
				.has_checkpoint = true,
				.checkpoint = bad,
			},
			"one or more of the records %llu to %llu are not as "
			"they were signed: the root of the checkpoint of size "
			"%llu is another",
			(unsigned long long)t->good + 1,
			(unsigned long long)bad, (unsigned long long)bad);
	tell_doubts(v, "not what the tile says: one of the two was changed",
		"removed");
}
