/* SPDX-License-Identifier: Apache-2.0 */
/* What the tree covers: every column of every record and of what it refers to;
 * and how it is found again. */
#include "tests/unit/unit.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "fs/db/db.h"
#include "fs/ledger/digests.h"
#include "fs/ledger/record.h"
#include "fs/ledger/store.h"
#include "fs/ledger/work.h"
#include "tests/unit/ledger_kit.h"

enum { MANY = 600 }; /* two tiles, and some */

static struct db *open_db(const char *path)
{
	struct db *db = NULL;

	assert_int_equal(db_open(path, 0, &db, NULL), 0);
	return db;
}

static void run(struct db *db, const char *sql)
{
	int r = db_exec(db, sql);

	if (r < 0)
		print_error("%s: %d %s\n", sql, r, db_error(db));
	assert_int_equal(r, 0);
}

/* One record that has a value in every column that can have one. */
static void add_full(struct ledger *l)
{
	const struct ledger_node node = {
		.mode = 0644, .size = 7, .has_digest = true};
	struct ledger_attempt a = kit_attempt(LEDGER_SETXATTR, "/full");

	a.path2 = "/second";
	a.ino = 12;
	a.node = &node;
	a.has = LEDGER_HAS_FLAGS | LEDGER_HAS_MODE | LEDGER_HAS_SIZE |
		LEDGER_HAS_OWNER | LEDGER_HAS_TIMES;
	a.xattr = "user.x";
	a.tid = getpid();
	kit_try(l, &a);
}

static void add_many(struct ledger *l)
{
	for (unsigned i = 0; i < MANY; i++) {
		struct ledger_attempt a = kit_unlike(LEDGER_OPEN, "/m", i);

		kit_try(l, &a);
	}
}

/* ---- what is covered ---- */

static int leaf_of(struct db *db, int64_t seq, struct digest *ret)
{
	struct digests *d = NULL;
	int r;

	assert_int_equal(digests_new(db, &d), 0);
	r = digests_leaf(d, seq, ret);
	digests_free(d);
	return r;
}

/* What a value v may be changed to. */
static const char *const changes[] = {
	/* the next one of its kind */
	"CASE typeof(v) WHEN 'integer' THEN v + 1 WHEN 'text' THEN v || 'x'"
	" WHEN 'blob' THEN CAST(v || x'00' AS BLOB) ELSE 7 END",
	/* none, or one */
	"CASE WHEN v IS NULL THEN x'' END",
	/* the same of another kind */
	"CASE typeof(v) WHEN 'null' THEN 0 WHEN 'blob' THEN CAST(v AS TEXT)"
	" ELSE CAST(v AS BLOB) END",
	"0.5",
};

/*
 * Change a column of a row that leaf seq is made of: that must show. Undone
 * after. False when the table does not take the value.
 */
static bool try_change(struct db *db, const char *table, const char *column,
	const char *change, int64_t seq)
{
	struct digest before, after;
	int64_t changed = 0;
	char sql[512];

	assert_int_equal(leaf_of(db, seq, &before), 0);
	(void)snprintf(sql, sizeof(sql),
		"UPDATE OR IGNORE %s SET %s = (SELECT %s FROM"
		" (SELECT %s AS v))",
		table, column, change, column);
	run(db, "SAVEPOINT change");
	if (db_exec(db, sql) == 0)
		assert_int_equal(
			db_exec_int(db, "SELECT changes()", &changed), 0);
	if (changed) {
		int r = leaf_of(db, seq, &after);
		bool seen = r == 0 ? !digest_equal(&before, &after)
				   : r == -ENOENT || r == -EBADMSG;

		if (!seen)
			print_error("not seen: %s\n", sql);
		assert_true(seen);
	}
	run(db, "ROLLBACK TO change");
	run(db, "RELEASE change");
	return changed > 0;
}

static void change_columns(
	struct db *db, char letter, const char *table, int64_t seq)
{
	int count = 0;
	const char *const *columns = record_columns(letter, &count);

	for (int c = 0; c < count; c++) {
		int taken = 0;

		for (size_t i = 0; i < ARRAY_LEN(changes); i++)
			taken += try_change(
				db, table, columns[c], changes[i], seq);
		assert_true(taken > 0);
	}
}

/* No column of any table can be changed without notice. */
static void test_columns(void **state)
{
	struct kit *k = *state;
	struct ledger *l = kit_open(k->path);

	add_full(l);
	ledger_close(l);

	struct db *db = open_db(k->path);

	/* Records are 1 mount, 2 the attempt, 3 unmount; all rows of a table
	 * are changed at once, of events the first one. */
	run(db, "DELETE FROM event WHERE seq > 1");
	change_columns(db, 'e', "event", 1);
	change_columns(db, 'm', "mount", 1);
	change_columns(db, 'm', "mount", 2);
	change_columns(db, 'a', "attempt", 2);
	change_columns(db, 'n', "node", 2);
	change_columns(db, 'p', "proc", 2);
	db_close(db);
}

