/* SPDX-License-Identifier: Apache-2.0 */
/* The writer at moments of our choice: when folds end, and what a transaction
 * that fails leaves behind, which is nothing. */
#include "tests/unit/unit.h"

#include <inttypes.h>
#include <string.h>

#include "fs/db/db.h"
#include "fs/ledger/names.h"
#include "fs/ledger/store.h"
#include "tests/lib/prng.h"
#include "tests/unit/ledger_kit.h"

#define SECOND INT64_C(1000000000)

/* As many at once as make the caller a flood, and the first of the next kind
 * is a row of its own still. */
enum { BURST = 200 };

static struct store *start(const struct kit *k)
{
	struct store *s = NULL;
	struct diag diag = {0};
	int r;

	if (access(k->path, F_OK) < 0)
		assert_true(scratch_write(&k->scratch, "ledger", "", 0));
	r = store_open(k->path, &(struct store_options){0}, &s, &diag);
	if (r == 0)
		r = store_start(s, &kit_mount, &diag);
	if (r < 0)
		print_error("%d %s\n", r, diag.text);
	assert_int_equal(r, 0);
	return s;
}

static struct store_time moment(int64_t ns)
{
	return (struct store_time){1000 * SECOND + ns, 500 * SECOND + ns};
}

static struct store_effect add(
	struct store *s, const struct ledger_attempt *a, int64_t ns)
{
	const struct store_time at = moment(ns);
	struct store_effect effect;

	assert_int_equal(store_attempt(s, a, &at, NULL, &effect), 0);
	return effect;
}

/* One in a transaction of its own. */
static struct store_effect try_one(
	struct store *s, const struct ledger_attempt *a, int64_t ns)
{
	struct store_effect effect;

	assert_int_equal(store_begin(s), 0);
	effect = add(s, a, ns);
	assert_int_equal(store_commit(s), 0);
	return effect;
}

/* Make the caller a flood with attempts that are like no other. */
static void begin_flood(struct store *s, int64_t ns)
{
	assert_int_equal(store_begin(s), 0);
	for (unsigned i = 0; i < 2 * BURST; i++) {
		struct ledger_attempt a = kit_unlike(LEDGER_ACCESS, "/f", i);
		struct store_effect effect = add(s, &a, ns);

		assert_false(effect.folded);
		assert_true(effect.bytes > 100);
	}
	assert_int_equal(store_commit(s), 0);
}

static int close_due(struct store *s, int64_t ns, bool all)
{
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_close_folds(s, moment(ns).boot, all), 0);
	return store_commit(s);
}

static int64_t number(struct store *s, const char *sql)
{
	int64_t n;

	assert_int_equal(db_exec_int(store_db(s), sql, &n), 0);
	return n;
}

#define OPEN "SELECT count(*) FROM fold"
#define ROWS "SELECT count(*) FROM attempt WHERE op = 7"

/* ---- when ---- */

static void test_rate(void **state)
{
	struct kit *k = *state;
	struct store *s = start(k);
	struct ledger_attempt a = kit_attempt(LEDGER_UNLINK, "/x");
	int64_t t = 0;

	/* The first of each kind is a row; 200 rows come before. */
	for (int i = 0; i < BURST + 1; i++)
		assert_false(try_one(s, &a, t).folded);
	for (int i = 0; i < 1000; i++)
		assert_true(try_one(s, &a, t).folded);
	/* 250 a second stay folded, 100 a second do not for long. */
	for (int i = 0; i < 1000; i++)
		assert_true(try_one(s, &a, t += SECOND / 250).folded);

	int folded = 0;

	for (int i = 0; i < 1000; i++)
		folded += try_one(s, &a, t += SECOND / 100).folded;
	assert_in_range(folded, 100, 250);
	assert_int_equal(close_due(s, t, true), 0);
	assert_int_equal(
		number(s, "SELECT sum(count) FROM attempt"), BURST + 1 + 3000);
	store_close(s);
}

