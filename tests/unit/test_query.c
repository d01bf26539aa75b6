/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of a ledger: filters, order, following, and files from strangers. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/base/buf.h"
#include "fs/base/io.h"
#include "tests/unit/query_kit.h"

enum { RECORDS = 600 }; /* more than two batches of a reader */

#define PID 4242
#define T0 INT64_C(1700000000000000000)

/* Also to a connection of the caller's own. */
static void add_as(struct made *k, int64_t seq, int i)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/d%d/f%d", i % 3, i);

	const struct made_target t = {path, NULL, 1, seq, seq};

	made_add(k, &(struct made_record){
			    .seq = seq,
			    .t_real = T0 + seq,
			    .op = i % 2 ? LEDGER_UNLINK : LEDGER_OPEN,
			    .tid = i % 4 ? PID + 1 : 0,
			    .proc = i % 4 ? 3 : 0,
			    .uid = i % 5,
			    .targets = &t,
			    .target_count = 1,
		    });
}

static void add_odd_ones(struct made *k)
{
	const struct made_target renamed = {"/from/a", "/to/b", 1, 0, 0};
	const struct made_target raw = {"/raw/\xff\x01*", NULL, 1, 0, 0};
	const struct made_target damaged = {"/d1/f1", NULL, 1, 0, 0};

	made_add(k, &(struct made_record){.seq = RECORDS + 1,
			    .t_real = T0 + RECORDS + 1,
			    .op = LEDGER_RENAME,
			    .targets = &renamed,
			    .target_count = 1});
	made_add(k, &(struct made_record){.seq = RECORDS + 2,
			    .t_real = T0 + RECORDS + 2,
			    .targets = &raw,
			    .target_count = 1});
	made_add(k, &(struct made_record){.seq = RECORDS + 3,
			    .t_real = T0 + RECORDS + 3,
			    .kind = "damage",
			    .targets = &damaged,
			    .target_count = 1});
}

static int set_up(void **state)
{
	struct made *k;

	if (made_set_up(state) < 0)
		return -1;
	k = *state;
	for (int i = 1; i <= 3; i++)
		made_process(k, &(struct made_process){.id = i,
					.parent = i - 1,
					.pid = PID - 3 + i,
					.comm = "some tool"});
	made_sql(k, "BEGIN");
	for (int i = 1; i <= RECORDS; i++)
		add_as(k, i, i);
	add_odd_ones(k);
	made_sql(k, "COMMIT");
	return 0;
}

/* How many come, and the first and last of them. */
struct found {
	int64_t count, first, last;
};

static struct found read_on(struct query *q)
{
	const struct query_row *row;
	struct found f = {0};
	int r;

	while ((r = query_next(q, &row)) > 0) {
		f.last = row->cell[QUERY_SEQ].number;
		if (!f.count++)
			f.first = f.last;
	}
	if (r < 0)
		print_error("query_next: %d %s\n", r, query_error(q));
	assert_int_equal(r, 0);
	return f;
}

static struct found find(struct query *q, const struct query_filter *filter,
	enum query_order order, int64_t last)
{
	assert_int_equal(query_start(q, filter, order, last), 0);
	return read_on(q);
}

/* ---- filters ---- */

#define OP(op) (UINT64_C(1) << (op))

struct filter_case {
	const char *name;
	struct query_filter filter;
	int64_t count;
};

