/* SPDX-License-Identifier: Apache-2.0 */
/* Hashing the last records of a ledger; see start_tail.h. */
#include "fs/ledger/start_tail.h"

#include <string.h>

#include "fs/ledger/start.h"
#include "fs/seal/merkle.h"

/* One tile as its row has it. */
struct tile {
	uint64_t n;
	struct digest root;
	struct digest leaves[MERKLE_TILE];
};

/* Are the leaves those of the root? */
static bool is_whole(struct hasher *h, const struct tile *t)
{
	struct digest root;

	merkle_tile_root(h, t->leaves, &root);
	return digest_equal(&root, &t->root);
}

static int check_records(struct digests *digests, const struct tile *t,
	uint64_t first, uint64_t *ret_bad)
{
	for (uint64_t i = 0; i < MERKLE_TILE; i++) {
		uint64_t seq = t->n * MERKLE_TILE + i + 1;
		struct digest leaf;

		if (seq < first)
			continue;

		int r = digests_leaf(digests, (int64_t)seq, &leaf);

		if (r == -ENOENT ||
			(r == 0 && !digest_equal(&leaf, &t->leaves[i])))
			r = -EBADMSG;
		if (r == -EBADMSG)
			*ret_bad = seq;
		if (r < 0)
			return r;
	}
	return 0;
}

/* The row that s stands on; -ENODATA when its leaves were removed. */
static int read_tile(struct db_stmt *s, struct tile *ret)
{
	size_t root_len, leaves_len;
	const void *root, *leaves;

	ret->n = (uint64_t)db_int(s, 0);
	root = db_bytes(s, 1, &root_len);
	if (!root || root_len != DIGEST_LEN)
		return -EBADMSG;
	memcpy(&ret->root, root, DIGEST_LEN);
	leaves = db_bytes(s, 2, &leaves_len);
	if (!leaves)
		return -ENODATA;
	if (leaves_len != sizeof(ret->leaves))
		return -EBADMSG;
	memcpy(ret->leaves, leaves, leaves_len);
	return 0;
}

static int check_tile(struct db_stmt *s, struct hasher *h,
	struct digests *digests, uint64_t first, uint64_t *ret_bad)
{
	struct tile t;
	int r = read_tile(s, &t);

	if (r == -ENODATA)
		return 0;
	if (r < 0 || !is_whole(h, &t)) {
		*ret_bad = t.n * MERKLE_TILE + 1;
		return -EBADMSG;
	}
	return check_records(digests, &t, first, ret_bad);
}

int start_tail_recovered(struct db *db, int64_t *ret)
{
	return db_exec_int(db,
		"SELECT coalesce(max(seq), 0) FROM event"
		" WHERE kind = 'recovery' AND text NOT LIKE"
		" '{\"what\":\"crash\"%' AND text NOT LIKE"
		" '{\"what\":\"fold\"%' AND seq >"
		" (SELECT coalesce(max(n), 0) FROM tile) * 256 - 16384",
		ret);
}

int start_tail_check(struct db *db, struct digests *digests,
	const struct start_tail *tail, uint64_t *ret_bad)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	_cleanup_(hasher_free) struct hasher *h = hasher_new();
	uint64_t tiles = tail->size / MERKLE_TILE,
		 last = START_RECORDS / MERKLE_TILE,
		 begin = tiles > last ? tiles - last : 0,
		 first = tail->first ? tail->first : 1;
	int r = h ? 0 : -ENOMEM;

	if (r == 0)
		r = db_prepare(db,
			"SELECT n, root, leaves FROM tile"
			" WHERE n >= ? AND n < ? ORDER BY n",
			&s);
	if (r < 0)
		return r;
	if ((first - 1) / MERKLE_TILE > begin)
		begin = (first - 1) / MERKLE_TILE;
	db_bind_int(s, (int64_t)begin);
	db_bind_int(s, (int64_t)tiles);
	while ((r = db_next(s)) > 0) {
		r = check_tile(s, h, digests, first, ret_bad);
		if (r < 0)
			return r;
	}
	return r;
}

int start_tail_is_gone(struct db *db, uint64_t seq, bool *ret)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = db_prepare(db,
		"SELECT EXISTS(SELECT 1 FROM attempt WHERE seq >= ?1)"
		" + EXISTS(SELECT 1 FROM event WHERE seq >= ?1)",
		&s);

	if (r < 0)
		return r;
	db_bind_int(s, (int64_t)seq);
	r = db_next(s);
	if (r > 0)
		*ret = db_int(s, 0) == 0;
	return r < 0 ? r : 0;
}
