/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of rows that are there; see digests.h. */
#include "fs/ledger/digests.h"

#include <string.h>

#include "fs/ledger/record.h"
#include "fs/seal/merkle.h"

/* Slots that a number has one of: of two that want the same, the later stays.
 * Processes come in the order of their numbers, inodes lie close together. */
#define PROCS 1024u
#define NODES 4096u

/* Parents of one process, as bytes of their numbers. */
#define LINE_MAX_BYTES (64u << 20)

struct known {
	int64_t mount; /* of a node; 0 else */
	int64_t number;
	struct digest is;
	bool used;
};

struct digests {
	struct hasher *hasher;
	/* A leaf refers to rows, and these to a mount: one record for each, so
	 * that one can be read while another waits. */
	struct record leaf, row, mount_row;
	struct db_stmt *mount, *proc, *node, *attempt, *event;
	struct known last_mount;
	struct known procs[PROCS], nodes[NODES];
};

int digests_new(struct db *db, struct digests **ret)
{
	_cleanup_(digests_free) struct digests *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	record_init(&d->leaf);
	record_init(&d->row);
	record_init(&d->mount_row);
	d->hasher = hasher_new();
	if (!d->hasher)
		return -ENOMEM;

	const struct {
		struct db_stmt **ret;
		const char *sql;
	} all[] = {
		{&d->mount, "SELECT * FROM mount WHERE id = ?"},
		{&d->proc, "SELECT * FROM proc WHERE id = ?"},
		{&d->node, "SELECT * FROM node WHERE mount_id = ? AND ino = ?"},
		{&d->attempt, "SELECT * FROM attempt WHERE seq = ?"},
		{&d->event, "SELECT * FROM event WHERE seq = ?"},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(all); i++)
		r = db_prepare(db, all[i].sql, all[i].ret);
	if (r < 0)
		return r;
	*ret = take_ptr(d);
	return 0;
}

void digests_free(struct digests *d)
{
	if (!d)
		return;
	db_stmt_free(d->mount);
	db_stmt_free(d->proc);
	db_stmt_free(d->node);
	db_stmt_free(d->attempt);
	db_stmt_free(d->event);
	record_done(&d->leaf);
	record_done(&d->row);
	record_done(&d->mount_row);
	hasher_free(d->hasher);
	free(d);
}

/* ---- what is known ---- */

static bool recall(const struct known *k, int64_t mount, int64_t number,
	struct digest *ret)
{
	if (!k->used || k->mount != mount || k->number != number)
		return false;
	*ret = k->is;
	return true;
}

static void remember(
	struct known *k, int64_t mount, int64_t number, const struct digest *is)
{
	*k = (struct known){mount, number, *is, true};
}

static struct known *slot_of_proc(struct digests *d, int64_t id)
{
	return &d->procs[(uint64_t)id % PROCS];
}

static struct known *slot_of_node(struct digests *d, int64_t ino)
{
	return &d->nodes[(uint64_t)ino % NODES];
}

void digests_know_proc(struct digests *d, int64_t id, const struct digest *is)
{
	remember(slot_of_proc(d, id), 0, id, is);
}

void digests_know_node(
	struct digests *d, int64_t mount, int64_t ino, const struct digest *is)
{
	remember(slot_of_node(d, ino), mount, ino, is);
}

void digests_forget(struct digests *d)
{
	d->last_mount.used = false;
	for (size_t i = 0; i < PROCS; i++)
		d->procs[i].used = false;
	for (size_t i = 0; i < NODES; i++)
		d->nodes[i].used = false;
}

/* ---- rows ---- */

/* What a row refers to; 0: nothing. */
struct refers {
	int64_t mount, proc, parent, ino;
};

static int column_of(char table, const char *name)
{
	int count;
	const char *const *columns = record_columns(table, &count);

	for (int i = 0; i < count; i++) {
		if (strcmp(columns[i], name) == 0)
			return i;
	}
	return -1;
}

/* A reference in the row that s stands on; 0: there is none. */
static int reference(
	struct db_stmt *s, char table, const char *name, int64_t *ret)
{
	int column = column_of(table, name);

	*ret = 0;
	if (column < 0 || db_is_null(s, column))
		return 0;
	if (db_type(s, column) != DB_INT)
		return -EBADMSG;
	*ret = db_int(s, column);
	return 0;
}

/*
 * Run a statement whose values are bound, for one row: its columns go to rec,
 * still without the digests of others. -ENOENT when there is none.
 */
static int read_row(
	struct db_stmt *s, char table, struct record *rec, struct refers *ret)
{
	int count = 0, r = db_next(s);

	if (r == 0)
		r = -ENOENT;
	if (r > 0) {
		(void)record_columns(table, &count);
		record_read(rec, table, s, 0, count);
		r = reference(s, table, "mount_id", &ret->mount);
	}
	if (r == 0)
		r = reference(s, table, "proc_id", &ret->proc);
	if (r == 0)
		r = reference(s, table, "parent_id", &ret->parent);
	if (r == 0)
		r = reference(s, table, "ino", &ret->ino);
	db_rewind(s);
	return r;
}

static int end_row(struct digests *d, struct record *rec, struct digest *ret)
{
	int r = record_end(rec);

	if (r == 0)
		hasher_run(d->hasher, rec->bytes.data, rec->bytes.len, ret);
	return r;
}