static const struct filter_case by_record[] = {
	{"all", {0}, RECORDS + 3},
	{"op", {.ops = OP(LEDGER_UNLINK)}, RECORDS / 2},
	{"two ops", {.ops = OP(LEDGER_UNLINK) | OP(LEDGER_RENAME)},
		RECORDS / 2 + 1},
	{"events", {.events = 1 << LEDGER_EVENT_DAMAGE}, 1},
	{"other events", {.events = 1 << LEDGER_EVENT_LOST}, 0},
	{"op and event",
		{.ops = OP(LEDGER_RENAME), .events = 1 << LEDGER_EVENT_DAMAGE},
		2},
	{"exact path", {.path = "/d2/f2"}, 1},
	{"part of a path", {.path = "d2/f2"}, 0},
	{"glob", {.path = "/d2/f2*"}, 39},
	{"glob over folders", {.path = "*f1"}, 2},
	{"class", {.path = "/d[01]/f[13]"}, 3},
	{"star itself", {.path = "/raw/*[*]"}, 1},
	{"second path", {.path = "/to/*"}, 1},
	{"under", {.under = "/d1"}, RECORDS / 3 + 1},
	{"under, slash", {.under = "/d1/"}, RECORDS / 3 + 1},
	{"under root", {.under = "/"}, RECORDS + 3},
	{"under a file", {.under = "/d2/f2"}, 1},
	{"under half a name", {.under = "/d"}, 0},
	{"under second path", {.under = "/to"}, 1},
	{"under raw", {.under = "/raw/\xff\x01*"}, 1},
	{"uid", {.has_uid = true, .uid = 3}, RECORDS / 5},
	{"uid 0", {.has_uid = true}, RECORDS / 5 + 2},
	{"no such pid", {.pid = 1}, 0},
	{"part of comm", {.comm = "some"}, 0},
	{"past", {.until = 1}, 0},
	{"future", {.since = INT64_MAX}, 0},
	{"always", {.since = 1, .until = INT64_MAX}, RECORDS + 3},
	{"several",
		{.under = "/d1",
			.ops = OP(LEDGER_OPEN),
			.has_uid = true,
			.uid = 0},
		RECORDS / 30},
};

static void try_filter(struct query *q, const struct filter_case *c)
{
	struct found forward = find(q, &c->filter, QUERY_FORWARD, -1);
	struct found backward = find(q, &c->filter, QUERY_BACKWARD, -1);

	if (forward.count != c->count)
		print_error("%s: %" PRId64 ", want %" PRId64 "\n", c->name,
			forward.count, c->count);
	assert_int_equal(forward.count, c->count);
	assert_int_equal(backward.count, c->count);
	assert_int_equal(forward.first, backward.last);
	assert_int_equal(forward.last, backward.first);
	assert_true(forward.first <= forward.last);
}

static void test_filters(void **state)
{
	const struct filter_case by_process[] = {
		{"pid", {.pid = PID}, RECORDS / 4 * 3},
		{"thread", {.pid = PID + 1}, RECORDS / 4 * 3},
		{"comm", {.comm = "some tool"}, RECORDS / 4 * 3},
	};
	struct made *k = *state;
	struct query *q = made_query(k);

	for (size_t i = 0; i < ARRAY_LEN(by_record); i++)
		try_filter(q, &by_record[i]);
	for (size_t i = 0; i < ARRAY_LEN(by_process); i++)
		try_filter(q, &by_process[i]);
	query_close(q);
}

static void test_last(void **state)
{
	const struct query_filter all = {0}, opens = {.ops = OP(LEDGER_OPEN)};
	struct made *k = *state;
	struct query *q = made_query(k);
	struct found got = find(q, &all, QUERY_FORWARD, 5);

	assert_int_equal(got.count, 5);
	assert_int_equal(got.last, RECORDS + 3);
	got = find(q, &all, QUERY_BACKWARD, 5);
	assert_int_equal(got.count, 5);
	assert_int_equal(got.first, RECORDS + 3);
	assert_int_equal(got.last, RECORDS - 1);
	got = find(q, &opens, QUERY_FORWARD, 3);
	assert_int_equal(got.count, 3);
	assert_int_equal(got.first, RECORDS - 2);
	assert_int_equal(got.last, RECORDS + 2);
	assert_int_equal(find(q, &opens, QUERY_FORWARD, 0).count, 0);
	assert_int_equal(
		find(q, &all, QUERY_FORWARD, INT64_MAX).count, RECORDS + 3);
	query_close(q);
}

/* ---- following ---- */

