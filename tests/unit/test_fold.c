/* SPDX-License-Identifier: Apache-2.0 */
/* Floods: equal attempts share a record, and none is lost on the way. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/base/io.h"
#include "fs/db/db.h"
#include "fs/ledger/names.h"
#include "fs/ledger/times.h"
#include "fs/ledger/work.h"
#include "tests/unit/ledger_kit.h"

/* So many come in one go before a process is a flood. */
enum { BURST = 200 };

#define SUM                                                    \
	"SELECT (SELECT coalesce(sum(count), 0) FROM attempt)" \
	" + (SELECT coalesce(sum(count), 0) FROM fold)"
#define ROWS "SELECT count(*) FROM attempt"
#define OPEN "SELECT count(*) FROM fold"

static void try_often(
	struct ledger *l, const struct ledger_attempt *a, int count)
{
	for (int i = 0; i < count; i++)
		kit_try(l, a);
}

/* What a person does by hand is never folded. */
static void test_slow(void **state)
{
	struct kit *k = *state;
	struct ledger *l = kit_open(k->path);
	struct ledger_attempt a = kit_attempt(LEDGER_OPEN, "/a");

	try_often(l, &a, BURST);
	assert_int_equal(kit_number(k->path, ROWS), BURST);
	assert_int_equal(kit_number(k->path, OPEN), 0);
	ledger_close(l);
	assert_int_equal(kit_number(k->path, ROWS), BURST);
	assert_int_equal(kit_number(k->path,
				 "SELECT count(*) FROM attempt WHERE count = 1"
				 " AND targets = 1 AND t_last IS NULL"
				 " AND times IS NULL AND names IS NULL"),
		BURST);
}

static int do_nothing(struct store *s, void *arg)
{
	return 0;
}

/* Counts may be ahead of the database until it is written to. */
static void settle(struct ledger *l)
{
	assert_int_equal(ledger_work(l, do_nothing, NULL), 0);
}

/* The open record is there while it grows; then it is a record. */
static void test_equal(void **state)
{
	enum { COUNT = 3000 };
	struct kit *k = *state;
	struct ledger *l = kit_open(k->path);
	struct ledger_attempt a = kit_attempt(LEDGER_UNLINK, "/etc/passwd");

	try_often(l, &a, COUNT);
	settle(l);
	assert_int_equal(kit_number(k->path, SUM), COUNT);
	assert_int_equal(
		kit_number(k->path, "SELECT sum(count) FROM refused"), COUNT);
	assert_int_equal(kit_number(k->path, OPEN), 1);
	assert_int_equal(
		kit_number(k->path, "SELECT count(*) FROM fold_name"), 0);
	ledger_close(l);
	assert_int_equal(kit_number(k->path, SUM), COUNT);
	assert_int_equal(kit_number(k->path, OPEN), 0);
	/* More than one only where the machine made us wait for a second. */
	assert_true(kit_number(k->path, ROWS) < COUNT / 2);
	assert_true(
		kit_number(k->path,
			"SELECT count(*) FROM attempt WHERE count > 1"
			" AND targets = 1 AND names IS NULL"
			" AND path = CAST('/etc/passwd' AS BLOB)"
			" AND t_last >= t_real AND length(times) = 136") >= 1);
}

/* ---- targets ---- */

enum { NAMES = 6000 };

struct found {
	int seen[NAMES];
	int64_t last; /* moment */
};

static int see_name(void *arg, const struct names_entry *e)
{
	struct found *f = arg;
	char path[64] = "";
	int n;

	assert_true(e->len < sizeof(path));
	memcpy(path, e->path, e->len);
	assert_int_equal(sscanf(path, "/var/lib/x%d/file", &n), 1);
	assert_in_range(n, 0, NAMES - 1);
	assert_null(e->path2);
	assert_int_equal(e->ino, 5);
	assert_true(e->ino_is_parent);
	f->seen[n] += (int)e->count;
	return 0;
}

