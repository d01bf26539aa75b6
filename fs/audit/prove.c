/* SPDX-License-Identifier: Apache-2.0 */
/* Making the proof of a record; see prove.h. prove_check.c checks it. */
#include "fs/audit/prove.h"

#include <assert.h>
#include <string.h>

#include "fs/audit/keys.h"
#include "fs/audit/reader.h"
#include "fs/audit/rows.h"
#include "fs/ledger/record.h"

enum { SQL_MAX = 2048, ANCESTORS_MAX = 17 };

struct prove {
	const char *path;
	uint64_t seq;
	struct diag *diag;
	struct db *db;
	struct digests *digests;
	struct rows *rows;
	struct hasher *hasher;
	struct db_stmt *tile;
	uint64_t size; /* of the checkpoint */
	struct proof proof;
};

static int failed(struct prove *p, int r)
{
	return diag_set(p->diag, r, "reading the ledger %s: %s", p->path,
		r == -ENOMEM ? "out of memory" : db_error(p->db));
}

static int not_proved(struct prove *p, const char *why)
{
	return diag_set(p->diag, -EBADMSG,
		"record %llu of %s can't be proved: %s; 'stele log verify' "
		"tells more",
		(unsigned long long)p->seq, p->path, why);
}

/* ---- rows that are referred to ---- */

struct name {
	char table;
	int64_t id; /* or the mount of a node */
	int64_t ino;
};

static int prepare_row(
	struct prove *p, const struct name *name, struct db_stmt **ret)
{
	const char *from = name->table == 'm'	? "mount WHERE id = ?"
			   : name->table == 'p' ? "proc WHERE id = ?"
						: "node WHERE mount_id = ?"
						  " AND ino = ?";
	_cleanup_buf_ struct buf sql;
	int count, r = 0;
	const char *const *columns = record_columns(name->table, &count);

	buf_init(&sql, SQL_MAX);
	for (int i = 0; r == 0 && i < count; i++)
		r = buf_printf(&sql, "%s %s", i ? "," : "SELECT", columns[i]);
	if (r == 0)
		r = buf_printf(&sql, " FROM %s", from);
	if (r == 0)
		r = buf_add(&sql, "", 1);
	if (r == 0)
		r = db_prepare(p->db, sql.data, ret);
	if (r < 0)
		return r;
	db_bind_int(*ret, name->id);
	if (name->table == 'n')
		db_bind_int(*ret, name->ino);
	return 0;
}

/* Add a row as its digest was made; its parent, 0: none. */
static int add_row(
	struct prove *p, const struct name *name, int64_t *ret_parent)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	struct record record;
	struct digest d;
	int count, r = prepare_row(p, name, &s);

	if (r == 0)
		r = db_next(s);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	(void)record_columns(name->table, &count);
	record_init(&record);
	record_read(&record, name->table, s, 0, count);
	*ret_parent = name->table == 'p' ? db_int(s, 1) : 0;
	if (name->table != 'm')
		r = digests_mount(
			p->digests, db_int(s, name->table == 'p' ? 2 : 0), &d);
	if (name->table != 'm' && r >= 0)
		record_refer(&record, &d);
	if (*ret_parent && r >= 0)
		r = digests_proc(p->digests, *ret_parent, &d);
	if (name->table == 'p' && r >= 0)
		record_refer(&record, *ret_parent ? &d : NULL);
	if (r >= 0)
		r = record_end(&record);
	if (r == 0)
		r = proof_add(&p->proof, PROOF_ROW, record.bytes.data,
			record.bytes.len);
	record_done(&record);
	return r;
}

static int add_rows(struct prove *p, const struct row_refers *to)
{
	struct name name = {.table = 'm', .id = to->mount};
	int64_t parent;
	int r = add_row(p, &name, &parent);

	parent = to->proc;
	for (int i = 0; r == 0 && parent && i < ANCESTORS_MAX; i++) {
		name = (struct name){.table = 'p', .id = parent};
		r = add_row(p, &name, &parent);
	}
	if (r == 0 && to->ino) {
		name = (struct name){
			.table = 'n', .id = to->mount, .ino = to->ino};
		r = add_row(p, &name, &parent);
	}
	return r;
}

/* ---- the record ---- */

static int no_record(struct prove *p)
{
	int64_t last = 0;
	int r = db_exec_int(p->db,
		"SELECT max(coalesce((SELECT max(seq) FROM attempt), 0),"
		" coalesce((SELECT max(seq) FROM event), 0))",
		&last);

	if (r < 0)
		return failed(p, r);
	return diag_set(p->diag, -ENOENT,
		"%s has no record %llu; its last one is %lld%s", p->path,
		(unsigned long long)p->seq, (long long)last,
		(int64_t)p->seq <= last ? ", and others were removed" : "");
}