static void test_follow(void **state)
{
	const struct query_filter opens = {
		.ops = OP(LEDGER_OPEN), .closed = true};
	struct made *k = *state;
	struct query *q = made_query(k);
	int64_t seq = RECORDS + 3;

	assert_int_equal(
		find(q, &opens, QUERY_FORWARD, -1).count, RECORDS / 2 + 1);
	assert_int_equal(query_more(q), 0);
	add_as(k, ++seq, 1000);
	assert_int_equal(query_more(q), 1);
	assert_int_equal(read_on(q).count, 1);
	assert_int_equal(query_more(q), 0);
	for (int i = 0; i < 600; i++)
		add_as(k, ++seq, i);
	assert_int_equal(query_more(q), 1);
	assert_int_equal(read_on(q).count, 300);
	/* What does not match is passed over, too. */
	add_as(k, ++seq, 1);
	assert_int_equal(query_more(q), 1);
	assert_int_equal(read_on(q).count, 0);
	assert_int_equal(query_more(q), 0);
	query_close(q);
}

/* A process that comes while it is waited for is found by its name. */
static void test_follow_new_process(void **state)
{
	const struct query_filter new = {.comm = "new", .closed = true};
	const struct made_target t = {"/x", NULL, 1, 0, 0};
	struct made *k = *state;
	struct query *q = made_query(k);

	assert_int_equal(find(q, &new, QUERY_FORWARD, -1).count, 0);
	made_process(
		k, &(struct made_process){.id = 4, .pid = 5000, .comm = "new"});
	made_add(k, &(struct made_record){.seq = RECORDS + 4,
			    .proc = 4,
			    .targets = &t,
			    .target_count = 1});
	assert_int_equal(query_more(q), 1);
	assert_int_equal(read_on(q).count, 1);
	query_close(q);
}

/* A reader in the middle of its rows holds no lock against a checkpoint. */
static void test_holds_nothing(void **state)
{
	struct made *k = *state;
	const struct query_filter all = {0};
	struct query *q = made_query(k);
	const struct query_row *row;
	int64_t busy = 1;

	assert_int_equal(query_start(q, &all, QUERY_FORWARD, -1), 0);
	assert_int_equal(query_next(q, &row), 1);
	add_as(k, RECORDS + 4, 1);
	assert_int_equal(
		db_exec_int(k->db, "PRAGMA wal_checkpoint(TRUNCATE)", &busy),
		0);
	assert_int_equal(busy, 0);
	/* And what came meanwhile is not of this answer. */
	assert_int_equal(read_on(q).count, RECORDS + 2);
	query_close(q);
}

/* ---- ancestors ---- */

static int count_ancestor(void *arg, const struct query_ancestor *a)
{
	int *count = arg;

	if (++*count == 1)
		assert_int_equal(a->pid, PID - 1);
	return *count == 100 ? -E2BIG : 0;
}

static void test_ancestors(void **state)
{
	const struct query_filter own = {.pid = PID};
	struct made *k = *state;
	struct query *q = made_query(k);
	const struct query_row *row;
	int64_t proc;
	int count = 0;

	assert_int_equal(query_start(q, &own, QUERY_FORWARD, -1), 0);
	assert_int_equal(query_next(q, &row), 1);
	proc = row->cell[QUERY_PROC_ID].number;
	assert_int_equal(query_ancestors(q, proc, count_ancestor, &count), 0);
	assert_int_equal(count, 2);
	query_close(q);

	/* A forged ring ends. */
	made_sql(k, "UPDATE proc SET parent_id = id");
	q = made_query(k);
	count = 1; /* the first one is not our parent now */
	assert_int_equal(query_ancestors(q, proc, count_ancestor, &count), 0);
	assert_int_equal(count, 17);
	query_close(q);
}

/* ---- where nothing can be written ---- */