/* Also of ancestors, each through the one below it. */
static void test_ancestors(void **state)
{
	struct kit *k = *state;
	struct ledger *l = kit_open(k->path);
	struct digest before, after;
	int64_t procs;

	add_full(l);
	ledger_close(l);

	struct db *db = open_db(k->path);

	assert_int_equal(
		db_exec_int(db, "SELECT count(*) FROM proc", &procs), 0);
	assert_int_equal(leaf_of(db, 2, &before), 0);
	assert_true(procs > 1);
	for (int64_t id = 1; id <= procs; id++) {
		char sql[128];

		(void)snprintf(sql, sizeof(sql),
			"UPDATE proc SET comm = x'00' WHERE id = %" PRId64, id);
		run(db, "BEGIN");
		run(db, sql);
		assert_int_equal(leaf_of(db, 2, &after), 0);
		assert_false(digest_equal(&before, &after));
		run(db, "ROLLBACK");
	}
	db_close(db);
}

/* Parents in a ring, parents that come later, references to nothing. */
static void test_forged(void **state)
{
	static const char *const forged[] = {
		"UPDATE proc SET parent_id = id",
		"UPDATE proc SET parent_id = id + 1",
		"UPDATE proc SET parent_id = -1",
		"UPDATE proc SET parent_id = 'x'",
		"UPDATE attempt SET proc_id = 1000",
		"UPDATE attempt SET proc_id = -1000",
		"UPDATE attempt SET mount_id = 9",
		"UPDATE attempt SET ino = 13",
		"UPDATE proc SET mount_id = 9",
		"DELETE FROM proc",
		"DELETE FROM node",
		"DELETE FROM mount",
	};
	struct kit *k = *state;
	struct ledger *l = kit_open(k->path);
	struct digest leaf;

	add_full(l);
	ledger_close(l);

	struct db *db = open_db(k->path);

	for (size_t i = 0; i < ARRAY_LEN(forged); i++) {
		run(db, "BEGIN");
		run(db, forged[i]);
		if (leaf_of(db, 2, &leaf) != -EBADMSG)
			print_error("%s\n", forged[i]);
		assert_int_equal(leaf_of(db, 2, &leaf), -EBADMSG);
		run(db, "ROLLBACK");
	}
	/* A line of parents as long as may be: no recursion. */
	run(db, "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL"
		" SELECT i + 1 FROM n WHERE i < 50000)"
		" INSERT INTO proc(id, parent_id, mount_id, first_seq, tgid,"
		" start_ticks, exec_stamp)"
		" SELECT i, nullif(i - 1, 99), 1, 1, 1, 1, 1 FROM n");
	run(db, "UPDATE attempt SET proc_id = 50000");
	assert_int_equal(leaf_of(db, 2, &leaf), 0);
	db_close(db);
}

/* ---- finding the tree again ---- */

static struct store *open_store(const char *path, unsigned flags, int want)
{
	struct store *s = NULL;
	struct diag diag = {0};
	int r = store_open(path, flags, &s, &diag);

	if (r != want)
		print_error("%d, want %d: %s\n", r, want, diag.text);
	assert_int_equal(r, want);
	assert_true((r == 0) == !*diag.text);
	return s;
}

struct seen {
	uint64_t size;
	struct digest root;
};

static int look(struct store *s, void *arg)
{
	struct hasher *h = hasher_new();
	struct seen *seen = arg;

	if (!h)
		return -ENOMEM;
	seen->size = store_tree(s)->size;
	merkle_root(store_tree(s), h, &seen->root);
	hasher_free(h);
	return 0;
}

static void test_found_again(void **state)
{
	struct kit *k = *state;
	struct ledger *l = kit_open(k->path);
	struct seen written, found;
	struct digest root;
	struct store *s;

	add_many(l);
	assert_int_equal(ledger_work(l, look, &written), 0);
	assert_int_equal(written.size, MANY + 1);
	ledger_close(l);
	assert_int_equal(
		kit_number(k->path, "SELECT count(*) FROM tile"), MANY / 256);
	s = open_store(k->path, 0, 0);
	assert_int_equal(look(s, &found), 0);
	assert_int_equal(found.size, MANY + 2); /* with the end */
	assert_int_equal(store_root_at(s, written.size, &root), 0);
	assert_true(digest_equal(&root, &written.root));
	store_close(s);

	/* Tiles are only a shorter way: what is lost is made again. */
	kit_change(k->path, "DELETE FROM tile WHERE n = 1");
	s = open_store(k->path, 0, 0);
	assert_int_equal(look(s, &written), 0);
	assert_true(digest_equal(&found.root, &written.root));
	store_close(s);
	assert_int_equal(
		kit_number(k->path, "SELECT count(*) FROM tile"), MANY / 256);
}