static int add_record(struct prove *p)
{
	const struct buf *bytes;
	struct row row;
	int r = rows_start(p->rows, (int64_t)p->seq);

	if (r == 0)
		r = rows_next(p->rows, &row);
	if (r < 0)
		return failed(p, r);
	if (r == 0 || row.seq != (int64_t)p->seq)
		return no_record(p);
	if (!row.possible)
		return not_proved(p, "it was changed");
	bytes = rows_bytes(p->rows);
	r = proof_add(&p->proof, PROOF_RECORD, bytes->data, bytes->len);
	if (r == 0)
		r = add_rows(p, &row.refers);
	if (r == -ENOENT || r == -EBADMSG)
		return not_proved(p, "a row that it refers to was changed");
	p->proof.index = p->seq - 1;
	return r < 0 ? failed(p, r) : 0;
}

/* ---- the checkpoint and its keys ---- */

static int add_checkpoint(struct prove *p)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	size_t len = 0;
	const char *text;
	int r = db_prepare(p->db,
		"SELECT size, note FROM checkpoint WHERE size >= ?"
		" ORDER BY size LIMIT 1",
		&s);

	if (r < 0)
		return failed(p, r);
	db_bind_int(s, (int64_t)p->seq);
	r = db_next(s);
	if (r < 0)
		return failed(p, r);
	if (r == 0)
		return diag_set(p->diag, -EAGAIN,
			"record %llu of %s is not signed yet; a mount that "
			"runs signs within a minute",
			(unsigned long long)p->seq, p->path);
	p->size = (uint64_t)db_int(s, 0);
	text = db_bytes(s, 1, &len);
	if (!text || len > NOTE_MAX)
		return not_proved(p, "its checkpoint was changed");
	r = buf_add(&p->proof.note, text, len);
	return r < 0 ? failed(p, r) : 0;
}

/* Is the checkpoint by the key of this row of epoch? */
static int is_signer(struct prove *p, struct db_stmt *s, struct note_key *ret)
{
	size_t len = 0;
	const char *text = db_bytes(s, 0, &len);

	if (!text || note_key_parse(text, len, ret) < 0)
		return -EBADMSG;

	int r = note_check(p->proof.note.data, p->proof.note.len, ret);

	return r == 0 ? 1 : r == -ENOKEY ? 0 : r;
}

/* The notes from the key that is known, behind it, to the one that signed. */
static int walk_keys(
	struct prove *p, struct db_stmt *s, const struct note_key *known)
{
	bool begun = !known;
	struct note_key key;
	int r, found = 0;
	int64_t number = 0;

	while (found == 0 && (r = db_next(s)) > 0) {
		size_t len = 0;
		const char *note = db_bytes(s, 1, &len);

		/* A damaged tree of pages can lead round in a ring. */
		if (db_int(s, 2) != number)
			return -EBADMSG;
		if (begun && number > 0) {
			if (!note)
				return -EBADMSG;
			r = proof_add(&p->proof, PROOF_KEY, note, len);
			if (r < 0)
				return r;
		}
		found = is_signer(p, s, &key);
		if (found < 0)
			return found;
		if (!begun)
			begun = memcmp(known->key, key.key, SIGN_PUBLIC_LEN) ==
				0;
		number++;
	}
	if (found == 0)
		return r < 0 ? r : -EBADMSG;
	return begun ? 0 : -ENOKEY;
}

static int add_keys(struct prove *p, const struct note_key *known)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = db_prepare(p->db,
		"SELECT key, note, number FROM epoch ORDER BY number", &s);

	if (r == 0)
		r = walk_keys(p, s, known);
	switch (r) {
	case -ENOKEY:
		return diag_set(p->diag, r,
			"the key that was given is not of %s, or is later than "
			"the one that signed record %llu",
			p->path, (unsigned long long)p->seq);
	case -EBADMSG:
		return not_proved(p, "its checkpoint, or a change of keys "
				     "before it, is not well");
	case -E2BIG:
		return diag_set(p->diag, r,
			"too many keys lead to record %llu: make the proof for "
			"a later one with --public-key ('stele log key "
			"--number')",
			(unsigned long long)p->seq);
	default: return r < 0 ? failed(p, r) : 0;
	}
}

/* ---- the path ---- */

/* The leaves of a tile, or its root alone. 1; 0: there is no such row. */
static int read_tile(struct prove *p, uint64_t n, struct digest *ret_root,
	struct digest ret_leaves[MERKLE_TILE])
{
	size_t len = 0;
	const void *bytes;
	int r;

