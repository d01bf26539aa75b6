/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's law: what has returned is recorded, exactly once, in order. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/audit/query.h"
#include "fs/base/io.h"
#include "fs/db/db.h"
#include "fs/ledger/ledger.h"
#include "fs/ledger/work.h"
#include "tests/unit/ledger_kit.h"

/* ---- what is kept ---- */

static void same_bytes(const struct query_cell *c, const void *want, size_t len)
{
	assert_false(c->null);
	assert_int_equal(c->len, len);
	assert_memory_equal(c->bytes, want, len);
}

static void same_text(const struct query_cell *c, const char *want)
{
	same_bytes(c, want, strlen(want));
}

static void check_full(void *arg, const struct query_row *row)
{
	static const struct {
		enum query_column column;
		int64_t want;
	} numbers[] = {
		{QUERY_ERRNO, EPERM},
		{QUERY_DAC_DENIED, 1},
		{QUERY_INO, 77},
		{QUERY_FLAGS, 1},
		{QUERY_MODE, 0100644},
		{QUERY_SIZE, INT64_C(1) << 40},
		{QUERY_OFF, 4096},
		{QUERY_NEW_UID, 5},
		{QUERY_ATIME, -1},
		{QUERY_UID, 1},
		{QUERY_GID, 2},
		{QUERY_CALLER_VISIBLE, 0},
	};
	static const enum query_column nulls[] = {QUERY_PARENT_INO,
		QUERY_NEW_GID, QUERY_MTIME, QUERY_PATH2, QUERY_TID,
		QUERY_PROC_ID, QUERY_COMM, QUERY_TEXT_OF_EVENT};

	(void)arg;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		const struct query_cell *c = &row->cell[numbers[i].column];

		if (c->null || c->number != numbers[i].want)
			print_error("%s: %" PRId64 ", want %" PRId64 "\n",
				query_columns[numbers[i].column].name,
				c->number, numbers[i].want);
		assert_false(c->null);
		assert_int_equal(c->number, numbers[i].want);
	}
	for (size_t i = 0; i < ARRAY_LEN(nulls); i++)
		assert_true(row->cell[nulls[i]].null);
	same_text(&row->cell[QUERY_OP], "setxattr");
	same_text(&row->cell[QUERY_PATH], "/a");
	same_text(&row->cell[QUERY_XATTR], "user.x");
	same_text(&row->cell[QUERY_MOUNT_POINT], "/mnt");
	same_bytes(&row->cell[QUERY_IMAGE_ID], kit_mount.image_id.bytes,
		DIGEST_LEN);
}

static void test_fields(void **state)
{
	struct kit *f = *state;
	struct ledger *l = kit_open(f->path);
	const struct ledger_node node = {.mode = 0100755, .size = 9};
	struct ledger_attempt a = kit_attempt(LEDGER_SETXATTR, "/a");

	a.dac_denied = true;
	a.ino = 77;
	a.node = &node;
	a.has = LEDGER_HAS_FLAGS | LEDGER_HAS_MODE | LEDGER_HAS_SIZE |
		LEDGER_HAS_OWNER | LEDGER_HAS_TIMES;
	a.flags = 1;
	a.mode = 0100644;
	a.size = UINT64_C(1) << 40;
	a.off = 4096;
	a.new_uid = 5;
	a.new_gid = ~0u;
	a.atime = -1;
	a.mtime = INT64_MIN;
	a.xattr = "user.x";
	assert_int_equal(ledger_attempt(l, &a, NULL), 0);
	/* Readers need not wait for the end of the mount. */
	assert_int_equal(kit_read(f->path, check_full, NULL), 1);
	ledger_close(l);
	assert_int_equal(kit_read(f->path, check_full, NULL), 1);
	assert_int_equal(
		kit_number(f->path,
			"SELECT count(*) FROM mount AS m"
			" JOIN event AS e ON e.mount_id = m.id"
			" JOIN node AS n ON n.mount_id = m.id"
			" WHERE e.kind = 'unmount' AND e.t_real >= m.started"
			" AND length(m.boot_id) = 36 AND n.ino = 77"
			" AND n.mode = 33261 AND n.size = 9"),
		1);
	assert_int_equal(
		kit_number(f->path, "SELECT count(*) FROM refused"), 1);
}

struct names {
	char path[257], path2[257], xattr[257];
};

static void check_names(void *arg, const struct query_row *row)
{
	const struct names *n = arg;

	same_text(&row->cell[QUERY_PATH], n->path);
	same_text(&row->cell[QUERY_PATH2], n->path2);
	same_text(&row->cell[QUERY_XATTR], n->xattr);
}