/* The root at every size is that of the leaves up to there. */
static void test_root_at(void **state)
{
	struct kit *k = *state;
	struct ledger *l = kit_open(k->path);
	struct hasher *h = hasher_new();
	struct merkle m = {0};
	struct digests *d = NULL;
	struct digest leaf, want, got;

	assert_non_null(h);
	add_many(l);
	ledger_close(l);

	struct store *s = open_store(k->path, 0, 0);

	assert_int_equal(digests_new(store_db(s), &d), 0);
	for (int64_t size = 0; size <= MANY + 2; size++) {
		merkle_root(&m, h, &want);
		assert_int_equal(store_root_at(s, (uint64_t)size, &got), 0);
		assert_true(digest_equal(&want, &got));
		if (size < MANY + 2)
			assert_int_equal(digests_leaf(d, size + 1, &leaf), 0);
		merkle_add(&m, h, &leaf);
	}
	assert_int_equal(store_root_at(s, MANY + 3, &got), -ENOENT);
	assert_int_equal(store_root_at(s, UINT64_MAX, &got), -ENOENT);
	run(store_db(s), "UPDATE tile SET leaves = NULL WHERE n = 0");
	assert_int_equal(store_root_at(s, 100, &got), -ENODATA);
	assert_int_equal(store_root_at(s, 256, &got), 0);
	run(store_db(s), "UPDATE tile SET leaves = x'00' WHERE n = 0");
	assert_int_equal(store_root_at(s, 100, &got), -EBADMSG);
	digests_free(d);
	hasher_free(h);
	store_close(s);
}

/* Records that retention removed with their tile are no hole. */
static void test_pruned(void **state)
{
	struct kit *k = *state;
	struct ledger *l = kit_open(k->path);
	struct seen before, after;
	struct store *s;

	add_many(l);
	ledger_close(l);
	s = open_store(k->path, 0, 0);
	assert_int_equal(look(s, &before), 0);
	store_close(s);
	kit_change(k->path, "DELETE FROM attempt WHERE seq <= 256;"
			    "DELETE FROM event WHERE seq <= 256;"
			    "UPDATE tile SET leaves = NULL WHERE n = 0");
	s = open_store(k->path, 0, 0);
	assert_int_equal(look(s, &after), 0);
	assert_memory_equal(&before, &after, sizeof(before));
	store_close(s);
}

static void test_missing(void **state)
{
	static const struct {
		const char *change, *word;
	} cases[] = {
		{"DELETE FROM attempt WHERE seq = 590", "record 590 is"},
		{"UPDATE attempt SET t_boot = 0.5 WHERE seq = 591",
			"record 591 is"},
		{"UPDATE tile SET n = 7 WHERE n = 0", "tiles"},
		{"UPDATE tile SET root = x'00' WHERE n = 1", "tiles"},
	};
	struct kit *k = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char name[16], path[SCRATCH_PATH];
		const struct ledger_options opt = {0};
		struct ledger *l;
		struct diag diag = {0};

		(void)snprintf(name, sizeof(name), "case%zu", i);
		l = kit_open(scratch_name(&k->scratch, name, path));
		add_many(l);
		ledger_close(l);
		kit_change(path, cases[i].change);
		assert_int_equal(ledger_open(path, &kit_mount, &opt, &l, &diag),
			-EBADMSG);
		if (!strstr(diag.text, cases[i].word))
			print_error("%s\n", diag.text);
		assert_non_null(strstr(diag.text, cases[i].word));
	}
}

/* --recover goes on behind a hole, and only then. */
static void test_recover(void **state)
{
	const struct ledger_options opt = {.recover = true};
	struct kit *k = *state;
	struct ledger *l = kit_open(k->path);
	struct ledger_attempt a = kit_attempt(LEDGER_OPEN, "/late");
	struct seen seen;

	add_many(l);
	ledger_close(l);
	kit_change(k->path, "DELETE FROM attempt WHERE seq = 590");
	assert_int_equal(ledger_open(k->path, &kit_mount, &opt, &l, NULL), 0);
	kit_try(l, &a);
	assert_int_equal(ledger_work(l, look, &seen), 0);
	assert_int_equal(seen.size, MANY + 4);
	ledger_close(l);
	assert_int_equal(
		kit_number(k->path, "SELECT max(seq) FROM attempt"), MANY + 4);

	/* A number from nowhere is no reason to count up to it. */
	kit_change(k->path, "UPDATE attempt SET seq = 1 << 60"
			    " WHERE seq = 604");
	assert_int_equal(
		ledger_open(k->path, &kit_mount, &opt, &l, NULL), -EBADMSG);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_set_up, kit_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_columns),
		TEST(test_ancestors),
		TEST(test_forged),
		TEST(test_found_again),
		TEST(test_root_at),
		TEST(test_pruned),
		TEST(test_missing),
		TEST(test_recover),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
