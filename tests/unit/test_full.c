/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ledger that is full: what was answered is in it, or in the count of a gap,
 * exactly once; and what each of the actions does.
 */
#include "tests/unit/unit.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "fs/db/db.h"
#include "fs/ledger/gap.h"
#include "fs/ledger/retain.h"
#include "fs/ledger/work.h"
#include "tests/lib/prng.h"
#include "tests/unit/ledger_kit.h"

#define MIB (UINT64_C(1) << 20)
#define LONG_ENOUGH 1000000 /* attempts that fill any ledger of this test */

/* Attempts that were answered as refused and recorded. */
#define ANSWERED                                               \
	"SELECT coalesce((SELECT sum(count) FROM attempt), 0)" \
	" + coalesce((SELECT sum(count) FROM fold), 0)"        \
	" + coalesce((SELECT sum(count) FROM event"            \
	" WHERE kind IN ('gap', 'prune')), 0)"

static struct ledger *open_with(
	const char *path, const struct ledger_options *opt)
{
	struct ledger *l = NULL;
	struct diag diag = {0};

	if (ledger_open(path, &kit_mount, opt, &l, &diag) < 0)
		fail_msg("ledger_open: %s", diag.text);
	return l;
}

static void nap(void)
{
	const struct timespec tick = {.tv_nsec = 20000000};

	(void)nanosleep(&tick, NULL);
}

#define NAME_LEN 400

/* /d/NUMBER and a long tail. */
static const char *name_of(unsigned number, char ret[NAME_LEN])
{
	memset(ret, 'x', NAME_LEN - 1);
	ret[NAME_LEN - 1] = '\0';
	ret[snprintf(ret, NAME_LEN, "/d/%u", number)] = '/';
	return ret;
}

/* One attempt that is unlike all others. */
static int try_number(struct ledger *l, unsigned number)
{
	char name[NAME_LEN];
	struct ledger_attempt a =
		kit_unlike(LEDGER_CREATE, name_of(number, name), number);

	return ledger_attempt(l, &a, NULL);
}

/* A small disk of its own with a filler on it. */
static void set_up_disk(struct kit *k, const char *size)
{
	static const char filler[512 << 10];

	if (!scratch_own_mounts())
		skip_because("mounting a tmpfs needs root");
	assert_int_equal(mount("tmpfs", k->scratch.path, "tmpfs", 0, size), 0);
	assert_true(
		scratch_write(&k->scratch, "filler", filler, sizeof(filler)));
}

static void make_room(const struct kit *k)
{
	char path[SCRATCH_PATH];

	assert_int_equal(unlink(scratch_name(&k->scratch, "filler", path)), 0);
}

static void take_down_disk(const struct kit *k)
{
	assert_int_equal(umount2(k->scratch.path, MNT_DETACH), 0);
}

static int64_t gaps_in(const char *path)
{
	return kit_number(
		path, "SELECT count(*) FROM event WHERE kind = 'gap'");
}

static int64_t recorded(const char *path)
{
	return kit_number(path, "SELECT coalesce(sum(count), 0) FROM attempt");
}

/* Attempt until one gives something else, or attempts are only counted: so many
 * were answered 0. */
static unsigned fill(struct ledger *l, const char *path, int *ret)
{
	unsigned n = 0, stuck = 0;
	int64_t before = -1;

	for (; n < LONG_ENOUGH; n++) {
		*ret = try_number(l, n);
		if (*ret < 0)
			return n;
		if (n % 500 == 499) {
			int64_t now = recorded(path);

			stuck = now == before ? stuck + 1 : 0;
			before = now;
			if (stuck == 3)
				return n + 1;
		}
	}
	fail_msg("it is never full");
	return n;
}

/* ---- aggregate ---- */

/* The text of the last event of a kind. */
static void read_text(const char *path, const char *kind, struct buf *ret)
{
	struct db *db = NULL;
	struct db_stmt *s = NULL;
	size_t len;

	assert_int_equal(db_open(path, DB_READ_ONLY, &db, NULL), 0);
	assert_int_equal(db_prepare(db,
				 "SELECT text FROM event WHERE kind = ?"
				 " ORDER BY seq DESC LIMIT 1",
				 &s),
		0);
	db_bind_text(s, kind);
	assert_int_equal(db_next(s), 1);

	const char *text = db_bytes(s, 0, &len);

	buf_init(ret, 1u << 20);
	assert_int_equal(buf_add(ret, text, len), 0);
	db_stmt_free(s);
	db_close(db);
}

static int may_hold(const struct buf *text, unsigned number)
{
	char name[NAME_LEN];

	return gap_may_hold(text->data, text->len, name_of(number, name));
}