static void test_every_byte(void **state)
{
	struct kit *f = *state;
	struct ledger *l = kit_open(f->path);
	struct names n = {.path = "/", .path2 = "", .xattr = ""};

	for (int i = 0; i < 255; i++) {
		n.path[1 + i] = (char)(i + 1);
		n.path2[i] = (char)(255 - i);
		n.xattr[i] = (char)(i + 1);
	}

	struct ledger_attempt a = kit_attempt(LEDGER_RENAME, n.path);

	a.path2 = n.path2;
	a.xattr = n.xattr;
	assert_int_equal(ledger_attempt(l, &a, NULL), 0);
	ledger_close(l);
	assert_int_equal(kit_read(f->path, check_names, &n), 1);
}

static void check_event(void *arg, const struct query_row *row)
{
	(void)arg;
	same_text(&row->cell[QUERY_OP], "damage");
	same_text(&row->cell[QUERY_PATH], "/bin/sh");
	same_text(&row->cell[QUERY_TEXT_OF_EVENT], "frame 3");
	assert_int_equal(row->cell[QUERY_COUNT_OF_EVENT].number, 1);
	assert_true(row->cell[QUERY_ERRNO].null);
}

static void test_event(void **state)
{
	struct kit *f = *state;
	struct ledger *l = kit_open(f->path);

	assert_int_equal(
		ledger_event(l, LEDGER_EVENT_DAMAGE, "/bin/sh", "frame 3"), 0);
	ledger_close(l);
	assert_int_equal(kit_read(f->path, check_event, NULL), 1);
}

static void test_names_of_kinds(void **state)
{
	enum ledger_op op;

	(void)state;
	for (int i = 0; i < LEDGER_OP_COUNT; i++) {
		assert_int_equal(ledger_op_parse(ledger_op_name(i), &op), 0);
		assert_int_equal(op, i);
	}
	assert_int_equal(ledger_op_parse("opens", &op), -EINVAL);
	assert_int_equal(ledger_op_parse("", &op), -EINVAL);
}

/* The file is private, whatever the umask. */
static void test_modes(void **state)
{
	static const char *const names[] = {
		"ledger", "ledger-lock", "ledger-wal", "ledger-shm"};
	struct kit *f = *state;
	mode_t old = umask(0);
	struct ledger *l = kit_open(f->path);

	umask(old);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[SCRATCH_PATH];
		struct stat st;

		assert_int_equal(
			stat(scratch_name(&f->scratch, names[i], path), &st),
			0);
		assert_int_equal(st.st_mode, S_IFREG | 0600);
	}
	ledger_close(l);
}

/* ---- many at once ---- */

enum { THREADS = 8, EACH = 1500 };

struct writer {
	struct ledger *l;
	int number;
	int report; /* descriptor for what has returned, or -1 */
	int failures;
};

static void *write_many(void *arg)
{
	struct writer *w = arg;
	pid_t tid = (pid_t)syscall(SYS_gettid);

	for (int i = 0; i < EACH; i++) {
		char path[32];

		(void)snprintf(path, sizeof(path), "/%d/%d", w->number, i);

		struct ledger_attempt a =
			kit_unlike((w->number + i) % LEDGER_OP_COUNT, path,
				(unsigned)(w->number * EACH + i));

		a.tid = tid;
		if (ledger_attempt(w->l, &a, NULL) != 0)
			w->failures++;
		/* At most PIPE_BUF bytes: whole or not at all. */
		else if (w->report >= 0 &&
			 io_write(w->report, path, sizeof(path)) < 0)
			w->failures++;
	}
	return NULL;
}

/* Returns how many failed. */
static int run_writers(struct ledger *l, int report)
{
	struct writer w[THREADS];
	pthread_t threads[THREADS];
	int failures = 0;

	for (int i = 0; i < THREADS; i++) {
		w[i] = (struct writer){l, i, report, 0};
		if (pthread_create(&threads[i], NULL, write_many, &w[i]) != 0)
			abort();
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		failures += w[i].failures;
	}
	return failures;
}

/* Which of THREADS x EACH are there. */
static void tick(void *arg, const struct query_row *row)
{
	uint8_t(*seen)[EACH] = arg;
	const struct query_cell *c = &row->cell[QUERY_PATH];
	char path[32] = "";
	int number, i;

	assert_true(c->len < sizeof(path));
	memcpy(path, c->bytes, c->len);
	assert_int_equal(sscanf(path, "/%d/%d", &number, &i), 2);
	assert_in_range(number, 0, THREADS - 1);
	assert_in_range(i, 0, EACH - 1);
	seen[number][i]++;
}

