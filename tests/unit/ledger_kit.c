/* SPDX-License-Identifier: Apache-2.0 */
/* A ledger in a folder of its own; see ledger_kit.h. */
#include "tests/unit/ledger_kit.h"

#include <string.h>

#include "fs/db/db.h"
#include "fs/ledger/digests.h"
#include "tests/unit/unit.h"

const struct ledger_mount kit_mount = {
	.image_id = {.bytes = {1, 2, 3, 255}},
	.image_path = "/images/app.stele",
	.mount_point = "/mnt",
	.options = "rw,nodev",
	.version = "1.2.3",
};

int kit_set_up(void **state)
{
	struct kit *k = calloc(1, sizeof(*k));

	if (!k || !scratch_init(&k->scratch)) {
		free(k);
		return -1;
	}
	(void)scratch_name(&k->scratch, "ledger", k->path);
	*state = k;
	return 0;
}

int kit_tear_down(void **state)
{
	struct kit *k = *state;

	scratch_done(&k->scratch);
	free(k);
	return 0;
}

struct ledger *kit_open(const char *path)
{
	const struct ledger_options opt = {.fsync = false};
	struct ledger *l = NULL;
	struct diag diag = {0};
	int r = ledger_open(path, &kit_mount, &opt, &l, &diag);

	if (r < 0)
		print_error("ledger_open: %d %s\n", r, diag.text);
	assert_int_equal(r, 0);
	return l;
}

struct query *kit_query(const char *path)
{
	struct query *q = NULL;
	struct diag diag = {0};
	int r = query_open(path, &q, &diag);

	if (r < 0)
		print_error("query_open: %d %s\n", r, diag.text);
	assert_int_equal(r, 0);
	return q;
}

int64_t kit_number(const char *path, const char *sql)
{
	struct db *db = NULL;
	int64_t n = 0;
	int r;

	assert_int_equal(db_open(path, DB_READ_ONLY, &db, NULL), 0);
	r = db_exec_int(db, sql, &n);
	if (r < 0)
		print_error("%s: %d %s\n", sql, r, db_error(db));
	assert_int_equal(r, 0);
	db_close(db);
	return n;
}

void kit_change(const char *path, const char *sql)
{
	struct db *db = NULL;
	int r;

	assert_int_equal(db_open(path, 0, &db, NULL), 0);
	r = db_exec(db, sql);
	if (r < 0)
		print_error("%s: %d %s\n", sql, r, db_error(db));
	assert_int_equal(r, 0);
	db_close(db);
}

struct ledger_attempt kit_attempt(enum ledger_op op, const char *path)
{
	return (struct ledger_attempt){.op = op,
		.error = EPERM,
		.rule = "image",
		.path = path,
		.uid = 1,
		.gid = 2};
}

struct ledger_attempt kit_unlike(
	enum ledger_op op, const char *path, unsigned number)
{
	struct ledger_attempt a = kit_attempt(op, path);

	a.has = LEDGER_HAS_FLAGS;
	a.flags = number;
	return a;
}

void kit_try(struct ledger *l, const struct ledger_attempt *a)
{
	assert_int_equal(ledger_attempt(l, a, NULL), 0);
}

static bool is_frame(const struct query_row *row)
{
	const struct query_cell *op = &row->cell[QUERY_OP];

	static const char *const frames[] = {"mount", "unmount", "recovery"};

	for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
		if (!row->cell[QUERY_TEXT_OF_EVENT].null &&
			op->len == strlen(frames[i]) &&
			memcmp(op->bytes, frames[i], op->len) == 0)
			return true;
	}
	return false;
}

int64_t kit_read(const char *path,
	void (*see)(void *arg, const struct query_row *row), void *arg)
{
	const struct query_filter all = {0};
	struct query *q = kit_query(path);
	const struct query_row *row;
	int64_t seq = 0, seen = 0;
	int r;

	assert_int_equal(query_start(q, &all, QUERY_FORWARD, -1), 0);
	while ((r = query_next(q, &row)) > 0) {
		assert_int_equal(row->cell[QUERY_SEQ].number, ++seq);
		if (is_frame(row))
			continue;
		seen++;
		if (see)
			see(arg, row);
	}
	assert_int_equal(r, 0);
	query_close(q);
	return seen;
}

int64_t kit_attempts(const char *path)
{
	const struct query_filter all = {0};
	struct query *q = kit_query(path);
	const struct query_row *row;
	int64_t sum = 0;
	int r;

	assert_int_equal(query_start(q, &all, QUERY_FORWARD, -1), 0);
	while ((r = query_next(q, &row)) > 0) {
		if (row->cell[QUERY_TEXT_OF_EVENT].null)
			sum += row->cell[QUERY_COUNT].number;
	}
	assert_int_equal(r, 0);
	query_close(q);
	return sum;
}

void kit_check_tree(struct store *s)
{
	struct hasher *h = hasher_new();
	const struct merkle *m = store_tree(s);
	struct digests *d = NULL;
	struct merkle again = {0};
	struct digest leaf, want, got;

	assert_non_null(h);
	assert_int_equal(digests_new(store_db(s), &d), 0);
	for (uint64_t i = 1; i <= m->size; i++) {
		assert_int_equal(digests_leaf(d, (int64_t)i, &leaf), 0);
		merkle_add(&again, h, &leaf);
	}
	assert_int_equal(digests_leaf(d, (int64_t)m->size + 1, &leaf), -ENOENT);
	merkle_root(&again, h, &want);
	merkle_root(m, h, &got);
	assert_true(digest_equal(&want, &got));
	digests_free(d);
	hasher_free(h);
}