/* What the packed names of all records tell, and plain paths. */
static void see_all(const char *path, struct found *f)
{
	struct db *db = NULL;
	struct db_stmt *s = NULL;
	struct names_reader *reader = NULL;
	int r;

	assert_int_equal(names_reader_new(&reader), 0);
	assert_int_equal(db_open(path, DB_READ_ONLY, &db, NULL), 0);
	assert_int_equal(db_prepare(db,
				 "SELECT path, count, names, t_real, targets"
				 " FROM attempt",
				 &s),
		0);
	while ((r = db_next(s)) > 0) {
		size_t len;
		struct names_entry one = {
			.ino = 5, .ino_is_parent = true, .count = db_int(s, 1)};

		if (db_is_null(s, 2)) {
			one.path = db_bytes(s, 0, &one.len);
			assert_int_equal(db_int(s, 4), 1);
			(void)see_name(f, &one);
			continue;
		}

		const void *names = db_bytes(s, 2, &len);

		assert_int_equal(names_read(reader, names, len, db_int(s, 3),
					 see_name, f),
			0);
	}
	assert_int_equal(r, 0);
	db_stmt_free(s);
	db_close(db);
	names_reader_free(reader);
}

static void test_distinct(void **state)
{
	static struct found found;
	struct kit *k = *state;
	struct ledger *l = kit_open(k->path);
	char path[64] = "";
	struct ledger_attempt a = kit_attempt(LEDGER_CREATE, path);

	memset(&found, 0, sizeof(found));
	a.ino = 5;
	a.ino_is_parent = true;
	for (int i = 0; i < 2 * NAMES; i++) {
		(void)snprintf(
			path, sizeof(path), "/var/lib/x%d/file", i % NAMES);
		kit_try(l, &a);
	}
	assert_int_equal(kit_number(k->path, SUM), 2 * NAMES);
	assert_int_equal(kit_number(k->path, "SELECT sum(count) FROM fold"),
		kit_number(k->path, "SELECT sum(count) FROM fold_name"));
	ledger_close(l);
	see_all(k->path, &found);
	for (int i = 0; i < NAMES; i++)
		assert_int_equal(found.seen[i], 2);
	assert_true(kit_number(k->path, ROWS) < NAMES);
	assert_int_equal(
		kit_number(k->path,
			"SELECT count(*) FROM attempt WHERE targets > 1 AND"
			" (path != CAST('/var/lib' AS BLOB) OR path2 NOTNULL"
			" OR ino NOTNULL OR parent_ino NOTNULL)"),
		0);
	assert_int_equal(
		kit_number(k->path, "SELECT count(*) FROM fold_name"), 0);
}

/* The folder that all targets are in, or are. */
static void test_common_folder(void **state)
{
	static const struct {
		const char *paths[3], *want;
	} cases[] = {
		{{"/a/b/x", "/a/b/y", "/a/b/z"}, "/a/b"},
		{{"/a/b/x", "/a/b", "/a/b/z"}, "/a/b"},
		{{"/a/b", "/a/b/c", "/a/b/c/d"}, "/a/b"},
		{{"/a/bc", "/a/bd", "/a/b"}, "/a"},
		{{"/a/bc", "/a/bc/d", "/a/b"}, "/a"},
		{{"/a", "/b", "/c"}, "/"},
		{{"/a", "/", "/c"}, "/"},
		{{"/", "/a", "/b"}, "/"},
		{{"/ab", "/a", "/a/b"}, "/"},
	};
	struct kit *k = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char name[16], path[SCRATCH_PATH], sql[160];
		struct ledger *l;
		struct ledger_attempt a = kit_attempt(LEDGER_OPEN, "/first");

		(void)snprintf(name, sizeof(name), "case%zu", i);
		l = kit_open(scratch_name(&k->scratch, name, path));
		/* So far ahead that a slow machine does not matter. */
		try_often(l, &a, 3 * BURST);
		for (int n = 0; n < 7; n++) {
			/* Twice the first, so that there is a fold at once. */
			a = kit_attempt(
				LEDGER_RMDIR, cases[i].paths[n ? n % 3 : 0]);
			kit_try(l, &a);
		}
		(void)snprintf(sql, sizeof(sql),
			"SELECT count(*) FROM fold WHERE targets = 3"
			" AND path = CAST('%s' AS BLOB)",
			cases[i].want);
		if (kit_number(path, sql) != 1)
			print_error("case %zu, want %s\n", i, cases[i].want);
		assert_int_equal(kit_number(path, sql), 1);
		ledger_close(l);
	}
}

/* ---- what is not equal does not share ---- */