/* Quiet for a second, or ten seconds old. */
static void test_ends(void **state)
{
	struct kit *k = *state;
	struct store *s = start(k);
	struct ledger_attempt a = kit_attempt(LEDGER_UNLINK, "/x");
	int64_t t = 0;

	begin_flood(s, t);
	try_one(s, &a, t);
	assert_true(try_one(s, &a, t).folded);
	assert_int_equal(number(s, OPEN), 1);
	assert_int_equal(close_due(s, t + SECOND, false), 0);
	assert_int_equal(number(s, OPEN), 1);
	assert_int_equal(close_due(s, t + SECOND + 1, false), 0);
	assert_int_equal(number(s, OPEN), 0);

	/* Not quiet, but old: the writer ends it by itself. */
	for (int i = 0; i <= 10000; i++)
		assert_true(try_one(s, &a, t += SECOND / 1000).folded);
	assert_int_equal(
		number(s, "SELECT count FROM fold WHERE targets = 1"), 10001);
	assert_true(try_one(s, &a, t += SECOND / 1000).folded);
	assert_int_equal(number(s, "SELECT count FROM fold"), 1);
	assert_int_equal(number(s, "SELECT t_last - t_real FROM attempt"
				   " WHERE count = 10001"),
		10 * SECOND);
	assert_int_equal(close_due(s, t, true), 0);
	/* The first row, and a record that has only one in it. */
	assert_int_equal(number(s, ROWS " AND count = 1 AND times IS NULL"
					" AND t_last IS NULL"),
		3);
	store_close(s);
}

static void test_full_fold(void **state)
{
	enum { LONG = 4000, FITS = (1 << 20) / (LONG + 72) };
	struct kit *k = *state;
	struct store *s = start(k);
	char path[LONG + 1];
	struct ledger_attempt a = kit_attempt(LEDGER_UNLINK, path);

	begin_flood(s, 0);
	for (int i = 0; i < NAMES_MAX + 2; i++) {
		(void)snprintf(path, sizeof(path), "/%d", i);
		try_one(s, &a, 0);
	}
	assert_int_equal(
		number(s, "SELECT max(targets) FROM attempt"), NAMES_MAX);

	/* Long names fill it sooner: whatever is put in can be packed. */
	for (int i = 0; i < 2 * FITS; i++) {
		memset(path, 'a' + i % 26, LONG);
		path[LONG] = '\0';
		path[0] = '/';
		(void)snprintf(path + 1, 16, "%d", i);
		path[strlen(path)] = 'x';
		try_one(s, &a, 1);
	}
	assert_int_equal(close_due(s, 1, true), 0);
	assert_in_range(
		number(s, "SELECT max(targets) FROM attempt WHERE"
			  " length(path) = 1 AND t_real > 1000000000000"),
		FITS - 20, FITS);
	store_close(s);
}

/* Long names of many kinds: memory has a bound, and nothing is lost by it. */
static void test_memory(void **state)
{
	enum { MANY = 24, EACH = 220, LONG = 4000 };
	struct kit *k = *state;
	struct store *s = start(k);
	char path[LONG + 1];
	struct ledger_attempt a = kit_attempt(LEDGER_UNLINK, path);

	begin_flood(s, 0);
	memset(path, 'y', LONG);
	path[LONG] = '\0';
	assert_int_equal(store_begin(s), 0);
	for (int i = 0; i < MANY * EACH; i++) {
		a.uid = (uid_t)(i / EACH);
		(void)snprintf(path, 16, "/%d", i);
		path[strlen(path)] = 'y';
		add(s, &a, i);
	}
	assert_int_equal(store_commit(s), 0);
	assert_in_range(number(s, OPEN), 10, (16 << 20) / (EACH * LONG));
	assert_int_equal(number(s, "SELECT sum(count) FROM fold") +
				 number(s, "SELECT sum(count) FROM attempt"
					   " WHERE op = 7"),
		MANY * EACH);
	assert_int_equal(close_due(s, 0, true), 0);
	kit_check_tree(s);
	store_close(s);
}