static void check_gap(const char *path, unsigned last)
{
	struct buf text;
	int false_ones = 0;

	read_text(path, "gap", &text);
	assert_int_equal(gap_number_of(text.data, text.len), 1);
	assert_int_equal(may_hold(&text, last), 1);
	for (unsigned i = 0; i < 1000; i++)
		false_ones += may_hold(&text, LONG_ENOUGH + i);
	assert_in_range(false_ones, 0, 150);
	buf_done(&text);
}

static void test_full_disk_is_counted_and_told(void **state)
{
	struct kit *k = *state;
	const struct ledger_options opt = {.on_full = LEDGER_AGGREGATE};
	int r;

	set_up_disk(k, "size=2m");

	struct ledger *l = open_with(k->path, &opt);
	unsigned n = fill(l, k->path, &r);

	assert_int_equal(r, 0);
	assert_true(kit_number(k->path, ANSWERED) < n);

	unsigned last_counted = n - 1;

	make_room(k);
	for (; kit_number(k->path, ANSWERED) != n; n++) {
		assert_true(n < LONG_ENOUGH);
		nap();
		assert_int_equal(try_number(l, n), 0);
		if (gaps_in(k->path)) {
			n++;
			break;
		}
	}
	assert_int_equal(kit_number(k->path, ANSWERED), n);
	assert_int_equal(gaps_in(k->path), 1);
	check_gap(k->path, last_counted);
	ledger_close(l);
	assert_int_equal(kit_number(k->path, ANSWERED), n);
	assert_int_equal(
		kit_number(k->path,
			"SELECT count(*) FROM event WHERE kind = 'lost'"),
		0);
	take_down_disk(k);
}

/* The gap outlives its mount, and is told by the next one, once. */
static void test_gap_is_kept_for_the_next_mount(void **state)
{
	struct kit *k = *state;
	const struct ledger_options opt = {.on_full = LEDGER_AGGREGATE};
	int status, pipe_ends[2];
	unsigned n = 0;

	set_up_disk(k, "size=2m");
	assert_int_equal(pipe(pipe_ends), 0);

	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		unsigned done =
			fill(open_with(k->path, &opt), k->path, &status);

		_exit(status < 0 || write(pipe_ends[1], &done, sizeof(done)) !=
					    sizeof(done));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(pipe_ends[0], &n, sizeof(n)), sizeof(n));
	(void)close(pipe_ends[0]);
	(void)close(pipe_ends[1]);
	assert_true(kit_number(k->path, ANSWERED) < n);
	make_room(k);
	for (int again = 0; again < 2; again++) {
		struct ledger *l = open_with(k->path, &opt);

		assert_int_equal(try_number(l, n++), 0);
		ledger_close(l);
		assert_int_equal(kit_number(k->path, ANSWERED), n);
		assert_true(gaps_in(k->path) >= 1);
	}
	take_down_disk(k);
}

/* ---- killed at any moment ---- */

struct shared {
	atomic_uint answered;
	atomic_bool counting; /* a gap is open */
};

static void be_killed(const struct kit *k, struct shared *sh)
{
	const struct ledger_options opt = {.on_full = LEDGER_AGGREGATE};
	struct ledger *l = open_with(k->path, &opt);

	for (unsigned n = 0;; n++) {
		if (try_number(l, n) < 0)
			_exit(1);
		atomic_fetch_add(&sh->answered, 1);
		if (n % 1000 == 999 && recorded(k->path) + 500 < n)
			atomic_store(&sh->counting, true);
	}
}

static void kill_once(struct kit *k, uint64_t seed)
{
	struct shared *sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const struct ledger_options opt = {.on_full = LEDGER_AGGREGATE};
	struct prng r = {.state = seed};
	int status;

	assert_true(sh != MAP_FAILED);

	int64_t before =
		access(k->path, F_OK) == 0 ? kit_number(k->path, ANSWERED) : 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		be_killed(k, sh);
	while (!atomic_load(&sh->counting)) {
		assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
		nap();
	}
	/* Now and then it finds room, and is killed while it tells. */
	make_room(k);

	struct timespec t = {.tv_sec = (time_t)prng_below(&r, 2),
		.tv_nsec = (long)prng_below(&r, 999999999)};

	(void)nanosleep(&t, NULL);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* It may have filled the disk once more. */
	assert_int_equal(mount("tmpfs", k->scratch.path, "tmpfs", MS_REMOUNT,
				 "size=64m"),
		0);

	struct ledger *l = open_with(k->path, &opt);

	ledger_close(l);

	int64_t now = kit_number(k->path, ANSWERED) - before;
	int64_t answered = atomic_load(&sh->answered);

	/* One more may be recorded than was answered. */
	if (now != answered && now != answered + 1)
		fail_msg("seed %llu: %lld recorded, %lld answered",
			(unsigned long long)seed, (long long)now,
			(long long)answered);
	(void)munmap(sh, sizeof(*sh));
}