static void vary(struct ledger_attempt *a, int how)
{
	a->has = LEDGER_HAS_FLAGS | LEDGER_HAS_MODE | LEDGER_HAS_SIZE |
		 LEDGER_HAS_OWNER | LEDGER_HAS_TIMES;
	switch (how) {
	case 0: break;
	case 1: a->op = LEDGER_CHMOD; break;
	case 2: a->error = EACCES; break;
	case 3: a->dac_denied = true; break;
	case 4: a->rule = "other"; break;
	case 5: a->flags = 1; break;
	case 6: a->mode = 1; break;
	case 7: a->size = 1; break;
	case 8: a->off = 1; break;
	case 9: a->new_uid = 1; break;
	case 10: a->new_gid = 1; break;
	case 11: a->atime = 1; break;
	case 12: a->mtime = 1; break;
	case 13: a->xattr = ""; break;
	case 14: a->xattr = "user.a"; break;
	case 15: a->uid = 99; break;
	case 16: a->gid = 99; break;
	case 17: a->has = 0; break;
	case 18: a->tid = getpid(); break; /* and a process */
	}
}

static void test_kinds_stay_apart(void **state)
{
	enum { KINDS = 19, EACH = 300 };
	struct kit *k = *state;
	struct ledger *l = kit_open(k->path);

	for (int i = 0; i < EACH; i++) {
		for (int how = 0; how < KINDS; how++) {
			struct ledger_attempt a =
				kit_attempt(LEDGER_TRUNCATE, "/t");

			vary(&a, how);
			kit_try(l, &a);
		}
	}
	assert_int_equal(kit_number(k->path, OPEN), KINDS);
	ledger_close(l);
	assert_int_equal(kit_number(k->path, SUM), KINDS * EACH);
	assert_int_equal(
		kit_number(k->path,
			"SELECT count(*) FROM (SELECT sum(count) AS n"
			" FROM attempt GROUP BY op, errno, rule, dac_denied,"
			" flags, mode, size, off, new_uid, new_gid, atime,"
			" mtime, xattr, uid, gid, tid, proc_id)"
			" WHERE n = 300"),
		KINDS);
}

/* More kinds than there may be open records: the quietest gives way. */
static void test_many_kinds(void **state)
{
	enum { KINDS = 700, EACH = 6 };
	struct kit *k = *state;
	struct ledger *l = kit_open(k->path);
	struct ledger_attempt a = kit_attempt(LEDGER_OPEN, "/o");

	for (int i = 0; i < KINDS * EACH; i++) {
		a.uid = (uid_t)(i / EACH);
		kit_try(l, &a);
	}
	settle(l);
	assert_in_range(kit_number(k->path, OPEN), 100, 256);
	assert_int_equal(kit_number(k->path, SUM), KINDS * EACH);
	ledger_close(l);
	assert_int_equal(kit_number(k->path, SUM), KINDS * EACH);
	assert_int_equal(
		kit_number(k->path,
			"SELECT count(*) FROM (SELECT sum(count) AS n FROM"
			" attempt GROUP BY uid) WHERE n = 6"),
		KINDS);
}

/* Of which no two are equal: a row each, and none is opened in vain. */
static void test_all_unlike(void **state)
{
	struct kit *k = *state;
	struct ledger *l = kit_open(k->path);

	for (unsigned i = 0; i < 1000; i++) {
		struct ledger_attempt a = kit_unlike(LEDGER_UTIMES, "/t", i);

		kit_try(l, &a);
	}
	assert_int_equal(kit_number(k->path, OPEN), 0);
	assert_int_equal(kit_number(k->path, ROWS), 1000);
	ledger_close(l);
}

/* ---- at every moment ---- */

struct counting {
	struct ledger *l;
	atomic_int begun, answered;
	atomic_bool stop;
};

static void *flood(void *arg)
{
	struct counting *c = arg;
	char path[32] = "";
	struct ledger_attempt a = kit_attempt(LEDGER_CREATE, path);

	for (int i = 0; !atomic_load(&c->stop); i++) {
		(void)snprintf(path, sizeof(path), "/d/%d", i % 50 ? 1 : i);
		atomic_fetch_add(&c->begun, 1);
		if (ledger_attempt(c->l, &a, NULL) < 0)
			abort();
		atomic_fetch_add(&c->answered, 1);
	}
	return NULL;
}

static void test_sum_at_every_moment(void **state)
{
	struct kit *k = *state;
	struct counting c = {.l = kit_open(k->path)};
	pthread_t threads[4];

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, flood, &c), 0);
	for (int i = 0; i < 200 || atomic_load(&c.answered) < 5000; i++) {
		int least = atomic_load(&c.answered);
		int64_t sum = kit_attempts(k->path);

		assert_in_range(sum, least, atomic_load(&c.begun));
	}
	atomic_store(&c.stop, true);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(kit_attempts(k->path), atomic_load(&c.answered));
	ledger_close(c.l);
	assert_int_equal(kit_number(k->path, SUM), atomic_load(&c.answered));
}