/* A killed writer leaves its log behind. */
static void kill_writer(struct made *k)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		made_open(k);
		add_as(k, RECORDS + 4, 1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void test_read_only(void **state)
{
	const struct query_filter all = {.closed = true};
	const char *dir;
	struct made *k = *state;
	char shm[SCRATCH_PATH];
	struct query *q;

	if (!scratch_own_mounts()) {
		print_message("skipped: a read-only mount needs root\n");
		skip();
	}
	made_close(k);
	dir = k->scratch.path;
	/* Nothing but the ledger; then with the log that a killed writer has
	 * left; then without that one's shared memory. */
	for (int step = 0; step < 3; step++) {
		if (step == 1)
			kill_writer(k);
		if (step == 2)
			assert_int_equal(unlink(scratch_name(&k->scratch,
						 "ledger-shm", shm)),
				0);
		assert_int_equal(mount(dir, dir, NULL, MS_BIND, NULL), 0);
		assert_int_equal(
			mount(NULL, dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY,
				NULL),
			0);
		q = made_query(k);
		assert_int_equal(find(q, &all, QUERY_FORWARD, -1).count,
			RECORDS + 3 + (step > 0));
		assert_int_equal(query_more(q), 0);
		query_close(q);
		assert_int_equal(umount2(dir, 0), 0);
	}
}

/* ---- files from strangers ---- */

static void read_file(const char *path, struct buf *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	buf_init(ret, (size_t)st.st_size);
	assert_non_null(buf_reserve(ret, (size_t)st.st_size));
	assert_int_equal(
		io_read(fd, ret->data, (size_t)st.st_size), st.st_size);
	ret->len = (size_t)st.st_size;
}

/* Whatever the bytes, a reader ends, and gives records or says no. */
static void try_bytes(
	const struct scratch *s, const char *bytes, size_t len, int *ret_read)
{
	const struct query_filter all = {0};
	const struct query_row *row;
	char path[SCRATCH_PATH];
	struct query *q = NULL;
	struct diag diag = {0};
	int r, rows = 0;

	assert_true(scratch_write(s, "bad", bytes, len));
	r = query_open(scratch_name(s, "bad", path), &q, &diag);
	if (r < 0) {
		assert_true(*diag.text);
		assert_null(q);
		return;
	}
	r = query_start(q, &all, QUERY_FORWARD, -1);
	while (r >= 0 && (r = query_next(q, &row)) > 0)
		assert_true(++rows < 100000);
	*ret_read += r == 0;
	query_close(q);
}

static void test_damage(void **state)
{
	struct made *k = *state;
	_cleanup_buf_ struct buf good = {0};
	int read = 0;

	made_close(k);
	read_file(k->path, &good);
	try_bytes(&k->scratch, good.data, good.len, &read);
	assert_int_equal(read, 1);
	for (size_t len = 0; len < good.len; len += 2039)
		try_bytes(&k->scratch, good.data, len, &read);
	for (size_t i = 0; i < good.len; i += 239) {
		good.data[i] ^= (char)(1 << i % 8);
		try_bytes(&k->scratch, good.data, good.len, &read);
		good.data[i] ^= (char)(1 << i % 8);
	}
	/* Most flips are in values, which SQLite does not check. */
	assert_true(read > 1);
}

static void test_no_ledger(void **state)
{
	struct made *k = *state;
	char path[SCRATCH_PATH];
	struct query *q = NULL;
	struct diag diag = {0};

	assert_int_equal(
		query_open(scratch_name(&k->scratch, "none", path), &q, &diag),
		-ENOENT);
	assert_int_equal(query_open(k->scratch.path, &q, &diag), -EBADMSG);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(query_open(path, &q, &diag), -EBADMSG);
	assert_int_equal(query_open("/dev/null", &q, &diag), -EBADMSG);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, made_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_filters),
		TEST(test_last),
		TEST(test_follow),
		TEST(test_follow_new_process),
		TEST(test_holds_nothing),
		TEST(test_ancestors),
		TEST(test_damage),
		TEST(test_no_ledger),
		/* The last one: it changes the mounts of this process. */
		TEST(test_read_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