static void test_kills_neither_lose_nor_repeat(void **state)
{
	struct kit *k = *state;

	for (uint64_t seed = 0; seed < 6; seed++) {
		set_up_disk(k, "size=2m");
		kill_once(k, seed);
		take_down_disk(k);
	}
}

/* ---- block, halt ---- */

static void test_block_waits_for_room(void **state)
{
	struct kit *k = *state;
	const struct ledger_options opt = {.on_full = LEDGER_BLOCK};
	int r;

	set_up_disk(k, "size=2m");

	struct ledger *l = open_with(k->path, &opt);
	unsigned n = fill(l, k->path, &r);

	assert_int_equal(r, -EAGAIN);
	assert_int_equal(kit_number(k->path, ANSWERED), n);
	make_room(k);
	while (try_number(l, n) == -EAGAIN)
		nap();
	assert_int_equal(kit_number(k->path, ANSWERED), n + 1);
	ledger_close(l);
	assert_int_equal(kit_number(k->path, ANSWERED), n + 1);
	assert_int_equal(gaps_in(k->path), 0);
	assert_int_equal(
		kit_number(k->path,
			"SELECT count(*) FROM event WHERE kind = 'lost'"),
		0);
	take_down_disk(k);
}

static void test_halt_stops_everything(void **state)
{
	struct kit *k = *state;
	const struct ledger_options opt = {.on_full = LEDGER_HALT};
	int r;

	set_up_disk(k, "size=2m");

	struct ledger *l = open_with(k->path, &opt);

	assert_false(ledger_is_halted(l));

	unsigned n = fill(l, k->path, &r);

	assert_int_equal(r, -EIO);
	assert_true(ledger_is_halted(l));
	assert_int_equal(kit_number(k->path, ANSWERED), n);
	make_room(k);
	ledger_close(l);
	assert_int_equal(kit_number(k->path, ANSWERED), n);
	assert_int_equal(
		kit_number(k->path,
			"SELECT count(*) FROM event WHERE kind = 'alarm'"
			" AND text NOT LIKE '{\"place\":%'"), /* clerk's */
		1);
	assert_int_equal(
		kit_number(k->path,
			"SELECT sum(count) FROM event WHERE kind = 'lost'"),
		1);
	/* The operator has acted. */
	l = open_with(k->path, &opt);
	assert_false(ledger_is_halted(l));
	assert_int_equal(try_number(l, n), 0);
	ledger_close(l);
	take_down_disk(k);
}

/* ---- a bound of its own, and rotation ---- */