static void test_threads(void **state)
{
	static uint8_t seen[THREADS][EACH];
	struct kit *f = *state;
	struct ledger *l = kit_open(f->path);

	memset(seen, 0, sizeof(seen));
	assert_int_equal(run_writers(l, -1), 0);
	ledger_close(l);
	assert_int_equal(kit_read(f->path, tick, seen), THREADS * EACH);
	for (int n = 0; n < THREADS; n++) {
		for (int i = 0; i < EACH; i++)
			assert_int_equal(seen[n][i], 1);
	}
	/* All are threads of one process, which is stored once. */
	assert_int_equal(kit_number(f->path,
				 "SELECT count(DISTINCT proc_id) FROM attempt"),
		1);
	assert_int_equal(kit_number(f->path,
				 "SELECT count(*) FROM attempt AS a JOIN proc"
				 " AS p ON p.id = a.proc_id"
				 " AND p.first_seq <= a.seq"),
		THREADS * EACH);
}

/* ---- work on the database ---- */

struct work {
	struct ledger *l;
	int result;
	atomic_int runs;
};

static int add_anchor(struct store *s, void *arg)
{
	struct work *w = arg;
	int r = db_exec(store_db(s),
		"INSERT INTO anchor SELECT 1 + ifnull(max(size), 0),"
		" 'here', 0 FROM anchor");

	atomic_fetch_add(&w->runs, 1);
	return r < 0 ? r : w->result;
}

#define ANCHORS "SELECT count(*) FROM anchor"

static void *work_often(void *arg)
{
	struct work *w = arg;

	for (int i = 0; i < 100; i++) {
		if (ledger_work(w->l, add_anchor, w) < 0)
			abort();
	}
	return NULL;
}

/* Between attempts of many threads; what fails takes nothing with it. */
static void test_work(void **state)
{
	struct kit *f = *state;
	struct work w = {.l = kit_open(f->path)};
	struct work bad = {.l = w.l, .result = -ETIME};
	pthread_t thread;

	assert_int_equal(ledger_work(w.l, add_anchor, &w), 0);
	assert_int_equal(kit_number(f->path, ANCHORS), 1);
	assert_int_equal(ledger_work(w.l, add_anchor, &bad), -ETIME);
	assert_int_equal(bad.runs, 1);
	assert_int_equal(kit_number(f->path, ANCHORS), 1);

	assert_int_equal(pthread_create(&thread, NULL, work_often, &w), 0);
	assert_int_equal(run_writers(w.l, -1), 0);
	pthread_join(thread, NULL);
	assert_int_equal(w.runs, 101);
	assert_int_equal(kit_number(f->path, ANCHORS), 101);
	ledger_close(w.l);
	assert_int_equal(kit_read(f->path, NULL, NULL), THREADS * EACH);
}

/* ---- death ---- */

static pid_t start_writer_process(const char *path, int report)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;

	const struct ledger_options opt = {.fsync = false};
	struct ledger *l = NULL;

	if (ledger_open(path, &kit_mount, &opt, &l, NULL) < 0)
		_exit(1);
	_exit(run_writers(l, report) ? 1 : 0);
}

/* Kill the writer after it has reported so many; count all that it did. */
static int kill_after(const char *path, int reports)
{
	static uint8_t reported[THREADS][EACH], seen[THREADS][EACH];
	int ends[2], status, count = 0;
	char line[32];

	memset(reported, 0, sizeof(reported));
	memset(seen, 0, sizeof(seen));
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);

	pid_t pid = start_writer_process(path, ends[1]);

	assert_true(pid > 0);
	close(ends[1]);
	while (io_read(ends[0], line, sizeof(line)) == sizeof(line)) {
		int n, i;

		assert_int_equal(sscanf(line, "/%d/%d", &n, &i), 2);
		reported[n][i] = 1;
		if (++count == reports)
			kill(pid, SIGKILL);
	}
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	kit_read(path, tick, seen);
	for (int n = 0; n < THREADS; n++) {
		for (int i = 0; i < EACH; i++)
			assert_true(seen[n][i] >= reported[n][i]);
	}
	return count;
}

static void test_kill(void **state)
{
	struct kit *f = *state;

	for (int round = 0; round < 10; round++) {
		char name[16], path[SCRATCH_PATH];

		(void)snprintf(name, sizeof(name), "killed%d", round);
		assert_true(kill_after(scratch_name(&f->scratch, name, path),
				    1 + round * 97) > round * 97);

		/* The next mount goes on where it stopped. */
		int64_t before = kit_read(path, NULL, NULL);
		struct ledger *l = kit_open(path);
		struct ledger_attempt a = kit_attempt(LEDGER_OPEN, "/after");

		assert_int_equal(ledger_attempt(l, &a, NULL), 0);
		ledger_close(l);
		assert_int_equal(kit_read(path, NULL, NULL), before + 1);
		assert_int_equal(
			kit_number(path, "SELECT (SELECT count(*) FROM mount)"
					 " - count(*) FROM event"
					 " WHERE kind = 'unmount'"),
			1);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_set_up, kit_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_fields), TEST(test_every_byte), TEST(test_event),
		TEST(test_names_of_kinds), TEST(test_modes), TEST(test_threads),
		TEST(test_work), TEST(test_kill),
		/* The last one: it changes the mounts of this process. */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