/* A row that another refers to must be there. */
static int must_exist(int r)
{
	return r == -ENOENT ? -EBADMSG : r;
}

int digests_mount(struct digests *d, int64_t id, struct digest *ret)
{
	struct refers refers;

	if (recall(&d->last_mount, 0, id, ret))
		return 0;
	db_bind_int(d->mount, id);

	int r = read_row(d->mount, 'm', &d->mount_row, &refers);

	if (r == 0)
		r = end_row(d, &d->mount_row, ret);
	if (r == 0)
		remember(&d->last_mount, 0, id, ret);
	return r;
}

/* To what was read so far, the digest of the mount that it belongs to. */
static int refer_mount(struct digests *d, struct record *rec, int64_t mount)
{
	struct digest of_mount;
	int r = must_exist(digests_mount(d, mount, &of_mount));

	if (r == 0)
		record_refer(rec, &of_mount);
	return r;
}

int digests_node(
	struct digests *d, int64_t mount, int64_t ino, struct digest *ret)
{
	struct refers refers;

	if (recall(slot_of_node(d, ino), mount, ino, ret))
		return 0;
	db_bind_int(d->node, mount);
	db_bind_int(d->node, ino);

	int r = read_row(d->node, 'n', &d->row, &refers);

	if (r == 0)
		r = refer_mount(d, &d->row, mount);
	if (r == 0)
		r = end_row(d, &d->row, ret);
	if (r == 0)
		digests_know_node(d, mount, ino, ret);
	return r;
}

/* ---- processes: their parents first, however many there are ---- */

static int read_proc(struct digests *d, int64_t id, struct refers *ret)
{
	db_bind_int(d->proc, id);
	return read_row(d->proc, 'p', &d->row, ret);
}

/*
 * The numbers of a process and of its parents, up to one whose digest is known
 * (*ret_top, *ret_known) or that has no parent.
 */
static int read_line(struct digests *d, int64_t id, struct buf *ret_ids,
	struct digest *ret_top, bool *ret_known)
{
	for (;;) {
		struct refers refers;

		*ret_known = recall(slot_of_proc(d, id), 0, id, ret_top);
		if (*ret_known)
			return 0;

		int r = read_proc(d, id, &refers);

		if (r < 0)
			return ret_ids->len ? must_exist(r) : r;
		r = buf_add(ret_ids, &id, sizeof(id));
		if (r < 0 || !refers.parent)
			return r;
		/* Parents are entered first; that ends rings. */
		if (refers.parent < 0 || refers.parent >= id)
			return -EBADMSG;
		id = refers.parent;
	}
}

/* From the digest of the parent, or NULL, to that of the process; ret may be
 * the same. */
static int step_down(struct digests *d, int64_t id, const struct digest *parent,
	struct digest *ret)
{
	struct refers refers;
	int r = read_proc(d, id, &refers);

	if (r == 0)
		r = refer_mount(d, &d->row, refers.mount);
	if (r < 0)
		return r;
	record_refer(&d->row, parent);
	r = end_row(d, &d->row, ret);
	if (r == 0)
		digests_know_proc(d, id, ret);
	return r;
}

int digests_proc(struct digests *d, int64_t id, struct digest *ret)
{
	_cleanup_buf_ struct buf ids;
	struct digest above;
	bool has_above;

	buf_init(&ids, LINE_MAX_BYTES);

	int r = read_line(d, id, &ids, &above, &has_above);

	while (r == 0 && ids.len > 0) {
		ids.len -= sizeof(id);
		memcpy(&id, ids.data + ids.len, sizeof(id));
		r = step_down(d, id, has_above ? &above : NULL, &above);
		has_above = true;
	}
	if (r == 0)
		*ret = above;
	return r;
}

/* ---- leaves ---- */

static int refer_proc(struct digests *d, const struct refers *refers)
{
	struct digest of_proc;
	int r = 0;

	if (refers->proc)
		r = must_exist(digests_proc(d, refers->proc, &of_proc));
	if (r == 0)
		record_refer(&d->leaf, refers->proc ? &of_proc : NULL);
	return r;
}

static int refer_node(struct digests *d, const struct refers *refers)
{
	struct digest of_node;
	int r = 0;

	if (refers->ino)
		r = must_exist(
			digests_node(d, refers->mount, refers->ino, &of_node));
	if (r == 0)
		record_refer(&d->leaf, refers->ino ? &of_node : NULL);
	return r;
}

int digests_leaf(struct digests *d, int64_t seq, struct digest *ret)
{
	struct refers refers = {0};

	db_bind_int(d->attempt, seq);

	int r = read_row(d->attempt, 'a', &d->leaf, &refers);
	bool is_event = r == -ENOENT;

	if (is_event) {
		db_bind_int(d->event, seq);
		r = read_row(d->event, 'e', &d->leaf, &refers);
	}
	if (r == 0)
		r = refer_mount(d, &d->leaf, refers.mount);
	if (r == 0 && !is_event)
		r = refer_proc(d, &refers);
	if (r == 0 && !is_event)
		r = refer_node(d, &refers);
	if (r == 0)
		r = record_end(&d->leaf);
	if (r == 0)
		merkle_leaf(
			d->hasher, d->leaf.bytes.data, d->leaf.bytes.len, ret);
	return r;
}