static uint64_t size_of(const char *path, const char *suffix)
{
	char name[SCRATCH_PATH + 8];
	struct stat st;

	(void)snprintf(name, sizeof(name), "%s%s", path, suffix);
	return stat(name, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

static void test_max_bytes_is_kept(void **state)
{
	struct kit *k = *state;
	const struct ledger_options opt = {.max_bytes = 4 * MIB};
	struct ledger *l = open_with(k->path, &opt);
	int r;
	unsigned n = fill(l, k->path, &r);

	assert_int_equal(r, 0);
	assert_true(recorded(k->path) > 1000);
	assert_true(size_of(k->path, "") + size_of(k->path, "-wal") <= 4 * MIB);
	ledger_close(l);
	assert_int_equal(kit_number(k->path, ANSWERED), n);
	assert_int_equal(gaps_in(k->path), 1);
	assert_true(size_of(k->path, "") <= 4 * MIB);
}

/* As an anchor that is done would. */
static int anchor_all(struct store *s, void *arg)
{
	const uint64_t *size = arg;
	char sql[128];

	(void)snprintf(sql, sizeof(sql),
		"INSERT OR REPLACE INTO anchor VALUES(%llu, 'test', 0)",
		(unsigned long long)*size);
	return db_exec(store_db(s), sql);
}

static void anchor(struct ledger *l, uint64_t size)
{
	assert_int_equal(ledger_work(l, anchor_all, &size), 0);
}

static void check_pruned(const char *path)
{
	struct retain_done d;
	struct buf text;
	int64_t first =
		kit_number(path, "SELECT min(seq) FROM (SELECT seq FROM attempt"
				 " UNION ALL SELECT seq FROM event)");

	assert_true(first > 1);
	assert_int_equal(first % RETAIN_SEGMENT, 1);
	read_text(path, "prune", &text);
	assert_int_equal(retain_parse(text.data, text.len, &d), 0);
	assert_int_equal(d.last, first - 1);
	assert_int_equal(d.first, first - RETAIN_SEGMENT);
	buf_done(&text);
	/* Roots stay, leaves go. */
	assert_int_equal(
		kit_number(
			path, "SELECT count(*) FROM tile WHERE leaves IS NULL"),
		(first - 1) / MERKLE_TILE);
	assert_int_equal(
		kit_number(path,
			"SELECT count(*) FROM tile WHERE leaves IS NULL"
			" AND n < (SELECT min(n) FROM tile"
			" WHERE leaves IS NOT NULL)"),
		(first - 1) / MERKLE_TILE);
}

static void test_rotation_keeps_size_and_count(void **state)
{
	enum { COUNT = 40000 };
	struct kit *k = *state;
	const struct ledger_options opt = {
		.max_bytes = 8 * MIB, .on_full = LEDGER_ROTATE};
	struct ledger *l = open_with(k->path, &opt);

	for (unsigned n = 0; n < COUNT; n++) {
		if (n % 1000 == 0)
			anchor(l, n);
		assert_int_equal(try_number(l, n), 0);
		if (n % 5000 == 0)
			assert_true(size_of(k->path, "") +
					    size_of(k->path, "-wal") <=
				    8 * MIB);
	}
	assert_int_equal(kit_number(k->path, ANSWERED), COUNT);
	assert_int_equal(gaps_in(k->path), 0);
	check_pruned(k->path);
	ledger_close(l);
	/* What is left can be written on. */
	l = open_with(k->path, &opt);
	assert_int_equal(try_number(l, COUNT), 0);
	ledger_close(l);
	assert_int_equal(kit_number(k->path, ANSWERED), COUNT + 1);
}

static void test_rotation_removes_nothing_that_is_not_anchored(void **state)
{
	struct kit *k = *state;
	const struct ledger_options opt = {
		.max_bytes = 8 * MIB, .on_full = LEDGER_ROTATE};
	struct ledger *l = open_with(k->path, &opt);
	int r;

	/* One record less than the first segment. */
	anchor(l, RETAIN_SEGMENT - 1);

	unsigned n = fill(l, k->path, &r);

	assert_int_equal(r, 0);
	ledger_close(l);
	assert_int_equal(
		kit_number(k->path,
			"SELECT count(*) FROM event WHERE kind = 'prune'"),
		0);
	assert_int_equal(kit_number(k->path, "SELECT min(seq) FROM event"), 1);
	assert_int_equal(kit_number(k->path, ANSWERED), n);
	assert_int_equal(gaps_in(k->path), 1);
}

static void test_retention_by_age(void **state)
{
	struct kit *k = *state;
	const struct ledger_options opt = {0};
	struct ledger *l = open_with(k->path, &opt);
	struct retain_done done;
	struct diag diag;
	int64_t before;

	for (unsigned n = 0; n < 10000; n++)
		assert_int_equal(try_number(l, n), 0);
	assert_int_equal(retain_run(l, INT64_MAX), 0); /* no anchor yet */
	anchor(l, 10000);
	assert_int_equal(retain_run(l, 1), 0); /* all of it is newer */
	before = kit_number(k->path, "PRAGMA page_count");
	assert_int_equal(retain_run(l, INT64_MAX), 2);
	assert_int_equal(retain_run(l, INT64_MAX), 0);
	assert_int_equal(kit_number(k->path, ANSWERED), 10000);
	ledger_close(l);
	check_pruned(k->path);
	/* What was free is given back, little by little. */
	assert_true(kit_number(k->path, "PRAGMA page_count") <= before - 256);

	/* Offline, a second mount later; what belonged to the first one alone
	 * goes with its last record. */
	l = open_with(k->path, &opt);
	for (unsigned n = 0; n < 10000; n++)
		assert_int_equal(try_number(l, n), 0);
	anchor(l, 20000);
	ledger_close(l);
	assert_int_equal(kit_number(k->path, "SELECT count(*) FROM mount"), 2);
	if (retain_prune(k->path, INT64_MAX, &done, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_int_equal(done.first, 2 * RETAIN_SEGMENT + 1);
	assert_int_equal(done.last, 4 * RETAIN_SEGMENT);
	assert_int_equal(kit_number(k->path, ANSWERED), 20000);
	assert_int_equal(kit_number(k->path, "SELECT count(*) FROM mount"), 1);
	check_pruned(k->path);
	assert_int_equal(kit_number(k->path, "PRAGMA freelist_count"), 0);
	l = open_with(k->path, &opt);
	ledger_close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, kit_set_up, kit_tear_down)
		TEST(test_full_disk_is_counted_and_told),
		TEST(test_gap_is_kept_for_the_next_mount),
		TEST(test_kills_neither_lose_nor_repeat),
		TEST(test_block_waits_for_room),
		TEST(test_halt_stops_everything),
		TEST(test_max_bytes_is_kept),
		TEST(test_rotation_keeps_size_and_count),
		TEST(test_rotation_removes_nothing_that_is_not_anchored),
		TEST(test_retention_by_age),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