/* ---- death ---- */

static void flood_and_report(const char *path, int report)
{
	struct ledger *l = kit_open(path);

	for (int i = 0;; i++) {
		char name[64] = "";
		struct ledger_attempt a = kit_attempt(LEDGER_CREATE, name);

		(void)snprintf(name, sizeof(name), "/usr/%s/%d",
			i % 3 ? "same" : "new", i % 3 ? 0 : i);
		a.tid = getpid();
		if (ledger_attempt(l, &a, NULL) < 0 ||
			io_write(report, "x", 1) < 0)
			_exit(1);
	}
}

/* How many attempts a killed writer has reported. */
static int64_t kill_after(const char *path, int reports)
{
	int ends[2], status;
	int64_t count = 0;
	char x;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);

	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		flood_and_report(path, ends[1]);
	close(ends[1]);
	while (io_read(ends[0], &x, 1) == 1) {
		if (++count == reports)
			kill(pid, SIGKILL);
	}
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return count;
}

static void check_file(const char *path)
{
	struct store *s = NULL;

	assert_int_equal(
		store_open(path, &(struct store_options){0}, &s, NULL), 0);
	kit_check_tree(s);
	store_close(s);
}

/* Nothing is lost, and the next writer makes records of what is open. */
static void test_kill(void **state)
{
	struct kit *k = *state;
	int64_t before = 0;

	for (int round = 0; round < 8; round++) {
		int64_t reported = kill_after(k->path, 50 + round * 600);
		int64_t sum = kit_attempts(k->path);

		/* It may have died between the commit and the report. */
		assert_in_range(sum, before + reported, before + reported + 1);
		if (round > 0)
			assert_true(kit_number(k->path, OPEN) > 0);

		struct ledger *l = kit_open(k->path);

		assert_int_equal(kit_number(k->path, OPEN), 0);
		assert_int_equal(
			kit_number(k->path, "SELECT count(*) FROM fold_name"),
			0);
		assert_int_equal(kit_number(k->path, SUM), sum);
		ledger_close(l);
		check_file(k->path);
		before = sum;
	}
	assert_int_equal(kit_number(k->path, "SELECT count(*) FROM mount"), 16);
	(void)kit_read(k->path, NULL, NULL);
}

/* One that is damaged keeps the next mount away; with recover it goes, and only
 * it, and what it was is recorded. */
static void test_damaged(void **state)
{
	static const char event[] =
		"SELECT count(*) FROM event WHERE kind = 'recovery' AND"
		" json_extract(text, '$.what') = 'fold' AND"
		" json_extract(text, '$.fold') = 1 AND"
		" json_extract(text, '$.attempts') = %lld";
	const struct ledger_options recover = {.recover = true};
	struct kit *k = *state;
	struct ledger *l = NULL;
	struct diag diag = {0};
	char sql[sizeof(event) + 32];
	int64_t sum, count;

	(void)kill_after(k->path, 2000);
	sum = kit_attempts(k->path);
	count = kit_number(k->path, "SELECT count FROM fold WHERE id = 1");
	kit_change(k->path, "UPDATE fold_name SET t_first = 'x'"
			    " WHERE fold_id = 1 AND n = 0");
	assert_int_equal(ledger_open(k->path, &kit_mount,
				 &(struct ledger_options){0}, &l, &diag),
		-EBADMSG);
	assert_non_null(strstr(diag.text, "--recover"));
	assert_int_equal(kit_number(k->path, SUM), sum);

	assert_int_equal(
		ledger_open(k->path, &kit_mount, &recover, &l, &diag), 0);
	ledger_close(l);
	(void)snprintf(sql, sizeof(sql), event, (long long)count);
	assert_int_equal(kit_number(k->path, sql), 1);
	assert_int_equal(kit_number(k->path, SUM), sum - count);
	assert_int_equal(kit_number(k->path, OPEN), 0);
	assert_int_equal(
		kit_number(k->path, "SELECT count(*) FROM fold_name"), 0);
	/* Once is enough. */
	ledger_close(kit_open(k->path));
	assert_int_equal(kit_number(k->path, sql), 1);
	check_file(k->path);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_set_up, kit_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_slow),
		TEST(test_equal),
		TEST(test_distinct),
		TEST(test_common_folder),
		TEST(test_kinds_stay_apart),
		TEST(test_many_kinds),
		TEST(test_all_unlike),
		TEST(test_sum_at_every_moment),
		TEST(test_kill),
		TEST(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