/* What is charged for: new rows and new names, not repeats. */
static void test_effect(void **state)
{
	struct kit *k = *state;
	struct store *s = start(k);
	const struct ledger_node node = {.mode = 0644};
	struct ledger_attempt a = kit_attempt(LEDGER_UNLINK, "/name/1");
	struct ledger_attempt b = kit_attempt(LEDGER_UNLINK, "/name/22");
	uint64_t first, again;

	a.ino = 3;
	a.node = &node;
	first = try_one(s, &a, 0).bytes;
	again = try_one(s, &a, 0).bytes;
	assert_true(first > again + 50); /* the row of the node */
	begin_flood(s, 0);
	try_one(s, &a, 0);
	assert_int_equal(try_one(s, &a, 0).bytes, strlen("/name/1"));
	assert_int_equal(try_one(s, &a, 0).bytes, 0);
	assert_int_equal(try_one(s, &b, 0).bytes, strlen("/name/22"));
	assert_int_equal(try_one(s, &b, 0).bytes, 0);
	assert_int_equal(close_due(s, 0, true), 0);
	assert_int_equal(number(s, "SELECT count(*) FROM node"), 1);
	store_close(s);
}

/* ---- transactions ---- */

enum { KINDS = 40, TARGETS = 30 };

/* What must be in the file: how often each kind tried each target. */
struct model {
	int count[KINDS][TARGETS];
};

static void read_name(void *arg, const struct names_entry *e, int kind)
{
	struct model *m = arg;
	char path[32] = "";
	int n;

	assert_true(e->len < sizeof(path));
	memcpy(path, e->path, e->len);
	assert_int_equal(sscanf(path, "/t/%d", &n), 1);
	assert_in_range(n, 0, TARGETS - 1);
	m->count[kind][n] += (int)e->count;
}

struct reading {
	struct model *m;
	int kind;
};

static int read_packed(void *arg, const struct names_entry *e)
{
	struct reading *r = arg;

	read_name(r->m, e, r->kind);
	return 0;
}

static void read_model(struct store *s, struct model *ret)
{
	struct names_reader *reader = NULL;
	struct db_stmt *q = NULL;
	int r;

	memset(ret, 0, sizeof(*ret));
	assert_int_equal(names_reader_new(&reader), 0);
	assert_int_equal(
		db_prepare(store_db(s),
			"SELECT uid, path, count, names, t_real FROM attempt"
			" WHERE op = 7 UNION ALL"
			" SELECT f.uid, ifnull(n.path, f.path),"
			" ifnull(n.count, f.count), NULL, 0 FROM fold AS f"
			" LEFT JOIN fold_name AS n ON n.fold_id = f.id"
			" WHERE op = 7",
			&q),
		0);
	while ((r = db_next(q)) > 0) {
		struct reading to = {ret, (int)db_int(q, 0)};
		struct names_entry one = {.count = db_int(q, 2)};
		size_t len;
		const void *names = db_bytes(q, 3, &len);

		one.path = db_bytes(q, 1, &one.len);
		assert_in_range(to.kind, 0, KINDS - 1);
		if (names)
			assert_int_equal(
				names_read(reader, names, len, db_int(q, 4),
					read_packed, &to),
				0);
		else
			read_name(ret, &one, to.kind);
	}
	assert_int_equal(r, 0);
	db_stmt_free(q);
	names_reader_free(reader);
}

/* A transaction of random attempts, some of a process; counts them. */
static void try_some(struct store *s, struct prng *p, struct proc *proc,
	int64_t ns, struct model *m)
{
	int count = 1 + (int)prng_below(p, 100);

	for (int i = 0; i < count; i++) {
		int kind = (int)prng_below(p, KINDS);
		int target = (int)prng_below(p, TARGETS);
		const struct store_time at = moment(ns);
		const struct ledger_node node = {.mode = 0644};
		char path[32];
		struct store_effect effect;
		struct ledger_attempt a = kit_attempt(LEDGER_UNLINK, path);

		(void)snprintf(path, sizeof(path), "/t/%d", target);
		a.uid = (uid_t)kind;
		a.ino = (uint64_t)target + 1;
		a.node = &node;
		assert_int_equal(store_attempt(s, &a, &at,
					 kind % 2 ? proc : NULL, &effect),
			0);
		m->count[kind][target]++;
	}
	if (prng_below(p, 8) == 0)
		assert_int_equal(
			store_close_folds(s, moment(ns).boot, prng_below(p, 2)),
			0);
}