	db_rewind(p->tile);
	db_bind_int(p->tile, (int64_t)n);
	r = db_next(p->tile);
	if (r <= 0)
		return r;
	bytes = db_bytes(p->tile, 0, &len);
	if (!bytes || len != DIGEST_LEN)
		return -EBADMSG;
	memcpy(ret_root, bytes, len);
	if (!ret_leaves)
		return 1;
	bytes = db_bytes(p->tile, 1, &len);
	if (!bytes || len != MERKLE_TILE * DIGEST_LEN)
		return -EBADMSG;
	memcpy(ret_leaves, bytes, len);
	return 1;
}

static int add_leaves(
	struct prove *p, uint64_t first, uint64_t count, struct merkle *to)
{
	struct digest leaves[MERKLE_TILE], leaf;
	int r = read_tile(p, first / MERKLE_TILE, &leaf, leaves);
	bool stored = r > 0;

	for (uint64_t i = first; r >= 0 && i < first + count; i++) {
		if (stored)
			leaf = leaves[i % MERKLE_TILE];
		else
			r = digests_leaf(p->digests, (int64_t)i + 1, &leaf);
		if (r >= 0)
			merkle_add(to, p->hasher, &leaf);
	}
	return r < 0 ? r : 0;
}

/* As merkle_subtree. */
static int subtree(
	void *arg, uint64_t first, unsigned level, struct digest *ret)
{
	struct prove *p = arg;
	uint64_t count = UINT64_C(1) << level;
	struct merkle m = {0};
	int r = 0;

	if (level < MERKLE_TILE_LEVEL)
		r = add_leaves(p, first, count, &m);
	for (uint64_t i = first;
		r == 0 && level >= MERKLE_TILE_LEVEL && i < first + count;
		i += MERKLE_TILE) {
		struct digest root;

		r = read_tile(p, i / MERKLE_TILE, &root, NULL);
		r = r == 0 ? -EBADMSG : r < 0 ? r : 0;
		if (r == 0)
			merkle_add_tile(&m, p->hasher, &root);
	}
	if (r == 0)
		merkle_root(&m, p->hasher, ret);
	return r;
}

static int add_path(struct prove *p)
{
	int64_t tiles;
	int r = db_exec_int(p->db, "SELECT count(*) FROM tile", &tiles);

	/* A size that was made up must not keep us busy. */
	if (r == 0 && p->size / MERKLE_TILE > (uint64_t)tiles)
		return not_proved(p, "tiles are missing");
	if (r == 0)
		r = db_prepare(p->db,
			"SELECT root, leaves FROM tile WHERE n = ?", &p->tile);
	if (r == 0)
		r = merkle_inclusion(p->hasher, p->proof.index, p->size,
			subtree, p, &p->proof.path);
	if (r == -EBADMSG || r == -ENOENT)
		return not_proved(p, "its neighbours in the tree are missing");
	return r < 0 ? failed(p, r) : 0;
}

/* ---- all of it ---- */

static int set_up(struct prove *p)
{
	int r = reader_open(p->path, &p->db, p->diag);

	if (r < 0)
		return r;
	p->hasher = hasher_new();
	r = p->hasher ? db_exec(p->db, "BEGIN") : -ENOMEM;
	if (r == 0)
		r = digests_new(p->db, &p->digests);
	if (r == 0)
		r = rows_new(p->db, p->digests, &p->rows);
	return r < 0 ? failed(p, r) : 0;
}

/* Nothing is given out that who gets it could not check. */
static int check_own(struct prove *p, const struct note_key *key)
{
	struct note_key first;
	struct note note;
	int r = 0;

	if (!key) {
		r = keys_read(p->db, 0, &first);
		key = &first;
	}
	if (r == 0)
		r = proof_check(&p->proof, key, &note, NULL);
	if (r == -ENOMEM)
		return failed(p, r);
	return r < 0 ? not_proved(p, "it is not what was signed") : 0;
}

int prove_make(const char *path, uint64_t seq, const struct note_key *key,
	struct buf *ret, struct diag *diag)
{
	struct prove p = {.path = path, .seq = seq, .diag = diag};
	int r;

	if (seq == 0 || seq > INT64_MAX)
		return diag_set(diag, -ENOENT, "records count from 1");
	proof_init(&p.proof);
	r = set_up(&p);
	if (r == 0)
		r = add_record(&p);
	if (r == 0)
		r = add_checkpoint(&p);
	if (r == 0)
		r = add_keys(&p, key);
	if (r == 0)
		r = add_path(&p);
	if (r == 0)
		r = check_own(&p, key);
	if (r == 0) {
		r = proof_make(&p.proof, ret);
		r = r < 0 ? failed(&p, r) : 0;
	}
	db_stmt_free(p.tile);
	rows_free(p.rows);
	digests_free(p.digests);
	if (p.db)
		db_rollback(p.db);
	db_close(p.db);
	hasher_free(p.hasher);
	proof_done(&p.proof);
	return r;
}