static void test_transactions(void **state)
{
	struct kit *k = *state;
	struct store *s = start(k);
	struct model want = {0}, got;
	struct prng p = {.state = 20261122};
	struct proc_table *procs = NULL;
	const struct proc_options opt = {0};
	int64_t t = 0;

	assert_int_equal(proc_table_new(&opt, &procs), 0);
	for (int round = 0; round < 300; round++) {
		struct model before = want;
		/* Forgotten now and then: then it is entered anew. */
		struct proc *proc = proc_find(procs, getpid());

		assert_non_null(proc);
		t += (int64_t)prng_below(&p, 40) * SECOND / 1000;
		if (round % 30 == 0)
			t += 2 * SECOND;
		assert_int_equal(store_begin(s), 0);
		try_some(s, &p, proc, t, &want);
		if (prng_below(&p, 3) == 0) {
			store_abort(s);
			want = before;
		} else {
			assert_int_equal(store_commit(s), 0);
		}
		read_model(s, &got);
		assert_memory_equal(&got, &want, sizeof(want));
		if (round % 20 == 0)
			kit_check_tree(s);
		if (round % 50 == 49) {
			/* Die with open folds: the next one ends them. */
			store_close(s);
			proc_unref(proc);
			proc_table_free(procs);
			assert_int_equal(proc_table_new(&opt, &procs), 0);
			s = start(k);
			assert_int_equal(number(s, OPEN), 0);
			read_model(s, &got);
			assert_memory_equal(&got, &want, sizeof(want));
			kit_check_tree(s);
			continue;
		}
		proc_unref(proc);
	}
	assert_int_equal(close_due(s, t, true), 0);
	kit_check_tree(s);
	assert_true(number(s, "SELECT max(targets) FROM attempt") > 1);
	assert_int_equal(number(s, "SELECT count(*) FROM attempt WHERE"
				   " (proc_id IS NULL) = uid % 2"),
		0);
	store_close(s);
	proc_table_free(procs);
	(void)kit_read(k->path, NULL, NULL);
}

/* A database that is full: nothing of the transaction, and then all goes on. */
static void test_full(void **state)
{
	struct kit *k = *state;
	struct store *s = start(k);
	struct model want = {0}, got;
	struct prng p = {.state = 7};
	char limit[64];
	int failed = 0;
	int64_t unused;

	for (int round = 0; round < 200; round++) {
		struct store_effect effect;
		const struct store_time at = moment(round);
		int r;

		(void)snprintf(limit, sizeof(limit),
			"PRAGMA max_page_count = %" PRId64,
			number(s, "PRAGMA page_count") +
				(int64_t)prng_below(&p, 3));
		assert_int_equal(db_exec_int(store_db(s), limit, &unused), 0);
		assert_int_equal(store_begin(s), 0);

		struct model before = want;

		for (int i = 0; (r = 0), i < 60; i++) {
			char path[32];
			struct ledger_attempt a =
				kit_attempt(LEDGER_UNLINK, path);
			int kind = (int)prng_below(&p, KINDS);
			int target = (int)prng_below(&p, TARGETS);

			(void)snprintf(path, sizeof(path), "/t/%d", target);
			a.uid = (uid_t)kind;
			r = store_attempt(s, &a, &at, NULL, &effect);
			if (r < 0)
				break;
			want.count[kind][target]++;
		}
		if (r == 0)
			r = store_close_folds(s, at.boot, round % 16 == 0);
		if (r == 0)
			r = store_commit(s);
		if (r < 0) {
			assert_int_equal(r, -ENOSPC);
			store_abort(s);
			want = before;
			failed++;
		}
		read_model(s, &got);
		assert_memory_equal(&got, &want, sizeof(want));
	}
	assert_in_range(failed, 1, 199);
	assert_int_equal(db_exec_int(store_db(s),
				 "PRAGMA max_page_count = 1000000", &unused),
		0);
	assert_int_equal(close_due(s, 0, true), 0);
	read_model(s, &got);
	assert_memory_equal(&got, &want, sizeof(want));
	kit_check_tree(s);
	store_close(s);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_set_up, kit_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_rate),
		TEST(test_ends),
		TEST(test_full_fold),
		TEST(test_memory),
		TEST(test_effect),
		TEST(test_transactions),
		TEST(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
